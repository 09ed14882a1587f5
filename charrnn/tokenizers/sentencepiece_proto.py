"""A sentencepiece model's bytes -> its pieces, each one validated, and back.

The C++ library gives no guarantees for models that it did not write. So it never gets the bytes of
a file: the pieces are parsed here, and a new model is written from them. The format is the protobuf
of sentencepiece_model.proto: ModelProto holds SentencePiece messages and two specs.
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
    if any(kind != 1 for _, _, kind in found[len(HEAD) :]):
        raise damaged("its sentencepiece model was not written by charrnn")
    pieces = [(text, score) for text, score, _ in found]
    for text, score in pieces:
        fits = 0 < len(text.encode()) <= MAX_PIECE_BYTES and "\0" not in text
        if not fits or not math.isfinite(score) or (NEWLINE in text and text != NEWLINE):
            raise damaged(f"its sentencepiece model contains the invalid piece {text[:20]!r}")
    if len({text for text, _ in pieces}) < len(pieces):
        raise damaged("the pieces of its sentencepiece model are not distinct")
    return pieces


def write(pieces: list[Piece]) -> bytes:
    """Pieces -> the model, with the specs that `SubwordTokenizer.train` asks for."""
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
            _number(3, 2),
            _number(4, vocab_size),
            _key(10, FIXED32) + struct.pack("<f", 1.0),
            _number(16, 1),
            _number(18, 16_000),
            _number(26, 1),
            _bytes(31, NEWLINE.encode()),
            _number(35, 1),
            _number(40, 0),
            _number(41, MINUS_ONE),
            _number(42, MINUS_ONE),
        )
    )


def _normalizer() -> bytes:
    """NormalizerSpec: the identity, without a character map."""
    return _bytes(1, b"identity") + _bytes(2, b"") + _number(3, 0) + _number(4, 0)


def _is_piece(number: int, value: bytes | int) -> bool:
    if number not in (1, 2, 3) or not isinstance(value, bytes):
        raise damaged("its sentencepiece model was not written by charrnn")
    return number == 1


def _piece(raw: bytes | int) -> tuple[str, float, int]:
    """A SentencePiece message -> its text, score and type."""
    assert isinstance(raw, bytes)
    values = list(_fields(raw))
    found = dict(values)
    text, score, kind = found.get(1), found.get(2), found.get(3, 1)
    odd = len(found) < len(values) or not found.keys() <= {1, 2, 3}
    if odd or not (isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int)):
        raise damaged("its sentencepiece model was not written by charrnn")
    return text.decode(), float(struct.unpack("<f", score)[0]), kind


def _fields(raw: bytes) -> Iterator[tuple[int, bytes | int]]:
    """A message -> its fields' numbers and values, in order. IndexError if it is truncated."""
    position = 0
    while position < len(raw):
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
        if position + size > len(raw):
            raise IndexError
        yield key >> 3, raw[position : position + size]
        position += size


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """Bytes and a position -> a number of at most 64 bits, and the position after it."""
    value = 0
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
