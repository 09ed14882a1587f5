"""One id for each frequent run of characters, learned by sentencepiece."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from charrnn.errors import CorpusError
from charrnn.tokenizers import sentencepiece_proto
from charrnn.tokenizers.base import NEWLINE, Ids, Tokenizer, damaged, id_type, read_ids, to_bytes


class SubwordTokenizer(Tokenizer):
    r"""Byte-pair pieces by sentencepiece with byte fallback, so that any text comes back exactly.

    Sentencepiece writes a space as U+2581 and would decode that character as a space. So if a text
    contains U+2581 itself, it is encoded as bytes.

    >>> tokenizer = SubwordTokenizer.train(["the cat sat on the mat\n" * 9], vocab_size=280)
    >>> len(tokenizer.encode("the cat"))
    2
    """

    name = "subword"
    space = "\u2581"  # how sentencepiece writes a space
    line_limit = 2000  # characters of a line that are passed to sentencepiece at a time
    sample_characters = 10_000_000  # it keeps all lines to learn from in memory

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
        """Blocks of text -> `vocab_size` pieces, learned from at most the first 10 M characters."""
        from sentencepiece import SentencePieceTrainer

        lines, characters = cls._sample(texts)
        size = vocab_size or subword_size(sum(map(len, lines)))
        # 256 bytes, the unknown piece and the newline; every character must be a piece as well,
        # because of character_coverage=1.0. Sentencepiece's own error names its own options.
        floor = 256 + 2 + len(characters)
        if size < floor:
            raise CorpusError(
                f"a subword vocabulary of {size} cannot hold the 256 bytes and the "
                f"{len(characters)} characters of this text",
                f"give --vocab-size {floor} or more",
            )
        model_file = io.BytesIO()
        # Byte fallback, identity normalization and the settings of white space make encoding
        # lossless; sentencepiece by default changes characters and joins spaces. It skips lines
        # longer than max_sentence_length, which is in bytes: a character has at most four.
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(lines), model_writer=model_file, model_type="bpe",
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
        model = model_file.getvalue()
        return cls(model, cls(model)._unseen(lines))

    @classmethod
    def _sample(cls, texts: Iterable[str]) -> tuple[list[str], set[str]]:
        """Lines to learn from, without newlines, and their set of characters."""
        lines: list[str] = []
        left = cls.sample_characters
        for text in texts:
            lines += [line for line in cut_lines(text, cls.line_limit) if line != NEWLINE]
            left -= len(text)
            if left <= 0:
                break
        # Lone surrogates cannot be passed to the C++ library, and it learns nothing from NUL.
        lines = [to_bytes(line).decode("utf-8", "replace").replace("\0", "") for line in lines]
        return [line for line in lines if line], set().union(*lines)

    def _unseen(self, lines: list[str]) -> list[int]:
        """The ids of the unknown piece and of bytes that do not occur in these lines."""
        seen = {i for ids in self._processor.encode(lines) for i in ids}
        # With byte fallback nothing is encoded as the unknown piece, whose id is 0.
        return [0, *(i for i in range(1, self.vocab_size) if self._byte(i) >= 0 and i not in seen)]

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

    def to_json(self) -> dict[str, Any]:
        """Name, the sentencepiece model in base64, its size, and the ids that do not occur."""
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


def cut_lines(text: str, limit: int) -> Iterator[str]:
    r"""Text -> its newlines one by one, and the text between them in parts of at most `limit`.

    >>> list(cut_lines("abcde\nf", limit=3))
    ['abc', 'de', '\n', 'f']
    """
    return (match.group() for match in re.finditer(rf"\n|[^\n]{{1,{limit}}}", text))
