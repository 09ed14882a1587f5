"""Several engines that write together: the weighted mean of their log-probabilities.

Each keeps its own state. The ids are those of one tokenizer; a model that lacks one gives it the
logit of its least likely token and does not read it, so that no untrained number decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.config import ModelConfig
from charrnn.inference.engine import Engine, State


@dataclass(frozen=True)
class Member:
    """One engine, its weight, and its id of each of the V ids of the blend, -1 where it has none.

    reads: the ids that it reads. writes: those that its logits are taken of. trained: whether a
    logit was learned (V,), and may be the least one.
    """

    engine: Engine
    weight: float
    reads: NDArray[np.int64]
    writes: NDArray[np.int64]
    trained: NDArray[np.bool_]

    @property
    def parts(self) -> int:
        """Arrays of its state: the engine's, and its last logits, for tokens that it skips."""
        return len(self.engine.zero_state(1)) + 1

    def zero_state(self, rows: int) -> State:
        """The state before the first token; logits of zero know nothing."""
        return [*self.engine.zero_state(rows), np.zeros((rows, self.engine.vocab_size), np.float32)]

    def step(self, ids: NDArray[np.integer], state: State) -> State:
        """The state after a token (B,) of the blend; rows that lack it keep theirs."""
        own = self.reads[ids]
        known = own >= 0
        if not known.any():
            return state
        logits, after = self.engine.step(np.maximum(own, 0), state[:-1])
        found = [*after, logits]
        if known.all():
            return found
        return [np.where(known[:, None], new, old) for new, old in zip(found, state, strict=True)]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens of the blend -> the member's logits (T, B, own V), and the state."""
        own = self.reads[ids]
        if (own >= 0).all():
            logits, after = self.engine.read(own, state[:-1])
            return logits, [*after, logits[-1]]
        steps = []
        for row in ids:
            state = self.step(row, state)
            steps.append(state[-1])
        return np.stack(steps), state

    def vote(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The member's logits (..., own V) -> its weighted part of the blend's (..., V)."""
        lacks = self.writes < 0
        found = logits[..., np.maximum(self.writes, 0)]
        if lacks.any():
            least = found[..., self.trained].min(-1, keepdims=True)
            found = np.where(lacks, least, found)
        return np.float32(self.weight) * found


class BlendedEngine(Engine):
    """Members as one engine. A constant that a member adds to all its logits changes nothing."""

    def __init__(self, members: Sequence[Member], config: ModelConfig) -> None:
        self.config, self.vocab_size = config, config.vocab_size
        self.members = tuple(members)

    def zero_state(self, rows: int) -> State:
        """The states of all members, one after the other."""
        return [part for each in self.members for part in each.zero_state(rows)]

    def _states(self, state: State) -> list[State]:
        """The blend's state -> that of each member."""
        ends = np.cumsum([each.parts for each in self.members]).tolist()
        return [state[b:e] for b, e in zip([0, *ends], ends, strict=False)]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        states = [
            member.step(ids, own)
            for member, own in zip(self.members, self._states(state), strict=True)
        ]
        votes = [m.vote(own[-1]) for m, own in zip(self.members, states, strict=True)]
        return _total(votes), [part for own in states for part in own]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        read = [
            member.read(ids, own)
            for member, own in zip(self.members, self._states(state), strict=True)
        ]
        votes = [m.vote(logits) for m, (logits, _) in zip(self.members, read, strict=True)]
        return _total(votes), [part for _, own in read for part in own]


def _total(votes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    found = votes[0]
    for each in votes[1:]:
        found = found + each
    return found
