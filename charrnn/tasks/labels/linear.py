"""A linear model: logistic regression over the TF-IDF of n-grams, and its scores.

It is a baseline, and a part of the result. Its n-grams are the buckets of naive Bayes, whose counts
are their document frequencies, so that only its weights are in the checkpoint.
"""

import base64
import binascii
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.examples import Ids
from charrnn.tasks.labels.naive_bayes import Floats, NaiveBayes, Scores, marked
from charrnn.tokenizers.base import damaged

COSTS = (3.0, 10.0, 30.0)
"""Weights of the training nats against the squares of the weights, as scikit-learn's C."""

FOLDS = 3
"""Parts of the texts; one is classified by models of the others, under each of COSTS."""

MOST_WEIGHTS = 4_000_000
"""n-grams times labels; with more of them there is no linear model."""

MOST_WORK, MOST_TRIED = 4_000_000, 300_000
"""n-grams of all texts, times labels, that are learned from, and on which COSTS are compared."""

ITERATIONS, MEMORY, ENOUGH = 40, 10, 1e-4
"""Of L-BFGS: most steps, steps remembered, and the part of the loss below which it stops."""

Objective = Callable[[Floats], tuple[float, Floats]]
"""A point -> the loss there, and its gradient."""


@dataclass(frozen=True)
class Linear:
    """Weights of each n-gram that was seen (K, L), in the order of its bucket, and a bias (L,)."""

    weights: NDArray[np.float16]
    bias: NDArray[np.float16]

    @cached_property
    def _weights(self) -> Floats:
        return self.weights.astype(np.float64)

    def scores(self, rows: Sequence[Ids], bayes: NaiveBayes) -> Scores:
        """Buckets of B texts -> logits (B, L)."""
        found = np.tile(self.bias.astype(np.float64), (len(rows), 1))
        text, feature, value = tf_idf(rows, bayes)
        for label in range(found.shape[1]):
            product = value * self._weights[feature, label]
            found[:, label] += np.bincount(text, product, len(rows))
        return found.astype(np.float32)

    def to_json(self) -> dict[str, str]:
        """The arrays packed."""
        return {"weights": _pack(self.weights), "bias": _pack(self.bias)}

    @classmethod
    def from_json(cls, data: Any, features: int, labels: int) -> "Linear":
        """The inverse of `to_json`. CheckpointError if it is damaged."""
        if not isinstance(data, Mapping) or features * labels > MOST_WEIGHTS:
            raise damaged("its linear model is none")
        weights = _unpack(data.get("weights"), features * labels)
        return cls(weights.reshape(features, labels), _unpack(data.get("bias"), labels))


def tf_idf(rows: Sequence[Ids], bayes: NaiveBayes) -> tuple[Ids, Ids, Floats]:
    """Buckets of texts -> the text, the number and the value of each n-gram that was seen.

    The value is ln((1 + N) / (1 + df)) + 1, over the Euclidean norm of those of the text.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    buckets = np.concatenate(rows) if len(rows) else np.zeros(0, np.int64)
    text = np.repeat(np.arange(len(rows)), lengths)
    seen = bayes.sizes[buckets] > 0
    text, buckets = text[seen], buckets[seen]
    value = bayes.rarity[buckets]
    norm = np.sqrt(np.bincount(text, value * value, len(rows)))
    return text, bayes.number[buckets], value / norm[text]


def learn(rows: Sequence[Ids], own: Sequence[Sequence[int]], bayes: NaiveBayes) -> Linear | None:
    """Buckets and labels of the training part -> the model, of the cost that is best.

    None where there are too many n-grams and labels for one, or a single label.
    """
    labels = len(bayes.of_label)
    if labels < 2 or bayes.different * labels > MOST_WEIGHTS:
        return None
    work = labels * sum(map(len, rows))
    truth = marked(own, labels)

    def some(most: int) -> list[int]:
        return list(range(0, len(rows), max(1, -(-work // most))))

    cost = _best_cost(rows, truth, bayes, some(MOST_TRIED))
    kept = some(MOST_WORK)
    (found,) = _fits([rows[n] for n in kept], truth[kept], bayes, (cost,))
    return found


def _best_cost(
    rows: Sequence[Ids], truth: NDArray[np.bool_], bayes: NaiveBayes, tried: Sequence[int]
) -> float:
    """By texts that are held out, evenly spread; the middle one where there are too few."""
    held = tried[::FOLDS]
    rest = [n for place, n in enumerate(tried) if place % FOLDS]
    if not rest:
        return COSTS[len(COSTS) // 2]
    models = _fits([rows[n] for n in rest], truth[rest], bayes, COSTS)
    tests = [rows[n] for n in held]
    right = [agreement(model.scores(tests, bayes), truth[held], bayes.odds) for model in models]
    return COSTS[int(np.argmax(right))]


def agreement(scores: Scores, truth: NDArray[np.bool_], several: bool) -> float:
    """How often logits are right: the best label, or with several a text each label's sign."""
    if several:
        return float(((scores > 0) == truth).mean())
    return float(truth[np.arange(len(truth)), scores.argmax(1)].mean())


