"""A run's log -> the curves of its training. It draws nothing and knows no model.

The log may have been told in several sittings. Where a later one went over the same steps again,
what it told counts. Each sitting counts its seconds from zero; here they go on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from charrnn import journal
from charrnn.errors import UsageError
from charrnn.run import Run

QUANTITIES = ("loss", "learning-rate", "grad-norm", "speed")
"""What can be drawn."""

AXES = ("steps", "epochs", "seconds")
"""What it can be drawn over."""

UNITS = {"nats": "nats/char", "bits": "bits/char", "perplexity": "perplexity per character"}
"""Name of a unit of the loss -> how it is written. Each is of the text's own characters."""

FIELDS = {"learning-rate": "learning_rate", "grad-norm": "grad_norm", "speed": "tokens_per_second"}
"""Quantity -> the field of a progress event that holds it."""

KINDS = ("planned", "progress", "evaluated", "saved", "finished")
"""Events that tell how far a training is."""


@dataclass(frozen=True)
class Moment:
    """One event that counts, and when it was: seconds of training before it in all sittings."""

    kind: str
    step: int
    seconds: float
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """What a run told; `spoiled` counts its lines that could not be read."""

    run: str
    moments: tuple[Moment, ...]
    plan: Mapping[str, Any]
    spoiled: int

    @property
    def problem(self) -> str:
        """What a person should know of how the log was read, or nothing."""
        lines = "1 line" if self.spoiled == 1 else f"{self.spoiled} lines"
        return (
            f"left out {lines} of the log of {self.run} that cannot be read" if self.spoiled else ""
        )

    @property
    def epochs_per_step(self) -> float | None:
        """The share of the training part that a step reads; None when nothing tells."""
        for moment in self.moments:
            epoch = finite(moment.event.get("epoch"))
            if epoch is not None and moment.step > 0:
                return epoch / moment.step
        train = self.plan.get("train")
        steps = finite(train.get("steps")) if isinstance(train, Mapping) else None
        epochs = finite(self.plan.get("epochs"))
        return epochs / steps if epochs and steps else None


@dataclass(frozen=True)
class Series:
    """One curve: y over x, in the order of the steps."""

    run: str
    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def read_log(run: Run) -> Log:
    """The log of a run, sittings joined; an unreadable line is left out and counted."""
    events, spoiled = journal.read(run.metrics)
    moments: dict[tuple[str, int], Moment] = {}
    plan: Mapping[str, Any] = {}
    before = last = 0.0  # seconds of the sittings before this one, and of this one so far
    for event in events:
        kind, step = event.get("event"), event.get("step")
        if kind not in KINDS or type(step) is not int:
            continue
        begins = kind == "planned"
        seconds = finite(event.get("seconds", 0.0 if begins else last))
        seconds = last if seconds is None else seconds
        if begins or seconds < last:
            reached = step if begins else step - 1
            moments = {key: moment for key, moment in moments.items() if moment.step <= reached}
            before = max((moment.seconds for moment in moments.values()), default=0.0)
        last = seconds
        if begins:
            plan = event["plan"] if isinstance(event.get("plan"), dict) else plan
        else:
            moments[kind, step] = Moment(kind, step, before + seconds, event)
    ordered = sorted(moments.values(), key=lambda moment: (moment.step, moment.seconds))
    return Log(run.name, tuple(ordered), plan, spoiled)


def finite(value: Any) -> float | None:
    """The number that a field of a log holds, or None where it holds none that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def nats_per_char(event: Mapping[str, Any]) -> float | None:
    """The loss that an event tells, in nats per character of the text, whatever its tokens are."""
    bits = finite(event.get("bits_per_char"))
    return None if bits is None else bits * math.log(2)


def series(
    log: Log, quantity: str = "loss", axis: str = "steps", unit: str = "nats", start: float = 0.0
) -> list[Series]:
    """The curves of one of QUANTITIES over one of AXES, from x = `start` on.

    The loss has two, training and validation, in one of UNITS; the others have one. UsageError when
    the log holds nothing of it.
    """
    if quantity == "loss":
        drawn = [("training", "progress"), ("validation", "evaluated")]
    else:
        drawn = [(quantity, "progress")]
    found = [_series(log, name, kind, axis, unit) for name, kind in drawn]
    found = [_from(curve, start) for curve in found]
    if not any(curve.x for curve in found):
        since = f" from {start:g} {axis} on" if start else ""
        raise UsageError(
            f"the run {log.run} has told no {quantity}{since} yet",
            "leave it out, or wait for its next line of progress",
        )
    return [curve for curve in found if curve.x]


def _series(log: Log, name: str, kind: str, axis: str, unit: str) -> Series:
    points: list[tuple[float, float]] = []
    for moment in log.moments:
        x, y = _along(log, moment, axis), _height(moment, name, unit)
        if moment.kind == kind and x is not None and y is not None:
            points.append((x, y))
    return Series(log.run, name, tuple(x for x, _ in points), tuple(y for _, y in points))


def _along(log: Log, moment: Moment, axis: str) -> float | None:
    if axis == "seconds":
        return moment.seconds
    if axis == "steps":
        return moment.step
    rate = log.epochs_per_step
    return None if rate is None else moment.step * rate


def _height(moment: Moment, name: str, unit: str) -> float | None:
    if name in FIELDS:
        return finite(moment.event.get(FIELDS[name]))
    nats = nats_per_char(moment.event)
    if nats is None or unit == "nats":
        return nats
    return nats / math.log(2) if unit == "bits" else math.exp(min(nats, 700.0))


def _from(curve: Series, start: float) -> Series:
    kept = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if x >= start]
    return replace(curve, x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))
