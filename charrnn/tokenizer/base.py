"""What the tokenizers share: their interface, the smallest id type, whole characters from bytes."""

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
    """What every tokenizer can do: `vocab_size` ids from 0, in the smallest unsigned type.

    `newline_id` is the id of a newline; `unsampled` are ids that the training text never held, and
    that sampling leaves out.
    """

    name: str
    vocab_size: int
    newline_id: int
    unsampled: list[int]

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The ids of a text."""

    @abstractmethod
    def spell(self) -> Callable[[int], bytes]:
        """A function that is given the ids of a text in order and answers with their UTF-8."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, with the key `name`."""

    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Whole characters as soon as their ids are complete; joined they equal `decode`."""
        decoder = Decoder(self)
        yield from filter(None, map(decoder.push, ids))
        if rest := decoder.finish():
            yield rest

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        return "".join(self.stream(ids))


class Decoder:
    """Ids in, whole characters out: a character is held back until its last byte is there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._spell = tokenizer.spell()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, i: int) -> str:
        """The text that this id completes, often none."""
        return self._utf8.decode(self._spell(i))

    def finish(self) -> str:
        """What is left of a character that will never be complete."""
        return self._utf8.decode(b"", final=True)


def id_type(vocab_size: int) -> type[np.unsignedinteger]:
    """The smallest unsigned integer type that holds every id."""
    return np.uint8 if vocab_size <= 2**8 else np.uint16 if vocab_size <= 2**16 else np.uint32


def to_bytes(text: str) -> bytes:
    """UTF-8, in which the lone surrogates of an undecodable byte become that byte again."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def read_ids(data: Mapping[str, Any], key: str, vocab_size: int) -> list[int]:
    """A list of ids from parsed JSON; CheckpointError when it is anything else."""
    value = data.get(key)
    if not isinstance(value, list) or not all(
        type(i) is int and 0 <= i < vocab_size for i in value
    ):
        raise damaged(f"its list {key!r} holds no ids")
    return value


def damaged(detail: str) -> CheckpointError:
    """The error for tokenizer data that cannot be used."""
    return CheckpointError(
        f"the tokenizer is damaged: {detail}",
        "use another: charrnn checkpoints verify finds a whole one",
    )
