"""The word tokenizer: marks and joiners, rare words, the price of words without an id."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError
from charrnn.tokenizers import from_json
from charrnn.tokenizers.letters import LetterModel
from charrnn.tokenizers.word import WordTokenizer, compiled

MARKED = {
    "hindi": ("नमस्ते दुनिया क्या हाल है", 5),
    "hebrew": ("שָׁלוֹם עוֹלָם", 2),
    "arabic": ("بِسْمِ اللَّهِ الرَّحْمٰنِ", 3),
    "decomposed": ("cafe\u0301 de\u0301ja\u0300 vu", 3),
    "persian": ("می\u200cخواهم بروم", 2),
    "bengali": ("ক্\u200dষ আমি", 2),
    "tamil": ("வணக்கம் உலகம்", 2),
    "soft hyphen": ("Donau\u00addampf schiff", 2),
    "catalan": ("col·legi d'art", 2),
    "gershayim": ("צה״ל ארה״ב", 2),
    "family": ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd", 2),
    "flag": ("\U0001f1eb\U0001f1f7 \U0001f1e9\U0001f1ea", 2),
    "english": ("the miller's 12-inch", 3),
}


@pytest.mark.parametrize("script", MARKED)
def test_marks_and_joiners_belong_to_their_word(script: str) -> None:
    text, words = MARKED[script]
    assert len(compiled(2, "punctuation").findall(text)) == words


@given(
    st.text(alphabet="ab \n\r\t\0é😀<>\u2028\ufeff\u0301\u200d\u200c'-\u0600\ud800👨🇪", max_size=20)
)
@settings(max_examples=300, deadline=None)
def test_the_tokens_of_any_text_join_back_to_it(text: str) -> None:
    for rules in (1, 2):
        assert "".join(compiled(rules, "punctuation").findall(text)) == text


def test_tokenizers_of_earlier_versions_keep_their_rules() -> None:
    old = from_json({"name": "word", "split": "punctuation", "words": ["\n", "cafe", "\u0301"]})
    assert old.encode("cafe\u0301").tolist() == [2, 3]
    assert old.to_json() == {"name": "word", "split": "punctuation", "words": old.words}  # type: ignore[attr-defined]
    assert old.unknown_nats([" new"]) == [0.0]


@pytest.mark.parametrize("text", ["今日は天気がいいですね。" * 20, "ภาษาไทยไม่มีเว้นวรรค" * 20])
def test_a_script_without_spaces_is_noted(text: str) -> None:
    notes = WordTokenizer.train([text]).notes
    assert any("--tokenizer char or subword" in note for note in notes)
    assert not WordTokenizer.train(["the cat sat on the mat\n"]).notes


def many_rare_words(count: int = 40) -> str:
    return "the cat sat on the mat\n" * 50 + " ".join(f"rare{i}" for i in range(count))


def test_words_that_occur_once_are_unknown_in_training_where_there_are_many() -> None:
    text = many_rare_words()
    tokenizer = WordTokenizer.train([text])
    # 3% of 389 tokens, as a word with its blank is one token.
    assert (tokenizer.encode(text) == 0).sum() == 11
    assert "11 of 46 words occur once" in tokenizer.notes[0]
    assert "--min-count 1" in tokenizer.notes[0]
    # From the whole alphabet of them, not from its end.
    known = [f" rare{i}" in tokenizer.words for i in range(1, 40)]
    assert 10 < sum(known[:20]) < 20
    assert 10 < sum(known[20:]) < 19


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{n:x} " + f"{n * 7919:032b}\n" for n in range(1, 200)),
        "".join(f"name{n}\n" for n in range(500)),
        "".join(chr(0x3041 + n % 80) * (n % 23 + 1) + "\u3002\n" for n in range(900)),
    ],
    ids=["sequences", "names", "phrases"],
)
def test_a_text_of_words_that_occur_once_keeps_most_of_them(text: str) -> None:
    """Of a FASTA file 41.6% of the tokens were unknown, of a list of names every name."""
    ids = WordTokenizer.train([text]).encode(text)
    assert (ids == 0).mean() <= 0.03


@pytest.mark.parametrize(("least", "unknown"), [(1, 0), (2, 40), (51, 340)])
def test_a_minimum_count_for_words(least: int, unknown: int) -> None:
    text = many_rare_words()
    tokenizer = WordTokenizer.train([text], min_count=least)
    assert (tokenizer.encode(text) == 0).sum() == unknown
    assert not tokenizer.notes


def test_few_words_that_occur_once_keep_their_ids() -> None:
    text = many_rare_words(10)
    assert 0 not in WordTokenizer.train([text]).encode(text)


def test_the_price_of_a_word_is_that_of_its_letters() -> None:
    tokenizer = WordTokenizer.train([many_rare_words()])
    known, strange, foreign = tokenizer.unknown_nats([" rare99", " xqzvkjw", " 字字字字字字"])
    assert 0 < known < strange < foreign
    again = from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again.unknown_nats([" rare99"]) == [known]


def test_letter_probabilities_sum_to_one_over_all_that_can_follow() -> None:
    model = LetterModel(["ab", "abc", "b"], order=3)
    first = sum(model._probability("", letter) for letter in ("", *map(chr, range(0x800))))
    # The rest of Unicode shares what two of the five kinds of event have before any context.
    assert first + 2 / 5 * 4 / (9 + 4) == pytest.approx(1.0)


def test_letters_by_hand() -> None:
    # After no context: counts a 1, end 1, so n = 2 and d = 2.
    model = LetterModel(["a"], order=1)
    base = 1 / 5 / 0x80
    a, end = (1 + 2 * base) / 4, (1 + 2 / 5) / 4
    assert model.nats("aa") == pytest.approx(-math.log(a * a * end))


@pytest.mark.parametrize(
    "change", [{"dropped": "x"}, {"dropped": [3]}, {"rules": 9}, {"rules": True}]
)
def test_damaged_rules_and_examples_are_checkpoint_errors(change: dict[str, object]) -> None:
    data = WordTokenizer.train([many_rare_words()]).to_json()
    if change == {"rules": True}:
        change = {"rules": "2"}
    with pytest.raises(CheckpointError, match="tokenizer is damaged"):
        from_json(data | change)
