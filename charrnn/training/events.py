"""What happens in a training, as frozen values: to be shown, logged, or handed to `on_event`.

`to_json` is the format of metrics.jsonl and of `train --json`. It writes out every name and key, so
that renaming a class or a field here changes no file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.tasks.base import Score
from charrnn.training.planner.plan import Plan


@dataclass(frozen=True)
class Planned:
    """Before the first step of a session: what will be done.

    baselines: name -> score of simple models on the validation part, in the task's metric.
    """

    plan: Plan
    step: int
    run: str
    baselines: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Every `log_every` steps. loss: mean since the last one; grad_norm: before clipping.

    metrics: figures derived from the loss, such as bits_per_char.
    """

    step: int
    epoch: float
    loss: float
    metrics: dict[str, float]
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Evaluated:
    """The score on the validation part, and a preview of what the model can do so far.

    pieces: whether it is of evenly spread pieces of the part, and not of the whole. best: whether
    it is the best so far of its kind. sample: empty where none is shown.
    """

    step: int
    score: Score
    best: bool
    sample: str
    seconds: float
    pieces: bool = False


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is safely on disk, and warnings from deleting older ones."""

    step: int
    path: Path
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Warned:
    """A problem with the training, and what may help."""

    step: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Revised:
    """The number of steps has changed, to keep the time that was asked for."""

    step: int
    plan: Plan
    seconds: float


@dataclass(frozen=True)
class Finished:
    """All steps are taken. best: the best validation score, in the task's metric.

    pieces: whether it is of evenly spread pieces of the validation part, and not of the whole.
    """

    step: int
    best: float | None
    best_step: int
    epochs: float
    seconds: float
    pieces: bool = False


Event = Planned | Progress | Evaluated | Saved | Warned | Revised | Finished


def to_json(event: Event) -> dict[str, Any]:
    """An event -> one line of metrics.jsonl and of `train --json`, with its keys in their order."""
    match event:
        case Planned():
            # The key "beside" is older than the field's name, and existing logs have it.
            own: dict[str, Any] = {
                "run": event.run,
                "plan": event.plan.to_json(),
                "beside": event.baselines,
            }
            return {"event": "planned", "step": event.step, **own}
        case Progress():
            return {
                "event": "progress",
                "step": event.step,
                "epoch": event.epoch,
                "loss": event.loss,
                **event.metrics,
                "learning_rate": event.learning_rate,
                "grad_norm": event.grad_norm,
                "tokens_per_second": event.tokens_per_second,
                "seconds": event.seconds,
                "seconds_left": event.seconds_left,
            }
        case Evaluated():
            return {
                "event": "evaluated",
                "step": event.step,
                "best": event.best,
                "sample": event.sample,
                "seconds": event.seconds,
                **event.score.to_json(),  # the keys are the task's own
                **({"pieces": True} if event.pieces else {}),  # absent in logs of version 0.1
            }
        case Saved():
            own = {"path": str(event.path), "warnings": list(event.warnings)}
            return {"event": "saved", "step": event.step, **own, "seconds": event.seconds}
        case Warned():
            own = {"text": event.text, "seconds": event.seconds}
            return {"event": "warned", "step": event.step, **own}
        case Revised():
            own = {"steps": event.plan.train_config.steps, "seconds": event.seconds}
            return {"event": "revised", "step": event.step, **own}
        case Finished():
            return {
                "event": "finished",
                "step": event.step,
                "best": event.best,
                "best_step": event.best_step,
                "epochs": event.epochs,
                "seconds": event.seconds,
                **({"pieces": True} if event.pieces else {}),
            }
