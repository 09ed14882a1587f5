"""Constraints that follow each row by an automaton and leave only the tokens that it allows.

What may follow a state is found once and kept, as a mask over all tokens, so that a step is a
look-up.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Generic, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.inference.sampling.base import RULED_OUT, Context, Logits

MOST_CACHED = 1 << 26
"""Bytes of masks that are kept; then they are found anew."""

S = TypeVar("S", bound=Hashable)


class Node(Generic[S]):
    """A state, the tokens (V,) that may follow there, and the nodes behind them, once known."""

    __slots__ = ("after", "kept", "state")

    def __init__(self, state: S, kept: NDArray[np.bool_]) -> None:
        self.state, self.kept = state, kept
        self.after: dict[int, Node[S]] = {}


class MaskConstraint(ABC, Generic[S]):
    """A filter that rules out the tokens that may not follow a row's state."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size
        self._nodes: dict[S, Node[S]] = {}
        self._rows: dict[int, Node[S]] = {}

    @abstractmethod
    def _enter(self, history: NDArray[np.integer]) -> Node[S]:
        """The ids before a row's first token -> where it is. UsageError if it cannot go on."""

    @abstractmethod
    def _moved(self, state: S, token: int) -> S:
        """A state and a token that was written -> the state after it."""

    @abstractmethod
    def _kept(self, state: S) -> NDArray[np.bool_]:
        """The tokens (V,) that may follow a state."""

    @abstractmethod
    def _refuse(self, state: S) -> NoReturn:
        """Raise the UsageError of a row in this state, of which no token is left."""

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        nodes = {}
        for number, row in enumerate(context.rows):
            node, history = self._rows.get(row), context.history[number]
            nodes[row] = (
                self._enter(history) if node is None else self._next(node, int(history[-1]))
            )
        # Rows that have ended are forgotten.
        self._rows = nodes
        kept = [node.kept for node in nodes.values()]
        left = np.where(kept[0] if len(kept) == 1 else np.stack(kept), logits, RULED_OUT)
        best = left.max(1).tolist()
        if RULED_OUT in best:
            self._refuse(nodes[context.rows[best.index(RULED_OUT)]].state)
        return left

    def renewed(self) -> Self:
        """The same for another generation, with all that has been found."""
        found = copy.copy(self)
        found._rows = {}
        return found

    def _next(self, node: Node[S], token: int) -> Node[S]:
        """Where a row is after one token more."""
        found = node.after.get(token)
        if found is None:
            found = node.after[token] = self._node(self._moved(node.state, token))
        return found

    def _node(self, state: S) -> Node[S]:
        """A state -> its node, with the tokens that may follow."""
        found = self._nodes.get(state)
        if found is None:
            if len(self._nodes) * self._size > MOST_CACHED:
                # Those that rows are at hold no others any more.
                for node in self._nodes.values():
                    node.after.clear()
                self._nodes.clear()
            found = self._nodes[state] = Node(state, self._kept(state))
        return found
