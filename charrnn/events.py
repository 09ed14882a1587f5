"""What happens in a training, as values: frozen, plain, ready to be shown or logged."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from charrnn.plan import Plan
from charrnn.scoring import Score


@dataclass(frozen=True)
class Planned:
    """Before the first step of this sitting: what is going to be done.

    beside: nats per character that a 5-gram, gzip and others need for the validation part.
    """

    plan: Plan
    step: int
    run: str
    beside: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Every `log_every` steps. loss: nats per token since the last; grad_norm before clipping."""

    step: int
    epoch: float
    loss: float
    bits_per_char: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Evaluated:
    """The model over the validation part, and a few characters of what it writes by now."""

    step: int
    score: Score
    best: bool
    sample: str
    seconds: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is safely on disk, and what went wrong while older ones were dropped."""

    step: int
    path: Path
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Warned:
    """Something is wrong with the training, and what may help."""

    step: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Revised:
    """The run has another number of steps from here on, because of the time that it is to take."""

    step: int
    plan: Plan
    seconds: float


@dataclass(frozen=True)
class Finished:
    """The plan is carried out: the text was read `epochs` times.

    `best` is the least validation loss in nats per character.
    """

    step: int
    best: float | None
    best_step: int
    epochs: float
    seconds: float


Event = Planned | Progress | Evaluated | Saved | Warned | Revised | Finished


def to_json(event: Event) -> dict[str, Any]:
    """One line of metrics.jsonl and of `train --json`."""
    data: dict[str, Any] = {"event": type(event).__name__.lower(), "step": event.step}
    if isinstance(event, Planned):
        return data | {"run": event.run, "plan": event.plan.to_json(), "beside": event.beside}
    if isinstance(event, Revised):
        return data | {"steps": event.plan.train.steps, "seconds": event.seconds}
    fields = {k: v for k, v in asdict(event).items() if k != "score"}
    if isinstance(event, Evaluated):
        fields |= event.score.to_json()
    if isinstance(event, Saved):
        fields["path"] = str(event.path)
    return data | fields
