"""One id for each character, and half-bytes to spell the others."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizer.base import NEWLINE, Ids, Tokenizer, damaged, id_type, to_bytes


class CharTokenizer(Tokenizer):
    """One id for each character seen often enough; any other is spelled in its UTF-8 bytes.

    A byte is spelled as two of 16 half-byte ids, which come first: so any text can be encoded at
    the price of 16 ids and not 256, and a small vocabulary is what makes small models fast.
    """

    name = "char"
    spelling = 16

    def __init__(self, characters: str, spells: bool) -> None:
        """`spells` says that the training text held characters outside the vocabulary."""
        self.characters = characters
        self.spells = spells
        self.vocab_size = self.spelling + len(characters)
        self.newline_id = self.spelling + characters.index(NEWLINE)
        self.unsampled = [] if spells else list(range(self.spelling))

    @classmethod
    def train(cls, texts: Iterable[str], min_count: int = 1, **_: Any) -> "CharTokenizer":
        """Keep the characters that occur at least `min_count` times, and the newline."""
        counts = np.zeros(0x110000, np.int64)
        for text in texts:
            found = np.bincount(code_points(text))
            counts[: len(found)] += found
        kept = set(np.flatnonzero(counts >= min_count).tolist()) | {ord(NEWLINE)}
        # Lone surrogates, which stand for undecodable bytes, are always spelled.
        kept -= set(range(0xD800, 0xE000))
        spelled = np.flatnonzero(counts)
        return cls("".join(map(chr, sorted(kept))), spells=bool(set(spelled.tolist()) - kept))

    @cached_property
    def _table(self) -> Ids:
        """Code point -> id; `vocab_size` stands for a character that has to be spelled."""
        table = np.full(0x110000, self.vocab_size, id_type(self.vocab_size + 1))
        table[code_points(self.characters)] = np.arange(self.spelling, self.vocab_size)
        return table

    def encode(self, text: str) -> Ids:
        """One id a character; a character outside the vocabulary becomes 2 ids for each byte."""
        points = code_points(text)
        found = self._table[points]
        ids = found.astype(id_type(self.vocab_size), copy=False)
        odd = np.flatnonzero(found == self.vocab_size)
        if not len(odd):
            return ids
        pieces: list[Ids] = []
        begin = 0
        for index in odd.tolist():
            raw = np.frombuffer(to_bytes(chr(points[index])), np.uint8)
            pieces += [ids[begin:index], np.stack([raw >> 4, raw & 15], 1).ravel()]
            begin = index + 1
        return np.concatenate([*pieces, ids[begin:]]).astype(ids.dtype)

    def spell(self) -> Callable[[int], bytes]:
        """A character for each id; of two half-bytes the second brings the byte."""
        high: int | None = None

        def spell(i: int) -> bytes:
            nonlocal high
            first, high = high, None
            if i >= self.spelling:
                # A half-byte left alone is shown as a broken character, not lost.
                return (b"" if first is None else b"\xff") + self._encoded[i - self.spelling]
            if first is None:
                high = i
                return b""
            return bytes((16 * first + i,))

        return spell

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [character.encode() for character in self.characters]

    def to_json(self) -> dict[str, Any]:
        """Name, the characters in the order of their ids, and whether any was spelled."""
        return {"name": self.name, "characters": self.characters, "spells": self.spells}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CharTokenizer":
        """The inverse of `to_json`."""
        characters, spells = data.get("characters"), data.get("spells")
        if not isinstance(characters, str) or NEWLINE not in characters:
            raise damaged("its characters are missing")
        surrogate = any(0xD800 <= ord(c) < 0xE000 for c in characters)
        if surrogate or len(set(characters)) < len(characters) or not isinstance(spells, bool):
            raise damaged("its characters are not distinct characters")
        return cls(characters, spells)


def code_points(text: str) -> NDArray[np.uint32]:
    """The Unicode code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
