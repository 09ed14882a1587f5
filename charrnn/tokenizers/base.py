"""What the tokenizers share: the interface, the smallest id type, whole characters from bytes."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CheckpointError
from charrnn.tokenizers import floor
from charrnn.tokenizers.floor import Floor

Ids = NDArray[np.unsignedinteger]

NEWLINE = "\n"


class Tokenizer(ABC):
    """Text <-> `vocab_size` ids from 0, in the smallest unsigned integer type.

    newline_id: the id of a newline. unsampled: ids that do not occur in the training text, which
    sampling leaves out. unknown_id: the id of what has none of its own; None where encoding is
    exact. floor: what ids cost that hardly occur in training; None in old checkpoints and if there
    are none. notes: what the user should know of how it was learned. how_to_encode: how a program
    without charrnn turns text into ids, for the document of an exported file. A subclass also has
    two class methods: `train(texts, ...)`, which learns a tokenizer from blocks of text, and
    `from_json(data)`.
    """

    name: str
    vocab_size: int
    newline_id: int
    unsampled: list[int]
    unknown_id: int | None = None
    floor: Floor | None = None
    notes: tuple[str, ...] = ()
    how_to_encode: str = ""

    @property
    def start_id(self) -> int:
        """The id that precedes every text, and that ends a document."""
        return self.newline_id

    @property
    def parts(self) -> Sequence[int]:
        """Ids that are a part of a character."""
        return ()

    def learn_floor(self, tokens: NDArray[np.unsignedinteger]) -> None:
        """Take from the whole encoded training part (N,) which ids occur in it, and how often."""
        unseen, self.floor = floor.learn(tokens, self.vocab_size, self.parts)
        self.unsampled = sorted({*unseen, *self.never_sampled})

    @property
    def never_sampled(self) -> Sequence[int]:
        """Ids that are no text, such as the unknown word."""
        return ()

    def spell_unknown(self, text: str) -> tuple[Ids, list[str]]:
        """Text -> its ids, and the text of each unknown token in order: none where all is exact."""
        return self.encode(text), []

    def unknown_nats(self, tokens: Iterable[str]) -> list[float]:
        """Unknown tokens -> the nats of the characters of each, beyond those of its id."""
        return [0.0 for _ in tokens]

    def extended(self, texts: Iterable[str], min_count: int | None = None) -> "Tokenizer":
        """Blocks of another text -> this tokenizer, with ids added for what the text needs.

        The added ids come last and the others stay what they are. Nothing is added where any text
        can be encoded as well as any other, as by bytes.
        """
        new: Tokenizer = from_own_json(self)
        return new

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
        """Everything that `from_json` needs, with the key `name`, and with `floor_json`."""

    def floor_json(self) -> dict[str, Any]:
        """What `learn_floor` found, which `tokenizers.from_json` reads; {} if it found nothing."""
        if self.floor is None:
            return {}
        return {"floor": self.floor.to_json(), "unsampled": self.unsampled}

    def encoding_json(self) -> dict[str, Any]:
        """What `how_to_encode` needs besides `to_json`, in terms that need no charrnn."""
        return {}

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

    incomplete: the ids that are held back.

    >>> from charrnn.tokenizers.byte import ByteTokenizer
    >>> decoder = Decoder(ByteTokenizer())
    >>> [decoder.push(i) for i in "é!".encode()]
    ['', 'é', '!']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._to_bytes = tokenizer.byte_decoder()
        self.incomplete: list[int] = []
        # A model can sample any sequence of bytes, so invalid UTF-8 must not be an error.
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, i: int) -> str:
        """The text that this id completes, often none."""
        text = self._utf8.decode(self._to_bytes(i))
        if text and not self._utf8.getstate()[0]:
            self.incomplete.clear()
        else:
            self.incomplete.append(i)
        return text

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


SINGLETONS, SINGLETON_SHARE = 16, 0.005
"""Tokens that occur once are left without an id if there are so many, and so much of the text."""


def rarest(counts: NDArray[np.integer], most: int | None = None) -> int:
    """Counts of different tokens -> the fewest occurrences that give a token its own id.

    2 where many occur once: how often training reads an unknown token then is how often a new text
    holds one (Good 1953), and what reads it has been trained. Where few do, the ids are worth more:
    `floor` prices what is unknown. More than 2 to keep at most `most` of them.

    >>> rarest(np.array([5, 3, 1])), rarest(np.array([5, 3] + [1] * 20))
    (1, 2)
    """
    once = int(np.count_nonzero(counts == 1))
    least = 2 if once >= max(SINGLETONS, SINGLETON_SHARE * int(counts.sum())) else 1
    if most is not None and len(counts) > most:
        # One more than the count of the first that has no place, so that equals share a fate.
        least = max(least, int(np.partition(counts, -most - 1)[-most - 1]) + 1)
    return least


def count(number: int, what: str) -> str:
    """A number and a noun -> both, in the plural where it is one.

    >>> count(1, "character"), count(2_000, "word")
    ('1 character', '2,000 words')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


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


def knows_carriage_return(tokenizer: Tokenizer) -> bool:
    """Whether the training text kept its line ends, so that other texts have to keep theirs.

    Earlier versions always kept them, and recorded nothing of it. The vocabulary shows it.
    """
    ids = tokenizer.encode("\r").tolist()
    return (
        tokenizer.name != "byte"
        and len(ids) == 1
        and tokenizer.decode(ids) == "\r"
        and ids[0] not in tokenizer.unsampled
    )


def from_own_json(tokenizer: Tokenizer) -> Any:
    """A tokenizer -> an equal one of its own, that has learned nothing of any training part."""
    data = {key: value for key, value in tokenizer.to_json().items() if key != "floor"}
    return type(tokenizer).from_json(data)  # type: ignore[attr-defined]


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
