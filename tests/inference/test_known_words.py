"""Known words: only they are written, by every tokenizer, with every other constraint."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from charrnn.data.suffix_array import SuffixArray
from charrnn.errors import UsageError
from charrnn.inference.beam_search import beam_search, text_of
from charrnn.inference.constraints import CORPUS, Constraints
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.inference.known_words import KnownWordsConstraint, complete
from charrnn.inference.sampling import Context
from charrnn.inference.word_automaton import LETTER, WordAutomaton, find_words, kind_of
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from tests.support.steppers import noise
from tests.support.tiny import TinyTextModel

TEXT = (
    "Der Müller mahlt, und die Mühle geht.\nIt's a well-known cat - the cat's café, für 7 €!\n"
    "Это кошка, и она спит.\n" * 12 + "Ζωή ñandú 😀 中文字。\n"
)
"""Scripts of one to four bytes; the last line's characters are spelled by the char tokenizer."""


@cache
def tokenizer_of(name: str) -> Tokenizer:
    """A tokenizer of TEXT that knows which of its ids occur."""
    size = 320 if name == "subword" else None
    found: Tokenizer = TOKENIZERS[name].train(
        [TEXT], vocab_size=size, min_count=2 if name == "char" else 1
    )
    found.learn_floor(found.encode(TEXT))
    return found


def continued(
    name: str, asked: Constraints, prompt: str = "", length: int = 60, seeds: int = 6
) -> list[str]:
    """Samples of a model that knows nothing, and how each ended."""
    tokenizer = tokenizer_of(name)
    filters, ends = asked.filters(
        tokenizer,
        _nothing,
        _known_line,
        known_words=lambda _, ban, allow: KnownWordsConstraint(
            WordAutomaton(find_words(TEXT), ban, allow), tokenizer
        ),
    )
    params = SamplingParams(length, seed=3, whole=True)
    texts = [""] * seeds
    model = TinyTextModel(tokenizer, noise(tokenizer.vocab_size, spread=1.0))
    starts = [begin(tokenizer, prompt)] * seeds
    for chunk in generate(model, starts, params, range(seeds), filters, ends):
        texts[chunk.index] += chunk.text
    return texts


def _nothing() -> SuffixArray:
    raise AssertionError("the corpus is not needed")


def _known_line() -> Callable[[str], bool]:
    return lambda line: line.strip() == "cat"


def unknown_words(texts: Sequence[str], prompt: str = "") -> list[str]:
    """The words of texts that are not known; the last of each may be cut."""
    automaton = WordAutomaton(find_words(TEXT))
    wrong = []
    for text in texts:
        whole = prompt + text
        state = automaton.read(whole)
        if not automaton.can_end(state):
            whole = whole[: -len(state.word)]
        wrong += [word for word in find_words(whole) if not automaton.is_word(word)]
    return wrong


@pytest.mark.parametrize("name", TOKENIZERS)
def test_only_known_words_are_written(name: str) -> None:
    texts = continued(name, Constraints(known_words=CORPUS))
    assert unknown_words(texts) == []
    assert sum(len(find_words(text)) for text in texts) > 20
    assert not any("\ufffd" in text for text in texts)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_without_it_a_model_that_knows_nothing_writes_others(name: str) -> None:
    assert unknown_words(continued(name, Constraints()))


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize(
    "asked",
    [
        Constraints(ban=("cat", " d", "е"), known_words=CORPUS),
        Constraints(allow="abcdefghijklmnopqrstuvwxyzü ,.\nЭтокшиан", known_words=CORPUS),
        Constraints(novel=True, known_words=CORPUS),
        Constraints(bias={",": 4.0, "\n": -3.0}, known_words=CORPUS),
    ],
    ids=["ban", "allow", "novel", "bias"],
)
def test_with_another_constraint_both_hold(name: str, asked: Constraints) -> None:
    if asked.bias and name == "word":
        asked = Constraints(bias={"\n": -3.0}, known_words=CORPUS)
    texts = continued(name, asked)
    assert unknown_words(texts) == []
    assert not any(banned in text for banned in asked.ban for text in texts)
    assert asked.allow is None or all(set(text) <= set(asked.allow) for text in texts)


