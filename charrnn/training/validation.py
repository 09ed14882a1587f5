"""The evaluations of a training: what each reads, which checkpoint is the best, and the end.

An evaluation that does not read the whole validation part reads evenly spread pieces of it. The
last one, and the best checkpoint by pieces, are then scored on the whole: what is called best at
the end is a figure of the whole. Figures of pieces and of the whole are never compared.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.best import best_by_pieces, best_whole
from charrnn.checkpoints.checkpoint import CheckpointInfo
from charrnn.checkpoints.run import Entry, Run
from charrnn.config import TrainConfig
from charrnn.errors import CheckpointError, MemoryLimitError
from charrnn.models.device import memory_limit
from charrnn.models.recurrent import set_weights
from charrnn.tasks.base import Dataset, Metric, Score, Task
from charrnn.training.events import Evaluated, Event, Saved, Warned

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork

ATTEMPTS = 2
"""An evaluation in which the process died so many times is left out, so that training goes on."""

MARKER = "evaluation.json"
"""A file in the run's folder while an evaluation runs; left over if the process dies in it."""


class _Best:
    """The best value so far of one figure, and its step."""

    def __init__(self, metric: Metric, entry: Entry | None, value: float | None) -> None:
        self._metric, self.value = metric, value
        self.step = entry.step if entry else 0

    def offer(self, value: float, step: int) -> bool:
        """Whether a value is the best so far, which it then is."""
        if not self._metric.is_better(value, than=self.value):
            return False
        self.value, self.step = value, step
        return True


