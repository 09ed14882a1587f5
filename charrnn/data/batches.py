"""A token array -> the inputs and targets of step k.

The array is read as a circular tape by `batch_size` readers at equal distances. Each reader moves
on by one window per step and never jumps, except where the end of the tape meets its beginning. So
every token is read once per epoch, every window is complete, and the hidden state that is carried
from step to step always belongs to the text just before.
"""

from dataclasses import dataclass

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
