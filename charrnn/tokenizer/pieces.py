"""A sentencepiece model's bytes -> its pieces, each one checked, and back. It knows no text.

The C++ library promises nothing for models that it did not write. So it is never given a byte of
a file: the pieces are read here, and a model made of them anew is what it opens. The format is the
protobuf of sentencepiece_model.proto: ModelProto holds SentencePiece messages and two specs.
"""

import math
import struct
from collections.abc import Iterator

from charrnn.tokenizer.base import NEWLINE, damaged

Piece = tuple[str, float]
"""A piece's text and its score, by which sentencepiece prefers merges."""

LONGEST = 256
"""Bytes of a piece; those that are learned here have 64 at most."""

UNKNOWN, USER_DEFINED, BYTE = 2, 4, 6
"""Kinds of pieces besides the normal, as sentencepiece numbers them."""

HEAD = [("<unk>", UNKNOWN), (NEWLINE, USER_DEFINED)] + [(f"<0x{i:02X}>", BYTE) for i in range(256)]
"""The pieces that every model of ours begins with, and their kinds."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Protobuf's wire types."""

MINUS_ONE = 2**64 - 1


def rebuilt(model: bytes) -> bytes:
    """A model with the pieces of this one and nothing else of it; a model of ours is unchanged.

    CheckpointError when it is not what `SubwordTokenizer.train` writes.
    """
    return written(read(model))


def read(model: bytes) -> list[Piece]:
    """The pieces of a model; CheckpointError when one could not have been learned here."""
    try:
        found = [_piece(value) for number, value in _fields(model) if _is_piece(number, value)]
    except (IndexError, UnicodeDecodeError, struct.error):
        raise damaged("its sentencepiece model cannot be read") from None
    if [(text, kind) for text, _, kind in found[: len(HEAD)]] != HEAD:
        raise damaged("its sentencepiece model is not one of ours")
    if any(kind != 1 for _, _, kind in found[len(HEAD) :]):
        raise damaged("its sentencepiece model is not one of ours")
    pieces = [(text, score) for text, score, _ in found]
    for text, score in pieces:
        fits = 0 < len(text.encode()) <= LONGEST and "\0" not in text
        if not fits or not math.isfinite(score) or (NEWLINE in text and text != NEWLINE):
            raise damaged(f"its sentencepiece model holds the piece {text[:20]!r}")
    if len({text for text, _ in pieces}) < len(pieces):
        raise damaged("the pieces of its sentencepiece model are not distinct")
    return pieces


def written(pieces: list[Piece]) -> bytes:
    """The model of these pieces, with the specs that `SubwordTokenizer.train` asks for."""
    kinds = [kind for _, kind in HEAD] + [0] * (len(pieces) - len(HEAD))
    parts = []
    for (text, score), kind in zip(pieces, kinds, strict=True):
        raw = _bytes(1, text.encode()) + _key(2, FIXED32) + struct.pack("<f", score)
        parts.append(_bytes(1, raw + (_number(3, kind) if kind else b"")))
    return b"".join([*parts, _bytes(2, _trainer(len(pieces))), _bytes(3, _normalizer())])


def _trainer(vocab_size: int) -> bytes:
    """TrainerSpec: byte pairs, bytes for what is unknown, no pieces for begin and end."""
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
    """NormalizerSpec: the text as it is, without a table of characters."""
    return _bytes(1, b"identity") + _bytes(2, b"") + _number(3, 0) + _number(4, 0)


def _is_piece(number: int, value: bytes | int) -> bool:
    if number not in (1, 2, 3) or not isinstance(value, bytes):
        raise damaged("its sentencepiece model is not one of ours")
    return number == 1


def _piece(raw: bytes | int) -> tuple[str, float, int]:
    """Text, score and kind of a SentencePiece message."""
    assert isinstance(raw, bytes)
    values = list(_fields(raw))
    found = dict(values)
    text, score, kind = found.get(1), found.get(2), found.get(3, 1)
    odd = len(found) < len(values) or not found.keys() <= {1, 2, 3}
    if odd or not (isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int)):
        raise damaged("its sentencepiece model is not one of ours")
    return text.decode(), float(struct.unpack("<f", score)[0]), kind


def _fields(raw: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and values of a message's fields, in order; IndexError when it is cut short."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        wire = key & 7
        if wire == VARINT:
            value, place = _varint(raw, place)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size, place = _varint(raw, place)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise IndexError
        if place + size > len(raw):
            raise IndexError
        yield key >> 3, raw[place : place + size]
        place += size


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = raw[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError


def _key(number: int, wire: int) -> bytes:
    return _base128(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _key(number, VARINT) + _base128(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, BYTES) + _base128(len(value)) + value


def _base128(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the highest bit set in all but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
