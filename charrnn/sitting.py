"""One sitting at a run: what happens after each step of a plan, and when. It draws nothing."""

import math
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version

import torch

from charrnn import __version__, health
from charrnn.batches import Batches
from charrnn.checkpoint import Checkpoint, Facts
from charrnn.corpus import Corpus
from charrnn.distributed import Group
from charrnn.evaluation import TorchStepper, evaluate
from charrnn.events import Evaluated, Event, Finished, Progress, Revised, Saved, Warned
from charrnn.generation import begin, generate
from charrnn.learner import Learner
from charrnn.optimizer import learning_rate
from charrnn.pace import Pace
from charrnn.plan import Plan
from charrnn.run import Run
from charrnn.scoring import Score
from charrnn.texts import Settings

SAMPLE = Settings(length=160, values={"temperature": 0.8})
"""What is shown at each evaluation."""


class Sitting:
    """A run from its start, or from a checkpoint, to where it ends or is stopped."""

    def __init__(
        self,
        plan: Plan,
        corpus: Corpus,
        run: Run,
        group: Group,
        start: Checkpoint | None,
        until: float | None = None,
    ) -> None:
        self.plan, self.corpus, self.run, self.group = plan, corpus, run, group
        self.planned, self.until = plan.train.steps, until
        config = plan.train
        tokens = corpus.splits["train"].load()
        batches = Batches(
            tokens, config.batch_size, config.seq_length, group.rank, group.world_size
        )
        self.learner = Learner(plan.model, config, batches, group)
        if start is not None:
            self.learner.restore(start)
        best = run.best() if group.leads else None
        self.best = best.valid if best else None
        self.best_step = best.step if best and self.best is not None else 0
        self.told: set[str] = set()
        self.setbacks = start.facts.setbacks if start else 0
        self.begin()
        self.first = self.marked_step = self.learner.step
        self.judged, self.judging = 0, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this sitting so far."""
        return time.perf_counter() - self.began

    def begin(self) -> None:
        """From here on its seconds count."""
        self.began = self.marked = time.perf_counter()

    def events(self, stopping: bool) -> Iterator[Event]:
        """What is due after the step just taken; when stopping, a checkpoint and no more."""
        step, config = self.learner.step, self.plan.train
        last = step == config.steps
        if step % config.log_every == 0 or last:
            progress = self._progress()
            yield progress
            yield from self._warned(health.of_gradient(progress.grad_norm, config.grad_clip))
            if self.until is not None and not last:
                yield from self._keep_pace(self.until)
        if stopping or not self._due():
            if stopping or last or step % config.save_every == 0:
                yield from self._save(None)
        else:
            yield from self._judge()

    def missed(self, start: Checkpoint) -> Iterator[Event]:
        """The evaluation that a signal kept from following the checkpoint's step."""
        if start.facts.valid_nats_per_char is None and self._due():
            yield from self._judge()

    def _keep_pace(self, until: float) -> Iterator[Revised]:
        """As many steps as the time allows; every rank has to call it, and rank 0 decides."""
        step, config, seconds = self.learner.step, self.plan.train, self.seconds
        left = until - self.began - seconds
        learning = seconds - self.judging
        validates = "valid" in self.corpus.splits
        pace = Pace(step, step - self.first, learning, self.judged, self.judging, left, validates)
        fitting = pace.steps(self.planned, config.steps, config.eval_every)
        fitting = min(fitting, self.plan.most_steps or fitting)
        fitting = int(self.group.share(str(fitting) if self.group.leads else ""))
        if fitting != config.steps:
            self.plan = self.plan.of(fitting)
            self.learner.config = self.plan.train
            yield Revised(step, self.plan, seconds)

    def _due(self) -> bool:
        step, config = self.learner.step, self.plan.train
        now = step % config.eval_every == 0 or step == config.steps
        return now and "valid" in self.corpus.splits

    def _judge(self) -> Iterator[Event]:
        """Evaluate, on rank 0 while the others wait, and save these weights with their score."""
        began = self.seconds
        self.learner.check()
        score = self._score() if self.group.leads else None
        if score is not None:
            nats = score.nats_per_char
            best = self.best is None or nats <= self.best
            if best:
                self.best, self.best_step = nats, self.learner.step
            yield Evaluated(self.learner.step, score, best, self._sample(), self.seconds)
            yield from self._warned(health.of_units(self.learner.model.config, self.learner.state))
        yield from self._save(score)
        self.judged += 1
        self.judging += self.seconds - began

    def _progress(self) -> Progress:
        now, step, config = time.perf_counter(), self.learner.step, self.plan.train
        loss = self.learner.take_loss()
        part = self.corpus.splits["train"]
        per_step = config.batch_size * config.seq_length
        rate = (step - self.marked_step) * per_step / max(1e-9, now - self.marked)
        self.marked, self.marked_step = now, step
        overall = (now - self.began) / max(1, step - self.first)
        return Progress(
            step=step,
            epoch=step / self.learner.batches.steps_per_epoch,
            loss=loss,
            bits_per_char=loss * part.tokens / part.characters / math.log(2),
            learning_rate=learning_rate(step - 1, config),
            grad_norm=float(self.learner.norm),
            tokens_per_second=rate,
            seconds=now - self.began,
            seconds_left=overall * (config.steps - step),
        )

    def _warned(self, found: Iterator[health.Symptom]) -> Iterator[Warned]:
        """Each kind of trouble is told once a sitting."""
        for symptom in found:
            if symptom.kind not in self.told and self.group.leads:
                self.told.add(symptom.kind)
                yield Warned(self.learner.step, symptom.text, self.seconds)

    def _score(self) -> Score:
        """The loss over the validation part."""
        split = self.corpus.splits["valid"]
        tokens, characters = split.load(), split.characters
        limit = self.plan.train.eval_tokens
        if 0 < limit < len(tokens):
            characters = max(1, round(characters * limit / len(tokens)))
            tokens = tokens[:limit]
        with self.learner.mean.shown(self.learner.step):
            return evaluate(
                self.learner.model, tokens, characters, self.corpus.tokenizer.newline_id
            )

    def _sample(self) -> str:
        lines = Settings(SAMPLE.length, self.corpus.lines, values=SAMPLE.values)
        start = begin(self.corpus.tokenizer, "")
        with self.learner.mean.shown(self.learner.step):
            stepper = TorchStepper(self.learner.model)
            pieces = generate(self.corpus.tokenizer, stepper, [start], lines)
            return "".join(piece.text for piece in pieces)

    def _save(self, score: Score | None) -> Iterator[Saved]:
        """Put a checkpoint on disk; no rank goes on, or away, before it is safe there."""
        training = self.learner.training()
        if self.group.leads:
            facts = Facts(
                step=self.learner.step,
                epoch=self.learner.step / self.learner.batches.steps_per_epoch,
                corpus=self.corpus.fingerprint(),
                lines=self.corpus.lines,
                valid_nats_per_char=score.nats_per_char if score else None,
                versions=versions(),
                setbacks=self.setbacks,
            )
            checkpoint = Checkpoint(
                self.plan.model, self.corpus.tokenizer, self.learner.weights(), facts, training
            )
            path, warnings = self.run.save(checkpoint, self.plan.train.keep)
            yield Saved(self.learner.step, path, tuple(warnings), self.seconds)
        self.group.wait()

    def finished(self) -> Finished:
        """The last event."""
        epochs = self.learner.step / self.learner.batches.steps_per_epoch
        return Finished(self.learner.step, self.best, self.best_step, epochs, self.seconds)


def versions() -> dict[str, str]:
    """What bit-exact resuming depends on besides the plan."""
    names = {"torch": torch.__version__, "numpy": version("numpy"), "charrnn": __version__}
    return names | {"python": platform.python_version(), "machine": platform.machine()}
