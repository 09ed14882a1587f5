"""The bytes of a sentencepiece model -> its pieces, each one validated, and back.

The C++ library gives no guarantees for models that it did not write. So it never gets the bytes of
a file: the pieces are parsed here, and a new model is written from them. The format is the protobuf
of sentencepiece_model.proto: a ModelProto contains SentencePiece messages and two specs.
"""

import math
import struct
from collections.abc import Iterator

from charrnn.tokenizers.base import NEWLINE, damaged

Piece = tuple[str, float]
"""A piece's text and its score, by which sentencepiece prefers merges."""

MAX_PIECE_BYTES = 256
"""Size of the longest valid piece; those that charrnn learns have at most 64."""

UNKNOWN, USER_DEFINED, BYTE = 2, 4, 6
"""Types of pieces other than normal ones, as sentencepiece numbers them."""

HEAD = [("<unk>", UNKNOWN), (NEWLINE, USER_DEFINED)] + [(f"<0x{i:02X}>", BYTE) for i in range(256)]
"""The pieces that every model of charrnn begins with, and their types."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Protobuf's wire types."""

# Protobuf encodes a negative number as its two's complement of 64 bits.
MINUS_ONE = 2**64 - 1


def rebuild(model: bytes) -> bytes:
    """A model -> a new one with the same pieces; what `SubwordTokenizer.train` wrote is unchanged.

    CheckpointError if `SubwordTokenizer.train` could not have written it.
    """
    return write(read(model))


def read(model: bytes) -> list[Piece]:
    """A model -> its pieces. CheckpointError if charrnn could not have learned one of them."""
    try:
        found = [_piece(value) for number, value in _fields(model) if _is_piece(number, value)]
    except (IndexError, UnicodeDecodeError, struct.error):
        raise damaged("its sentencepiece model cannot be read") from None
    if [(text, kind) for text, _, kind in found[: len(HEAD)]] != HEAD:
        raise damaged("its sentencepiece model was not written by charrnn")
    # 1 is a normal piece. Control symbols and unused pieces are never learned, so none is accepted.
    if any(kind != 1 for _, _, kind in found[len(HEAD) :]):
        raise damaged("its sentencepiece model was not written by charrnn")
    pieces = [(text, score) for text, score, _ in found]
    for text, score in pieces:
        # `train` passes no newline and no NUL inside a line, so it learns no piece with them.
        # Merges are ordered by score, and NaN has no place in an order.
        fits = 0 < len(text.encode()) <= MAX_PIECE_BYTES and "\0" not in text
        if not fits or not math.isfinite(score) or (NEWLINE in text and text != NEWLINE):
            raise damaged(f"its sentencepiece model contains the invalid piece {text[:20]!r}")
    # Of two equal pieces, one would have an id that is decoded but never encoded.
    if len({text for text, _ in pieces}) < len(pieces):
        raise damaged("the pieces of its sentencepiece model are not distinct")
    return pieces


def write(pieces: list[Piece]) -> bytes:
    """Pieces -> the model, with the specs that `SubwordTokenizer.train` asks for."""
    # 0 means that no type is written, as sentencepiece does for normal pieces: the bytes of a model
    # that it trained come back unchanged.
    kinds = [kind for _, kind in HEAD] + [0] * (len(pieces) - len(HEAD))
    parts = []
    for (text, score), kind in zip(pieces, kinds, strict=True):
        raw = _bytes(1, text.encode()) + _key(2, FIXED32) + struct.pack("<f", score)
        parts.append(_bytes(1, raw + (_number(3, kind) if kind else b"")))
    return b"".join([*parts, _bytes(2, _trainer(len(pieces))), _bytes(3, _normalizer())])


def _trainer(vocab_size: int) -> bytes:
    """TrainerSpec: byte pairs, byte fallback, no pieces for begin and end of a sentence."""
    return b"".join(
        (
            _number(3, 2),  # model_type: BPE
            _number(4, vocab_size),
            _key(10, FIXED32) + struct.pack("<f", 1.0),  # character_coverage
            _number(16, 1),  # num_threads
            _number(18, 16_000),  # max_sentence_length
            _number(26, 1),  # allow_whitespace_only_pieces
            _bytes(31, NEWLINE.encode()),  # user_defined_symbols
            _number(35, 1),  # byte_fallback
            _number(40, 0),  # unk_id
            _number(41, MINUS_ONE),  # bos_id: none
            _number(42, MINUS_ONE),  # eos_id: none
        )
    )


def _normalizer() -> bytes:
    """NormalizerSpec: the identity, without a character map."""
    # Name, character map, add_dummy_prefix, remove_extra_whitespaces. The two switches are on
    # unless a file turns them off.
    return _bytes(1, b"identity") + _bytes(2, b"") + _number(3, 0) + _number(4, 0)


def _is_piece(number: int, value: bytes | int) -> bool:
    # Fields 2 and 3 are the two specs. Their contents are ignored: `write` makes new ones.
    if number not in (1, 2, 3) or not isinstance(value, bytes):
        raise damaged("its sentencepiece model was not written by charrnn")
    return number == 1


def _piece(raw: bytes | int) -> tuple[str, float, int]:
    """A SentencePiece message -> its text, score and type."""
    assert isinstance(raw, bytes)
    values = list(_fields(raw))
    found = dict(values)
    text, score, kind = found.get(1), found.get(2), found.get(3, 1)
    # In protobuf the last of several equal fields counts. A valid file has no need of that, and
    # readers that take the first one would see another piece.
    odd = len(found) < len(values) or not found.keys() <= {1, 2, 3}
    if odd or not (isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int)):
        raise damaged("its sentencepiece model was not written by charrnn")
    return text.decode(), float(struct.unpack("<f", score)[0]), kind


def _fields(raw: bytes) -> Iterator[tuple[int, bytes | int]]:
    """A message -> its fields' numbers and values, in order. IndexError if it is truncated."""
    position = 0
    while position < len(raw):
        # A key is the number of a field, and in its lowest three bits the wire type of its value.
        key, position = _varint(raw, position)
        wire = key & 7
        if wire == VARINT:
            value, position = _varint(raw, position)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size, position = _varint(raw, position)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise IndexError
        # Slicing would shorten a truncated value silently.
        if position + size > len(raw):
            raise IndexError
        yield key >> 3, raw[position : position + size]
        position += size


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """Bytes and a position -> a number of at most 64 bits, and the position after it."""
    value = 0
    # Ten bytes are enough for 64 bits. Without a limit, a file could make the number huge.
    for shift in range(0, 70, 7):
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError


def _key(number: int, wire: int) -> bytes:
    return _base128(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _key(number, VARINT) + _base128(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, BYTES) + _base128(len(value)) + value


def _base128(value: int) -> bytes:
    """Number -> seven bits per byte, lowest first, the top bit set in all but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
