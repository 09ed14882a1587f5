"""train(): carries out a plan step by step, as a generator of events.

It prints nothing and draws nothing: whoever iterates over it shows and logs the events.
"""

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

import torch

from charrnn import __version__
from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.checkpoints.run import Run
from charrnn.errors import DivergedError, InterruptedTraining
from charrnn.models.device import memory_limit
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Score
from charrnn.training import diagnostics
from charrnn.training.distributed import Group
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
from charrnn.training.learner import make_learner
from charrnn.training.optimizer import learning_rate
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.time_budget import Throughput

ROLLBACK_FACTOR = 0.5
"""What the learning rate is multiplied by when a diverged run goes back to a checkpoint."""


def train(
    plan: Plan,
    dataset: Dataset,
    run: Run,
    group: Group,
    start: Checkpoint | None = None,
    interrupted: Callable[[], int] = lambda: 0,
    until: float | None = None,
) -> Iterator[Event]:
    """Carry out a plan, from one of its own checkpoints on if one is given.

    until: when everything has to be done, on the clock of time.perf_counter; the number of steps
    then follows the machine's speed. Without it the plan's steps are taken.

    interrupted: asked before every step for the number of a signal, 0 for none. After a signal the
    work is saved and InterruptedTraining raised. A run that diverges goes back to its last
    checkpoint with a lower learning rate, once; the second time DivergedError ends it, and earlier
    checkpoints stay. The caller holds the run's lock.
    """
    with memory_limit(
        f"training {plan.parameters:,} parameters takes more memory than there is",
        "make --batch-size, --seq-length or --hidden-size smaller",
    ):
        trainer = Trainer(plan, dataset, run, group, start, until)
        is_new = start is None and group.is_main
        # They can take a second, and a resumed run has them in its log already.
        baselines = trainer.task.baselines(dataset) if is_new else {}
        yield Planned(plan, trainer.learner.step, str(run.folder), baselines)
        try:
            yield from _take_steps(trainer, start, interrupted)
            return
        except DivergedError as error:
            if trainer.rollbacks:
                raise
            problem = error.problem
        last = _last_checkpoint(run)
        plan = _with_lower_rate(trainer.plan)
        if group.is_main:
            step = last.info.step if last else 0
            # The steps after it are taken, and logged, again.
            run.rewind(step)
            yield Warned(
                trainer.learner.step,
                f"{problem}; going on from step {step} with half the learning rate, "
                f"{plan.train_config.learning_rate:g}",
                trainer.seconds,
            )
        again = Trainer(plan, dataset, run, group, last, until)
        # The bounds of a revision belong to the first plan; they must not compound over a rollback.
        again.rollbacks, again.planned_steps = 1, trainer.planned_steps
        # `rewind` has removed later revisions from the log, so the number of steps is logged again.
        if until is not None:
            yield Revised(again.learner.step, plan, trainer.seconds)
        yield from _take_steps(again, last, interrupted)


def _take_steps(
    trainer: "Trainer", start: Checkpoint | None, interrupted: Callable[[], int]
) -> Iterator[Event]:
    """All steps that are left, until the last one or a signal."""
    # Again, because the time of the baselines would count as that of steps.
    trainer.start_clock()
    if start is not None:
        yield from trainer.missed_evaluation(start)
    while trainer.learner.step < trainer.plan.train_config.steps:
        # The signal travels with the gradients, so all ranks stop after the same step.
        signal_number = trainer.learner.advance(interrupted())
        yield from trainer.events(stopping=signal_number > 0)
        if signal_number:
            raise InterruptedTraining(
                signal_number,
                f"stopped at step {trainer.learner.step} of {trainer.plan.train_config.steps}; "
                "it is saved",
                f"continue with: charrnn train --resume --name {trainer.run.folder}",
            )
    yield trainer.finished()


def _last_checkpoint(run: Run) -> Checkpoint | None:
    """The newest checkpoint. It is usable: weights that are not finite are never saved."""
    entry = run.latest()
    return checkpoint.load(entry.path, training=True) if entry else None


