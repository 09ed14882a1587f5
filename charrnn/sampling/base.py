"""What filters are made of: logits, the context they are given, softmax, and the draw."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Rows = NDArray[np.float64]

OUT = np.float32(-np.inf)
"""The logit of a token that is ruled out."""


@dataclass(frozen=True)
class Context:
    """What a filter may know besides the logits, for B rows.

    history: (B, N) ids so far, the newest last, -1 before a text's beginning. uniform: (B, 2)
    random numbers in [0, 1) of this step, the first for filters that act by chance. rows: the
    rows' lasting numbers, for filters that remember. breakers: ids that end a repetition.
    """

    history: NDArray[np.integer]
    uniform: Rows = field(default_factory=lambda: np.zeros((1, 2)))
    rows: tuple[int, ...] = (0,)
    breakers: frozenset[int] = frozenset()


Filter = Callable[[Logits, Context], Logits]
"""Logits (B, V) -> logits (B, V): at least one token survives in each row, survivors keep their
order, and a batch is treated like its rows."""


def probabilities(logits: Logits) -> Rows:
    """The softmax of each row, in float64."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Rows = odds / odds.sum(axis=1, keepdims=True)
    return shares


def draw(logits: Logits, uniform: Rows) -> NDArray[np.int64]:
    """One id for each row, by inverting its cumulative distribution at `uniform` (B,) in [0, 1)."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    total = odds.cumsum(axis=1)
    reached = total > uniform[:, None] * total[:, -1:]
    ids: NDArray[np.int64] = reached.argmax(axis=1)
    return ids


def keep_where(kept: NDArray[np.bool_], logits: Logits) -> Logits:
    """Rule out what is not kept; the likeliest of a row stays in any case."""
    left = np.where(kept, logits, OUT)
    empty = ~kept.any(axis=1)
    if empty.any():
        best = logits.argmax(axis=1)
        left[empty, best[empty]] = logits[empty, best[empty]]
    return left


def keep_first(logits: Logits, counts: NDArray[np.integer]) -> Logits:
    """Leave `counts[b]` likeliest tokens of row b; among equals the one of lower id."""
    order = np.argsort(-logits, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(logits.shape[1])[None, :], axis=1)
    return np.where(rank < counts[:, None], logits, OUT)


def chain(filters: list[Filter]) -> Filter:
    """All of them, one after the other."""

    def apply(logits: Logits, context: Context) -> Logits:
        for each in filters:
            logits = each(logits, context)
        return logits

    return apply
