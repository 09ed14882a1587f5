"""The events of a training as a person reads them, on stderr."""

from charrnn.cli import ui
from charrnn.corpus import Corpus
from charrnn.events import Evaluated, Event, Finished, Planned, Progress, Revised, Saved, Warned
from charrnn.plan import Plan

ENOUGH = "so short a text would only be learned by heart in more time (--epochs says otherwise)"

SHORT = 20.0
"""Seconds in which nobody needs a quicker result."""


class Narrator:
    """Tells events; a silent one tells nothing."""

    def __init__(self, corpus: Corpus, silent: bool) -> None:
        self._corpus = corpus
        self._silent = silent
        self._steps = 0
        self._run = ""
        self._ticker: ui.Ticker | None = None

    def __enter__(self) -> "Narrator":
        return self

    def __exit__(self, *_: object) -> None:
        if self._ticker:
            self._ticker.__exit__()

    def tell(self, event: Event) -> None:
        """Show one event."""
        if self._silent:
            return
        match event:
            case Planned():
                self._planned(event)
            case Progress():
                self._progress(event)
            case Evaluated():
                self._evaluated(event)
            case Warned():
                assert self._ticker
                self._ticker.tell(f"warning: {event.text}", style="yellow")
            case Saved():
                for warning in event.warnings:
                    ui.note(warning)
            case Revised():
                self._revised(event)
            case Finished():
                self._finished(event)

    def _planned(self, event: Planned) -> None:
        self._steps, self._run = event.plan.train.steps, event.run
        limit = event.plan.train.eval_tokens
        for line in (
            *corpus_lines(self._corpus, limit),
            *plan_lines(event.plan),
            *([] if event.step else [hint(event.plan)]),
            *([beside(event.beside)] if event.beside else []),
            f"run     {event.run}",
        ):
            ui.say(line)
        if event.step:
            ui.say(f"resumed at step {event.step:,} of {self._steps:,}")
        self._ticker = ui.Ticker(self._steps)
        self._ticker.__enter__()

    def _progress(self, event: Progress) -> None:
        assert self._ticker
        text = (
            f"step {event.step:,}/{self._steps:,}  epoch {event.epoch:.2f}  "
            f"loss {event.loss:.4f}  {event.bits_per_char:.3f} bits/char  "
            f"{ui.number(event.tokens_per_second)} tokens/s  {ui.duration(event.seconds_left)} left"
        )
        self._ticker.tick(event.step, text, event.seconds, last=event.step == self._steps)

    def _revised(self, event: Revised) -> None:
        assert self._ticker
        self._steps = event.plan.train.steps
        self._ticker.lengthen(self._steps)

    def _evaluated(self, event: Evaluated) -> None:
        assert self._ticker
        score = event.score
        self._ticker.tell(
            f"step {event.step:,}: validation {score.nats_per_char:.4f} nats/char, "
            f"{score.bits_per_char:.3f} bits/char" + (", the best so far" if event.best else ""),
            style="bold",
        )
        for line in event.sample.strip("\n").split("\n"):
            self._ticker.tell(f"    {line}".rstrip(), style="dim")

    def _finished(self, event: Finished) -> None:
        best = ""
        if event.best is not None:
            best = f"best {event.best:.4f} nats/char at step {event.best_step:,}; "
        ui.say(
            f"done in {ui.duration(event.seconds)}, the text read {event.epochs:.1f} times; {best}"
            f"now try: charrnn sample {self._run}"
        )


def corpus_lines(corpus: Corpus, eval_tokens: int) -> list[str]:
    """What text it is, what was left out of it, and how much of it validates."""
    parts = ", ".join(
        f"{name} {ui.number(split.characters)}" for name, split in corpus.splits.items()
    )
    kinds = f"{corpus.tokenizer.vocab_size:,} {corpus.tokenizer.name} tokens"
    return [
        f"text    {corpus.characters:,} characters ({parts}), {kinds}",
        *(f"        {note}" for note in corpus.notes),
        *([f"        validating on the first {eval_tokens:,} tokens"] if eval_tokens else []),
    ]


def plan_lines(plan: Plan) -> list[str]:
    """What is going to be done, and what it will cost."""
    model, train = plan.model, plan.train
    dropout = f", dropout {model.dropout:g}" if model.dropout else ""
    return [
        f"model   {model.cell}, {model.num_layers} x {model.hidden_size} units, "
        f"{plan.parameters:,} parameters, {ui.size(4 * plan.parameters)}",
        f"plan    {train.steps:,} steps of {train.batch_size} x {train.seq_length} tokens, "
        f"{plan.epochs:.1f} epochs{dropout}, about {ui.duration(plan.seconds)}, "
        f"{ui.size(plan.memory)} of memory",
        *([f"        {ENOUGH}"] if plan.exhausted else []),
    ]


def beside(figures: dict[str, float]) -> str:
    """What the losses to come can be held against."""
    told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    return f"beside  {told} nats/char"


def hint(plan: Plan) -> str:
    """What to type for a quicker result or a better one."""
    minutes = max(plan.seconds / 60, 0.2)
    better = "more text" if plan.exhausted else f"--minutes {_rounded(minutes * 4)}"
    quicker = f"quicker: --minutes {_rounded(minutes / 3)}, " if plan.seconds > SHORT else ""
    return f"        {quicker}better: {better}"


def _rounded(minutes: float) -> str:
    """A number of minutes that a person would type."""
    return f"{minutes:.1f}" if minutes < 2 else f"{round(minutes)}"
