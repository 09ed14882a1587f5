"""Several runs -> how they ended, and the settings in which they differ."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from charrnn.checkpoints.run import Run
from charrnn.evaluation.learning_curves import NATS, Log, finite, metric_of, read_log, score_of

SAME_TEXT = ("text_sha256", "valid", "valid_fraction", "test_fraction", "lines", "documents")
"""Settings that must agree for two validation losses to be comparable."""

LOSSY = 0.02
"""A larger share of tokens without a price makes a loss smaller than it is."""

HIGHER_IS_BETTER = ("accuracy", "f1", "bleu", "chrf", "exact_match")
"""Metrics of which more is better, as tasks name them; logs do not say it."""

SAME_PART = ("eval_tokens", "final_eval")
"""Those that must agree too, if a loss is not of the whole validation part."""


@dataclass(frozen=True)
class Outcome:
    """How far a run got, and how well.

    best_nats_per_char: on the validation part, None if it was never evaluated. seconds: of all
    sessions. tokens_per_second: the median of the logged values. of_part: whether the best loss is
    of a part of the validation part, which may be unlike the rest.
    """

    best_nats_per_char: float | None
    best_step: int | None
    step: int
    epochs: float | None
    parameters: int | None
    seconds: float
    tokens_per_second: float | None
    of_part: bool = False
    metric: str = NATS

    def to_json(self) -> dict[str, Any]:
        """The figures; of_part is absent where it is false, the metric where it is of language."""
        fields = asdict(self)
        metric = fields.pop("metric")
        if metric != NATS:
            fields = {"metric": metric, "best": fields.pop("best_nats_per_char"), **fields}
        return fields if self.of_part else {k: v for k, v in fields.items() if k != "of_part"}


@dataclass(frozen=True)
class RunSummary:
    """One run of a comparison.

    settings: of model, training and data, by name. problem: a note on unreadable lines of its log.
    unpriced: the share of the validation part's tokens that represent a word without an id, whose
    characters cost nothing in runs of version 0.1.
    """

    run: str
    settings: Mapping[str, Any]
    outcome: Outcome
    problem: str
    unpriced: float = 0.0

    @property
    def is_lossy(self) -> bool:
        """Whether the loss says less than that of a model that predicts every character."""
        return self.unpriced > LOSSY

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """The run, its outcome, and the settings of these names."""
        return (
            {"run": self.run}
            | self.outcome.to_json()
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
    # Runs of version 0.1 read the beginning of the validation part, at their end as well.
    reads_beginning = bool(train.get("eval_tokens")) and "final_eval" not in train
    outcome = _outcome(log, parameters, reads_beginning)
    # A corpus that counts its unknown words has paid for them.
    is_priced = recipe.get("tokenizer") != "word" or "unknown" in corpus
    return RunSummary(
        run.name, settings, outcome, log.problem, 0.0 if is_priced else _unknown_share(run)
    )


def _unknown_share(run: Run) -> float:
    """The share of <unk>, id 0, in the validation part of a word model; 0 if it is not there."""
    try:
        tokens = np.load(run.corpus_folder / "valid.npy", mmap_mode="r", allow_pickle=False)
        return float(np.count_nonzero(tokens == 0) / max(1, tokens.size))
    except (OSError, ValueError):
        return 0.0


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _outcome(log: Log, parameters: Any, reads_beginning: bool = False) -> Outcome:
    of_pieces, whole = _best(log, pieces=True), _best(log, pieces=False)
    # As in `checkpoints.best`: pieces decide until the best by them is scored on the whole.
    if of_pieces and not any(
        logged.step == of_pieces[1] and not logged.is_of_pieces
        for logged in log.events
        if logged.kind == "evaluated"
    ):
        whole, reads_beginning = of_pieces, True
    best, best_step = whole or (None, None)
    step = max((logged.step for logged in log.events), default=0)
    rate = log.epochs_per_step
    speeds = [finite(logged.event.get("tokens_per_second")) for logged in log.events]
    known = [speed for speed in speeds if speed is not None]
    return Outcome(
        best_nats_per_char=best,
        best_step=best_step,
        step=step,
        epochs=None if rate is None else rate * step,
        parameters=parameters if type(parameters) is int else None,
        seconds=max((logged.seconds for logged in log.events), default=0.0),
        # The median, because a start or a stall has speeds that are far from the usual one.
        tokens_per_second=statistics.median(known) if known else None,
        of_part=reads_beginning and best is not None,
        metric=metric_of(log),
    )


def _best(log: Log, pieces: bool) -> tuple[float, int] | None:
    """The best logged loss, of pieces or of the whole, and its step, the later of equals."""
    metric = metric_of(log)
    evaluated = [
        # The step is negated so that `min` takes the later of equal losses.
        (sign(metric) * score, -logged.step)
        for logged in log.events
        if logged.kind == "evaluated" and logged.is_of_pieces is pieces
        if (score := score_of(logged.event, metric)) is not None
    ]
    best, negative = min(evaluated, default=(None, 0))
    return None if best is None else (sign(metric) * best, -negative)


def sign(metric: str) -> int:
    """1 for a metric of which less is better, -1 for one of which more is."""
    return -1 if metric in HIGHER_IS_BETTER else 1


def differing(summaries: Sequence[RunSummary]) -> list[str]:
    """Runs -> the settings that are not equal in all of them, in the order of run.json."""
    names = dict.fromkeys(name for each in summaries for name in each.settings)
    return [
        name
        for name in names
        if any(each.settings.get(name) != summaries[0].settings.get(name) for each in summaries)
    ]


def best_first(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs -> the same by their best loss; those never evaluated come last, in their order.

    Before them those whose unknown words cost nothing: their loss has no place among the others.
    Runs of different texts are not ranked: each has its place among those of its text, and these
    are in the order in which they come.
    """
    texts: list[RunSummary] = []

    def text(summary: RunSummary) -> int:
        for index, other in enumerate(texts):
            if same_text([other, summary]):
                return index
        texts.append(summary)
        return len(texts) - 1

    def place(summary: RunSummary) -> tuple[int, bool, bool, float]:
        best = summary.outcome.best_nats_per_char
        # False sorts before True; `sorted` keeps the order of those without a loss.
        loss = sign(summary.outcome.metric) * (best or 0.0)
        return text(summary), best is None, summary.is_lossy, loss

    return sorted(summaries, key=place)


def same_text(summaries: Sequence[RunSummary]) -> bool:
    """Whether all runs were evaluated on the same text, so that their losses are comparable."""
    if len({each.outcome.metric for each in summaries}) > 1:
        return False
    needed = {*SAME_TEXT}
    if any(each.outcome.of_part for each in summaries):
        needed |= {*SAME_PART}
        # A part is never comparable with the whole.
        if len({each.outcome.of_part for each in summaries}) > 1:
            return False
    return not needed & set(differing(summaries))
