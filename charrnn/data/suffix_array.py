"""A suffix array over a text: which parts of another text occur in it, and where.

The array is built once and read through a memory map. A search compares UTF-8 bytes; spans of the
searched text are counted in characters.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import remark

MAX_BYTES = 2**31 - 1
"""Bytes of the largest text that can be indexed: positions are 32-bit integers."""

MAX_SPAN = 10_000
"""A span of more characters than this may be reported in several overlapping pieces."""


@dataclass(frozen=True)
class Span:
    """`length` characters of a text, from `begin`, that occur in the corpus at byte `source`."""

    begin: int
    source: int
    length: int


class SuffixArray:
    """A text as bytes, and the start positions of its suffixes in lexicographic order.

    >>> text = b"banana"
    >>> order = np.array(sorted(range(6), key=lambda i: text[i:]), np.int32)
    >>> index = SuffixArray(text, order)
    >>> index.find(b"nan"), index.find(b"x")
    (2, -1)
    """

    def __init__(self, text: bytes | memoryview, suffixes: NDArray[np.int32]) -> None:
        self.text = text
        self.suffixes = suffixes

    def find(self, part: bytes) -> int:
        """Bytes -> a position where they occur, or -1."""
        low, high = self.interval(part)
        return int(self.suffixes[low]) if low < high else -1

    def interval(self, part: bytes, low: int = 0, high: int | None = None) -> tuple[int, int]:
        """Bytes -> the range of suffixes, by rank, that start with them."""
        end = len(self.suffixes) if high is None else high
        # Suffixes with a common prefix are neighbours in the order, so two binary searches find
        # them all: O(M log N) for M bytes in a text of N.
        first = self._bisect(part, low, end, before=True)
        return first, self._bisect(part, first, end, before=False)

    def _bisect(self, part: bytes, low: int, high: int, before: bool) -> int:
        while low < high:
            middle = (low + high) // 2
            at = int(self.suffixes[middle])
            # Only the compared bytes are copied, so a memory-mapped text stays on disk.
            prefix = bytes(self.text[at : at + len(part)])
            if prefix < part or (not before and prefix == part):
                low = middle + 1
            else:
                high = middle
        return low

    def longest(self, text: bytes) -> tuple[int, int]:
        """Bytes -> length and position of their longest prefix that occurs in the corpus."""
        # If a prefix occurs, so do all shorter ones: the longest can be found by bisection.
        low, high = 0, len(text)
        # Double the bound before bisecting: a copy is much shorter than the rest of the text.
        bound = 64
        while bound < high and self.find(text[:bound]) >= 0:
            low, bound = bound, 2 * bound
        high = min(high, bound)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.find(text[:middle]) >= 0 else (low, middle - 1)
        return low, self.find(text[:low]) if low else -1

    def spans(self, text: str, shortest: int) -> list[Span]:
        """Text -> its longest copied spans of at least `shortest` characters, left to right.

        A span inside another one is left out; of two that overlap, both are reported.

        >>> text = b"the cat sat"
        >>> order = np.array(sorted(range(len(text)), key=lambda i: text[i:]), np.int32)
        >>> SuffixArray(text, order).spans("a cat sits", shortest=4)
        [Span(begin=1, source=3, length=6)]
        """
        found: list[Span] = []
        begin = reached = 0
        # The text is encoded again at each copied position; without a limit, a long copy would
        # cost the square of its length.
        most = max(MAX_SPAN, 2 * shortest)
        while begin + shortest <= len(text):
            # Only a span that extends beyond the last one is reported.
            end = max(begin + shortest, reached + 1)
            if end > len(text) or self.find(text[begin:end].encode()) < 0:
                begin += 1
                continue
            # UTF-8 is self-synchronizing: bytes that begin with a whole character can occur only
            # where a character begins.
            part = text[begin : begin + most].encode()
            length, source = self.longest(part)
            # The longest match in bytes may end within a character, which is then not copied.
            characters = len(part[:length].decode(errors="ignore"))
            found.append(Span(begin, source, characters))
            reached = begin + characters
            # A span cut at MAX_SPAN continues in one that overlaps it.
            begin = max(begin, reached - shortest) + 1 if characters == most else begin + 1
        return found

    def line(self, position: int) -> int:
        """Byte position -> number of its line, from 1."""
        return 1 + bytes(self.text[:position]).count(b"\n")


def open_suffix_array(text_path: Path, array_path: Path) -> SuffixArray | None:
    """The index as it lies on disk, memory-mapped; None if it is missing or truncated."""
    try:
        suffixes = np.load(array_path, mmap_mode="r")
        mapped = np.memmap(text_path, np.uint8, "r")
    except (OSError, ValueError, EOFError):
        return None
    # A build that was interrupted may leave a text and an array of different lengths.
    return SuffixArray(mapped.data, suffixes) if len(mapped) == len(suffixes) else None


def index_text(text: bytes) -> SuffixArray:
    """Text -> its index, in memory alone."""
    from pydivsufsort import divsufsort

    # A copy, because divsufsort refuses read-only arrays, as those of bytes are.
    return SuffixArray(text, divsufsort(np.frombuffer(text, np.uint8).copy()).astype(np.int32))


def build_suffix_array(text: bytes, text_path: Path, array_path: Path) -> SuffixArray:
    """Text -> its index, which is kept in both files if they can be written."""
    index = index_text(text)
    try:
        text_path.write_bytes(text)
        # The array is renamed into place last: if it is there, the text is there too.
        unfinished = array_path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            np.save(file, index.suffixes)
        unfinished.replace(array_path)
    except OSError as error:
        # A folder that is read-only or full costs the next command the time, and this one nothing.
        with contextlib.suppress(OSError):
            array_path.with_suffix(".tmp").unlink()
        remark(f"the index of the training text was not kept ({error.strerror})")
        return index
    # Opened again, so that text and array are mapped and their copies in memory can be freed.
    return open_suffix_array(text_path, array_path) or index
