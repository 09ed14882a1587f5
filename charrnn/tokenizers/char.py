"""One id for each frequent character, and half-bytes that encode the others."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizers.base import (
    NEWLINE,
    Ids,
    Tokenizer,
    count,
    damaged,
    id_type,
    rarest,
    to_bytes,
)

MOST_CHARACTERS = 8_000
"""Most characters with an id where none is asked for: Chinese has some 6,000 in use."""


HOW_TO_ENCODE = """
TEXT TO IDS. Id 16 + i is the i-th character of `characters` in charrnn.tokenizer. Any other
character is encoded by its UTF-8, each byte as two ids: its high half (0 to 15) and its low half.
In `bytes` these 16 ids have one digit each, of which two in a row are a byte; a first one that no
second one follows is the byte ff.
"""
"""For a program that has nothing but an exported file."""


class CharTokenizer(Tokenizer):
    r"""One id for each character that is frequent enough; others are encoded as UTF-8 bytes.

    A byte is encoded as two of 16 half-byte ids, which come first: any text can be encoded at the
    price of 16 ids instead of 256. A small vocabulary makes small models fast.

    >>> tokenizer = CharTokenizer.train(["abc\n"])
    >>> tokenizer.encode("cab").tolist()
    [19, 17, 18]
    >>> tokenizer.decode(tokenizer.encode("ac/dc é"))
    'ac/dc é'
    """

    name = "char"
    how_to_encode = HOW_TO_ENCODE
    half_bytes = 16

    def __init__(self, characters: str, spells: bool) -> None:
        """spells: whether the training text contains characters outside the vocabulary.

        The name is that of the entry in the checkpoint.
        """
        self.characters = characters
        self.spells = spells
        self.vocab_size = self.half_bytes + len(characters)
        self.newline_id = self.half_bytes + characters.index(NEWLINE)
        # If the training text has no half-bytes, the model has not learned where they occur.
        self.unsampled = [] if spells else list(range(self.half_bytes))

    @property
    def parts(self) -> range:
        """The half-bytes."""
        return range(self.half_bytes)

    @classmethod
    def train(cls, texts: Iterable[str], min_count: int | None = None, **_: Any) -> "CharTokenizer":
        """Blocks of text -> the characters with at least `min_count` occurrences, and newline.

        None chooses it, as in `rarest`, and says so in the notes.
        """
        counts = _counts(texts)
        # A newline has an id even in a text without one: it ends documents and begins texts.
        least = min_count or _least(counts[counts > 0])
        kept = _at_least(counts, least) | {ord(NEWLINE)}
        occurring = set(np.flatnonzero(counts).tolist())
        # Sorted, so that equal sets of characters give equal ids.
        tokenizer = cls("".join(map(chr, sorted(kept))), spells=bool(occurring - kept))
        if min_count is None and least > 1:
            tokenizer.notes = (_note(len(occurring), len(occurring - kept), least),)
        elif len(kept) > MOST_CHARACTERS:
            tokenizer.notes = (
                f"{len(kept):,} characters have a token each, which makes every step slow; for so "
                "many --tokenizer subword or byte is meant",
            )
        return tokenizer

    def extended(self, texts: Iterable[str], min_count: int | None = None) -> "CharTokenizer":
        r"""Blocks of another text -> the same, with its characters of `min_count` occurrences.

        >>> CharTokenizer.train(["abc"]).extended(["bad"]).characters
        '\nabcd'
        """
        counts = _counts(texts)
        known = set(map(ord, self.characters))
        least = min_count or (_least(counts[counts > 0]) if counts.any() else 1)
        added, occurring = _at_least(counts, least) - known, set(np.flatnonzero(counts).tolist())
        rest = occurring - known - added
        new = type(self)(self.characters + "".join(map(chr, sorted(added))), spells=bool(rest))
        notes = [f"{count(len(added), 'character')} added to those of the model"] if added else []
        if rest:
            few = f" occur fewer than {least} times and" if least > 1 else ""
            notes.append(f"{len(rest):,} of its {len(occurring):,} characters{few} are bytes here")
        new.notes = tuple(notes)
        return new

    @cached_property
    def _table(self) -> Ids:
        """Code point -> id; `vocab_size` marks a character that has to be encoded as half-bytes."""
        # The marker is one more value than there are ids, so it may need the next larger type.
        table = np.full(0x110000, self.vocab_size, id_type(self.vocab_size + 1))
        table[code_points(self.characters)] = np.arange(self.half_bytes, self.vocab_size)
        return table

    def encode(self, text: str) -> Ids:
        """Text -> one id per known character, and 2 ids per byte of any other character."""
        points = code_points(text)
        # One look-up for the whole text.
        found = self._table[points]
        ids = found.astype(id_type(self.vocab_size), copy=False)
        is_unknown = found == self.vocab_size
        if not is_unknown.any():
            return ids
        unknown = points[is_unknown]
        written = to_bytes(unknown.tobytes().decode("utf-32-le", "surrogatepass"))
        raw = np.frombuffer(written, np.uint8)
        # A surrogate is one undecodable byte; else the code point decides the length.
        lengths = 1 + np.sum(unknown[:, None] >= np.array([0x80, 0x800, 0x10000]), 1)
        lengths[(unknown >= 0xD800) & (unknown < 0xE000)] = 1
        sizes = np.ones(len(ids), np.int64)
        sizes[is_unknown] = 2 * lengths
        # The parts of unknown characters are in the order of the text, and fill what is left free.
        encoded = np.empty(int(sizes.sum()), id_type(self.vocab_size))
        is_part = np.repeat(is_unknown, sizes)
        encoded[~is_part] = ids[~is_unknown]
        # (bytes, 2) high and low half of each byte -> (2 * bytes,).
        encoded[is_part] = np.stack([raw >> 4, raw & 15], 1).ravel()
        return encoded

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> a character's bytes; of two half-bytes the second one brings the byte."""
        high: int | None = None

        def to_bytes_of(i: int) -> bytes:
            nonlocal high
            first, high = high, None
            if i >= self.half_bytes:
                # A half-byte without its second one is shown as a broken character, not dropped.
                return (b"" if first is None else b"\xff") + self._encoded[i - self.half_bytes]
            if first is None:
                high = i
                return b""
            return bytes((16 * first + i,))

        return to_bytes_of

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [character.encode() for character in self.characters]

    def to_json(self) -> dict[str, Any]:
        """Name, the characters in the order of their ids, and whether others occurred."""
        own = {"name": self.name, "characters": self.characters, "spells": self.spells}
        return own | self.floor_json()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CharTokenizer":
        """The inverse of `to_json`."""
        characters, spells = data.get("characters"), data.get("spells")
        if not isinstance(characters, str) or NEWLINE not in characters:
            raise damaged("its characters are missing")
        # A surrogate could not be encoded in UTF-8 when its id is decoded.
        has_surrogate = any(0xD800 <= ord(c) < 0xE000 for c in characters)
        is_distinct = len(set(characters)) == len(characters)
        if has_surrogate or not is_distinct or not isinstance(spells, bool):
            raise damaged("its characters are not distinct characters")
        return cls(characters, spells)


