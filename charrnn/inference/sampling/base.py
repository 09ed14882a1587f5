"""What filters are made of: parameters, logits, their context, softmax, and the random draw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Rows = NDArray[np.float64]

RULED_OUT = np.float32(-np.inf)
"""The logit of a token that is ruled out."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a filter, and so one option of `charrnn sample`; its type is the default's.

    switch: at its default it does nothing. A filter whose switches are all at their defaults is
    left out. per_character: the default for models whose tokens are single characters, if it is
    another. window: whether it says how many of the latest tokens the filter looks at, -1 for all.
    needs: the switch without which it has no effect; "" for any of the filter's.
    """

    default: float
    low: float
    high: float
    help: str
    switch: bool = True
    per_character: float | None = None
    window: bool = False
    needs: str = ""

    def default_for(self, characters: bool) -> float:
        """The default; `characters`: whether the tokens of the model are single characters."""
        own = self.per_character
        return self.default if own is None or not characters else own


@dataclass(frozen=True)
class Context:
    """What a filter may know besides the logits, for B rows.

    history: (B, N) ids so far, the newest last, -1 before the beginning of a text. uniform: (B, 2)
    random numbers in [0, 1) of this step, the first for filters that act by chance. rows: lasting
    numbers of the rows, for filters that keep state. breakers: ids that end a repetition. last:
    whether the token that is drawn now is the last one.
    """

    history: NDArray[np.integer]
    uniform: Rows = field(default_factory=lambda: np.zeros((1, 2)))
    rows: tuple[int, ...] = (0,)
    breakers: frozenset[int] = frozenset()
    last: bool = False


Filter = Callable[[Logits, Context], Logits]
"""Logits (B, V) -> logits (B, V). At least one token of each row survives, survivors keep their
order, and a row's result does not depend on the others."""


@runtime_checkable
class StatefulFilter(Protocol):
    """A filter that remembers. What it remembers goes into a state file, and comes back from it."""

    name: str

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""

    def state(self, row: int, token: int) -> Any:
        """What it knows of a row after one more token: a number, or [text, ids]."""

    def restore(self, row: int | None, saved: Any) -> None:
        """Let a row, or with None every row, go on from what `state` returned."""


@dataclass(frozen=True)
class FilterSpec:
    """A filter: the function that makes it, and its parameters in the order of the arguments."""

    make: Callable[..., Filter]
    parameters: Mapping[str, Parameter]


REGISTERED: dict[str, FilterSpec] = {}
"""Filters by name, in the order in which the decorator `parameters` registered them."""

Make = Callable[..., Filter]


def parameters(**values: Parameter) -> Callable[[Make], Make]:
    """Decorator of a function that makes a filter: its parameters, in the order of its arguments.

    The function's name is the filter's, and the parameters' names are those of the options.
    """

    def register(make: Make) -> Make:
        REGISTERED[make.__name__] = FilterSpec(make, values)
        return make

    return register


def probabilities(logits: Logits) -> Rows:
    """Logits (B, V) -> the softmax of each row, in float64.

    >>> probabilities(np.log(np.array([[1, 3]], np.float32))).round(2).tolist()
    [[0.25, 0.75]]
    """
    # Relative to the maximum, exp cannot overflow, and the sum of a row is at least 1.
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: Rows = weights / weights.sum(axis=1, keepdims=True)
    return result


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits (B, V) -> log-probabilities (B, V), in float64.

    >>> log_softmax(np.array([[0, 0, -np.inf]], np.float32)).round(2).tolist()
    [[-0.69, -0.69, -inf]]
    """
    distance = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = distance - np.log(np.exp(distance).sum(axis=1, keepdims=True))
    return result


def draw(logits: Logits, uniform: Rows) -> NDArray[np.int64]:
    """Logits (B, V) and random numbers (B,) in [0, 1) -> one id per row.

    It inverts each row's cumulative distribution.

    >>> draw(np.log(np.array([[1, 3]], np.float32)), np.array([0.3])).tolist()
    [1]
    """
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    total = weights.cumsum(axis=1)
    # Without a division by the total, the last sum exceeds the number whatever the rounding. The
    # comparison is strict, so that 0.0 does not draw a token of weight zero.
    reached = total > uniform[:, None] * total[:, -1:]
    # argmax gives the first True.
    ids: NDArray[np.int64] = reached.argmax(axis=1)
    return ids


def keep_where(kept: NDArray[np.bool_], logits: Logits) -> Logits:
    """Rule out the tokens that are not kept; in a row that keeps none, the most likely survives.

    >>> logits = np.array([[1, 3, 2]], np.float32)
    >>> keep_where(logits < 3, logits).tolist(), keep_where(logits > 3, logits).tolist()
    ([[1.0, -inf, 2.0]], [[-inf, 3.0, -inf]])
    """
    left = np.where(kept, logits, RULED_OUT)
    empty = ~kept.any(axis=1)
    if empty.any():
        # A row without any token would make the softmax NaN.
        best = logits.argmax(axis=1)
        left[empty, best[empty]] = logits[empty, best[empty]]
    return left


def keep_first(logits: Logits, counts: NDArray[np.integer]) -> Logits:
    """Keep the `counts[b]` most likely tokens of row b; of equals the one with the lower id.

    >>> keep_first(np.array([[1, 3, 2], [5, 5, 5]], np.float32), np.array([1, 2])).tolist()
    [[-inf, 3.0, -inf], [5.0, 5.0, -inf]]
    """
    # A stable sort puts the lower id first among equal logits, on every platform.
    order = np.argsort(-logits, axis=1, kind="stable")
    # The inverse permutation gives each token its rank.
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(logits.shape[1])[None, :], axis=1)
    return np.where(rank < counts[:, None], logits, RULED_OUT)


def chain(filters: list[Filter]) -> Filter:
    """Several filters -> one that applies them in order."""

    def apply(logits: Logits, context: Context) -> Logits:
        for each in filters:
            logits = each(logits, context)
        return logits

    return apply
