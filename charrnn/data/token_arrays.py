"""Token arrays on disk: written block by block, shuffled by line, read through memory maps."""

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
    """One part of a corpus: a token array (N,) on disk, and the characters it encodes."""

    path: Path
    tokens: int
    characters: int

    def load(self) -> NDArray[np.unsignedinteger]:
        """The tokens, memory-mapped."""
        # It refuses arrays of Python objects, so reading an untrusted file runs no pickled code.
        return np.lib.format.open_memmap(self.path, mode="r")

    def is_intact(self, vocab_size: int) -> bool:
        """Whether the file holds all tokens, and only ids below `vocab_size`."""
        # The numbers come from a JSON file, where they may be anything.
        if type(self.tokens) is not int or type(self.characters) is not int:
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


def shuffle_lines(path: Path, newline_id: int) -> None:
    """Put the lines of a token array into a random order, the same one every time.

    A sorted list trains badly: neighbouring streams would read similar lines.
    """
    tokens = np.lib.format.open_memmap(path, mode="r")
    # Two arrays with an entry for each line are in memory; four bytes are enough for most texts.
    small = np.uint32 if len(tokens) < 2**32 else np.uint64
    ends = np.concatenate(
        [
            (np.flatnonzero(tokens[begin : begin + CHUNK] == newline_id) + begin + 1).astype(small)
            for begin in range(0, len(tokens), CHUNK)
        ]
    )
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
