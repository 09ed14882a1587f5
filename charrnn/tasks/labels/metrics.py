"""Probabilities and labels -> accuracy, precision, recall, F1, confusion and calibration.

The names are scikit-learn's. With several labels a text, accuracy is the mean over texts of the
labels that are predicted and true, over those that are either (Godbole & Sarawagi 2004); with one
label a text that is the usual accuracy, and so is micro F1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

THRESHOLD = 0.5
"""Probability from which on a label of several is predicted."""

BINS = 15
"""Of equal width, in the expected calibration error (Guo et al. 2017)."""

MOST_SHOWN = 30
"""Labels of a confusion matrix in a terminal."""


@dataclass(frozen=True)
class LabelsScore:
    """How well labels are predicted.

    value: accuracy. log_loss: nats of a text, or of a label where there are several; of a label
    that is not known, those of a probability of 1e-9. calibration_error: expected, of the predicted
    label. per_label: label -> precision, recall, f1, support. confusion: (true, predicted) ->
    texts; empty with several labels a text. weights: of network, naive Bayes and
    linear model, as fitted or used. others: the scores of baselines.
    """

    value: float
    log_loss: float
    micro_f1: float
    macro_f1: float
    calibration_error: float
    texts: int
    weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
    per_label: dict[str, dict[str, float]] = field(default_factory=dict)
    confusion: dict[tuple[str, str], int] = field(default_factory=dict)
    others: dict[str, "LabelsScore"] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        found: dict[str, Any] = {
            "accuracy": self.value,
            "log_loss": self.log_loss,
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "calibration_error": self.calibration_error,
            "texts": self.texts,
        }
        if self.per_label:
            found["labels"] = self.per_label
        if self.confusion:
            found["confusion"] = [[*pair, count] for pair, count in sorted(self.confusion.items())]
        if self.others:
            found["others"] = {name: score.to_json() for name, score in self.others.items()}
        return found

    def summary(self) -> str:
        """The figures of a progress line."""
        return (
            f"{self.value:.4f} accuracy, {self.macro_f1:.4f} macro F1, "
            f"log loss {self.log_loss:.4f}, calibration error {self.calibration_error:.3f}"
        )


def score(
    probabilities: Matrix,
    own: Sequence[Sequence[int]],
    names: Sequence[str],
    multiple: bool,
    detail: bool = False,
) -> LabelsScore:
    """Probabilities (B, L) and the labels of B texts, -1 for unknown ones -> their score."""
    truth = np.zeros(probabilities.shape, np.bool_)
    unknown = np.zeros(len(own))
    for number, labels in enumerate(own):
        truth[number, [label for label in labels if label >= 0]] = True
        unknown[number] = sum(label < 0 for label in labels)
    chosen = predicted(probabilities, multiple)
    both, either = (chosen & truth).sum(1), (chosen | truth).sum(1) + unknown
    hits, guesses, support = (chosen & truth).sum(0), chosen.sum(0), truth.sum(0)
    precision, recall = hits / np.maximum(1, guesses), hits / np.maximum(1, support)
    f1 = 2 * hits / np.maximum(1, guesses + support)
    # As scikit-learn, over the labels that occur.
    occur = (guesses + support) > 0
    missing = float(unknown.sum())
    # A label that is not known has an F1 of 0; how many different ones there are does not matter.
    return LabelsScore(
        value=float(np.mean(both / np.maximum(1, either))),
        log_loss=_log_loss(probabilities, truth, unknown, multiple),
        micro_f1=float(2 * hits.sum() / max(1, guesses.sum() + support.sum() + missing)),
        macro_f1=float(f1[occur].sum() / max(1, occur.sum() + (missing > 0))),
        calibration_error=calibration_error(probabilities, truth, multiple),
        texts=len(own),
        per_label={
            name: {
                "precision": float(precision[n]), "recall": float(recall[n]), "f1": float(f1[n]),
                "support": int(support[n]),
            }
            for n, name in enumerate(names)
        } if detail else {},
        confusion=_confusion(probabilities, own, names) if detail and not multiple else {},
    )  # fmt: skip


def predicted(probabilities: Matrix, multiple: bool) -> NDArray[np.bool_]:
    """Probabilities (B, L) -> which labels are predicted: the best one, or all from 0.5 on."""
    if multiple:
        return probabilities >= THRESHOLD
    found = np.zeros(probabilities.shape, np.bool_)
    found[np.arange(len(found)), probabilities.argmax(1)] = True
    return found


def _log_loss(
    probabilities: Matrix, truth: NDArray[np.bool_], unknown: Matrix, multiple: bool
) -> float:
    p = np.clip(probabilities, 1e-9, 1 - 1e-9)
    if multiple:
        return float(-np.where(truth, np.log(p), np.log1p(-p)).mean())
    of_text = np.where(unknown > 0, np.log(1e-9), np.where(truth, np.log(p), 0.0).sum(1))
    return float(-of_text.mean())


def calibration_error(probabilities: Matrix, truth: NDArray[np.bool_], multiple: bool) -> float:
    """The expected calibration error: how far the confidence of predictions is from their accuracy.

    Of the best label of each text; with several labels, of every label's own probability.
    """
    if multiple:
        confidence, right = probabilities.ravel(), truth.ravel()
    else:
        best = probabilities.argmax(1)
        places = np.arange(len(best))
        confidence, right = probabilities[places, best], truth[places, best]
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    sums = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(sums).sum() / max(1, len(bins)))


def _confusion(
    probabilities: Matrix, own: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[tuple[str, str], int]:
    best = probabilities.argmax(1).tolist()
    counts = Counter(
        (names[labels[0]] if labels[0] >= 0 else "(unknown)", names[guess])
        for labels, guess in zip(own, best, strict=True)
    )
    return dict(counts)
