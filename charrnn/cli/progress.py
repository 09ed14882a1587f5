"""The events of a training as lines on stderr."""

import contextlib
import math
import time

from charrnn.activity import Work, listen
from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli import terminal
from charrnn.cli.work import described
from charrnn.config import TrainConfig
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Metric
from charrnn.training.events import (
    Evaluated,
    Event,
    Finished,
    Planned,
    Progress,
    Revised,
    Saved,
    Warned,
)
from charrnn.training.planner.heuristics import SECONDS_BETWEEN_SAMPLES
from charrnn.training.planner.plan import Plan

EXHAUSTED = "more time would only overfit so {little} (--epochs overrides)"

BUSY = "this machine is busy with other work: training is slower than it could be"

# A third of this is about the least that --minutes accepts.
SHORT = 20.0
"""A training of fewer seconds needs no quicker alternative."""

SHOWN_WORK_SECONDS = 1.0
"""Work between two steps that takes fewer seconds is not shown."""


class ProgressReporter:
    """Prints events; a silent one prints nothing. `dataset` is set before the first event."""

    def __init__(self, silent: bool) -> None:
        self.dataset: Dataset | None = None
        self.silent = silent
        self._steps = 0
        self._run = ""
        self._task = get_task(LANGUAGE)
        self._line: terminal.ProgressLine | None = None
        self._listening = contextlib.ExitStack()
        self._step, self._seconds, self._seen, self._text = 0, 0.0, 0.0, ""
        self._shown_at, self._pieces, self._was_finished = -math.inf, False, False

    def __enter__(self) -> "ProgressReporter":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        """End the line that is redrawn, so that what follows begins on a line of its own."""
        if self._line:
            self._line.__exit__()
            self._line = None
        self._listening.close()

    def _show_work(self, work: Work | None) -> None:
        """Long work between two steps, such as an evaluation, on the line of the steps."""
        if self._line is None:
            return
        seconds = self._seconds + time.perf_counter() - self._seen
        if work is None:
            self._line.redraw(self._text)
        elif seconds - self._seconds >= SHOWN_WORK_SECONDS:
            text = described(work, seconds - self._seconds)
            self._line.update(self._step, f"step {self._step:,}: {text}", seconds)

    def report(self, event: Event) -> None:
        """Print one event."""
        # A silent reporter has no line, which the methods below rely on.
        if self.silent:
            return
        self._step, self._seen = event.step, time.perf_counter()
        self._seconds = 0.0 if isinstance(event, Planned) else event.seconds
        match event:
            case Planned():
                self._planned(event)
            case Progress():
                self._progress(event)
            case Evaluated():
                self._evaluated(event)
            case Warned():
                self._print(f"warning: {event.text}", style="yellow")
            case Saved():
                for warning in event.warnings:
                    self._print(f"charrnn: note: {warning}", style="yellow")
            case Revised():
                self._revised(event)
            case Finished():
                self._finished(event)

    def _print(self, text: str, style: str = "") -> None:
        assert self._line
        self._line.print(text, style)

    def _planned(self, event: Planned) -> None:
        assert self.dataset
        # A run may be planned again in its first seconds.
        self._close()
        self._steps, self._run = event.plan.train_config.steps, event.run
        self._task = get_task(event.plan.task)
        config = event.plan.train_config
        goes_on = event.step and event.step == config.restart_step
        # Of a finished run nothing is worth a line but how it goes on, which is its last one.
        self._was_finished = event.step == self._steps and not goes_on
        if not self._was_finished:
            self._say_plan(event)
        # A run that is planned again has had a line.
        self._close()
        # Its lifetime is from this event to the last one, which no `with` block can span.
        self._line = terminal.ProgressLine(self._steps)
        self._line.__enter__()
        self._listening.enter_context(listen(self._show_work))

    def _say_plan(self, event: Planned) -> None:
        assert self.dataset
        config = event.plan.train_config
        for line in (
            *dataset_lines(self.dataset, config),
            *plan_lines(event.plan),
            # A resumed run keeps its plan, so there is nothing to suggest.
            *([] if event.step else [hint(event.plan)]),
            *([baseline_line(event.baselines, self._task.metric)] if event.baselines else []),
            f"run     {event.run}",
        ):
            terminal.say(line)
        if event.step and event.step == config.restart_step:
            terminal.say(
                f"goes on from step {event.step:,} by a new plan of "
                f"{self._steps - event.step:,} steps: the learning rate starts again at "
                f"{config.learning_rate:g} (a warm restart, not the old plan continued)"
            )
        elif event.step:
            terminal.say(f"resumed at step {event.step:,} of {self._steps:,}")

    def _progress(self, event: Progress) -> None:
        assert self._line
        # Other tasks than the language model have no characters.
        bits = event.metrics.get("bits_per_char")
        figures = "" if bits is None else f"{bits:.3f} bits/char  "
        text = (
            f"step {event.step:,}/{self._steps:,}  epoch {event.epoch:.2f}  "
            f"loss {event.loss:.4f}  {figures}"
            f"{terminal.number(event.tokens_per_second)} {self._task.token}/s  "
            f"{terminal.duration(event.seconds_left)} left"
        )
        self._text = text
        self._line.update(event.step, text, event.seconds, last=event.step == self._steps)

    def _revised(self, event: Revised) -> None:
        assert self._line
        self._steps = event.plan.train_config.steps
        self._line.set_total(self._steps)

    def _evaluated(self, event: Evaluated) -> None:
        # Evaluated as often as the time allows, and shown as often as a person reads.
        often = event.seconds - self._shown_at < SECONDS_BETWEEN_SAMPLES
        if often and event.pieces is self._pieces and not event.sample and event.step < self._steps:
            return
        self._shown_at = event.seconds
        best = ", the best so far" if event.best else ""
        # What follows figures of pieces without being one of them is the end.
        part = " on the whole part" if self._pieces and not event.pieces else ""
        self._pieces = self._pieces or event.pieces
        line = f"step {event.step:,}: validation {event.score.summary()}{part}{best}"
        if not event.step:
            line = f"before  validation {event.score.summary()}, by the model that it begins with"
        self._print(line, style="bold")
        if not event.sample:
            return
        for line in preview_lines(event.sample):
            self._print(f"    {line}".rstrip(), style="dim")

    def _finished(self, event: Finished) -> None:
        self._close()
        if self._was_finished:
            terminal.say(
                "this run is finished; to train it 10 minutes more: charrnn train --resume "
                f"--name {self._run} --more 10"
            )
            return
        best = ""
        # 0.0 is a value too, and a run may end without an evaluation.
        if event.best is not None:
            part = " (on pieces of the validation part)" if event.pieces else ""
            unit = self._task.metric.unit
            best = f"best {event.best:.4f} {unit} at step {event.best_step:,}{part}; "
        own = self.dataset.next_command if self.dataset else ""
        terminal.say(
            f"done in {terminal.duration(event.seconds)}, {event.epochs:.1f} epochs; {best}"
            f"now try: {own or self._task.next_command} {self._run}"
        )