def _fits(
    rows: Sequence[Ids], truth: NDArray[np.bool_], bayes: NaiveBayes, costs: Sequence[float]
) -> list[Linear]:
    """Texts and their labels (B, L) -> a model for each cost, each begun where the last ended."""
    text, feature, value = tf_idf(rows, bayes)
    features, labels, count = bayes.different, truth.shape[1], len(rows)
    found, point = [], np.zeros((features + 1) * labels)

    def objective(cost: float, at: Floats) -> tuple[float, Floats]:
        table = at.reshape(features + 1, labels)
        logits = np.tile(table[-1], (count, 1))
        for label in range(labels):
            logits[:, label] += np.bincount(text, value * table[feature, label], count)
        nats, residual = _nats(logits, truth, bayes.odds)
        slope = np.empty_like(table)
        for label in range(labels):
            slope[:-1, label] = np.bincount(feature, value * residual[text, label], features)
        slope[-1] = residual.sum(0)
        # The bias is free, as everywhere.
        slope[:-1] = cost * slope[:-1] + table[:-1]
        slope[-1] *= cost
        return cost * nats + 0.5 * float((table[:-1] ** 2).sum()), slope.ravel()

    for cost in costs:
        point = minimize(partial(objective, cost), point)
        table = np.clip(point, -6e4, 6e4).reshape(features + 1, labels).astype(np.float16)
        found.append(Linear(table[:-1], table[-1]))
    return found


def _nats(logits: Floats, truth: NDArray[np.bool_], several: bool) -> tuple[float, Floats]:
    """Logits (B, L) and labels -> nats of all texts, and their gradient."""
    if several:
        p = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        return float(np.logaddexp(0, np.where(truth, -logits, logits)).sum()), p - truth
    shifted = logits - logits.max(1, keepdims=True)
    total = np.log(np.exp(shifted).sum(1, keepdims=True))
    log_p = shifted - total
    return float(-log_p[truth].sum()), np.exp(log_p) - truth


def minimize(objective: Objective, start: Floats) -> Floats:
    """A convex objective -> where it is least, by L-BFGS (Liu and Nocedal 1989).

    >>> minimize(lambda x: (float((x - 3) @ (x - 3)), 2 * (x - 3)), np.zeros(2)).round(3).tolist()
    [3.0, 3.0]
    """
    point = start.copy()
    loss, slope = objective(point)
    past: deque[tuple[Floats, Floats]] = deque(maxlen=MEMORY)
    for _ in range(ITERATIONS):
        step = -_scaled(slope, past)
        fall = float(step @ slope)
        if fall >= 0:
            break
        # The first step has no scale yet: one of length 1.
        size = 1.0 if past else 1.0 / max(1.0, float(np.linalg.norm(step)))
        for _ in range(30):
            new_loss, new_slope = objective(point + size * step)
            if new_loss <= loss + 1e-4 * size * fall:
                break
            size /= 2
        else:
            break
        change, bend = size * step, new_slope - slope
        if float(change @ bend) > 0:
            past.append((change, bend))
        gain = loss - new_loss
        point, loss, slope = point + change, new_loss, new_slope
        if gain < ENOUGH * max(1e-12, abs(loss)):
            break
    return point


def _scaled(slope: Floats, past: Sequence[tuple[Floats, Floats]]) -> Floats:
    """A gradient -> the inverse Hessian, as remembered, times it."""
    found, shares = slope.copy(), []
    for change, bend in reversed(past):
        share = float(change @ found) / float(change @ bend)
        shares.append(share)
        found -= share * bend
    if past:
        change, bend = past[-1]
        found *= float(change @ bend) / float(bend @ bend)
    for (change, bend), share in zip(past, reversed(shares), strict=True):
        found += (share - float(bend @ found) / float(change @ bend)) * change
    return found


def _pack(array: NDArray[np.float16]) -> str:
    """An array -> text: little-endian float16, zlib, base64."""
    return base64.b64encode(zlib.compress(array.astype("<f2").tobytes(), 9)).decode("ascii")


def _unpack(text: Any, count: int) -> NDArray[np.float16]:
    """The inverse of `_pack`, for an array of `count` numbers. CheckpointError if it is damaged."""
    try:
        opened = zlib.decompressobj()
        # One byte more than it should have, so that a longer one is noticed and not unpacked.
        raw = opened.decompress(base64.b64decode(text, validate=True), 2 * count + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        raise damaged("its linear model cannot be unpacked") from None
    if len(raw) != 2 * count or not opened.eof:
        raise damaged("its linear model has another number of weights than it should")
    found = np.frombuffer(raw, "<f2").astype(np.float16)
    if not np.isfinite(found).all():
        raise damaged("the weights of its linear model are no numbers")
    return found
