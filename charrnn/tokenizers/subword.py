"""One id for each frequent run of characters, learned by sentencepiece."""

import base64
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from charrnn.errors import CorpusError
from charrnn.tokenizers import sentencepiece_proto
from charrnn.tokenizers.base import (
    NEWLINE,
    Ids,
    Tokenizer,
    count,
    damaged,
    from_own_json,
    id_type,
    read_ids,
    to_bytes,
)

OWN_PIECES = 256 + 2
"""Pieces that every model has: the bytes, the unknown piece and the newline."""

SMALL_ROOM = 512
"""With no more places than these, all characters are pieces if they fit."""

BLOCK = 1 << 16
"""Characters that are kept or left out together."""


HOW_TO_ENCODE = """
TEXT TO IDS. `model` in charrnn.tokenizer is a sentencepiece model in base64. Cut the text at its
newlines, and between them into parts of at most `line_limit` characters. A newline is `newline_id`;
a part is encoded by sentencepiece. But NUL, U+2581 and lone surrogates never reach sentencepiece:
cut the part around them, and encode each of their UTF-8 bytes b as `byte_ids`[b].
"""
"""For a program that has nothing but an exported file."""


class SubwordTokenizer(Tokenizer):
    r"""Byte-pair pieces by sentencepiece with byte fallback, so that any text comes back exactly.

    Sentencepiece writes a space as U+2581 and would decode that character as a space. So if a text
    contains U+2581 itself, it is encoded as bytes.

    >>> tokenizer = SubwordTokenizer.train(["the cat sat on the mat\n" * 9], vocab_size=280)
    >>> len(tokenizer.encode("the cat"))
    2
    """

    name = "subword"
    how_to_encode = HOW_TO_ENCODE
    space = "\u2581"  # how sentencepiece writes a space
    line_limit = 2000  # characters of a line that are passed to sentencepiece at a time
    sample_characters = 10_000_000  # it keeps all that it learns from in memory

    def __init__(self, model: bytes, unsampled: Iterable[int] = ()) -> None:
        # Imported here: the other tokenizers must not wait for it.
        from sentencepiece import SentencePieceProcessor

        self._model = model
        self._processor = SentencePieceProcessor(model_proto=model)
        self.vocab_size: int = self._processor.get_piece_size()
        self.newline_id: int = self._processor.piece_to_id(NEWLINE)
        self.unsampled = sorted(unsampled)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int | None = None, **_: Any
    ) -> "SubwordTokenizer":
        """Blocks of text -> at most `vocab_size` pieces, learned from `sample_characters` of them.

        Where there are more characters than have a place, the rarest are encoded as bytes. Without
        a size it follows from the text, and fewer pieces are learned where it has no more.
        """
        sample = Sample(cls.sample_characters, cls.line_limit)
        for text in texts:
            sample.add(text)
        counts = Counter("".join(sample.parts))
        size = vocab_size or default_size(sample.seen, counts)
        if size < OWN_PIECES + 2:
            raise CorpusError(
                f"a subword vocabulary of {size} has no place for more than the 256 bytes",
                f"give --vocab-size {OWN_PIECES + 2} or more",
            )
        if not counts:
            raise CorpusError(
                "a text of line ends or NUL characters alone has no subwords",
                "give more text, or --tokenizer char",
            )
        rare = rare_characters(counts, size - OWN_PIECES, keep_all=bool(vocab_size))
        model = _learn(_without(rare, sample.parts), size, cls.line_limit)
        tokenizer = cls(model, [0])
        if vocab_size and tokenizer.vocab_size < vocab_size:
            raise CorpusError(
                f"this text has no {vocab_size:,} subwords",
                f"give a smaller --vocab-size: {tokenizer.vocab_size:,} or less",
            )
        tokenizer.notes = tuple(_notes(sample, rare, counts))
        return tokenizer

    def extended(self, texts: Iterable[str], min_count: int | None = None) -> "SubwordTokenizer":
        """Blocks of another text -> the same: characters without a piece are bytes in it."""
        new: SubwordTokenizer = from_own_json(self)
        known = set("".join(piece.decode(errors="ignore") for piece in new._pieces))
        lacking = {char for text in texts for char in set(text)} - known
        if lacking:
            new.notes = (f"{count(len(lacking), 'character')} no pieces of the model: bytes here",)
        return new

    @property
    def never_sampled(self) -> tuple[int]:
        """The unknown piece: with byte fallback nothing is encoded as it."""
        return (0,)

    @property
    def parts(self) -> list[int]:
        """The bytes beyond ASCII."""
        return self._byte_ids[128:]

    def _byte(self, i: int) -> int:
        """The byte that an id represents, or -1."""
        # The piece of a byte is called "<0x0A>"; a text with these six characters has other ids.
        return int(self._processor.id_to_piece(i)[3:5], 16) if self._processor.is_byte(i) else -1

    @cached_property
    def _pieces(self) -> list[bytes]:
        texts = [self._processor.id_to_piece(i).replace(self.space, " ") for i in self._range]
        return [
            text.encode() if self._byte(i) < 0 else bytes((self._byte(i),))
            for i, text in zip(self._range, texts, strict=True)
        ]

    @property
    def _range(self) -> range:
        return range(self.vocab_size)

    @cached_property
    def _byte_ids(self) -> list[int]:
        return [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)]

    def encode(self, text: str) -> Ids:
        """Text -> ids of pieces, line by line: a text cut after a newline encodes the same."""
        ids: list[int] = []
        for part in cut_lines(text, self.line_limit):
            if part == NEWLINE:
                ids.append(self.newline_id)
            # A fast test that is true of most lines: NUL and lone surrogates are not printable.
            elif part.isprintable() and self.space not in part:
                ids += self._processor.encode(part)
            else:
                ids += self._encode_special(part)
        return np.array(ids, id_type(self.vocab_size))

    def _encode_special(self, part: str) -> list[int]:
        """Encode as bytes what sentencepiece would change or refuse: NUL, U+2581, surrogates."""
        ids: list[int] = []
        # The group in the pattern makes `split` return the special characters too.
        for run in re.split(r"([\0\u2581\ud800-\udfff]+)", part):
            if run and (run[0] in "\0\u2581" or "\ud800" <= run[0] <= "\udfff"):
                ids += [self._byte_ids[byte] for byte in to_bytes(run)]
            elif run:
                ids += self._processor.encode(run)
        return ids

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> a piece, or one byte of a character that is encoded as bytes."""
        return self._pieces.__getitem__

    def encoding_json(self) -> dict[str, Any]:
        """Where lines are cut, and the id of each byte."""
        return {"line_limit": self.line_limit, "byte_ids": self._byte_ids}

    def to_json(self) -> dict[str, Any]:
        """Name, the sentencepiece model in base64, its size, and the ids that do not occur."""
        return {
            "name": self.name,
            "vocab_size": self.vocab_size,
            "model": base64.b64encode(self._model).decode(),
            "unsampled": self.unsampled,
            **self.floor_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SubwordTokenizer":
        """The inverse of `to_json`."""
        size, model = data.get("vocab_size"), data.get("model")
        if not isinstance(model, str) or type(size) is not int:
            raise damaged("its sentencepiece model is missing")
        unsampled = read_ids(data, "unsampled", size)
        try:
            # The bytes of a file never reach the C++ library; see `sentencepiece_proto`.
            tokenizer = cls(
                sentencepiece_proto.rebuild(base64.b64decode(model, validate=True)), unsampled
            )
        except (RuntimeError, ValueError):
            raise damaged("its sentencepiece model cannot be read") from None
        # `unsampled` was checked against this size.
        if tokenizer.vocab_size != size:
            raise damaged(f"it has {tokenizer.vocab_size} pieces and says {size}")
        return tokenizer


def subword_size(characters: int) -> int:
    """Characters of a text -> a vocabulary size that they can train, 512 to 8,512.

    >>> subword_size(1_500_000)
    1512
    """
    return 512 + min(8_000, characters // 1_500)


def default_size(characters: int, counts: Mapping[str, int]) -> int:
    """Length and character counts of a text -> a vocabulary size that it can train.

    At least half of the places are for pieces longer than a character; a character that occurs
    fewer than ten times is no reason for a larger vocabulary.
    """
    frequent = sum(count >= 10 for count in counts.values())
    return max(subword_size(characters), OWN_PIECES + 2 * min(4_000, frequent))


def rare_characters(counts: Mapping[str, int], room: int, keep_all: bool = False) -> set[str]:
    """Characters that are encoded as bytes, so that the others and longer pieces have their places.

    Half of the places are for longer pieces; with keep_all, fewer if all characters then fit into a
    small vocabulary.

    >>> sorted(rare_characters({"a": 5, "b": 3, "c": 2, "d": 1, "e": 1}, room=4))
    ['c', 'd', 'e']
    """
    ranked = sorted(counts, key=lambda c: (-counts[c], c))
    # So small a vocabulary is asked for, and was filled with characters by earlier versions too.
    if keep_all and len(ranked) < room <= SMALL_ROOM:
        return set()
    return set(ranked[room // 2 :])


class Sample:
    """Parts of lines to learn from, without newlines, spread evenly over a text of any length.

    The text is cut into blocks. When more characters are kept than `most`, every other block is
    given up, and of the following only every second, fourth, eighth ... is kept.
    """

    def __init__(self, most: int, line_limit: int) -> None:
        self.most, self.line_limit = most, line_limit
        self.seen = self.kept = self._number = 0
        self._stride = 1
        self._blocks: list[list[str]] = []

    @property
    def parts(self) -> list[str]:
        """The parts that are kept, in the order of the text."""
        return [part for block in self._blocks for part in block]

    def add(self, text: str) -> None:
        """The next block of the text."""
        for begin in range(0, len(text), BLOCK):
            self._add(text[begin : begin + BLOCK])

    def _add(self, block: str) -> None:
        self.seen += len(block)
        self._number += 1
        if (self._number - 1) % self._stride:
            return
        lines = (line for line in cut_lines(block, self.line_limit) if line != NEWLINE)
        # Lone surrogates cannot be passed to the C++ library, and it learns nothing from NUL.
        clean = (to_bytes(line).decode("utf-8", "replace").replace("\0", "") for line in lines)
        self._blocks.append([line for line in clean if line])
        self.kept += len(block)
        while self.kept > self.most and len(self._blocks) > 1:
            self._blocks, self._stride = self._blocks[::2], 2 * self._stride
            self.kept = sum(map(len, self.parts))


def _without(rare: set[str], parts: list[str]) -> list[str]:
    """Parts of lines, cut at rare characters, which are left out."""
    if not rare:
        return parts
    pattern = re.compile(f"[{re.escape(''.join(sorted(rare)))}]+")
    return [piece for part in parts for piece in pattern.split(part) if piece]


def _learn(lines: list[str], size: int, line_limit: int) -> bytes:
    """Lines -> a sentencepiece model of at most `size` pieces."""
    from sentencepiece import SentencePieceTrainer

    model_file = io.BytesIO()
    # Byte fallback, identity normalization and the settings of white space make encoding lossless;
    # sentencepiece by default changes characters and joins spaces. It skips lines longer than
    # max_sentence_length, which is in bytes: a character has at most four. Without the hard limit
    # a text that has fewer pieces is no error.
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model_file, model_type="bpe",
            vocab_size=size, character_coverage=1.0, byte_fallback=True,
            normalization_rule_name="identity", add_dummy_prefix=False,
            remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
            user_defined_symbols=[NEWLINE], unk_id=0, bos_id=-1, eos_id=-1,
            max_sentence_length=8 * line_limit, num_threads=1, minloglevel=2,
            hard_vocab_limit=False,
        )  # fmt: skip
    except (RuntimeError, OSError):
        # Its text names its own source lines and options, which help nobody here.
        raise CorpusError(
            f"no subword vocabulary of {size:,} pieces can be learned from this text",
            "give another --vocab-size, or --tokenizer char",
        ) from None
    # Written again by charrnn, so that the file depends on the pieces alone.
    return sentencepiece_proto.rebuild(model_file.getvalue())


def _notes(sample: Sample, rare: set[str], counts: Mapping[str, int]) -> Iterator[str]:
    """What the user should know of how the pieces were learned."""
    if sample.kept < sample.seen:
        yield (
            f"subwords were learned from {sample.kept:,} of {sample.seen:,} characters, "
            "spread over the training part"
        )
    if rare:
        yield f"{len(rare):,} of {len(counts):,} characters are rare and encoded as bytes"


def cut_lines(text: str, limit: int) -> Iterator[str]:
    r"""Text -> its newlines one by one, and the text between them in parts of at most `limit`.

    >>> list(cut_lines("abcde\nf", limit=3))
    ['abc', 'de', '\n', 'f']
    """
    return (match.group() for match in re.finditer(rf"\n|[^\n]{{1,{limit}}}", text))
