"""One text in the making: what it shows and holds back, and how it ends, against a plain search."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.inference.generation import Chunk, Sample, SamplingParams, Token
from charrnn.inference.sampling import FILTERS
from charrnn.tokenizers import TOKENIZERS, Tokenizer

CHARS: Tokenizer = TOKENIZERS["char"].train(["abcé\n"])
BYTES: Tokenizer = TOKENIZERS["byte"].train(["aé"])

LETTERS = st.text(alphabet="ab\n", max_size=25)
STOPS = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3)


def pieces(written: str, tokenizer: Tokenizer = CHARS, **values: object) -> list[Chunk]:
    """What a text shows while these characters are drawn, until it ends."""
    made = Sample(7, tokenizer, SamplingParams(**values))  # type: ignore[arg-type]
    shown = []
    for token in tokenizer.encode(written).tolist():
        if made.finish is None and (piece := made.take(token, None)):
            shown.append(piece)
    return shown


def ending(written: str, stops: list[str], lines: bool, length: int) -> tuple[str, str | None]:
    """The text and its end, by reading it again after each character."""
    for end in range(1, len(written) + 1):
        text = written[: end - 1] if lines and written[end - 1] == "\n" else written[:end]
        finish = "end" if text != written[:end] else "length" if end == length else None
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], "stop"
        if finish:
            return text, finish
    return written, None


@given(written=LETTERS, stops=STOPS, lines=st.booleans(), length=st.integers(1, 30))
@settings(max_examples=400, deadline=None)
def test_a_text_ends_where_a_plain_search_ends_it(
    written: str, stops: list[str], lines: bool, length: int
) -> None:
    shown = pieces(written, stop=tuple(stops), lines=lines, length=length)
    text, finish = ending(written, stops, lines, length)
    whole = "".join(piece.text for piece in shown)
    assert (shown[-1].finish if shown else None) == finish
    assert all(piece.finish is None and piece.text for piece in shown[:-1])
    if finish:
        assert whole == text
    else:
        # What is held back may still come to be a stop text.
        assert text.startswith(whole)
        held = text[len(whole) :]
        assert not held or any(stop.startswith(held) for stop in stops)


def test_pieces_tell_their_sample_and_how_many_tokens_it_has() -> None:
    shown = pieces("abc", length=3)
    assert [(p.index, p.text, p.tokens, p.finish) for p in shown] == [
        (7, "a", 1, None), (7, "b", 2, None), (7, "c", 3, "length"),
    ]  # fmt: skip


def test_a_character_is_shown_when_its_last_byte_is_there() -> None:
    assert [(p.text, p.tokens) for p in pieces("aéa", BYTES, length=9)] == [
        ("a", 1), ("é", 3), ("a", 4),
    ]  # fmt: skip


def test_a_character_cut_off_by_the_length_is_shown_as_broken() -> None:
    shown = pieces("aé", BYTES, length=2)
    assert [(p.text, p.finish) for p in shown] == [("a", None), ("\ufffd", "length")]


def test_a_stop_text_may_be_a_character_of_several_tokens() -> None:
    assert [(p.text, p.finish) for p in pieces("aéa", BYTES, stop=("é",))] == [
        ("a", None), ("", "stop"),
    ]  # fmt: skip


def test_the_earliest_of_several_stop_texts_counts() -> None:
    shown = pieces("aabb", stop=("abb", "bb"), length=9)
    assert ("".join(p.text for p in shown), shown[-1].finish) == ("a", "stop")


def test_a_token_that_fulfils_a_constraint_is_no_part_of_the_text() -> None:
    made = Sample(0, CHARS, SamplingParams(length=9))
    a, newline = CHARS.encode("a\n").tolist()
    assert made.take(a, None) == Chunk(0, "a", 1)
    assert made.take(newline, None, ended=True) == Chunk(0, "", 2, (), "stop")
    assert made.finish == "stop"


def test_a_fulfilled_constraint_wins_over_a_line_s_end_and_the_length() -> None:
    made = Sample(0, CHARS, SamplingParams(length=1, lines=True))
    piece = made.take(CHARS.newline_id, None, ended=True)
    assert piece is not None
    assert piece.finish == "stop"


def test_a_line_s_end_at_the_last_token_is_an_end() -> None:
    assert [(p.text, p.finish) for p in pieces("a\n", lines=True, length=2)] == [
        ("a", None), ("", "end"),
    ]  # fmt: skip


def test_what_is_told_of_tokens_comes_with_the_text_that_they_complete() -> None:
    made = Sample(0, BYTES, SamplingParams(length=9, stop=("ab",)))
    told = [Token(i, -0.5 * i) for i in range(4)]
    found = [made.take(byte, each) for byte, each in zip("éab".encode(), told, strict=True)]
    assert found == [
        None,
        Chunk(0, "é", 2, (told[0], told[1])),
        None,
        Chunk(0, "", 4, (told[2], told[3]), "stop"),
    ]


def test_settings_are_neutral_by_default_and_name_every_filter() -> None:
    own = SamplingParams()
    assert (own.length, own.lines, own.stop, own.values, own.logprobs) == (500, False, (), {}, -1)
    assert own.order == tuple(FILTERS)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_only_so_much_is_held_back_as_may_begin_a_stop_text(count: int) -> None:
    stop = "ab" * count + "c"
    shown = pieces("ab" * 6, stop=(stop,), length=99)
    assert sum(len(piece.text) for piece in shown) == 12 - min(12, 2 * count)
