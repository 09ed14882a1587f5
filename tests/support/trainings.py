"""A training of 14 steps in this process: its plan, its events, its files, its interruptions."""

import itertools
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import InterruptedTraining
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.events import Evaluated, Event, Progress
from charrnn.training.planner.plan import Plan
from charrnn.training.trainer import train
from tests.support.tiny import tiny_model, tiny_plan, tiny_train

ALONE = Group(torch.device("cpu"))

STEPS, LOG, EVAL, SAVE = 14, 4, 6, 5
"""The run of these tests: lines at 4, 8, 12, 14; evaluations at 6, 12, 14; saves at 5, 10 too."""

Corpora = Callable[[str], Corpus]


def plan_for(corpus: Corpus, cell: str = "lstm", train: Any = None, **model: Any) -> Plan:
    """A plan of 14 steps."""
    cadence = {"steps": STEPS, "log_every": LOG, "eval_every": EVAL, "save_every": SAVE}
    config = tiny_model(cell, vocab_size=corpus.tokenizer.vocab_size, **model)
    return tiny_plan(config, tiny_train(**cadence | (train or {})))


def a_run(folder: Path, name: str = "run") -> Run:
    (folder / name).mkdir(exist_ok=True)
    return Run(folder / name)


@dataclass
class Result:
    """The events of one session or several, and how the last one ended."""

    events: list[Event]
    error: Exception | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def figures(self) -> list[tuple[Any, ...]]:
        """Every figure of the training itself: no clock, no path."""
        figures: list[tuple[Any, ...]] = []
        for event in self.events:
            if isinstance(event, Progress):
                numbers = (event.loss, event.metrics, event.learning_rate, event.grad_norm)
                figures.append(("progress", event.step, event.epoch, *numbers))
            if isinstance(event, Evaluated):
                figures.append(("evaluated", event.step, event.score, event.best, event.sample))
        return figures


def carry_out(
    plan: Plan, corpus: Corpus, run: Run, start: Checkpoint | None = None, stop: int = 0
) -> Result:
    """Train until a signal comes during step `stop`, 0 for none, or until anything goes wrong."""
    asked = itertools.count((start.info.step if start else 0) + 1)
    result = Result([])
    events = train(
        plan, corpus, run, ALONE, start, lambda: signal.SIGTERM if next(asked) == stop else 0
    )
    try:
        for event in events:
            result.events.append(event)
    except Exception as error:
        result.error = error
    return result


def newest(run: Run) -> Checkpoint:
    entry = run.latest()
    assert entry is not None
    return files.load(entry.path, training=True)


def interrupted(plan: Plan, corpus: Corpus, run: Run, stops: tuple[int, ...]) -> Result:
    """The events of a run stopped at each of these steps and resumed from its file."""
    result: list[Event] = []
    for stop in (*stops, 0):
        start = newest(run) if result else None
        part = carry_out(plan, corpus, run, start, stop)
        result += part.events
        assert isinstance(part.error, InterruptedTraining) if stop else part.error is None
    return Result(result)


def bytes_of_step(run: Run, step: int) -> bytes:
    return run.path_of(step).read_bytes()
