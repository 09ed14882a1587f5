"""Floor: what ids cost that training held never or hardly ever.

A network pushes the logit of an id that never occurs as low as it can: met later, it costs 14 to
100 nats, which nothing has learned and which would decide a loss, the best checkpoint and every
comparison. So what is evaluated is a mixture: with the probability of Laplace's rule of succession
the next id is a rare one, each equally likely, and else what the network says. Of n tokens in
training r were rare or new: (r + 1) / (n + 2). The count is kept apart for what follows a part of a
character, because a character that has begun in bytes goes on in bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track

CHUNK = 1 << 22
"""Tokens counted at a time, which bounds the memory for an array of any size."""

COUNTING = "counting the tokens"
"""What is shown meanwhile."""

FEW_PARTS = 16
"""A byte or half-byte with fewer occurrences counts as rare: so few do not teach its contexts."""

Pairs = tuple[tuple[int, int], tuple[int, int]]
"""Rare tokens and all tokens: after a whole token, and after a part of a character.

After a whole token, those that occur once are counted as rare ones: their number is what a new text
will hold that this one did not (Good 1953).
"""


@dataclass(frozen=True)
class Floor:
    """The weights of a mixture of the network's probabilities and a uniform choice of a rare id.

    rare: ids, sorted. parts: ids that are a part of a character. counts: as in `Pairs`.

    >>> floor = Floor(3, rare=(0,), parts=(), counts=((0, 98), (0, 0)))
    >>> network = np.array([30.0, 0.6931, 0.6931])
    >>> np.exp(-floor.nats(network, np.array([1, 1, 1]), np.arange(3))).round(3).tolist()
    [0.01, 0.495, 0.495]
    """

    vocab_size: int
    rare: tuple[int, ...]
    parts: tuple[int, ...]
    counts: Pairs

    @cached_property
    def is_rare(self) -> NDArray[np.bool_]:
        """Whether each id is rare, (V,)."""
        return _mask(self.rare, self.vocab_size)

    @property
    def masses(self) -> tuple[float, float]:
        """The probability that a rare id follows: a whole token, a part of a character."""
        whole, part = ((rare + 1) / (seen + 2) for rare, seen in self.counts)
        return whole, part

    @cached_property
    def _mass(self) -> NDArray[np.float64]:
        """The probability that a rare id follows each id, (V,)."""
        whole, part = self.masses
        return np.where(_mask(self.parts, self.vocab_size), part, whole)

    def nats(
        self,
        network: NDArray[np.floating],
        previous: NDArray[np.integer],
        targets: NDArray[np.integer],
    ) -> NDArray[np.float64]:
        """The network's nats of targets (N,), and the ids before them -> those of the mixture."""
        mass = self._mass[previous]
        # A common id keeps what the network says, less the weight of the rare ones.
        mixed = network.astype(np.float64) - np.log1p(-mass)
        uniform = -np.log(mass / len(self.rare))
        rare = -np.logaddexp(-mixed, -uniform)
        found: NDArray[np.float64] = np.where(self.is_rare[targets], rare, mixed)
        return found

    def to_json(self) -> dict[str, Any]:
        """The entry `floor` of a tokenizer's JSON; the parts follow from the tokenizer."""
        return {"rare": list(self.rare), "counts": [list(pair) for pair in self.counts]}


def learn(
    tokens: NDArray[np.unsignedinteger], vocab_size: int, parts: Sequence[int]
) -> tuple[list[int], Floor | None]:
    """The whole training part (N,) -> ids that do not occur, and the floor; None without rare ids.

    >>> unseen, floor = learn(np.array([1, 2, 1, 2], np.uint8), 4, parts=[])
    >>> unseen, floor.rare, floor.counts
    ([0, 3], (0, 3), ((0, 4), (0, 0)))
    """
    counts = np.zeros(vocab_size, np.int64)
    for begin in track(range(0, len(tokens), CHUNK), COUNTING, -(-len(tokens) // CHUNK)):
        counts += np.bincount(tokens[begin : begin + CHUNK], minlength=vocab_size)
    is_part = _mask(parts, vocab_size)
    rare = counts < np.where(is_part, FEW_PARTS, 1)
    if rare.all():
        # A text of a few hundred bytes: what occurs at all is what the network predicts.
        rare = counts == 0
    unseen = np.flatnonzero(counts == 0).tolist()
    if not rare.any():
        return unseen, None
    # (after a whole token, after a part) x (rare tokens, all tokens); the first token follows none.
    found = np.zeros((2, 2), np.int64)
    found[0, 0] = np.count_nonzero((counts == 1) & ~rare)
    last = False
    for begin in track(range(0, len(tokens), CHUNK), COUNTING, -(-len(tokens) // CHUNK)):
        chunk = np.asarray(tokens[begin : begin + CHUNK])
        after_part = np.concatenate([[last], is_part[chunk[:-1]]])
        last = bool(is_part[chunk[-1]])
        for row, chosen in enumerate((~after_part, after_part)):
            found[row] += [np.count_nonzero(rare[chunk[chosen]]), np.count_nonzero(chosen)]
    # No more than all, which a text of a few tokens could break.
    whole, part = ((int(min(a, b)), int(b)) for a, b in found)
    ids = tuple(np.flatnonzero(rare).tolist())
    return unseen, Floor(vocab_size, ids, tuple(parts), (whole, part))


def from_json(data: Any, vocab_size: int, parts: Sequence[int]) -> Floor | None:
    """The inverse of `Floor.to_json`; None for data that no floor can have written."""
    if not isinstance(data, Mapping):
        return None
    rare, counts = data.get("rare"), data.get("counts")
    if not isinstance(rare, list) or not isinstance(counts, list) or len(counts) != 2:
        return None
    # Some ids are rare and some are not, or there would be nothing to share the probability.
    valid = all(type(i) is int and 0 <= i < vocab_size for i in rare)
    if not valid or rare != sorted(set(rare)) or not 0 < len(rare) < vocab_size:
        return None
    for pair in counts:
        if not isinstance(pair, list) or [type(each) for each in pair] != [int, int]:
            return None
        # The bound keeps every count exact in a float.
        if not 0 <= pair[0] <= pair[1] < 2**53:
            return None
    whole, part = ((pair[0], pair[1]) for pair in counts)
    return Floor(vocab_size, tuple(rare), tuple(parts), (whole, part))


def _mask(ids: Sequence[int], size: int) -> NDArray[np.bool_]:
    found = np.zeros(size, np.bool_)
    found[list(ids)] = True
    return found
