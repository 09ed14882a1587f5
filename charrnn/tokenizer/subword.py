"""One id for each frequent run of characters, learned by sentencepiece."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from charrnn.errors import CorpusError
from charrnn.tokenizer import pieces
from charrnn.tokenizer.base import (
    NEWLINE,
    Ids,
    Tokenizer,
    damaged,
    id_type,
    read_ids,
    to_bytes,
)


class SubwordTokenizer(Tokenizer):
    """Byte-pair pieces by sentencepiece, falling back to bytes, so that any text comes back.

    Sentencepiece writes a space as U+2581 and would read that character back as a space; a text
    that holds the character itself has it spelled in bytes.
    """

    name = "subword"
    space = "\u2581"
    line_limit = 2000
    sample_characters = 10_000_000

    def __init__(self, model: bytes, unsampled: Iterable[int] = ()) -> None:
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
        """Learn `vocab_size` pieces from at most the first ten million characters."""
        from sentencepiece import SentencePieceTrainer

        lines, characters = cls._sample(texts)
        size = vocab_size or subword_size(sum(map(len, lines)))
        floor = 256 + 2 + len(characters)
        if size < floor:
            raise CorpusError(
                f"a subword vocabulary of {size} cannot hold the 256 bytes and the "
                f"{len(characters)} characters of this text",
                f"give --vocab-size {floor} or more",
            )
        written = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(lines), model_writer=written, model_type="bpe",
                vocab_size=size, character_coverage=1.0, byte_fallback=True,
                normalization_rule_name="identity", add_dummy_prefix=False,
                remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
                user_defined_symbols=[NEWLINE], unk_id=0, bos_id=-1, eos_id=-1,
                max_sentence_length=8 * cls.line_limit, num_threads=1, minloglevel=2,
            )  # fmt: skip
        except (RuntimeError, OSError) as error:
            raise CorpusError(
                f"no subword vocabulary of {size} pieces can be learned from this text",
                f"give a smaller --vocab-size, or --tokenizer char ({error})",
            ) from None
        model = written.getvalue()
        return cls(model, cls(model)._unseen(lines))

    @classmethod
    def _sample(cls, texts: Iterable[str]) -> tuple[list[str], set[str]]:
        """Lines to learn from, without newlines, and their different characters."""
        lines: list[str] = []
        left = cls.sample_characters
        for text in texts:
            lines += [line for line in cut_lines(text, cls.line_limit) if line != NEWLINE]
            left -= len(text)
            if left <= 0:
                break
        lines = [to_bytes(line).decode("utf-8", "replace").replace("\0", "") for line in lines]
        return [line for line in lines if line], set().union(*lines)

    def _unseen(self, lines: list[str]) -> list[int]:
        """The ids of bytes that spell nothing in these lines, and of the unknown piece."""
        seen = {i for ids in self._processor.encode(lines) for i in ids}
        return [0, *(i for i in range(1, self.vocab_size) if self._byte(i) >= 0 and i not in seen)]

    def _byte(self, i: int) -> int:
        """The byte that an id spells, or -1."""
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
        """The ids of the pieces, line by line, so that a text cut after a newline encodes alike."""
        ids: list[int] = []
        for part in cut_lines(text, self.line_limit):
            if part == NEWLINE:
                ids.append(self.newline_id)
            elif part.isprintable() and self.space not in part:
                ids += self._processor.encode(part)
            else:
                ids += self._encode_odd(part)
        return np.array(ids, id_type(self.vocab_size))

    def _encode_odd(self, part: str) -> list[int]:
        """Spell in bytes what sentencepiece reads otherwise: NUL, U+2581, lone surrogates."""
        ids: list[int] = []
        for run in re.split(r"([\0\u2581\ud800-\udfff]+)", part):
            if run and (run[0] in "\0\u2581" or "\ud800" <= run[0] <= "\udfff"):
                ids += [self._byte_ids[byte] for byte in to_bytes(run)]
            elif run:
                ids += self._processor.encode(run)
        return ids

    def spell(self) -> Callable[[int], bytes]:
        """A piece, or one byte of a spelled character, for each id."""
        return self._pieces.__getitem__

    def to_json(self) -> dict[str, Any]:
        """Name, the sentencepiece model in base64, its size, and the ids never seen."""
        return {
            "name": self.name,
            "vocab_size": self.vocab_size,
            "model": base64.b64encode(self._model).decode(),
            "unsampled": self.unsampled,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SubwordTokenizer":
        """The inverse of `to_json`."""
        size, model = data.get("vocab_size"), data.get("model")
        if not isinstance(model, str) or type(size) is not int:
            raise damaged("its sentencepiece model is missing")
        unsampled = read_ids(data, "unsampled", size)
        try:
            tokenizer = cls(pieces.rebuilt(base64.b64decode(model, validate=True)), unsampled)
        except (RuntimeError, ValueError):
            raise damaged("its sentencepiece model cannot be read") from None
        if tokenizer.vocab_size != size:
            raise damaged(f"it has {tokenizer.vocab_size} pieces and says {size}")
        return tokenizer


def subword_size(characters: int) -> int:
    """A vocabulary that a text of so many characters can teach: 300 to 8,000 pieces and more."""
    return 512 + min(8_000, characters // 1_500)


def cut_lines(text: str, limit: int) -> Iterator[str]:
    """Newlines one by one, and what stands between them in parts of at most `limit` characters."""
    return (match.group() for match in re.finditer(rf"\n|[^\n]{{1,{limit}}}", text))
