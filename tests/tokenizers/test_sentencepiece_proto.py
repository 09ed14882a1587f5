"""The pieces of a sentencepiece model: read from untrusted bytes, and written again."""

import contextlib
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from charrnn.errors import CheckpointError
from charrnn.tokenizers import sentencepiece_proto
from charrnn.tokenizers.subword import SubwordTokenizer
from tests.support.tiny import TEXT, tiny_tokenizer

MODEL: bytes = tiny_tokenizer("subword")._model  # type: ignore[attr-defined]

PIECES = sentencepiece_proto.read(MODEL)


def refused(model: bytes, words: str = "sentencepiece model") -> None:
    with pytest.raises(CheckpointError, match=words):
        sentencepiece_proto.rebuild(model)


@pytest.mark.parametrize("text", [TEXT, TEXT + "\u00e9\u0141\u4e2d\U0001f600 \u2581 \u20ac" * 9])
@pytest.mark.parametrize("size", [300, 320])
def test_a_model_that_charrnn_trained_is_rebuilt_byte_for_byte(text: str, size: int) -> None:
    """So every option that `train` gives to sentencepiece is in what is written here."""
    model: bytes = SubwordTokenizer.train([text], vocab_size=size)._model
    assert sentencepiece_proto.rebuild(model) == model


def test_what_is_written_is_what_sentencepiece_reads() -> None:
    processor = SentencePieceProcessor(model_proto=sentencepiece_proto.write(PIECES))
    assert processor.get_piece_size() == len(PIECES) == 300
    for number, (text, score) in enumerate(PIECES):
        assert processor.id_to_piece(number) == text
        assert processor.get_score(number) == score
    assert processor.decode(processor.encode("The cat\u20ac")) == "The cat\u20ac"


@pytest.mark.parametrize("end", range(0, len(MODEL) - 1, 37))
def test_a_truncated_model_is_refused_or_has_fewer_pieces(end: int) -> None:
    with contextlib.suppress(CheckpointError):
        assert 258 <= len(sentencepiece_proto.read(MODEL[:end])) <= len(PIECES)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("", "contains the invalid piece ''"),
        ("a\0b", "contains the invalid piece"),
        ("a\nb", "contains the invalid piece"),
        ("x" * 257, "contains the invalid piece"),
        ("x" * 100_000, "contains the invalid piece"),
        ("at", "not distinct"),
        ("<unk>", "not distinct"),
    ],
)
def test_an_invalid_piece_is_refused(piece: str, words: str) -> None:
    refused(sentencepiece_proto.write([*PIECES, (piece, -1.0)]), words)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    model = sentencepiece_proto.write([*PIECES, ("new", score)])
    refused(model, "contains the invalid piece 'new'")


@pytest.mark.parametrize("place", [0, 1, 2, 100, 257])
def test_the_pieces_that_every_model_begins_with_are_required(place: int) -> None:
    changed = list(PIECES)
    changed[place] = ("other", 0.0)
    refused(sentencepiece_proto.write(changed), "not written by charrnn")
    shorter = [*PIECES[:place], *PIECES[place + 1 :]]
    refused(sentencepiece_proto.write(shorter), "not written by charrnn")


PIECE = b"\x0a\x03new\x15" + struct.pack("<f", -1.0)


@pytest.mark.parametrize(
    "field",
    [
        b"\x0a\x03new",
        PIECE + b"\x18\x02",
        PIECE + b"\x18\x00",
        PIECE + b"\x1a\x01x",
        PIECE + PIECE,
        PIECE + b"\x20\x01",
        b"\x0a\x02\xff\xfe\x15" + struct.pack("<f", -1.0),
        b"\x0a\x03new\x11" + bytes(8),
        b"\x0a\x7fnew",
        b"\x0b",
        b"\x0a" + b"\xff" * 10,
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ],
)
def test_a_piece_with_other_fields_is_refused(field: bytes) -> None:
    refused(MODEL + b"\x0a" + bytes((len(field),)) + field)


@pytest.mark.parametrize("rest", [b"\x22\x00", b"\x2a\x02\x12\x00", b"\x08\x01", b"\xff", b"\x0c"])
def test_fields_other_than_pieces_and_specs_are_refused(rest: bytes) -> None:
    refused(MODEL + rest)


def test_nothing_else_of_a_model_reaches_sentencepiece() -> None:
    """A character map, the part that crashed older versions, is left out."""
    normalizer = b"\x0a\x08identity\x12\x04\xff\xff\xff\x7f"
    assert (
        sentencepiece_proto.rebuild(MODEL + b"\x1a" + bytes((len(normalizer),)) + normalizer)
        == MODEL
    )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(MODEL)), st.integers(0, 60))
def test_any_damage_is_refused_or_harmless(new: bytes, place: int, gone: int) -> None:
    try:
        model = sentencepiece_proto.rebuild(MODEL[:place] + new + MODEL[place + gone :])
    except CheckpointError:
        return
    SentencePieceProcessor(model_proto=model).encode(TEXT)
