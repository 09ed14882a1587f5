"""One id for each byte."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from charrnn.tokenizer.base import Ids, Tokenizer, read_ids, to_bytes


class ByteTokenizer(Tokenizer):
    """One id for each of the 256 bytes of UTF-8; reads any file, text or not."""

    name = "byte"
    vocab_size = 256
    newline_id = 10

    def __init__(self, unsampled: Iterable[int] = ()) -> None:
        self.unsampled = sorted(unsampled)

    @classmethod
    def train(cls, texts: Iterable[str], **_: Any) -> "ByteTokenizer":
        """Note which bytes the text never holds."""
        seen = np.zeros(256, bool)
        for text in texts:
            seen[np.frombuffer(to_bytes(text), np.uint8)] = True
        return cls(np.flatnonzero(~seen).tolist())

    def encode(self, text: str) -> Ids:
        """The bytes of the text in UTF-8."""
        return np.frombuffer(to_bytes(text), np.uint8)

    def spell(self) -> Callable[[int], bytes]:
        """A byte for each id."""
        return [bytes((i,)) for i in range(256)].__getitem__

    def to_json(self) -> dict[str, Any]:
        """Name and the bytes never seen."""
        return {"name": self.name, "unsampled": self.unsampled}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ByteTokenizer":
        """The inverse of `to_json`."""
        return cls(read_ids(data, "unsampled", cls.vocab_size))
