"""Several runs -> how they ended, and the settings in which they differ."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.checkpoints.run import Run
from charrnn.evaluation.learning_curves import Log, finite, nats_per_char, read_log

SAME_TEXT = ("text_sha256", "valid", "valid_fraction", "test_fraction", "lines", "eval_tokens")
"""Settings that must agree for two validation losses to be comparable."""


@dataclass(frozen=True)
class Outcome:
    """How far a run got, and how well.

    best_nats_per_char: on the validation part, None if it was never evaluated. seconds: of all
    sessions. tokens_per_second: the median of the logged values.
    """

    best_nats_per_char: float | None
    best_step: int | None
    step: int
    epochs: float | None
    parameters: int | None
    seconds: float
    tokens_per_second: float | None


@dataclass(frozen=True)
class RunSummary:
    """One run of a comparison.

    settings: of model, training and data, by name. problem: a note on unreadable lines of its log.
    """

    run: str
    settings: Mapping[str, Any]
    outcome: Outcome
    problem: str

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """The run, its outcome, and the settings of these names."""
        return (
            {"run": self.run}
            | asdict(self.outcome)
            | {"settings": {n: self.settings.get(n) for n in names}}
        )


def summarize(run: Run) -> RunSummary:
    """A run -> its summary. CheckpointError if its run.json cannot be read."""
    about, log = run.description(), read_log(run)
    plan, recipe, corpus = (_object(about.get(name)) for name in ("plan", "recipe", "corpus"))
    model, train = _object(plan.get("model")), _object(plan.get("train"))
    text = {"text": recipe.get("sources"), "text_sha256": corpus.get("sha256")}
    # vocab_size is the model's here: what was requested may be None, and is not what was learned.
    rest = {name: value for name, value in recipe.items() if name not in ("sources", "vocab_size")}
    versions = {f"version of {k}": v for k, v in _object(about.get("versions")).items()}
    settings = {**text, **rest, **model, **train, **versions}
    parameters = plan.get("parameters")
    return RunSummary(run.name, settings, _outcome(log, parameters), log.problem)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _outcome(log: Log, parameters: Any) -> Outcome:
    evaluated = [
        # The step is negated so that `min` takes the later of equal losses.
        (nats, -logged.step)
        for logged in log.events
        if logged.kind == "evaluated" and (nats := nats_per_char(logged.event)) is not None
    ]
    best, negative = min(evaluated, default=(None, None))  # the later of equals
    step = max((logged.step for logged in log.events), default=0)
    rate = log.epochs_per_step
    speeds = [finite(logged.event.get("tokens_per_second")) for logged in log.events]
    known = [speed for speed in speeds if speed is not None]
    return Outcome(
        best_nats_per_char=best,
        best_step=None if negative is None else -negative,
        step=step,
        epochs=None if rate is None else rate * step,
        parameters=parameters if type(parameters) is int else None,
        seconds=max((logged.seconds for logged in log.events), default=0.0),
        # The median, because a start or a stall has speeds that are far from the usual one.
        tokens_per_second=statistics.median(known) if known else None,
    )


def differing(summaries: Sequence[RunSummary]) -> list[str]:
    """Runs -> the settings that are not equal in all of them, in the order of run.json."""
    names = dict.fromkeys(name for each in summaries for name in each.settings)
    return [
        name
        for name in names
        if any(each.settings.get(name) != summaries[0].settings.get(name) for each in summaries)
    ]


def best_first(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs -> the same by their best loss; those never evaluated come last, in their order."""

    def place(summary: RunSummary) -> tuple[bool, float]:
        best = summary.outcome.best_nats_per_char
        # False sorts before True; `sorted` keeps the order of those without a loss.
        return best is None, best or 0.0

    return sorted(summaries, key=place)


def same_text(summaries: Sequence[RunSummary]) -> bool:
    """Whether all runs were evaluated on the same text, so that their losses are comparable."""
    return not set(SAME_TEXT) & set(differing(summaries))
