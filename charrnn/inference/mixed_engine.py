"""An engine whose logits are mixed with n-gram models of the training text.

A network of a few minutes has learned what a text is like; n-grams know the spelling of its words
and its frequent phrases. The mixture is log-linear: the weighted sum of their logarithms.
"""

import copy

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.mixture import Mixture
from charrnn.inference.engine import Engine, State
from charrnn.inference.ngram_model import Intervals, NGramModel


class NGramLogits:
    """The part of a mixture's logits that its n-gram models give, and their place in a text.

    own: the weight of the network's logits. reset_id: the id that begins a document, or -1.
    """

    def __init__(self, mixture: Mixture, vocab_size: int, reset_id: int) -> None:
        self._ngrams = NGramModel(mixture.followers, vocab_size, mixture.orders, reset_id)
        self._weights = mixture.weights[1:]
        self.own = float(np.float32(mixture.weights[0]))

    def begin(self, rows: int) -> Intervals:
        """The place in `rows` texts before their first token."""
        return self._ngrams.begin(rows)

    def after(self, ids: NDArray[np.integer], intervals: Intervals) -> Intervals:
        """The place in the text after a token (B,), which may begin a document."""
        return self._ngrams.step(ids, intervals)

    def logits(self, intervals: Intervals) -> NDArray[np.float32]:
        """Places of B rows -> (B, V)."""
        return self._ngrams.weighted(intervals, self._weights)

    def read(
        self, ids: NDArray[np.integer], intervals: Intervals
    ) -> tuple[NDArray[np.float32], Intervals]:
        """(T, B) tokens -> (T, B, V) and the place after the last of them."""
        places, intervals = self._ngrams.read(ids, intervals)
        return self.logits(places).reshape(*ids.shape, -1), intervals


class MixedEngine(Engine):
    """`engine` and n-gram models as one; their place in the text is the last part of the state."""

    def __init__(self, engine: Engine, mixture: Mixture) -> None:
        self.config, self.vocab_size = engine.config, engine.vocab_size
        self._engine = engine
        self._ngrams = NGramLogits(mixture, engine.vocab_size, engine.config.reset_id)

    def around(self, engine: Engine) -> "MixedEngine":
        """The same n-gram models with another network's engine."""
        made = copy.copy(self)
        made._engine = engine
        return made

    def zero_state(self, rows: int) -> State:
        """The network's, and that no token was read."""
        return [*self._engine.zero_state(rows), self._ngrams.begin(rows)]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        logits, after = self._engine.step(ids, state[:-1])
        intervals = self._ngrams.after(ids, state[-1])
        return self._ngrams.own * logits + self._ngrams.logits(intervals), [*after, intervals]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        logits, after = self._engine.read(ids, state[:-1])
        others, intervals = self._ngrams.read(ids, state[-1])
        # In place, because the logits of a long text are large.
        others += self._ngrams.own * logits
        return others, [*after, intervals]
