"""Words, character by character: the same words as the word tokenizer's, and what may follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.inference.word_automaton import (
    CLOSED,
    LETTER,
    MARK,
    WordAutomaton,
    find_words,
    kind_of,
)
from charrnn.tokenizers.word import compiled

SOME = st.text(st.sampled_from("aé-' \n.!’1_\u0301\u200d☺中한xß\ufe0f"), max_size=12)


@given(SOME)
def test_words_are_those_of_the_word_tokenizer_where_words_have_spaces(text: str) -> None:
    text = text.replace("中", "x")
    pieces = {each.strip() for each in compiled(2, "punctuation").findall(text)}
    own = {each for each in pieces if each and kind_of(each[0]) in (LETTER, MARK)}
    assert find_words(text) == own


@given(SOME)
def test_a_text_is_a_way_through_the_automaton_of_its_words(text: str) -> None:
    automaton = WordAutomaton(find_words(text))
    state = automaton.read("")
    for place, character in enumerate(text):
        after = automaton.step(state, character)
        assert after is not None, (text, place)
        assert after == automaton.forced(state, character)
        state = after
    assert automaton.can_end(state)


@given(SOME, SOME)
def test_what_the_automaton_writes_has_known_words_only(known: str, text: str) -> None:
    automaton = WordAutomaton(find_words(known))
    state, written = automaton.read(""), ""
    for character in text:
        after = automaton.step(state, character)
        if after is not None:
            state, written = after, written + character
    complete = written if automaton.can_end(state) else written[: -len(state.word)]
    assert all(map(automaton.is_word, find_words(complete)))


def test_the_first_letter_may_be_a_capital_and_no_other() -> None:
    automaton = WordAutomaton(["cat", "Fox", "ßa"])
    known = [each for each in ("cat", "Cat", "CAT", "Fox", "fox", "ßa") if automaton.is_word(each)]
    assert known == ["cat", "Cat", "Fox", "ßa"]


@pytest.mark.parametrize(
    ("text", "character", "may"),
    [
        ("it'", "s", True),
        ("it'", " ", False),  # "it" itself is not known
        ("cat'", "s", False),  # it would be the word "cat's"
        ("cat'", " ", True),
        ("cat-", "-", True),
        ("cat--", "c", True),  # two hyphens join nothing
        ("ca", "t", True),
        ("ca", " ", False),
        ("xq", "t", False),  # an unknown word can only end
        ("xq", " ", True),
        ("xq-", "c", False),
        ("中", "c", True),
        ("c", "中", False),
    ],
)
def test_what_may_follow(text: str, character: str, may: bool) -> None:
    automaton = WordAutomaton(["cat", "it's"])
    assert (automaton.step(automaton.read(text), character) is not None) == may


def test_an_unfinished_unknown_word_is_found() -> None:
    automaton = WordAutomaton(["cat"])
    ends = [automaton.unknown_end(text) for text in ("a ca", "the xq-z", "xq ", "")]
    assert ends == ["", "xq-z", "", ""]
    assert automaton.read("xq").word == CLOSED


def test_words_that_cannot_be_finished_are_not_begun() -> None:
    automaton = WordAutomaton(["cat", "cab", "dog"], ban=("at",), allow="cabdog ")
    assert automaton.words == ["cab", "dog"]
    assert automaton.step(automaton.read("cab"), ".") is None
    banned = WordAutomaton(["a", "b"], ban=("a b",))
    assert banned.next_letters("") == ["A", "B", "a", "b"]
    assert banned.step(banned.read("a "), "b") is None