@pytest.mark.parametrize("name", ["char"])
@pytest.mark.parametrize(
    ("pattern", "prompt"),
    [
        ("[a-zA-Z' ]{17}!", "The c"),
        (r"[^\n]*'s \w+", ""),
        ("[а-яА-Я ]{20}", ""),
    ],
)
def test_with_a_pattern_no_text_comes_to_a_dead_end(name: str, pattern: str, prompt: str) -> None:
    texts = continued(name, Constraints(pattern=pattern, known_words=CORPUS), prompt, 40)
    assert unknown_words(texts, prompt) == []
    assert all(texts)


@pytest.mark.parametrize("name", [each for each in TOKENIZERS if each != "word"])
def test_the_last_word_of_the_prompt_is_finished(name: str) -> None:
    texts = continued(name, Constraints(known_words=CORPUS), "The ca", 20)
    assert unknown_words(texts, "ca") == []


def test_a_word_of_the_prompt_without_an_id_ends_where_the_prompt_does() -> None:
    texts = continued("word", Constraints(known_words=CORPUS), "The ca", 20)
    assert unknown_words(texts) == []
    assert not any(kind_of(text[0]) == LETTER for text in texts)


def test_an_unknown_word_of_the_prompt_can_only_end() -> None:
    texts = continued("char", Constraints(known_words=CORPUS), "xqz", 20)
    assert unknown_words(texts) == []
    assert not any(kind_of(text[0]) == LETTER for text in texts)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_beam_search_keeps_to_known_words(name: str) -> None:
    tokenizer = tokenizer_of(name)
    rule = KnownWordsConstraint(WordAutomaton(find_words(TEXT)), tokenizer)
    model = TinyTextModel(tokenizer, noise(tokenizer.vocab_size))
    start = begin(tokenizer, "The ca")
    found = beam_search(model, start, 3, SamplingParams(12), (rule,))
    assert unknown_words([text_of(tokenizer, start, found)], "ca" if name != "word" else "") == []


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_row_of_any_history_is_where_one_that_was_followed_is(name: str) -> None:
    tokenizer = tokenizer_of(name)
    rule = KnownWordsConstraint(WordAutomaton(find_words(TEXT)), tokenizer)
    ids = tokenizer.encode("the cat's café, кош ñan").astype(int).tolist()
    logits = np.zeros((1, tokenizer.vocab_size), np.float32)
    for end in range(len(ids) + 1):
        history = np.array([[-1, *ids[:end]]])
        followed = rule(logits, Context(history, rows=(0,)))
        if end % 5:
            continue
        fresh = KnownWordsConstraint(rule.automaton, tokenizer)(logits, Context(history, rows=(9,)))
        np.testing.assert_array_equal(followed, fresh)


def test_words_that_no_token_spells_are_not_begun() -> None:
    tokenizer = TOKENIZERS["char"].train(["abc d\n"])
    rule = KnownWordsConstraint(WordAutomaton(["ab", "aé", "é"]), tokenizer)
    logits = np.zeros((1, tokenizer.vocab_size), np.float32)
    left = rule(logits, Context(tokenizer.encode("a")[None].astype(int)))
    assert tokenizer.decode(np.flatnonzero(np.isfinite(left[0])).tolist()) == "b"


def test_no_word_that_can_be_written_is_an_error() -> None:
    tokenizer = TOKENIZERS["word"].train(["the cat\n"])
    rule = KnownWordsConstraint(WordAutomaton([]), tokenizer)
    assert rule.automaton.words == []
    letters = TOKENIZERS["char"].from_json({"name": "char", "characters": "\na", "spells": False})
    letters.unsampled = [*range(16), letters.newline_id]
    with pytest.raises(UsageError, match="leaves nothing to write with"):
        KnownWordsConstraint(WordAutomaton(["b"]), letters)


def test_digits_are_characters_or_their_beginnings() -> None:
    assert complete("e282ac") == ("€", "")
    assert complete("e2") == ("", "e2")
    assert complete("ffffffff") == ("\ufffd", "")
