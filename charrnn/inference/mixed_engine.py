"""An engine whose logits are mixed with n-gram models of the training text.

A network of a few minutes knows what a text is like; n-grams know how its words are spelled and
what stands in it often. The mixture is log-linear: the weighted sum of their logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.mixture import Mixture
from charrnn.inference.engine import Engine, State
from charrnn.inference.ngram_model import Intervals, NGramModel

NUMBERS_AT_ONCE = 2**22
"""Numbers of the n-gram models' probabilities that are held at once: 17 MB."""


class MixedEngine(Engine):
    """`engine` and n-gram models as one; their place in the text is the last part of the state."""

    def __init__(self, engine: Engine, mixture: Mixture) -> None:
        self.config, self.vocab_size = engine.config, engine.vocab_size
        self._engine = engine
        self._ngrams = NGramModel(mixture.followers, engine.vocab_size, mixture.orders)
        self._own = np.float32(mixture.weights[0])
        self._weights = mixture.weights[1:]

    def zero_state(self, rows: int) -> State:
        """The network's, and that no token was read."""
        return [*self._engine.zero_state(rows), self._ngrams.begin(rows)]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        logits, after = self._engine.step(ids, state[:-1])
        intervals = self._after(ids, state[-1])
        return self._mixed(logits, intervals), [*after, intervals]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        logits, after = self._engine.read(ids, state[:-1])
        intervals, found = state[-1], []
        for row in ids:
            intervals = self._after(row, intervals)
            found.append(intervals)
        flat = logits.reshape(-1, self.vocab_size)
        places = np.concatenate(found)
        rows = max(1, NUMBERS_AT_ONCE // (self.vocab_size * len(self._weights)))
        mixed = [
            self._mixed(flat[begin : begin + rows], places[begin : begin + rows])
            for begin in range(0, len(flat), rows)
        ]
        return np.concatenate(mixed).reshape(logits.shape), [*after, intervals]

    def _after(self, ids: NDArray[np.integer], intervals: Intervals) -> Intervals:
        """The place in the text after a token (B,), which may begin a document."""
        # As the network's state: what stood before a document has nothing to do with it.
        if self.config.reset_id >= 0 and (begins := ids == self.config.reset_id).any():
            intervals = np.where(begins[:, None], self._ngrams.begin(len(ids)), intervals)
        return self._ngrams.step(ids, intervals)

    def _mixed(self, logits: NDArray[np.float32], intervals: Intervals) -> NDArray[np.float32]:
        """The network's logits (B, V) -> those of the mixture."""
        return self._own * logits + self._ngrams.weighted(intervals, self._weights)
