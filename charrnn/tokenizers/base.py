"""What the tokenizers share: the interface, the smallest id type, whole characters from bytes."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CheckpointError

Ids = NDArray[np.unsignedinteger]

NEWLINE = "\n"


class Tokenizer(ABC):
    """Text <-> `vocab_size` ids from 0, in the smallest unsigned integer type.

    newline_id: the id of a newline. unsampled: ids that do not occur in the training text, which
    sampling leaves out. A subclass also has two class methods: `train(texts, ...)`, which learns a
    tokenizer from blocks of text, and `from_json(data)`.
    """

    name: str
    vocab_size: int
    newline_id: int
    unsampled: list[int]

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Text -> ids (N,)."""

    @abstractmethod
    def byte_decoder(self) -> Callable[[int], bytes]:
        """A function that takes the ids of a text one by one and returns the UTF-8 bytes of each.

        It may keep state between ids, so each text needs its own.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything that `from_json` needs, with the key `name`."""

    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Ids -> whole characters, each as soon as it is complete; joined they equal `decode`.

        >>> from charrnn.tokenizers.byte import ByteTokenizer
        >>> list(ByteTokenizer().stream([195, 169, 33, 195]))
        ['é', '!', '�']
        """
        decoder = Decoder(self)
        yield from filter(None, map(decoder.push, ids))
        if rest := decoder.finish():
            yield rest

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text. Bytes that are not UTF-8 become U+FFFD."""
        return "".join(self.stream(ids))


class Decoder:
    """Ids -> whole characters: a character is held back until its last byte has arrived.

    >>> from charrnn.tokenizers.byte import ByteTokenizer
    >>> decoder = Decoder(ByteTokenizer())
    >>> [decoder.push(i) for i in "é!".encode()]
    ['', 'é', '!']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._to_bytes = tokenizer.byte_decoder()
        # A model can sample any sequence of bytes, so invalid UTF-8 must not be an error.
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, i: int) -> str:
        """The text that this id completes, often none."""
        return self._utf8.decode(self._to_bytes(i))

    def finish(self) -> str:
        """U+FFFD if the last character is incomplete."""
        return self._utf8.decode(b"", final=True)


def id_type(vocab_size: int) -> type[np.unsignedinteger]:
    """Vocabulary size -> the smallest unsigned integer type that holds every id.

    >>> id_type(256).__name__, id_type(257).__name__
    ('uint8', 'uint16')
    """
    # The type decides the size of token arrays on disk, and how much of one fits in memory.
    return np.uint8 if vocab_size <= 2**8 else np.uint16 if vocab_size <= 2**16 else np.uint32


def to_bytes(text: str) -> bytes:
    r"""Text -> UTF-8. A lone surrogate, which represents an undecodable byte, becomes that byte.

    >>> to_bytes("é"), to_bytes(b"\xe9".decode("utf-8", "surrogateescape"))
    (b'\xc3\xa9', b'\xe9')
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # The inverse of reading with the same error handler, as `data.sources` does for bytes.
        return text.encode("utf-8", "surrogateescape")


def read_ids(data: Mapping[str, Any], key: str, vocab_size: int) -> list[int]:
    """A list of ids from parsed JSON. CheckpointError if it is anything else."""
    value = data.get(key)
    # `type(i) is int` excludes True and False, which are instances of int.
    if not isinstance(value, list) or not all(
        type(i) is int and 0 <= i < vocab_size for i in value
    ):
        raise damaged(f"its list {key!r} does not hold ids")
    return value


def damaged(detail: str) -> CheckpointError:
    """The error for tokenizer data that cannot be used."""
    return CheckpointError(
        f"the tokenizer is damaged: {detail}",
        "use another checkpoint: charrnn checkpoints verify finds an intact one",
    )
