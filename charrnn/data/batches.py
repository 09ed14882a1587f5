"""A token array -> the inputs and targets of step k.

The array is read as a circular tape by `batch_size` readers at equal distances. Each reader moves
on by one window per step and never jumps, except where the end of the tape meets its beginning. So
every token is read once per epoch, every window is complete, and the hidden state that is carried
from step to step always belongs to the text just before.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError


@dataclass(frozen=True)
class Batches:
    """Truncated back-propagation through time over a token array (N,), with the state carried.

    `batch_size` counts the rows of all processes together; rank r of W reads rows r*B/W to
    (r+1)*B/W, so what a row reads does not depend on the number of processes.

    >>> inputs, targets = Batches(np.arange(12, dtype=np.uint8), batch_size=2, seq_length=3)[0]
    >>> inputs.tolist(), targets.tolist()
    ([[0, 1, 2], [6, 7, 8]], [[1, 2, 3], [7, 8, 9]])
    """

    tokens: NDArray[np.unsignedinteger]
    batch_size: int
    seq_length: int
    rank: int = 0
    world_size: int = 1

    @property
    def steps_per_epoch(self) -> float:
        """Steps until every token was read once; not a whole number in general."""
        return len(self.tokens) / (self.batch_size * self.seq_length)

    @property
    def rows(self) -> range:
        """The rows of the global batch that this rank reads."""
        count = rows_per_rank(self.batch_size, self.world_size)
        return range(self.rank * count, (self.rank + 1) * count)

    def __getitem__(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Step -> inputs and targets (B/W, T); the targets are the inputs one token later."""
        size, read = len(self.tokens), step * self.seq_length
        # A function of the step alone: resuming needs no state of the data. Python's integers do
        # not overflow, however large the step.
        begins = [(row * size // self.batch_size + read) % size for row in self.rows]
        positions = np.array(begins)[:, None] + np.arange(self.seq_length + 1)[None, :]
        # One fancy index for the whole batch: row by row, cutting cost 4% of a small model's step.
        # int64, because torch's embedding and cross-entropy take no unsigned ids.
        windows = self.tokens[positions % size].astype(np.int64)  # (B/W, T + 1)
        # Two views of one array: inputs and targets share all but their first and last token.
        return windows[:, :-1], windows[:, 1:]


@dataclass(frozen=True)
class DocumentBatches(Batches):
    """The same over documents, whose order is another one in each epoch.

    ends: the position after each document (D,), the last one at N. A row reads the same stretch of
    the tape in each epoch, of the tape of that epoch: its documents put into an order that is a
    function of the epoch alone. The network begins each document with a state of zeros; a document
    that a stretch cuts in two goes on in another row.

    >>> ends = np.array([2, 3, 5, 9], dtype=np.uint32)
    >>> batches = DocumentBatches(np.arange(9, dtype=np.uint8), 1, 9, ends=ends)
    >>> [batches[epoch][0].tolist() for epoch in range(2)]
    [[[3, 4, 0, 1, 2, 5, 6, 7, 8]], [[5, 6, 7, 8, 0, 1, 3, 4, 2]]]
    """

    ends: NDArray[np.unsignedinteger] = field(default_factory=lambda: np.zeros(0, np.uint32))
    _tapes: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __getitem__(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Step -> inputs and targets (B/W, T); the targets are the inputs one token later."""
        size, rows = len(self.tokens), np.array(self.rows)
        begins = (rows * size // self.batch_size)[:, None]
        # With more rows than tokens, a row still reads one.
        stretch = np.maximum(1, ((rows + 1) * size // self.batch_size)[:, None] - begins)
        at = step * self.seq_length + np.arange(self.seq_length + 1)[None, :]
        epochs, places = at // stretch, (begins + at % stretch) % size  # (B/W, T + 1)
        windows = np.empty(places.shape, np.int64)
        # Rows may be in two epochs at once, because their stretches differ by a token.
        for epoch in range(int(epochs.min()), int(epochs.max()) + 1):
            here = epochs == epoch
            windows[here] = self.tokens[self._positions(epoch, places[here])]
        return windows[:, :-1], windows[:, 1:]

    def _positions(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places on an epoch's tape -> positions in the token array."""
        begins, shifts = self._tape(epoch)
        return places + shifts[np.searchsorted(begins, places, "right") - 1]

    def _tape(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each document begins on an epoch's tape, and how far it was moved there."""
        if epoch not in self._tapes:
            ends = self.ends.astype(np.int64)
            starts = np.concatenate([[0], ends[:-1]])
            # Seeded by the epoch alone: a resumed run makes the same order again.
            order = np.random.default_rng([0, epoch]).permutation(len(ends))
            lengths = (ends - starts)[order]
            begins = np.cumsum(lengths) - lengths
            # Rows are in two epochs at most, which are a few numbers for each document.
            for old in [known for known in self._tapes if known < epoch - 1]:
                del self._tapes[old]
            self._tapes[epoch] = begins, starts[order] - begins
        return self._tapes[epoch]


def rows_per_rank(batch_size: int, world_size: int) -> int:
    """Rows of each rank. UsageError if the batch cannot be divided evenly.

    >>> rows_per_rank(32, 4)
    8
    """
    if batch_size % world_size:
        raise UsageError(
            f"--batch-size {batch_size} cannot be divided among {world_size} processes",
            "make one a multiple of the other",
        )
    return batch_size // world_size


def steps_for(epochs: float, tokens: int, per_step: int, most: int) -> int:
    """Epochs over N tokens -> steps, at least 1. UsageError if they are more than `most`.

    >>> steps_for(2, tokens=10_000, per_step=512, most=1_000)
    39
    """
    steps = max(1, round(epochs * tokens / per_step))
    if steps > most:
        # A little less than the limit: rounded to four digits, it must still be valid.
        fewer = 0.999 * most * per_step / tokens
        raise UsageError(
            f"--epochs {epochs:g} takes {steps:,} steps of {per_step:,} tokens, and {most:,} is "
            "the most",
            f"give --epochs {fewer:.4g} or less",
        )
    return steps
