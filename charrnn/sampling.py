"""Logits -> logits, in numpy: the filters that shape what a model says, and the draw itself.

Every filter takes logits (B, V) and the history (B, N) of ids so far. A filter leaves at least one
token, keeps the order of those it leaves, does nothing at its neutral value, and treats the rows of
a batch alike. A token that is ruled out has the logit -inf.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
History = NDArray[np.integer]
Filter = Callable[[Logits, History], Logits]


def temperature(value: float) -> Filter:
    """Divide the logits by `value`: below 1 bolder, above 1 wilder; 0 leaves only the likeliest."""

    def apply(logits: Logits, history: History) -> Logits:
        # Measured from the maximum in float64, so that no temperature overflows into NaN.
        distance = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        if value == 0:
            first = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
            return np.where(first, np.float32(0), np.float32(-np.inf))
        with np.errstate(over="ignore"):
            cooled: Logits = (distance / value).astype(np.float32)
        return cooled

    return apply


def top_k(count: float) -> Filter:
    """Leave the `count` likeliest tokens (Fan et al. 2018); 0 leaves all."""

    def apply(logits: Logits, history: History) -> Logits:
        if not 0 < count < logits.shape[1]:
            return logits
        return _keep_first(logits, np.full(len(logits), int(count)))

    return apply


def top_p(share: float) -> Filter:
    """Leave the fewest likeliest tokens that hold `share` of the whole (Holtzman et al. 2020)."""

    def apply(logits: Logits, history: History) -> Logits:
        if share >= 1:
            return logits
        ordered = -np.sort(-probabilities(logits), axis=1)
        before = np.cumsum(ordered, axis=1) - ordered
        return _keep_first(logits, np.maximum(1, (before < share).sum(axis=1)))

    return apply


def min_p(share: float) -> Filter:
    """Leave the tokens at least `share` times as likely as the likeliest (Nguyen et al. 2024)."""

    def apply(logits: Logits, history: History) -> Logits:
        if share <= 0:
            return logits
        limit = logits.max(axis=1, keepdims=True) + np.float32(np.log(share))
        return np.where(logits >= limit, logits, np.float32(-np.inf))

    return apply


def repetition_penalty(strength: float) -> Filter:
    """Push down tokens of the history: positive logits divided, others multiplied by `strength`.

    Source: Keskar et al. 2019 (CTRL), section 4.1. It reorders tokens, as a penalty must.
    """

    def apply(logits: Logits, history: History) -> Logits:
        if strength == 1 or not history.shape[1]:
            return logits
        seen = np.zeros(logits.shape, bool)
        np.put_along_axis(seen, history.astype(np.int64), True, axis=1)
        pushed = np.where(logits > 0, logits / np.float32(strength), logits * np.float32(strength))
        return np.where(seen, pushed, logits)

    return apply


def exclude(ids: list[int]) -> Filter:
    """Rule out these tokens, unless nothing else would be left."""

    def apply(logits: Logits, history: History) -> Logits:
        if not 0 < len(ids) < logits.shape[1]:
            return logits
        left = logits.copy()
        left[:, ids] = -np.inf
        return left

    return apply


def _keep_first(logits: Logits, counts: NDArray[np.integer]) -> Logits:
    """Leave `counts[b]` likeliest tokens of row b; among equals the one of lower id."""
    order = np.argsort(-logits, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(logits.shape[1])[None, :], axis=1)
    return np.where(rank < counts[:, None], logits, np.float32(-np.inf))


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """The softmax of each row, in float64."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def draw(logits: Logits, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """One id for each row, by inverting its cumulative distribution at `uniform` (B,) in [0, 1)."""
    total = np.cumsum(np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True)), axis=1)
    reached = total > uniform[:, None] * total[:, -1:]
    ids: NDArray[np.int64] = reached.argmax(axis=1)
    return ids


def chain(filters: list[Filter]) -> Filter:
    """All of them, one after the other."""

    def apply(logits: Logits, history: History) -> Logits:
        for each in filters:
            logits = each(logits, history)
        return logits

    return apply


@dataclass(frozen=True)
class Setting:
    """A filter with its one number: the value that does nothing, and the bounds of the others."""

    make: Callable[[float], Filter]
    neutral: float
    low: float
    high: float


FILTERS: dict[str, Setting] = {
    "repetition_penalty": Setting(repetition_penalty, 1.0, 1e-3, 1e3),
    "top_k": Setting(top_k, 0, 0, 2**31),
    "top_p": Setting(top_p, 1.0, 0.0, 1.0),
    "min_p": Setting(min_p, 0.0, 0.0, 1.0),
    "temperature": Setting(temperature, 1.0, 0.0, 1e308),
}
"""Filters by the name of their option, in the order in which they are applied."""


def filters(values: dict[str, float]) -> list[Filter]:
    """The filters that these values ask for, in the order of FILTERS, neutral ones left out."""
    return [
        setting.make(values[name])
        for name, setting in FILTERS.items()
        if name in values and values[name] != setting.neutral
    ]
