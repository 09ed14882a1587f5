"""Several runs side by side: in which settings they differ, and how they ended."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.curves import Log, finite, nats_per_char, read_log
from charrnn.run import Run

SAME_TEXT = ("text_sha256", "valid", "valid_fraction", "test_fraction", "lines", "eval_tokens")
"""Settings that have to agree for two validation losses to be of the same text."""


@dataclass(frozen=True)
class End:
    """How far a run has come. `best_nats_per_char` is of the validation part, None without any.

    `seconds` are those of all sittings, `tokens_per_second` the median of what was logged.
    """

    best_nats_per_char: float | None
    best_step: int | None
    step: int
    epochs: float | None
    parameters: int | None
    seconds: float
    tokens_per_second: float | None


@dataclass(frozen=True)
class Entrant:
    """One run of a comparison; `settings` by their names, model, training and text together.

    `problem` says what of its log could not be read, if anything.
    """

    run: str
    settings: Mapping[str, Any]
    end: End
    problem: str

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """The run, its end, and the settings of these names."""
        return (
            {"run": self.run}
            | asdict(self.end)
            | {"settings": {n: self.settings.get(n) for n in names}}
        )


def enter(run: Run) -> Entrant:
    """What a comparison has to know of a run; CheckpointError when its run.json cannot be read."""
    about, log = run.about(), read_log(run)
    plan, recipe, corpus = (_object(about.get(name)) for name in ("plan", "recipe", "corpus"))
    model, train = _object(plan.get("model")), _object(plan.get("train"))
    text = {"text": recipe.get("sources"), "text_sha256": corpus.get("sha256")}
    rest = {name: value for name, value in recipe.items() if name not in ("sources", "vocab_size")}
    versions = {f"version of {k}": v for k, v in _object(about.get("versions")).items()}
    settings = {**text, **rest, **model, **train, **versions}
    parameters = plan.get("parameters")
    return Entrant(run.name, settings, _end(log, parameters), log.problem)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _end(log: Log, parameters: Any) -> End:
    judged = [
        (nats, -moment.step)
        for moment in log.moments
        if moment.kind == "evaluated" and (nats := nats_per_char(moment.event)) is not None
    ]
    best, negative = min(judged, default=(None, None))  # the later of equals
    step = max((moment.step for moment in log.moments), default=0)
    rate = log.epochs_per_step
    speeds = [finite(moment.event.get("tokens_per_second")) for moment in log.moments]
    known = [speed for speed in speeds if speed is not None]
    return End(
        best_nats_per_char=best,
        best_step=None if negative is None else -negative,
        step=step,
        epochs=None if rate is None else rate * step,
        parameters=parameters if type(parameters) is int else None,
        seconds=max((moment.seconds for moment in log.moments), default=0.0),
        tokens_per_second=statistics.median(known) if known else None,
    )


def differing(entrants: Sequence[Entrant]) -> list[str]:
    """The settings that are not the same in all runs, in the order in which runs record them."""
    names = dict.fromkeys(name for each in entrants for name in each.settings)
    return [
        name
        for name in names
        if any(each.settings.get(name) != entrants[0].settings.get(name) for each in entrants)
    ]


def best_first(entrants: Sequence[Entrant]) -> list[Entrant]:
    """The runs by their best loss; those that were never evaluated stand last, in their order."""

    def place(entrant: Entrant) -> tuple[bool, float]:
        best = entrant.end.best_nats_per_char
        return best is None, best or 0.0

    return sorted(entrants, key=place)


def same_text(entrants: Sequence[Entrant]) -> bool:
    """Whether all runs were judged by the same text, so that their losses compare."""
    return not set(SAME_TEXT) & set(differing(entrants))
