"""A run's log -> the curves of its training.

A run may have been trained in several sessions. If a later one repeated some steps, its events
replace the earlier ones. Each session counts its seconds from zero; here they add up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from charrnn.checkpoints.run import Run, read_events
from charrnn.errors import UsageError

QUANTITIES = ("loss", "learning-rate", "grad-norm", "speed")
"""What can be plotted."""

AXES = ("steps", "epochs", "seconds")
"""The x axes."""

UNITS = {"nats": "nats/char", "bits": "bits/char", "perplexity": "perplexity per character"}
"""Unit of the loss -> how it is printed. All are per character of the text."""

FIELDS = {"learning-rate": "learning_rate", "grad-norm": "grad_norm", "speed": "tokens_per_second"}
"""Quantity -> its field in a progress event."""

NATS = "nats_per_char"
"""The metric of language models, which is logged as bits."""

EVENT_FIELDS = ("event", "step", "best", "sample", "seconds", "pieces")
"""Fields of a score's event that are not figures of it."""

KINDS = ("planned", "progress", "evaluated", "saved", "finished")
"""Events that are evidence of a training's progress."""


@dataclass(frozen=True)
class LoggedEvent:
    """One event, and when it happened: seconds of training in all sessions up to it."""

    kind: str
    step: int
    seconds: float
    event: Mapping[str, Any]

    @property
    def is_of_pieces(self) -> bool:
        """Whether it is a score of evenly spread pieces of the validation part."""
        return self.event.get("pieces") is True


@dataclass(frozen=True)
class Log:
    """The events of a run; `unreadable` counts the lines of its log that could not be read."""

    run: str
    events: tuple[LoggedEvent, ...]
    plan: Mapping[str, Any]
    unreadable: int

    @property
    def problem(self) -> str:
        """A note on lines that could not be read; empty if there are none."""
        lines = "1 line" if self.unreadable == 1 else f"{self.unreadable} lines"
        return f"left out {lines} of the log of {self.run}: unreadable" if self.unreadable else ""

    @property
    def reads_pieces(self) -> bool:
        """Whether the evaluations during training read pieces of the validation part."""
        return any(logged.is_of_pieces for logged in self.events)

    @property
    def epochs_per_step(self) -> float | None:
        """The fraction of the training part that a step reads; None if the log does not say."""
        for logged in self.events:
            epoch = finite(logged.event.get("epoch"))
            if epoch is not None and logged.step > 0:
                return epoch / logged.step
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
    """A run -> its log, with its sessions joined. Unreadable lines are left out and counted."""
    lines, unreadable = read_events(run.metrics)
    events: dict[tuple[str, int, bool], LoggedEvent] = {}
    plan: Mapping[str, Any] = {}
    before = last = 0.0  # seconds of earlier sessions, and of this one so far
    for event in lines:
        kind, step = event.get("event"), event.get("step")
        if kind not in KINDS or type(step) is not int:
            continue
        # Each session begins with this event, at the step from which it continues.
        begins = kind == "planned"
        seconds = finite(event.get("seconds", 0.0 if begins else last))
        seconds = last if seconds is None else seconds
        # A clock that goes back is a new session, too: its first line may have been lost. What the
        # earlier session did beyond the step of the checkpoint has been done again.
        if begins or seconds < last:
            reached = step if begins else step - 1
            events = {key: logged for key, logged in events.items() if logged.step <= reached}
            # Time spent on steps that were repeated is not counted.
            before = max((logged.seconds for logged in events.values()), default=0.0)
        last = seconds
        if begins:
            plan = event["plan"] if isinstance(event.get("plan"), dict) else plan
        else:
            # The later of two equal events replaces the earlier one.
            # A score of pieces and one of the whole are two figures of one step.
            pieces = event.get("pieces") is True
            events[kind, step, pieces] = LoggedEvent(kind, step, before + seconds, event)
    ordered = sorted(events.values(), key=lambda logged: (logged.step, logged.seconds))
    return Log(run.name, tuple(ordered), plan, unreadable)


def finite(value: Any) -> float | None:
    """A field of a log -> its number; None if it is not a finite number."""
    # json.loads also reads NaN and Infinity, and true is an instance of int.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def nats_per_char(event: Mapping[str, Any]) -> float | None:
    """An event -> its loss in nats per character of the text, whatever the tokenizer."""
    bits = finite(event.get("bits_per_char"))
    return None if bits is None else bits * math.log(2)


def metric_of(log: Log) -> str:
    """The name of the metric in a run's log: the first field of its scores that is a number."""
    for logged in log.events:
        if logged.kind == "evaluated":
            if finite(logged.event.get("bits_per_char")) is not None:
                return NATS
            fields = [name for name in logged.event if name not in EVENT_FIELDS]
            return next((n for n in fields if finite(logged.event[n]) is not None), NATS)
    return NATS


def score_of(event: Mapping[str, Any], metric: str) -> float | None:
    """An event of a score -> its value of a metric, as `metric_of` names it."""
    return nats_per_char(event) if metric == NATS else finite(event.get(metric))


def series(
    log: Log, quantity: str = "loss", axis: str = "steps", unit: str = "nats", start: float = 0.0
) -> list[Series]:
    """A log -> the curves of one of QUANTITIES over one of AXES, from x = `start` on.

    The loss has two curves, training and validation, in one of UNITS; the others have one.
    UsageError if the log has no such values.
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
            f"the run {log.run} has logged no {quantity}{since} yet",
            "leave it out, or wait for its next progress line",
        )
    return [curve for curve in found if curve.x]


def _series(log: Log, name: str, kind: str, axis: str, unit: str) -> Series:
    points: list[tuple[float, float]] = []
    metric = metric_of(log)
    for logged in log.events:
        # One curve is of one text: where evaluations read pieces, those of the whole are left out.
        if kind == "evaluated" and log.reads_pieces and not logged.is_of_pieces:
            continue
        x, y = _along(log, logged, axis), _height(logged, name, unit, metric)
        if logged.kind == kind and x is not None and y is not None:
            points.append((x, y))
    return Series(log.run, name, tuple(x for x, _ in points), tuple(y for _, y in points))


def _along(log: Log, logged: LoggedEvent, axis: str) -> float | None:
    if axis == "seconds":
        return logged.seconds
    if axis == "steps":
        return logged.step
    rate = log.epochs_per_step
    return None if rate is None else logged.step * rate


def _height(logged: LoggedEvent, name: str, unit: str, metric: str = NATS) -> float | None:
    if name in FIELDS:
        return finite(logged.event.get(FIELDS[name]))
    if metric != NATS:
        # Loss and score of another task are different quantities, in a unit of their own.
        return finite(logged.event.get("loss" if name == "training" else metric))
    nats = nats_per_char(logged.event)
    if nats is None or unit == "nats":
        return nats
    # math.exp raises OverflowError from about 710 on.
    return nats / math.log(2) if unit == "bits" else math.exp(min(nats, 700.0))


def _from(curve: Series, start: float) -> Series:
    kept = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if x >= start]
    return replace(curve, x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))
