"""A tokenizer with one more id, which ends documents of more than a line."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizers.base import Ids, Tokenizer, id_type

END = "\ufdd0"
"""The end of a document inside a text.

A noncharacter, which Unicode reserves for internal use (23.7): no text to learn from has it.
"""


class DocumentTokenizer(Tokenizer):
    """Any tokenizer, and after its ids one that represents END.

    >>> from charrnn.tokenizers.byte import ByteTokenizer
    >>> DocumentTokenizer(ByteTokenizer()).encode("hi" + END).tolist()
    [104, 105, 256]
    """

    def __init__(self, inner: Tokenizer) -> None:
        self.inner = inner
        self.name = inner.name
        self.end_id = inner.vocab_size
        self.vocab_size = inner.vocab_size + 1
        self.newline_id = inner.newline_id
        # Every document ends, so the end itself is always sampled.
        self.unsampled = list(inner.unsampled)
        self.notes, self.unknown_id = inner.notes, inner.unknown_id
        self.how_to_encode = inner.how_to_encode

    def __getattr__(self, name: str) -> Any:
        # What this class does not define is that of the inner tokenizer. `inner` itself is missing
        # while a copy is being made, and must not be looked up in itself.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def start_id(self) -> int:
        """The end: a document begins where another has ended."""
        return self.end_id

    @property
    def parts(self) -> Sequence[int]:
        """Those of the inner tokenizer."""
        return self.inner.parts

    @property
    def never_sampled(self) -> Sequence[int]:
        """Those of the inner tokenizer."""
        return self.inner.never_sampled

    def extended(self, texts: Iterable[str], min_count: int | None = None) -> "DocumentTokenizer":
        """The inner tokenizer extended, and after it the end, whose id moves."""
        return DocumentTokenizer(self.inner.extended(texts, min_count))

    def encode(self, text: str) -> Ids:
        """Text -> ids; each END is one id."""
        return self.spell_unknown(text)[0] if END in text else self._own(self.inner.encode(text))

    def spell_unknown(self, text: str) -> tuple[Ids, list[str]]:
        """As the inner tokenizer does between the ends."""
        parts: list[Ids] = []
        unknown: list[str] = []
        for number, document in enumerate(text.split(END)):
            parts += [self._own(np.array([self.end_id]))] * (number > 0)
            # Nothing between two ends, or after the last one.
            if document:
                ids, found = self.inner.spell_unknown(document)
                parts.append(self._own(ids))
                unknown += found
        return np.concatenate(parts) if parts else self._own(np.zeros(0)), unknown

    def _own(self, ids: NDArray[Any]) -> Ids:
        return ids.astype(id_type(self.vocab_size), copy=False)

    def unknown_nats(self, tokens: Iterable[str]) -> list[float]:
        """Those of the inner tokenizer."""
        return self.inner.unknown_nats(tokens)

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> its bytes; the end is END in UTF-8."""
        inner, newline = self.inner.byte_decoder(), self.newline_id
        # The newline's bytes come after what half a byte before it becomes.
        return lambda i: inner(newline)[:-1] + END.encode() if i == self.end_id else inner(i)

    def encoding_json(self) -> dict[str, Any]:
        """That of the inner tokenizer; the end has entries of its own."""
        return self.inner.encoding_json()

    def to_json(self) -> dict[str, Any]:
        """That of the inner tokenizer, and that there is an end."""
        return self.inner.to_json() | {"documents": True} | self.floor_json()
