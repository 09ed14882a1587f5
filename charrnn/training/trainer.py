"""train(): carries out a plan step by step, as a generator of events.

It prints nothing and draws nothing: whoever iterates over it shows and logs the events.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.checkpoints.run import Run
from charrnn.errors import DivergedError, InterruptedTraining
from charrnn.models.device import memory_limit
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset
from charrnn.training import diagnostics, rollback
from charrnn.training.beginning import Before
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
from charrnn.training.pacing import CHECK_TIME, Pacer
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.threads import make_tuner
from charrnn.training.validation import Validation
from charrnn.training.versions import versions


def train(
    plan: Plan,
    dataset: Dataset,
    run: Run,
    group: Group,
    start: Checkpoint | None = None,
    interrupted: Callable[[], int] = lambda: 0,
    until: float | None = None,
    replan: Callable[[], Plan] | None = None,
    begin: Callable[[Plan], Checkpoint] | None = None,
) -> Iterator[Event]:
    """Carry out a plan, from one of its own checkpoints on if one is given.

    until: when everything has to be done, on the clock of time.perf_counter; the steps then follow
    the machine's speed. replan: makes another plan, if the first seconds show another speed than
    the plan was made for. begin: makes the checkpoint of step 0 of a new run's plan, if it begins
    with another model. interrupted: asked before each step for a signal's number, 0 for none; the
    work is then saved and InterruptedTraining raised. A run that diverges goes back to its last
    checkpoint with a lower rate, once, and then raises. The caller holds the run's lock.
    """
    with memory_limit(
        f"training {plan.parameters:,} parameters takes more memory than there is",
        "make --batch-size, --seq-length or --hidden-size smaller",
    ):
        trainer = Trainer(plan, dataset, run, group, start, until, replan, begin)
        # Baselines can take a second, and a resumed run has them in its log already.
        is_new = start is None and group.is_main
        is_late = until is not None and time.perf_counter() >= until
        trainer.baselines = trainer.task.baselines(dataset) if is_new and not is_late else {}
        yield Planned(plan, trainer.learner.step, str(run.folder), trainer.baselines)
        if is_new and is_late:
            yield Warned(0, "no time is left for baselines", trainer.seconds)
        try:
            yield from _take_steps(trainer, start, interrupted)
            return
        except DivergedError as error:
            if trainer.rollbacks:
                raise rollback.with_checkpoint(error, run) from None
            problem = error.problem
        last = rollback.last_checkpoint(run)
        plan = rollback.with_lower_rate(trainer.plan)
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
        again.rollbacks = 1
        # `rewind` has removed later revisions from the log, so the number of steps is logged again.
        if until is not None:
            yield Revised(again.learner.step, plan, trainer.seconds)
        try:
            yield from _take_steps(again, last, interrupted)
        except DivergedError as error:
            raise rollback.with_checkpoint(error, run) from None


def _take_steps(
    trainer: "Trainer", start: Checkpoint | None, interrupted: Callable[[], int]
) -> Iterator[Event]:
    """All steps that are left, until the last one or a signal."""
    # Again, because the time of the baselines would count as that of steps.
    trainer.start_clock()
    if start is not None:
        yield from trainer.missed_evaluation(start)
    yield from trainer.save_beginning()
    while trainer.learner.step < trainer.plan.train_config.steps:
        began, flag = time.perf_counter(), interrupted() + trainer.pacer.flag()
        # The signal travels with the gradients, so all ranks stop after the same step; so does
        # rank 0's wish to compare its clock with the plan.
        flag = trainer.learner.advance(flag)
        signal_number = flag % CHECK_TIME
        yield from trainer.adapt_threads(time.perf_counter() - began)
        yield from trainer.events(stopping=signal_number > 0, check_time=flag >= CHECK_TIME)
        if signal_number:
            raise InterruptedTraining(
                signal_number,
                f"stopped at step {trainer.learner.step} of {trainer.plan.train_config.steps}; "
                "it is saved",
                f"continue with: charrnn train --resume --name {trainer.run.folder}",
            )
    yield trainer.finished()


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
        replan: Callable[[], Plan] | None = None,
        begin: Callable[[Plan], Checkpoint] | None = None,
    ) -> None:
        self.dataset, self.run, self.group = dataset, run, group
        self.task = get_task(plan.task)
        self.pacer = Pacer(until, replan, group)
        self.begin, self.before = begin, Before()
        self.baselines: dict[str, float] = {}
        self.reported: set[str] = set()
        self._begin(plan, start)

    def _begin(self, plan: Plan, start: Checkpoint | None) -> None:
        """Take up a plan: at a checkpoint of it, or at its first step."""
        dataset, run, group = self.dataset, self.run, self.group
        self.plan = plan
        is_new = start is None
        if start is None and self.begin is not None:
            start = self.begin(plan)
        self.learner = make_learner(self.task, dataset, plan.model_config, plan.train_config, group)
        # A task may add to it what an evaluation finds; it is saved with each checkpoint.
        self.encoder = start.encoder if start is not None else dataset.encoder
        if start is not None:
            self.learner.restore(start)
        self.validation = Validation(self.task, dataset, run, group.is_main)
        self.saved_step = start.info.step if start and not is_new else -1
        self.loss: float | None = None
        self.rollbacks = start.info.rollbacks if start else 0
        self.origins = start.info.origins if start else ()
        self.start_clock()
        self.first_step = self.logged_step = self.learner.step
        self.is_fresh = is_new  # nothing was evaluated or saved but the beginning
        adaptive = plan.adaptive and is_new
        self.tuner = make_tuner(plan.train_config, plan.tokens_per_second, group, adaptive)

    @property
    def seconds(self) -> float:
        """Seconds of this session so far."""
        return time.perf_counter() - self.began

    def start_clock(self) -> None:
        """The session's seconds count from here on."""
        self.began = self.logged_at = time.perf_counter()
        self.pacer.start(self.began, self.learner.step)

    def events(self, stopping: bool, check_time: bool = False) -> Iterator[Event]:
        """What is due after the step just taken; when stopping, a checkpoint and nothing else."""
        step, config = self.learner.step, self.plan.train_config
        last = step == config.steps
        # Every rank comes here at the same steps, which `take_loss` and `_keep_time` rely on.
        if step % config.log_every == 0 or last:
            progress = self._progress()
            yield progress
            learned = diagnostics.has_learned(progress.loss, self.learner.network.uninformed_loss)
            issues = diagnostics.check_gradient(progress.grad_norm, config.grad_clip, learned)
            yield from self._warnings(issues)
            check_time = True
        if self.pacer.until is not None and check_time and not (last and self.pacer.settled):
            yield from self._keep_time(stopping)
            if self.learner.step != step:
                return  # planned again, from the first step
            last = step == self.plan.train_config.steps
        # A signal is answered within 0.2 s, and an evaluation may take longer; `missed_evaluation`
        # does it when the run is resumed. An evaluation saves a checkpoint too.
        waits = self.is_fresh and not (self.pacer.settled or stopping or last)
        if waits:
            return
        if stopping or not self._evaluation_is_due():
            if stopping or last or step % config.save_every == 0:
                yield from self._save()
        else:
            yield from self._evaluate()

    def save_beginning(self) -> Iterator[Event]:
        """Evaluate and save the model that a new run begins with, as its step 0."""
        if not self.is_fresh or self.begin is None:
            return
        before = self.before
        if before.events or not self._validates:
            # A second plan begins with the same model, which has the same score.
            yield from before.events
            yield from self._save(before.valid, before.valid_pieces)
        else:
            for event in self._evaluate():
                if isinstance(event, Evaluated):
                    before.events.append(event)
                yield event
            before.valid, before.valid_pieces = self.validation.valid, self.validation.valid_pieces
        # Nobody has seen a result of its own yet, so it may still be planned again.
        self.is_fresh = True

    def missed_evaluation(self, start: Checkpoint) -> Iterator[Event]:
        """The evaluation that was due at the checkpoint's step, if something prevented it."""
        missing = self.validation.is_missing(start.info, self.plan.train_config)
        if missing and self._evaluation_is_due():
            yield from self._evaluate()

    def _keep_time(self, stopping: bool) -> Iterator[Event]:
        """Adapt the number of steps to the time, or the plan; every rank has to call it."""
        step, config, seconds = self.learner.step, self.plan.train_config, self.seconds
        final = self.validation.final_tokens(config)
        steps, speed = self.pacer.compare(step, seconds, config, self._validates, final)
        if step == config.steps and steps <= step + 1:
            steps = step  # the last step, and no time for more
        steps = self.pacer.decide(steps, speed, self.plan, self._may_replan and not stopping)
        if not steps:
            yield from self._plan_again(speed / self.plan.tokens_per_second)
        elif steps != config.steps:
            self.plan = self.plan.with_steps(steps)
            # The learner reads its rate from here, so cosine decay ends at the new last step.
            self.learner.config = self.plan.train_config
            yield Revised(step, self.plan, seconds)

    @property
    def _may_replan(self) -> bool:
        return self.pacer.is_open(self.seconds, self.is_fresh)

    def _plan_again(self, ratio: float) -> Iterator[Event]:
        """Another plan for the time that is left, and its first step; the log begins anew."""
        # Planning measures models, and two of the largest might not fit in memory.
        del self.learner
        plan, why = self.pacer.plan_again(ratio)
        self._begin(plan, None)
        if self.group.is_main:
            self.run.rewind(-1)
        yield Planned(plan, 0, str(self.run.folder), self.baselines)
        yield Warned(0, why, self.seconds)
        self.start_clock()
        yield from self.save_beginning()

    def adapt_threads(self, seconds: float) -> Iterator[Event]:
        """Follow the machine's load after a step of so many seconds; see `planner.threads`."""
        # Planning again chooses the threads as well.
        if self.tuner is None or self._may_replan:
            return
        before, ended = self.learner.config.threads, self.tuner.took(seconds)
        if self.tuner.threads != before:
            self.learner.use_threads(self.tuner.threads)
            # Bits depend on it, so each checkpoint records the number as it is at its step.
            self.plan = replace(self.plan, train_config=self.learner.config)
        if ended:
            yield Warned(self.learner.step, self.tuner.report(), self.seconds)
            yield Revised(self.learner.step, self.plan, self.seconds)

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
        # Saved before, so that a death in the evaluation loses no step.
        if self.saved_step != self.learner.step:
            for saved in self._save():
                if saved.warnings:
                    yield saved
        if self.group.is_main:
            with self._model_weights():
                network, config = self.learner.network, self.plan.train_config
                evaluate, step = self.validation.evaluate, self.learner.step
                found = evaluate(network, config, step, lambda: self.seconds)
            yield from found
            for event in found:
                if isinstance(event, Evaluated) and event.step == self.learner.step:
                    self.encoder = self.task.calibrated(self.encoder, event.score)
                    issues = self.task.issues(event.score)
                    late = diagnostics.late(issues, event.step, config)
                    yield from self._warnings(late)
            yield from self._warnings(self._unit_issues())
        yield from self._save(self.validation.valid, self.validation.valid_pieces)
        size = self.dataset.size("valid")
        read = min(size, self.plan.train_config.eval_tokens or size)
        self.pacer.evaluated(self.seconds - began, read)

    def _unit_issues(self) -> Iterator[diagnostics.Issue]:
        """Saturated and dead units, once the network has learned something and not everything."""
        network, config = self.learner.network, self.plan.train_config
        if diagnostics.is_telling(self.learner.step, config, self.loss, network.uninformed_loss):
            yield from diagnostics.check_units(network.config, self.learner.state)

    def _progress(self) -> Progress:
        now, step, config = time.perf_counter(), self.learner.step, self.plan.train_config
        self.loss = loss = self.learner.take_loss()
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

    def _model_weights(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, the network has the weights that a checkpoint gets."""
        return self.learner.average.applied(self.learner.step)

    def _save(
        self, valid: float | None = None, valid_pieces: float | None = None
    ) -> Iterator[Saved]:
        """Write a checkpoint; no rank goes on before it is safely on disk."""
        self.saved_step = self.learner.step
        self.is_fresh = False
        # Outside the condition, because every rank contributes its rows of the state.
        training = self.learner.training_state()
        if self.group.is_main:
            info = CheckpointInfo(
                step=self.learner.step,
                epoch=self.learner.step / self.learner.batches.steps_per_epoch,
                corpus=self.dataset.fingerprint(),
                lines=self.dataset.lines,
                valid=valid,
                valid_pieces=valid_pieces,
                versions=versions(),
                rollbacks=self.rollbacks,
                metric=self.task.metric.name,
                lower_is_better=self.task.metric.lower_is_better,
                origins=self.origins,
            )
            model = Checkpoint(
                self.plan.model_config,
                self.encoder,
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
        best, best_step, pieces = self.validation.best(self.plan.train_config)
        return Finished(self.learner.step, best, best_step, epochs, self.seconds, pieces)
