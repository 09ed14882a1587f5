"""A token array -> the inputs and targets of step k. It knows no model.

The array is read as a circular tape by `batch_size` readers set equal distances apart. A reader
moves on by one window per step and never jumps except where the tape's end meets its beginning, so
every token is read once per epoch, every window is whole, and the hidden state carried from step
to step always belongs to the text just before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError


@dataclass(frozen=True)
class Batches:
    """Stateful truncated back-propagation through time over a token array of shape (N,).

    `batch_size` counts the rows of all ranks together; rank r of W owns rows r*B/W to (r+1)*B/W,
    so the text a row reads does not depend on how many processes share the work.
    """

    tokens: NDArray[np.unsignedinteger]
    batch_size: int
    seq_length: int
    rank: int = 0
    world_size: int = 1

    @property
    def steps_per_epoch(self) -> float:
        """Steps until every token was read once; not whole in general."""
        return len(self.tokens) / (self.batch_size * self.seq_length)

    @property
    def rows(self) -> range:
        """The rows of the global batch that this rank reads."""
        count = share(self.batch_size, self.world_size)
        return range(self.rank * count, (self.rank + 1) * count)

    def __getitem__(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Inputs and targets (B/W, T) of a step: targets are the inputs one token later."""
        size, read = len(self.tokens), step * self.seq_length
        begins = [(row * size // self.batch_size + read) % size for row in self.rows]
        positions = np.array(begins)[:, None] + np.arange(self.seq_length + 1)[None, :]
        windows = self.tokens[positions % size].astype(np.int64)  # (B/W, T + 1)
        return windows[:, :-1], windows[:, 1:]


def share(batch_size: int, world_size: int) -> int:
    """The rows of one rank; UsageError when the ranks cannot all have as many."""
    if batch_size % world_size:
        raise UsageError(
            f"--batch-size {batch_size} cannot be shared by {world_size} processes",
            "make one a multiple of the other",
        )
    return batch_size // world_size


def steps_for(epochs: float, tokens: int, per_step: int, most: int) -> int:
    """The steps, at least 1, that read N tokens `epochs` times; UsageError beyond `most`."""
    steps = max(1, round(epochs * tokens / per_step))
    if steps > most:
        fewer = 0.999 * most * per_step / tokens
        raise UsageError(
            f"--epochs {epochs:g} takes {steps:,} steps of {per_step:,} tokens, and {most:,} is "
            "the most",
            f"give --epochs {fewer:.4g} or less",
        )
    return steps