def dataset_lines(dataset: Dataset, config: TrainConfig) -> list[str]:
    """What data it is, how it is split, what was left out, and how much is validated on."""
    sizes = {name: dataset.length(name) for name in ("train", "tuning", "valid", "test")}
    parts = ", ".join(f"{name} {terminal.number(size)}" for name, size in sizes.items() if size)
    label = "text" if dataset.unit == "characters" else "data"
    return [
        f"{label}    {sum(sizes.values()):,} {dataset.unit} ({parts}), {dataset.vocabulary()}",
        *(f"        {note}" for note in dataset.notes),
        *_validation_lines(config, dataset.size("valid"), label == "text"),
    ]


def _validation_lines(config: TrainConfig, valid: int, is_text: bool = True) -> list[str]:
    """What the evaluations read, if that is not the whole validation part."""
    count = f"{config.eval_tokens:,}"
    if not 0 < config.eval_tokens < valid:
        return []
    if config.final_eval == "beginning":
        return [f"        validating on the first {count} tokens"]
    end = "and on all at the end" if config.final_eval == "whole" else "also at the end"
    # Of other data the size of a part is what evaluating it costs.
    part = (
        f"{count} of {valid:,} tokens"
        if is_text
        else f"{config.eval_tokens / valid:.0%} of its part"
    )
    return [f"        validating on {part}, evenly spread, {end}"]


def plan_lines(plan: Plan) -> list[str]:
    """What will be done, and what it costs."""
    model, train = plan.model_config, plan.train_config
    dropout = f", dropout {model.dropout:g}" if model.dropout else ""
    little = "short a text" if plan.task == LANGUAGE else "little data"
    # 4 bytes per parameter: weights are saved as float32, whatever the precision of training.
    return [
        f"model   {model.cell}, {model.num_layers} x {model.hidden_size} units, "
        f"{plan.parameters:,} parameters, {terminal.size(4 * plan.parameters)}",
        f"plan    {train.steps:,} step{'s' * (train.steps != 1)} of "
        f"{train.batch_size} x {train.seq_length} {get_task(plan.task).token}, "
        f"{plan.epochs:.1f} epochs{dropout}, about {terminal.duration(plan.seconds)}, "
        f"{terminal.size(plan.memory)} of memory",
        *([f"        {BUSY}"] if plan.busy else []),
        *([f"        {EXHAUSTED.format(little=little)}"] if plan.exhausted else []),
    ]


def preview_lines(sample: str) -> list[str]:
    """A sample -> the lines that are shown of it: of one without letters, what it consists of."""
    if sample.strip():
        return sample.strip("\n").split("\n")
    counts = {"newline": sample.count("\n"), "space": sample.count(" ")}
    counts["other blank"] = len(sample) - sum(counts.values())
    parts = [f"{n:,} {name}{'s' * (n != 1)}" for name, n in counts.items() if n]
    return [f"(the sample is blank: {', '.join(parts)})"]


def baseline_line(figures: dict[str, float], metric: Metric) -> str:
    """What the validation losses can be compared with."""
    values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    return f"baselines  {values} {metric.unit}"


def hint(plan: Plan) -> str:
    """What to type for a quicker result or a better one."""
    # A plan may take less than was given: what is quicker has to be below the plan, and what is
    # better above both. A very short training would be rounded to 0.0, which --minutes refuses.
    planned = plan.seconds / 60
    minutes = max(plan.minutes or planned, 0.2)
    more = "more text" if plan.task == LANGUAGE else "more data"
    better = more if plan.exhausted else f"--minutes {_rounded(minutes * 4)}"
    least = min(minutes, max(planned, 0.2))
    third = _rounded(least / 3)
    is_quicker = plan.seconds > SHORT and float(third) < least
    quicker = f"quicker: --minutes {third}, " if is_quicker else ""
    return f"        {quicker}better: {better}"


def _rounded(minutes: float) -> str:
    """A number of minutes that a person would type."""
    return f"{minutes:.1f}" if minutes < 2 else f"{round(minutes)}"
