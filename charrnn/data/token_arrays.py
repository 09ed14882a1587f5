"""Token arrays on disk: written block by block, shuffled by line, read through memory maps."""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizers.base import Ids

CHUNK = 1 << 22
"""Tokens read at a time, which bounds the memory for an array of any size."""


@dataclass(frozen=True)
class Split:
    """One part of a corpus: a token array (N,) on disk, and the characters it encodes.

    unknown: tokens that represent a word without an id, whose characters cost unknown_nats.
    """

    path: Path
    tokens: int
    characters: int
    unknown: int = 0
    unknown_nats: float = 0.0

    def to_json(self) -> dict[str, float]:
        """The numbers of corpus.json; those of unknown words are absent where there are none."""
        own = {"tokens": self.tokens, "characters": self.characters}
        unknown = {"unknown": self.unknown, "unknown_nats": self.unknown_nats}
        return own | (unknown if self.unknown else {})

    def load(self) -> NDArray[np.unsignedinteger]:
        """The tokens, memory-mapped."""
        # It refuses arrays of Python objects, so reading an untrusted file runs no pickled code.
        return np.lib.format.open_memmap(self.path, mode="r")

    def is_intact(self, vocab_size: int) -> bool:
        """Whether the file holds all tokens, and only ids below `vocab_size`."""
        # The numbers come from a JSON file, where they may be anything.
        if not all(type(n) is int for n in (self.tokens, self.characters, self.unknown)):
            return False
        if type(self.unknown_nats) is not float or not math.isfinite(self.unknown_nats):
            return False
        tokens = self.load()
        fits = tokens.shape == (self.tokens,) and tokens.dtype.kind == "u"
        # An id beyond the vocabulary would index outside the embedding. `initial` is for no tokens.
        return fits and int(tokens.max(initial=0)) < vocab_size


class TokenWriter(AbstractContextManager["TokenWriter"]):
    """A .npy file of ids that grows; the length in its header is written at the end.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TokenWriter(Path(folder, "train.npy"), np.uint8) as writer:
    ...         writer.append(np.array([1, 2], np.uint8), characters=2)
    ...         writer.append(np.array([3], np.uint8), characters=1)
    ...         split = writer.finish()
    ...     split.load().tolist(), split.characters
    ([1, 2, 3], 3)
    """

    def __init__(self, path: Path, kind: type[np.unsignedinteger]) -> None:
        self.path, self.kind = path, np.dtype(kind)
        self.tokens = self.characters = 0
        self.file = path.open("wb")
        self._write_header()

    def _write_header(self) -> None:
        # numpy pads the header so that a longer length still fits.
        description = {"descr": self.kind.str, "fortran_order": False, "shape": (self.tokens,)}
        file: BinaryIO = self.file
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, description)

    def append(self, ids: Ids, characters: int) -> None:
        """Add the ids of so many characters."""
        # In the type of the header, whatever that of these ids is.
        self.file.write(np.ascontiguousarray(ids, self.kind).tobytes())
        self.tokens += len(ids)
        self.characters += characters

    def finish(self) -> Split:
        """Write the length and close the file."""
        self._write_header()
        self.file.close()
        return Split(self.path, self.tokens, self.characters)

    def __exit__(self, *_: object) -> None:
        self.file.close()


def ends_of(tokens: NDArray[np.unsignedinteger], end_id: int) -> NDArray[np.unsignedinteger]:
    """Tokens (N,) -> the position after each end of a document (D,).

    >>> ends_of(np.array([5, 0, 6, 7, 0]), end_id=0).tolist()
    [2, 5]
    """
    # An entry for each document is in memory; four bytes are enough for most texts.
    small = np.uint32 if len(tokens) < 2**32 else np.uint64
    return np.concatenate(
        [
            (np.flatnonzero(tokens[begin : begin + CHUNK] == end_id) + begin + 1).astype(small)
            for begin in range(0, len(tokens), CHUNK)
        ]
    )


def shuffle_lines(path: Path, newline_id: int) -> None:
    """Put the lines of a token array into a random order, the same one every time.

    A sorted list trains badly: neighbouring streams would read similar lines.
    """
    tokens = np.lib.format.open_memmap(path, mode="r")
    ends = ends_of(tokens, newline_id)
    small = ends.dtype
    # A fixed seed: when the arrays are made again for a resumed run, they must be the same.
    order = iter(np.random.default_rng(0).permutation(len(ends)).astype(small))
    # A file of its own: the map still reads the old one while the new one is written.
    with TokenWriter(path.with_suffix(".tmp"), tokens.dtype.type) as writer:
        while len(lines := np.fromiter(islice(order, CHUNK // 32), np.int64)):
            # For line 0, ends[-1] is read and not used.
            begins = np.where(lines > 0, ends[lines - 1], 0).astype(np.int64)
            lengths = ends[lines].astype(np.int64) - begins
            before = np.cumsum(lengths) - lengths
            # All lines are gathered by one index (tokens,): begin + 0, begin + 1 ... for each line.
            # One arange counts through all lines; a line's own count starts at its `before`.
            positions = np.repeat(begins - before, lengths) + np.arange(int(lengths.sum()))
            # Shuffling does not change the number of characters, which the caller already has.
            writer.append(tokens[positions], 0)
        writer.finish()
    path.with_suffix(".tmp").replace(path)


def evenly_spread(tokens: int, limit: int, pieces: int) -> list[range]:
    """Of so many tokens, `limit` in `pieces` pieces at equal distances -> their positions.

    The first piece is the beginning and the last one the end. A figure of a part of a text is of
    these, because the beginning may be unlike the rest.

    >>> evenly_spread(100, 10, 3)
    [range(0, 4), range(49, 52), range(97, 100)]
    """
    limit = min(limit, tokens)
    pieces = max(1, min(pieces, limit))
    lengths = [limit // pieces + (number < limit % pieces) for number in range(pieces)]
    # Whatever is left out lies between the pieces, so that no two of them overlap.
    skipped, gaps = tokens - limit, max(1, pieces - 1)
    parts, begin = [], 0
    for number, length in enumerate(lengths):
        start = begin + skipped * number // gaps
        parts.append(range(start, start + length))
        begin += length
    return parts