def _counts(texts: Iterable[str]) -> NDArray[np.int64]:
    """Blocks of text -> the occurrences of each code point of Unicode."""
    # All of them, so that numpy counts a block at once.
    counts = np.zeros(0x110000, np.int64)
    for text in texts:
        found = np.bincount(code_points(text))
        counts[: len(found)] += found
    return counts


def _at_least(counts: NDArray[np.int64], least: int) -> set[int]:
    """Counts by code point -> the characters with at least so many."""
    # Lone surrogates represent undecodable bytes; UTF-8 has no encoding for them.
    return set(np.flatnonzero(counts >= least).tolist()) - set(range(0xD800, 0xE000))


def _least(counts: NDArray[np.int64]) -> int:
    """Counts of the characters of a text -> a minimum count that suits it."""
    least = rarest(counts, MOST_CHARACTERS)
    # If most of the text is of other characters, ids for a few are no help: a vocabulary of
    # half-bytes alone is small, and its model fast.
    is_little = 2 * int(counts[counts >= least].sum()) < int(counts.sum())
    return int(counts.max()) + 1 if least > 2 and is_little else least


def _note(different: int, rare: int, least: int) -> str:
    """What the user should know of a minimum count that was chosen for a text."""
    note = (
        f"{rare:,} of {different:,} characters occur fewer than {least} times and are encoded "
        "as bytes; --min-count 1 gives each its own token"
    )
    if different > MOST_CHARACTERS:
        note += "; for so many characters --tokenizer subword or byte is meant, not char"
    return note


def code_points(text: str) -> NDArray[np.uint32]:
    """Text -> the Unicode code point of each character (N,).

    >>> code_points("aé€").tolist()
    [97, 233, 8364]
    """
    # UTF-32 is the code points themselves, which numpy can view as an array without copying. The
    # byte order is given: without it, the encoding would begin with a byte order mark.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
