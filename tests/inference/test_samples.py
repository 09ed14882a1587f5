"""A sample in progress: what it shows, holds back, and how it ends; compared to a plain search."""

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


def chunks(drawn: str, tokenizer: Tokenizer = CHARS, **values: object) -> list[Chunk]:
    """The chunks of a sample while these characters are drawn, until it ends."""
    sample = Sample(7, tokenizer, SamplingParams(**values))  # type: ignore[arg-type]
    shown = []
    for token in tokenizer.encode(drawn).tolist():
        if sample.finish is None and (chunk := sample.take(token, None)):
            shown.append(chunk)
    return shown


def ending(drawn: str, stops: list[str], lines: bool, length: int) -> tuple[str, str | None]:
    """The text and its finish reason, searching the whole text after each character."""
    for end in range(1, len(drawn) + 1):
        text = drawn[: end - 1] if lines and drawn[end - 1] == "\n" else drawn[:end]
        finish = "end" if text != drawn[:end] else "length" if end == length else None
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], "stop"
        if finish:
            return text, finish
    return drawn, None


@given(drawn=LETTERS, stops=STOPS, lines=st.booleans(), length=st.integers(1, 30))
@settings(max_examples=400, deadline=None)
def test_a_sample_ends_where_a_plain_search_ends_it(
    drawn: str, stops: list[str], lines: bool, length: int
) -> None:
    shown = chunks(drawn, stop=tuple(stops), lines=lines, length=length)
    text, finish = ending(drawn, stops, lines, length)
    whole = "".join(chunk.text for chunk in shown)
    assert (shown[-1].finish if shown else None) == finish
    assert all(chunk.finish is None and chunk.text for chunk in shown[:-1])
    if finish:
        assert whole == text
    else:
        # The text that is held back can still become a stop text.
        assert text.startswith(whole)
        held = text[len(whole) :]
        assert not held or any(stop.startswith(held) for stop in stops)


def test_chunks_have_the_index_of_their_sample_and_its_token_count() -> None:
    shown = chunks("abc", length=3)
    assert [(p.index, p.text, p.tokens, p.finish) for p in shown] == [
        (7, "a", 1, None), (7, "b", 2, None), (7, "c", 3, "length"),
    ]  # fmt: skip


def test_a_character_is_shown_with_its_last_byte() -> None:
    assert [(p.text, p.tokens) for p in chunks("aéa", BYTES, length=9)] == [
        ("a", 1), ("é", 3), ("a", 4),
    ]  # fmt: skip


def test_a_character_cut_off_by_the_length_is_shown_as_u_fffd() -> None:
    shown = chunks("aé", BYTES, length=2)
    assert [(p.text, p.finish) for p in shown] == [("a", None), ("\ufffd", "length")]


def test_a_stop_text_may_be_a_character_of_several_tokens() -> None:
    assert [(p.text, p.finish) for p in chunks("aéa", BYTES, stop=("é",))] == [
        ("a", None), ("", "stop"),
    ]  # fmt: skip


def test_the_earliest_of_several_stop_texts_counts() -> None:
    shown = chunks("aabb", stop=("abb", "bb"), length=9)
    assert ("".join(p.text for p in shown), shown[-1].finish) == ("a", "stop")


def test_a_token_that_satisfies_a_constraint_is_not_part_of_the_text() -> None:
    sample = Sample(0, CHARS, SamplingParams(length=9))
    a, newline = CHARS.encode("a\n").tolist()
    assert sample.take(a, None) == Chunk(0, "a", 1)
    assert sample.take(newline, None, ended=True) == Chunk(0, "", 2, (), "stop")
    assert sample.finish == "stop"


def test_a_satisfied_constraint_takes_precedence_over_line_end_and_length() -> None:
    sample = Sample(0, CHARS, SamplingParams(length=1, lines=True))
    chunk = sample.take(CHARS.newline_id, None, ended=True)
    assert chunk is not None
    assert chunk.finish == "stop"


def test_a_newline_at_the_maximum_length_finishes_as_end() -> None:
    assert [(p.text, p.finish) for p in chunks("a\n", lines=True, length=2)] == [
        ("a", None), ("", "end"),
    ]  # fmt: skip


def test_logprobs_come_with_the_text_that_their_tokens_complete() -> None:
    sample = Sample(0, BYTES, SamplingParams(length=9, stop=("ab",)))
    logprobs = [Token(i, -0.5 * i) for i in range(4)]
    found = [sample.take(byte, each) for byte, each in zip("éab".encode(), logprobs, strict=True)]
    assert found == [
        None,
        Chunk(0, "é", 2, (logprobs[0], logprobs[1])),
        None,
        Chunk(0, "", 4, (logprobs[2], logprobs[3]), "stop"),
    ]


def test_sampling_params_are_neutral_by_default_and_name_every_filter() -> None:
    params = SamplingParams()
    assert (params.length, params.lines, params.stop) == (500, False, ())
    assert (params.values, params.logprobs) == ({}, -1)
    assert params.order == tuple(FILTERS)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_only_a_possible_beginning_of_a_stop_text_is_held_back(count: int) -> None:
    stop = "ab" * count + "c"
    shown = chunks("ab" * 6, stop=(stop,), length=99)
    assert sum(len(chunk.text) for chunk in shown) == 12 - min(12, 2 * count)
