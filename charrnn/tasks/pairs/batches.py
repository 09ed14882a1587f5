"""Step k -> its pairs: a function of k alone.

Each epoch reads all pairs in an order of its own. They are sorted by the length of the target and
then of the source, or by their sum where that pads less, with equal ones in a random order, and cut
into batches of about equally many padded tokens; the batches are then read in a random order. The
numbers of rows are those of a fixed cut, so each epoch has equally many steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.data.examples import Ids, Rows, padded

NOISE = 0.1
"""Part of a length by which the order varies from epoch to epoch."""

MULTIPLE = 2
"""Rows of a larger batch are a multiple of it, so that processes have equally many."""

COPIED = 0.03
"""Part of the pairs in which one token that both sides have is read as COPY."""

PADDING = -1
"""The target where a row has ended."""


@dataclass(frozen=True)
class PairBatches:
    """The training part as batches of about `batch_size` * `seq_length` padded tokens.

    copy_id: the id of a token that is to be copied, -1 if the sides have different vocabularies.
    end_id: what ends each row, and precedes a target.
    """

    sources: Rows
    targets: Rows
    batch_size: int
    seq_length: int
    rank: int = 0
    world_size: int = 1
    copy_id: int = -1
    end_id: int = 0

    @property
    def steps_per_epoch(self) -> float:
        """Steps until every pair was read once."""
        return len(self._counts)

    @property
    def rows(self) -> range:
        """No state is carried in rows from step to step."""
        return range(0)

    @cached_property
    def _sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.sources.lengths, self.targets.lengths

    @cached_property
    def _cut(self) -> tuple[bool, list[int]]:
        """Whether pairs are sorted by target first, and the rows of each batch, shortest first."""
        cuts = [(first, self._counts_of(self._sorted(first))) for first in (True, False)]
        return min(cuts, key=lambda cut: len(cut[1]))

    def _sorted(self, target_first: bool, noise: NDArray[np.float64] | float = 1.0) -> Ids:
        """The pairs in order of their lengths, of which those of sources are times `noise`."""
        source, target = self._sizes
        # Many short pairs have equal targets: then hardly a token of a batch is padding.
        keys = (source * noise, target) if target_first else ((source + target) * noise,)
        return np.lexsort(keys)

    def _counts_of(self, order: Ids) -> list[int]:
        """Pairs in order -> rows of each batch."""
        source, target = self._sizes
        budget = self.batch_size * self.seq_length
        longest, counts, count = (0, 0), [], 0
        for one, other in zip(source[order].tolist(), target[order].tolist(), strict=True):
            wider = max(longest[0], one), max(longest[1], other)
            if count and (count + 1) * sum(wider) > budget:
                # What is over a multiple begins the next batch.
                kept = count - count % MULTIPLE if count > MULTIPLE else count
                counts.append(kept)
                count -= kept
                wider = one, other
            longest, count = wider, count + 1
        return [*counts, count]

    @property
    def _counts(self) -> list[int]:
        return self._cut[1]

    def _order(self, epoch: int) -> tuple[Ids, Ids]:
        """The pairs of an epoch, sorted by about their length, and the order of its batches."""
        if epoch not in self._orders:
            random = np.random.default_rng((epoch, 0x70616972))
            noise = 1 + NOISE * (random.random(len(self._sizes[0])) - 0.5)
            pairs = self._sorted(self._cut[0], noise)
            self._orders.clear()  # one epoch at a time
            self._orders[epoch] = (pairs, random.permutation(len(self._counts)))
        return self._orders[epoch]

    @cached_property
    def _orders(self) -> dict[int, tuple[Ids, Ids]]:
        return {}

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self._counts)])

    def __getitem__(self, step: int) -> tuple[Ids, Ids, Ids, Ids]:
        """Step -> sources (B, S), their lengths (B,), inputs and targets of the decoder (B, T)."""
        epoch, place = divmod(step, len(self._counts))
        pairs, batches = self._order(epoch)
        batch = int(batches[place])
        chosen = pairs[self._begins[batch] : self._begins[batch + 1]].tolist()
        sources = [self.sources[row] for row in chosen]
        targets = [self.targets[row] for row in chosen]
        if self.copy_id >= 0:
            random = np.random.default_rng((step, 0x636F7079))
            for row in np.flatnonzero(random.random(len(chosen)) < COPIED).tolist():
                copy_token(sources[row], targets[row], self.copy_id, self.end_id, random)
        arrays = arranged(sources, targets, self.end_id)
        # A process of many may have none of a few rows; it reads the last one again.
        count = len(chosen)
        begin = min(self.rank * count // self.world_size, count - 1)
        end = max(begin + 1, (self.rank + 1) * count // self.world_size)
        return tuple(array[begin:end] for array in arrays)  # type: ignore[return-value]


def copy_token(
    source: Ids, target: Ids, copy_id: int, end_id: int, random: np.random.Generator
) -> None:
    """Read one token that both sides have as COPY, in place: how to copy is learned from it."""
    both = np.setdiff1d(np.intersect1d(source, target), [end_id, copy_id])
    if len(both):
        token = both[random.integers(len(both))]
        source[source == token] = copy_id
        target[target == token] = copy_id


def arranged(
    sources: Sequence[Ids], targets: Sequence[Ids], end_id: int
) -> tuple[Ids, Ids, Ids, Ids]:
    """Rows of sources and targets -> the arrays of a step, as `network.loss` takes them."""
    wanted = padded(targets, PADDING)
    inputs = np.concatenate([np.full((len(targets), 1), end_id), wanted[:, :-1]], axis=1)
    lengths = np.array([len(row) for row in sources], np.int64)
    return padded(sources, 0), lengths, np.where(inputs == PADDING, end_id, inputs), wanted