class Validation:
    """The evaluations of one session.

    valid, valid_pieces: the scores of the weights evaluated last, for their checkpoint.
    """

    def __init__(self, task: Task, dataset: Dataset, run: Run, is_main: bool) -> None:
        self._task, self._dataset, self._run = task, dataset, run
        # Other processes than the main one evaluate nothing.
        entries = run.entries() if is_main else []
        whole, pieces = best_whole(entries), best_by_pieces(entries)
        self._whole = _Best(task.metric, whole, whole.valid if whole else None)
        self._pieces = _Best(task.metric, pieces, pieces.valid_pieces if pieces else None)
        self._scored = {entry.step for entry in entries if entry.valid is not None}
        self.valid: float | None = None
        self.valid_pieces: float | None = None

    def _limit(self, config: TrainConfig) -> int:
        """Tokens that an evaluation reads; 0 for all."""
        return config.eval_tokens if config.eval_tokens < self._dataset.size("valid") else 0

    def _reads_pieces(self, config: TrainConfig) -> bool:
        # Runs of version 0.1 keep comparing what they compared: the beginning.
        return self._limit(config) > 0 and config.final_eval != "beginning"

    def final_tokens(self, config: TrainConfig) -> int:
        """Tokens that the end reads besides the evaluations of every `eval_every` steps."""
        ends = self._reads_pieces(config) and config.final_eval == "whole"
        return 2 * self._dataset.size("valid") if ends else 0

    def is_missing(self, info: CheckpointInfo, config: TrainConfig) -> bool:
        """Whether a checkpoint lacks a score that its step was due to get."""
        if not self._reads_pieces(config):
            return info.valid is None
        lacks_whole = info.valid is None and config.final_eval == "whole"
        return info.valid_pieces is None or (info.step == config.steps and lacks_whole)

    def best(self, config: TrainConfig) -> tuple[float | None, int, bool]:
        """The best value, its step, and whether it is of pieces only."""
        if not self._reads_pieces(config) or self._pieces.step in self._scored:
            return self._whole.value, self._whole.step, False
        return self._pieces.value, self._pieces.step, self._pieces.value is not None

    def evaluate(
        self,
        network: "RecurrentNetwork",
        config: TrainConfig,
        step: int,
        seconds: Callable[[], float],
    ) -> list[Event]:
        """Score the network after `step` steps -> events; its checkpoint is already saved.

        What does not fit in memory is left out with a warning, as is what the process has died in
        twice: a resumed run must not die at the same place for ever.
        """
        self.valid = self.valid_pieces = None
        found: list[Event] = []
        if self._attempts(step) >= ATTEMPTS:
            text = f"the evaluation of step {step} is left out: the process died in it twice"
            return [Warned(step, f"{text}; charrnn evaluate makes it up", seconds())]
        self._mark(step)
        try:
            with memory_limit(
                f"the evaluation of step {step} takes more memory than there is",
                "it is left out; charrnn evaluate with --precision int8 takes less",
            ):
                self._evaluate(network, config, step, seconds, found)
        except MemoryLimitError as error:
            found.append(Warned(step, str(error), seconds()))
        finally:
            # An exception is no death of the process, whatever else it may be.
            with contextlib.suppress(OSError):
                (self._run.folder / MARKER).unlink()
        return found

    def _evaluate(
        self,
        network: "RecurrentNetwork",
        config: TrainConfig,
        step: int,
        seconds: Callable[[], float],
        found: list[Event],
    ) -> None:
        """Append the events one by one, so that an error leaves those before it."""
        last, pieces = step == config.steps, self._reads_pieces(config)
        score = self._score(network, config)
        best = (self._pieces if pieces else self._whole).offer(score.value, step)
        shows = last or (step // config.eval_every) % config.sample_every == 0
        sample = self._task.preview(network, self._dataset) if shows else ""
        if pieces:
            self.valid_pieces = score.value
        else:
            self.valid = score.value
            self._scored.add(step)
        found.append(Evaluated(step, score, best, sample, seconds(), pieces))
        if last and pieces and config.final_eval == "whole":
            if self._pieces.step not in (*self._scored, step):
                self._rescore(self._pieces.step, network, seconds, found)
            score = self._task.evaluate(network, self._dataset, "valid")
            self.valid = score.value
            self._scored.add(step)
            best = self._whole.offer(score.value, step)
            found.append(Evaluated(step, score, best, "", seconds()))

    def _score(self, network: "RecurrentNetwork", config: TrainConfig) -> Score:
        limit = self._limit(config)
        if limit and config.final_eval == "beginning":
            return self._task.evaluate_beginning(network, self._dataset, "valid", limit)
        return self._task.evaluate(network, self._dataset, "valid", limit)

    def _rescore(
        self,
        step: int,
        network: "RecurrentNetwork",
        seconds: Callable[[], float],
        found: list[Event],
    ) -> None:
        """Score an earlier checkpoint on the whole, and record that in its file."""
        path = self._run.path_of(step)
        try:
            earlier = checkpoint.load(path, training=True)
        except CheckpointError as error:
            text = f"the best checkpoint by pieces cannot be scored on the whole: {error.problem}"
            found.append(Warned(step, text, seconds()))
            return
        other = set_weights(self._task.network(earlier.config), earlier.weights)
        score = self._task.evaluate(other.to(network.device), self._dataset, "valid")
        scored = replace(earlier, info=replace(earlier.info, valid=score.value))
        checkpoint.save(scored, path)
        self._scored.add(step)
        best = self._whole.offer(score.value, step)
        found.append(Evaluated(step, score, best, "", seconds()))
        found.append(Saved(step, path, (), seconds()))

    def _attempts(self, step: int) -> int:
        """How many evaluations of this step the process has died in."""
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
            data = json.loads((self._run.folder / MARKER).read_text(encoding="utf-8"))
            return int(data["begun"]) if data["step"] == step else 0
        return 0

    def _mark(self, step: int) -> None:
        begun = self._attempts(step) + 1
        # Not durably: what is to be survived is the death of the process, not of the machine.
        with contextlib.suppress(OSError):
            (self._run.folder / MARKER).write_text(
                json.dumps({"step": step, "begun": begun}), encoding="utf-8"
            )
