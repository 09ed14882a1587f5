"""How much of a text stands in the corpus: a suffix array over the corpus, and what it answers.

The array is built once for each run and read through a memory map. A search compares bytes of
UTF-8; what is told of a text is in characters.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charrnn.constraints import Follower
from charrnn.corpus import Corpus
from charrnn.errors import CorpusError, StorageError
from charrnn.sampling.base import OUT, Context, Logits
from charrnn.tokenizer import Tokenizer

LARGEST = 2**31 - 1
"""Bytes of the largest corpus that is indexed: positions are 32-bit numbers."""


LONGEST = 10_000
"""Characters of the longest span that is told in one piece, at least."""


@dataclass(frozen=True)
class Span:
    """A part of a text that stands in the corpus, and the byte of the corpus where it does."""

    begin: int
    source: int
    length: int


class Index:
    """A corpus as bytes, and its suffixes in order."""

    def __init__(self, text: bytes | memoryview, suffixes: NDArray[np.int32]) -> None:
        self.text = text
        self._suffixes = suffixes

    def find(self, part: bytes) -> int:
        """A position of these bytes in the corpus, or -1."""
        low, high = self.interval(part)
        return int(self._suffixes[low]) if low < high else -1

    def interval(self, part: bytes, low: int = 0, high: int | None = None) -> tuple[int, int]:
        """The range of suffixes, by rank, that begin with these bytes."""
        end = len(self._suffixes) if high is None else high
        first = self._bisect(part, low, end, before=True)
        return first, self._bisect(part, first, end, before=False)

    def _bisect(self, part: bytes, low: int, high: int, before: bool) -> int:
        while low < high:
            middle = (low + high) // 2
            at = int(self._suffixes[middle])
            begins = bytes(self.text[at : at + len(part)])
            if begins < part or (not before and begins == part):
                low = middle + 1
            else:
                high = middle
        return low

    def longest(self, text: bytes) -> tuple[int, int]:
        """Length and corpus position of the longest beginning of `text` that the corpus holds."""
        low, high = 0, len(text)
        # Doubling first: a copy is much shorter than what is left of the text.
        reach = 64
        while reach < high and self.find(text[:reach]) >= 0:
            low, reach = reach, 2 * reach
        high = min(high, reach)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.find(text[:middle]) >= 0 else (low, middle - 1)
        return low, self.find(text[:low]) if low else -1

    def spans(self, text: str, shortest: int) -> list[Span]:
        """The longest copied parts of a text of at least `shortest` characters, left to right.

        A part that lies within another is left out; two that overlap are both told.
        """
        found: list[Span] = []
        begin = reached = 0
        most = max(LONGEST, 2 * shortest)
        while begin + shortest <= len(text):
            # Only what goes on beyond the last span is news.
            end = max(begin + shortest, reached + 1)
            if end > len(text) or self.find(text[begin:end].encode()) < 0:
                begin += 1
                continue
            part = text[begin : begin + most].encode()
            length, source = self.longest(part)
            characters = len(part[:length].decode(errors="ignore"))
            found.append(Span(begin, source, characters))
            reached = begin + characters
            # What was cut short goes on in a span that overlaps with it.
            begin = max(begin, reached - shortest) + 1 if characters == most else begin + 1
        return found

    def line(self, position: int) -> int:
        """The number, from 1, of the line in the training part that holds a position."""
        return 1 + bytes(self.text[:position]).count(b"\n")


def copied_share(spans: list[Span], characters: int) -> float:
    """The share of a text's characters that lie in copied spans."""
    copied, reached = 0, 0
    for span in spans:
        end = span.begin + span.length
        copied += max(0, end - max(reached, span.begin))
        reached = max(reached, end)
    return copied / characters if characters else 0.0


class NoCopy:
    """Rules out tokens that would make more than `limit` characters in a row a copy."""

    def __init__(self, index: Index, limit: int, tokenizer: Tokenizer) -> None:
        self._index, self._limit = index, limit
        self._follower = Follower(tokenizer)
        pieces = self._follower.pieces
        # A broken character may come before a piece.
        self._longest = 1 + max(map(len, pieces))
        self._always = {token for token, piece in enumerate(pieces) if self._stands(piece)}

    def _stands(self, piece: str) -> bool:
        """Whether a piece by itself holds more than `limit` characters of the corpus in a row."""
        size = self._limit + 1
        windows = (piece[i : i + size] for i in range(len(piece) - self._limit))
        return any(self._index.find(window.encode()) >= 0 for window in windows)

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter; where every token would copy, the row is left as it is."""
        left = logits.copy()
        for place, text in enumerate(self._follower.follow(context)):
            alive = np.flatnonzero(np.isfinite(logits[place])).tolist()
            copied = self._copied(context.rows[place], text, alive)
            if len(copied) < len(alive):
                left[place, copied] = OUT
        return left

    def _copied(self, row: int, text: str, tokens: list[int]) -> list[int]:
        """The tokens after which the last limit + 1 characters would stand in the corpus."""
        # A piece copies at its k-th character only if the limit + 1 - k before it do.
        tails = {
            k: text[len(text) - (self._limit + 1 - k) :]
            for k in range(1, min(self._longest, self._limit) + 1)
            if len(text) >= self._limit + 1 - k
        }
        risky = {k: tail for k, tail in tails.items() if self._index.find(tail.encode()) >= 0}
        adds = self._follower.adds
        return [
            token
            for token in tokens
            if token in self._always or self._copies(adds(row, token), risky)
        ]

    def _copies(self, piece: str, risky: dict[int, str]) -> bool:
        return any(
            len(piece) >= k and self._index.find((tail + piece[:k]).encode()) >= 0
            for k, tail in risky.items()
        )


def open_index(corpus: Corpus, folder: Path) -> Index:
    """The index over a run's training part, built into its corpus folder where it is not whole.

    CorpusError when the corpus is too large for it.
    """
    text_path, array_path = folder / "train.txt", folder / "suffixes.npy"
    index = _reopen(text_path, array_path)
    if index is None:
        tokens = corpus.splits["train"].load()
        text = corpus.tokenizer.decode(tokens.tolist()).encode()
        if len(text) > LARGEST:
            raise CorpusError(
                f"the corpus has {len(text):,} bytes and at most {LARGEST:,} can be searched",
                "leave --no-copy out",
            )
        _build(text, text_path, array_path)
        index = _reopen(text_path, array_path)
        assert index is not None
    return index


def _reopen(text_path: Path, array_path: Path) -> Index | None:
    """The index as it lies on disk, or None where it is not there or cut short."""
    try:
        suffixes = np.load(array_path, mmap_mode="r")
        mapped = np.memmap(text_path, np.uint8, "r")
    except (OSError, ValueError, EOFError):
        return None
    return Index(mapped.data, suffixes) if len(mapped) == len(suffixes) else None


def _build(text: bytes, text_path: Path, array_path: Path) -> None:
    """Write the text and its suffixes in order; the array last, since it stands for both."""
    from pydivsufsort import divsufsort

    suffixes = divsufsort(np.frombuffer(text, np.uint8).copy()).astype(np.int32)
    try:
        text_path.write_bytes(text)
        unfinished = array_path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            np.save(file, suffixes)
        unfinished.replace(array_path)
    except OSError as error:
        raise StorageError(
            f"cannot write {array_path}: {error.strerror}", "free some space"
        ) from None