def _with_lower_rate(plan: Plan) -> Plan:
    rate = plan.train_config.learning_rate * ROLLBACK_FACTOR
    return replace(plan, train_config=replace(plan.train_config, learning_rate=rate))


class Trainer:
    """The training loop of one session: what to log, evaluate and save after each step."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        run: Run,
        group: Group,
        start: Checkpoint | None,
        until: float | None = None,
    ) -> None:
        self.plan, self.dataset, self.run, self.group = plan, dataset, run, group
        self.task = get_task(plan.task)
        self.planned_steps, self.until = plan.train_config.steps, until
        self.learner = make_learner(self.task, dataset, plan.model_config, plan.train_config, group)
        if start is not None:
            self.learner.restore(start)
        # `run.best` falls back to a checkpoint without a score, which is no best to compare with.
        best = run.best() if group.is_main else None
        self.best = best.valid if best else None
        self.best_step = best.step if best and self.best is not None else 0
        self.reported: set[str] = set()
        self.rollbacks = start.info.rollbacks if start else 0
        self.start_clock()
        self.first_step = self.logged_step = self.learner.step
        self.evaluations, self.evaluating_seconds = 0, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this session so far."""
        return time.perf_counter() - self.began

    def start_clock(self) -> None:
        """The session's seconds count from here on."""
        self.began = self.logged_at = time.perf_counter()

    def events(self, stopping: bool) -> Iterator[Event]:
        """What is due after the step just taken; when stopping, a checkpoint and nothing else."""
        step, config = self.learner.step, self.plan.train_config
        last = step == config.steps
        # Every rank comes here at the same steps, which `take_loss` and `_keep_time` rely on.
        if step % config.log_every == 0 or last:
            progress = self._progress()
            yield progress
            issues = diagnostics.check_gradient(progress.grad_norm, config.grad_clip)
            yield from self._warnings(issues)
            if self.until is not None and not last:
                yield from self._keep_time(self.until)
        # A signal is answered within 0.2 s, and an evaluation may take longer; `missed_evaluation`
        # does it when the run is resumed. An evaluation saves a checkpoint too.
        if stopping or not self._evaluation_is_due():
            if stopping or last or step % config.save_every == 0:
                yield from self._save(None)
        else:
            yield from self._evaluate()

    def missed_evaluation(self, start: Checkpoint) -> Iterator[Event]:
        """The evaluation that was due at the checkpoint's step, if a signal prevented it."""
        if start.info.valid is None and self._evaluation_is_due():
            yield from self._evaluate()

    def _keep_time(self, until: float) -> Iterator[Revised]:
        """Adapt the number of steps to the time; every rank has to call it, and rank 0 decides."""
        step, config, seconds = self.learner.step, self.plan.train_config, self.seconds
        throughput = Throughput(
            step,
            taken=step - self.first_step,
            training=seconds - self.evaluating_seconds,
            evaluations=self.evaluations,
            evaluating=self.evaluating_seconds,
            left=until - self.began - seconds,
            validates=self._validates,
        )
        steps = throughput.steps(self.planned_steps, config.steps, config.eval_every)
        steps = min(steps, self.plan.most_steps or steps)
        # Clocks differ; ranks with different numbers of steps would wait for each other for ever.
        steps = int(self.group.broadcast(str(steps) if self.group.is_main else ""))
        if steps != config.steps:
            self.plan = self.plan.with_steps(steps)
            # The learner reads its rate from here, so cosine decay ends at the new last step.
            self.learner.config = self.plan.train_config
            yield Revised(step, self.plan, seconds)

    @property
    def _validates(self) -> bool:
        return self.dataset.size("valid") > 0

    def _evaluation_is_due(self) -> bool:
        step, config = self.learner.step, self.plan.train_config
        return (step % config.eval_every == 0 or step == config.steps) and self._validates

    def _evaluate(self) -> Iterator[Event]:
        """Evaluate on rank 0 while the others wait, and save these weights with their score."""
        began = self.seconds
        # On every rank, and first: a score of weights that are not finite must not be reported.
        self.learner.check()
        score = self._score() if self.group.is_main else None
        if score is not None:
            best = self.task.metric.is_better(score.value, than=self.best)
            if best:
                self.best, self.best_step = score.value, self.learner.step
            yield Evaluated(self.learner.step, score, best, self._preview(), self.seconds)
            network = self.learner.network
            yield from self._warnings(diagnostics.check_units(network.config, self.learner.state))
        yield from self._save(score)
        self.evaluations += 1
        self.evaluating_seconds += self.seconds - began

    def _progress(self) -> Progress:
        now, step, config = time.perf_counter(), self.learner.step, self.plan.train_config
        loss = self.learner.take_loss()
        tokens_per_step = config.batch_size * config.seq_length
        tokens = (step - self.logged_step) * tokens_per_step
        # A coarse clock may not have advanced since the last line.
        rate = tokens / max(1e-9, now - self.logged_at)
        self.logged_at, self.logged_step = now, step
        # Over the whole session, so that evaluations are in the estimate of the time left.
        seconds_per_step = (now - self.began) / max(1, step - self.first_step)
        return Progress(
            step=step,
            epoch=step / self.learner.batches.steps_per_epoch,
            loss=loss,
            metrics=self.dataset.train_metrics(loss),
            # The step just taken: `step` counts steps, and the rate's argument starts at 0.
            learning_rate=learning_rate(step - 1, config),
            grad_norm=float(self.learner.norm),
            tokens_per_second=rate,
            seconds=now - self.began,
            seconds_left=seconds_per_step * (config.steps - step),
        )

    def _warnings(self, issues: Iterator[diagnostics.Issue]) -> Iterator[Warned]:
        """Each kind of issue is reported once per session."""
        for issue in issues:
            if issue.kind not in self.reported and self.group.is_main:
                self.reported.add(issue.kind)
                yield Warned(self.learner.step, issue.text, self.seconds)

    def _score(self) -> Score:
        """The score on the validation part."""
        limit = self.plan.train_config.eval_tokens
        with self._model_weights():
            return self.task.evaluate(self.learner.network, self.dataset, "valid", limit)

    def _preview(self) -> str:
        with self._model_weights():
            return self.task.preview(self.learner.network, self.dataset)

    def _model_weights(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, the network has the weights that a checkpoint gets."""
        return self.learner.average.applied(self.learner.step)

    def _save(self, score: Score | None) -> Iterator[Saved]:
        """Write a checkpoint; no rank goes on before it is safely on disk."""
        # Outside the condition, because every rank contributes its rows of the state.
        training = self.learner.training_state()
        if self.group.is_main:
            info = CheckpointInfo(
                step=self.learner.step,
                epoch=self.learner.step / self.learner.batches.steps_per_epoch,
                corpus=self.dataset.fingerprint(),
                lines=self.dataset.lines,
                valid=score.value if score else None,
                versions=versions(),
                rollbacks=self.rollbacks,
                metric=self.task.metric.name,
                lower_is_better=self.task.metric.lower_is_better,
            )
            model = Checkpoint(
                self.plan.model_config,
                self.dataset.encoder,
                self.learner.weights(),
                info,
                training,
                self.task.name,
            )
            path, warnings = self.run.save(model, self.plan.train_config.keep)
            yield Saved(self.learner.step, path, tuple(warnings), self.seconds)
        self.group.barrier()

    def finished(self) -> Finished:
        """The last event."""
        epochs = self.learner.step / self.learner.batches.steps_per_epoch
        return Finished(self.learner.step, self.best, self.best_step, epochs, self.seconds)


def versions() -> dict[str, str]:
    """What bit-exact resuming depends on besides the plan."""
    names = {"torch": torch.__version__, "numpy": version("numpy"), "charrnn": __version__}
    return names | {"python": platform.python_version(), "machine": platform.machine()}
