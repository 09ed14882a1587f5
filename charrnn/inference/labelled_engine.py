"""An engine that begins every document with a label, whoever reads with it.

The id that begins a document represents itself and the label after it. So prompts, scores, beam
search and state files of a labelled model need to know nothing of labels.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.inference.engine import Engine, State


class LabelledEngine(Engine):
    """`engine`, which reads the ids of `prefix` wherever `start_id` is read."""

    def __init__(self, engine: Engine, start_id: int, prefix: Sequence[int]) -> None:
        self._engine, self._start_id = engine, start_id
        self.config, self.vocab_size = engine.config, engine.vocab_size
        ids = np.array([start_id, *prefix], np.int64)[:, None]
        self._first = engine.read_prompt(ids, engine.zero_state(1))
        self._ids = ids

    @cached_property
    def last(self) -> tuple[int, State]:
        """The last id of the label, and the state before it: `engine` may step it like any other.

        So texts of several labels are written side by side, where this engine would write one's.
        """
        _, before = self._engine.read_prompt(self._ids[:-1], self._engine.zero_state(1))
        return int(self._ids[-1, 0]), before

    def zero_state(self, rows: int) -> State:
        """That of the engine."""
        return self._engine.zero_state(rows)

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        logits, after = self._engine.step(ids, state)
        begins = (ids == self._start_id)[:, None]
        if not begins.any():
            return logits, after
        first, begun = self._first
        return np.where(begins, first, logits), [
            np.where(begins, new, old) for new, old in zip(begun, after, strict=True)
        ]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        beginning = (ids == self._start_id).any(1)
        found = []
        place = 0
        while place < len(ids):
            if beginning[place]:
                logits, state = self.step(ids[place], state)
                found.append(logits[None])
                place += 1
                continue
            following = np.flatnonzero(beginning[place:])
            end = place + int(following[0]) if len(following) else len(ids)
            logits, state = self._engine.read(ids[place:end], state)
            found.append(logits)
            place = end
        return np.concatenate(found), state
