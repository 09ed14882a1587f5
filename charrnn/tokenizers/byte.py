"""One id for each byte."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from charrnn.tokenizers.base import Ids, Tokenizer, read_ids, to_bytes

HOW_TO_ENCODE = """
TEXT TO IDS. The ids are the bytes of the text in UTF-8.
"""
"""For a program that has nothing but an exported file."""


class ByteTokenizer(Tokenizer):
    """One id for each of the 256 bytes of UTF-8; reads any file, text or not.

    >>> ByteTokenizer().encode("né").tolist()
    [110, 195, 169]
    """

    name = "byte"
    how_to_encode = HOW_TO_ENCODE
    vocab_size = 256
    newline_id = 10  # the byte of a newline in ASCII, and so in UTF-8

    def __init__(self, unsampled: Iterable[int] = ()) -> None:
        self.unsampled = sorted(unsampled)

    @classmethod
    def train(cls, texts: Iterable[str], **_: Any) -> "ByteTokenizer":
        """Blocks of text -> the tokenizer; all it learns is which bytes occur."""
        seen = np.zeros(256, bool)
        for text in texts:
            # frombuffer reads the bytes in place, so a block is not copied.
            seen[np.frombuffer(to_bytes(text), np.uint8)] = True
        return cls(np.flatnonzero(~seen).tolist())

    @property
    def parts(self) -> range:
        """Bytes of characters beyond ASCII."""
        return range(128, 256)

    def encode(self, text: str) -> Ids:
        """Text -> its bytes in UTF-8."""
        return np.frombuffer(to_bytes(text), np.uint8)

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> its byte."""
        # A table of all bytes: decoding an id is one look-up.
        return [bytes((i,)) for i in range(256)].__getitem__

    def to_json(self) -> dict[str, Any]:
        """Name and the bytes that do not occur."""
        return {"name": self.name, "unsampled": self.unsampled} | self.floor_json()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ByteTokenizer":
        """The inverse of `to_json`."""
        return cls(read_ids(data, "unsampled", cls.vocab_size))
