"""Constraints: banned texts never occur and a pattern is matched, with every tokenizer."""

import time

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import UsageError
from charrnn.inference import sampling
from charrnn.inference.constraints import (
    AllowConstraint,
    BanConstraint,
    token_biases,
)
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.inference.patterns import RegexConstraint
from charrnn.inference.sampling import Context, Filter, Logits
from charrnn.inference.text_tracker import TextTracker, token_texts
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.base import Decoder
from tests.support.steppers import noise, pairs, written
from tests.support.tiny import TinyTextModel

TEXT = "Der Müller mahlt.\nDas Café hat offen - für 7 €! Ich weiß, die Katze saß.\n" * 15 + "ñ😀\n"
"""Characters of one to four bytes; the char tokenizer encodes the rare last two as bytes."""

TRAINED: dict[str, Tokenizer] = {
    name: kind.train([TEXT], vocab_size=None if name == "word" else 340, min_count=2)
    for name, kind in TOKENIZERS.items()
}

MODELS = {name: pairs(tokenizer, TEXT) for name, tokenizer in TRAINED.items()}

EVERYTHING: dict[str, dict[str, object]] = {
    "char": {"spells": True},
    "byte": {"unsampled": []},
    "subword": {"unsampled": [0]},
}
"""What in the JSON of a tokenizer says that all its ids have occurred."""

LETTERS: Tokenizer = TOKENIZERS["char"].train(["abc\n"])
WORDS: Tokenizer = TOKENIZERS["word"].train(["the cat concat cats\n"])
BYTES = TRAINED["byte"]
BYTES_OF_ALL: Tokenizer = TOKENIZERS["byte"].from_json({"unsampled": []})

SUBSTRINGS = st.builds(
    lambda begin, size: TEXT[begin : begin + size], st.integers(0, 70), st.integers(1, 6)
) | st.sampled_from(["ñ", "😀", "\n", "é", "ü", "ß "])


def last(rule: Filter, tokenizer: Tokenizer, ids: list[int], prompt: str = "") -> Logits:
    """The result of a filter for logits of 0, after it has seen these ids one by one."""
    logits = np.zeros((1, tokenizer.vocab_size), np.float32)
    known = [-1] * 4 + tokenizer.encode(prompt).tolist()
    left = rule(logits, Context(np.array([known])))
    for end in range(1, len(ids) + 1):
        left = rule(logits, Context(np.array([known + ids[:end]])))
    assert not logits.any()
    row: Logits = left[0]
    return row


def ruled_out(rule: Filter, tokenizer: Tokenizer, text: str = "", prompt: str = "") -> list[str]:
    """The tokens that are ruled out after a text."""
    left = last(rule, tokenizer, tokenizer.encode(text).tolist(), prompt)
    return [tokenizer.decode([token]) for token in np.flatnonzero(np.isinf(left)).tolist()]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_text_of_a_row_is_the_output_of_the_decoder(name: str, data: st.DataObject) -> None:
    tokenizer = TRAINED[name]
    some = st.integers(0, tokenizer.vocab_size - 1)
    multibyte = st.sampled_from(tokenizer.encode("aé😀ñ").tolist())
    ids = data.draw(st.lists(some | multibyte, max_size=25))
    tracker, decoder, shown = TextTracker(tokenizer), Decoder(tokenizer), ""
    known = [-1]
    tracker.update(Context(np.array([known])))
    for token in ids:
        known.append(token)
        added = tracker.added_text(0, token)
        assert tracker.update(Context(np.array([known]))) == [shown + added]
        shown += decoder.push(token)
        assert tracker.texts[0] == shown


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_new_row_starts_with_the_text_of_its_history(name: str) -> None:
    tokenizer = TRAINED[name]
    ids = tokenizer.encode("Das Café\n").tolist()
    tracker = TextTracker(tokenizer)
    for end in range(len(ids) + 1):
        texts = tracker.update(Context(np.array([[7, 7, 7, *ids[:end]]]), rows=(end,)))
    assert texts == ["Das Café\n"]


def test_a_row_is_incomplete_until_the_last_byte_of_a_character() -> None:
    tracker, known = TextTracker(BYTES), [0]
    incomplete = []
    for token in (None, *"a😀b".encode()):
        known += [] if token is None else [token]
        tracker.update(Context(np.array([known])))
        incomplete.append(tracker.is_incomplete(0))
    assert incomplete == [False, False, True, True, True, False, False]


def test_token_texts_are_complete_characters_or_empty() -> None:
    assert token_texts(LETTERS) == [""] * 16 + ["\n", "a", "b", "c"]
    assert token_texts(WORDS) == [" <unk>", "\n", " cat", " cats", " concat", "the"]
    assert token_texts(BYTES) == [chr(i) for i in range(128)] + [""] * 128
    assert "ß" in token_texts(TRAINED["subword"])


@pytest.mark.parametrize("name", TOKENIZERS)
@given(banned=st.lists(SUBSTRINGS, min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_banned_texts_are_never_generated(name: str, banned: list[str], seed: int) -> None:
    tokenizer = TRAINED[name]
    shown = written(tokenizer, MODELS[name], [BanConstraint(tuple(banned), tokenizer)], 100, seed)
    # A character that is cut off by the maximum length is decoded as U+FFFD.
    assert not any(text in shown.removesuffix("\ufffd") for text in banned)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", ["Katze", "ü", "é", "ß,"])
def test_banned_texts_are_generated_without_the_ban(name: str, text: str) -> None:
    tokenizer, model = TRAINED[name], MODELS[name]
    texts = [written(tokenizer, model, [], 150, seed) for seed in range(12)]
    assert any(text in each for each in texts)
    rule = [BanConstraint((text,), tokenizer) for _ in texts]
    again = [written(tokenizer, model, [rule[seed]], 150, seed) for seed in range(12)]
    assert not any(text in each for each in again)


@pytest.mark.parametrize(
    ("banned", "text", "out"),
    [
        (("abc",), "", []),
        (("abc",), "a", []),
        (("abc",), "ab", ["c"]),
        (("abc",), "abcab", ["c"]),
        (("abc",), "aba", []),
        (("aab",), "aaa", ["b"]),
        (("a",), "", ["a"]),
        (("ab", "ac"), "a", ["b", "c"]),
        (("a\n",), "a", ["\n"]),
        (("x", "ax"), "a", []),
    ],
)
def test_a_token_is_ruled_out_only_where_it_would_complete_a_banned_text(
    banned: tuple[str, ...], text: str, out: list[str]
) -> None:
    assert ruled_out(BanConstraint(banned, LETTERS), LETTERS, text) == out


@pytest.mark.parametrize(
    ("banned", "text", "out"),
    [
        ("cat", "", [" cat", " cats", " concat"]),
        ("cats", "", [" cats"]),
        ("e c", "", []),
        ("e c", "the", [" cat", " cats", " concat"]),
        ("e con", "the", [" concat"]),
        ("e cat\n", "the cat", ["\n"]),
        ("e cat\n", " cat", []),
        ("at ca", " concat", [" cat", " cats"]),
    ],
)
def test_banned_text_within_and_across_words(banned: str, text: str, out: list[str]) -> None:
    assert ruled_out(BanConstraint((banned,), WORDS), WORDS, text) == out


def test_banned_text_within_tokens_of_several_characters() -> None:
    tokenizer = TRAINED["subword"]
    texts = token_texts(tokenizer)
    assert max(map(len, texts)) > 3
    out = np.flatnonzero(np.isinf(last(BanConstraint(("e",), tokenizer), tokenizer, [])))
    assert out.tolist() == [i for i, text in enumerate(texts) if "e" in text]


@pytest.mark.parametrize(("name", "character"), [("byte", "é"), ("byte", "😀"), ("char", "ñ")])
def test_only_the_last_byte_of_a_banned_character_is_ruled_out(name: str, character: str) -> None:
    tokenizer = TRAINED[name]
    ids = tokenizer.encode(character).tolist()
    assert len(ids) > 1
    for end in range(len(ids)):
        out = np.flatnonzero(
            np.isinf(last(BanConstraint((character,), tokenizer), tokenizer, ids[:end]))
        )
        assert out.tolist() == ([ids[-1]] if end == len(ids) - 1 else [])


def test_the_replacement_character_can_be_banned() -> None:
    rule = BanConstraint(("\ufffd",), BYTES)
    out = np.flatnonzero(np.isinf(last(rule, BYTES, list(b"a\xc3")))).tolist()
    assert set(range(128)) < set(out)
    assert not set(range(0x80, 0xC0)) & set(out)
    assert np.isinf(last(BanConstraint(("\ufffd",), BYTES), BYTES, [])[0x80])
    model, prompt = noise(256, spread=0.5), "a"
    assert "\ufffd" in written(BYTES_OF_ALL, model, [], 200)
    shown = written(
        BYTES_OF_ALL, model, [BanConstraint(("\ufffd",), BYTES_OF_ALL)], 200, prompt=prompt
    )
    assert "\ufffd" not in shown.removesuffix("\ufffd")
    assert max(shown) > "\x80"


def test_the_prompt_is_not_part_of_the_constrained_text() -> None:
    assert ruled_out(BanConstraint(("abc",), LETTERS), LETTERS, "", prompt="ab") == []
    assert ruled_out(BanConstraint(("abc",), LETTERS), LETTERS, "ab", prompt="cc") == ["c"]


def test_rows_are_tracked_by_number_when_other_rows_end() -> None:
    rule, logits = BanConstraint(("ab",), LETTERS), np.zeros((3, LETTERS.vocab_size), np.float32)
    a, b, c = LETTERS.encode("abc").tolist()
    rule(logits, Context(np.array([[0], [0], [0]]), rows=(4, 5, 6)))
    left = rule(logits, Context(np.array([[a], [b], [c]]), rows=(4, 5, 6)))
    assert np.isinf(left).sum(axis=1).tolist() == [1, 0, 0]
    left = rule(logits[:2], Context(np.array([[b, b], [c, a]]), rows=(5, 6)))
    assert np.isinf(left).sum(axis=1).tolist() == [0, 1]
    assert np.isinf(left[1, b])


def test_a_ban_does_not_depend_on_the_batch() -> None:
    tokenizer, model = TRAINED["byte"], MODELS["byte"]
    start, params = begin(tokenizer, ""), SamplingParams(60, seed=3)

    def text(indices: range) -> list[str]:
        rule = [BanConstraint(("a", "Müller"), tokenizer)]
        found = list(
            generate(TinyTextModel(tokenizer, model), [start] * len(indices), params, indices, rule)
        )
        return ["".join(p.text for p in found if p.index == i) for i in indices]

    assert text(range(4)) == [text(range(i, i + 1))[0] for i in range(4)]


def test_banning_everything_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--ban leaves nothing to write with; ban less"):
        BanConstraint(("a", "b", "c", "\n"), LETTERS)
    with pytest.raises(UsageError, match="leaves nothing"):
        BanConstraint(("",), LETTERS)


def test_banning_every_continuation_is_a_usage_error_that_names_the_text() -> None:
    banned = tuple("ab" + each for each in "abc\n")
    rule = sampling.chain([sampling.exclude(LETTERS.unsampled), BanConstraint(banned, LETTERS)])
    assert set(ruled_out(rule, LETTERS, "a")) == {LETTERS.decode([i]) for i in range(16)}
    rule = sampling.chain([sampling.exclude(LETTERS.unsampled), BanConstraint(banned, LETTERS)])
    with pytest.raises(UsageError, match=r"--ban leaves nothing to write after 'cab'; ban less"):
        ruled_out(rule, LETTERS, "cab")


@pytest.mark.parametrize("name", TOKENIZERS)
@given(
    characters=st.sets(st.sampled_from("aehlt Katzsüßé€.\n"), min_size=3), seed=st.integers(0, 9)
)
@settings(max_examples=30, deadline=None)
def test_only_allowed_characters_are_generated(name: str, characters: set[str], seed: int) -> None:
    tokenizer = TRAINED[name]
    known = "".join(sorted(characters)) + "\n"
    rule = AllowConstraint(known, tokenizer)
    text = written(tokenizer, MODELS[name], [rule], 60, seed)
    # The maximum length may cut the last character.
    assert set(text.removesuffix("\ufffd")) <= set(known)


def test_exactly_the_tokens_with_other_characters_are_ruled_out() -> None:
    halves = {LETTERS.decode([i]) for i in range(16)}
    assert set(ruled_out(AllowConstraint("ab", LETTERS), LETTERS)) == halves | {"c", "\n"}
    assert set(ruled_out(AllowConstraint("a\nb", LETTERS), LETTERS)) == halves | {"c"}
    words = ruled_out(AllowConstraint("tac s", WORDS), WORDS)
    assert set(words) == {" <unk>", "\n", " concat", "the"}


@pytest.mark.parametrize(
    ("tokenizer", "characters"),
    [(LETTERS, ""), (LETTERS, "xyz"), (WORDS, "abc"), (BYTES, "\0")],
)
def test_an_alphabet_without_any_token_is_a_usage_error(
    tokenizer: Tokenizer, characters: str
) -> None:
    with pytest.raises(UsageError, match="--allow leaves nothing to write with; allow char"):
        AllowConstraint(characters, tokenizer)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("characters", ["é😀ñ", "ü€", "漢字é"])
def test_characters_of_several_tokens_can_be_allowed(name: str, characters: str) -> None:
    tokenizer = TRAINED[name]
    if name == "word":
        with pytest.raises(UsageError, match="--allow leaves nothing"):
            AllowConstraint(characters, tokenizer)
        return
    model = noise(tokenizer.vocab_size, spread=0.1)
    # As if all had occurred in training: whether they had is the business of another filter.
    free = TOKENIZERS[name].from_json({**tokenizer.to_json(), **EVERYTHING[name]})
    for seed in range(5):
        text = written(free, model, [AllowConstraint(characters, free)], 60, seed)
        # The maximum length may cut the last character.
        assert set(text.removesuffix("\ufffd")) <= set(characters)
        assert len(text) > 5


def test_biases_are_mapped_to_token_ids() -> None:
    a, newline = LETTERS.encode("a\n").tolist()
    assert token_biases({"a": 2.0, "\n": -1.5}, LETTERS) == {a: 2.0, newline: -1.5}
    assert token_biases({" cats": 1.0}, WORDS) == {int(WORDS.encode(" cats")[0]): 1.0}
    assert token_biases({}, LETTERS) == {}


@pytest.mark.parametrize(
    ("text", "tokenizer", "count"), [("ab", LETTERS, 2), ("é", LETTERS, 4), (" cat cats", WORDS, 2)]
)
def test_a_bias_for_several_tokens_is_a_usage_error(
    text: str, tokenizer: Tokenizer, count: int
) -> None:
    with pytest.raises(UsageError, match=f"--bias {text!r} is {count} tokens for this model; give"):
        token_biases({text: 1.0}, tokenizer)


PATTERNS = [
    r"(?s).{10}",
    r"[A-Za-z ,.]{3,30}",
    r"( [a-z]+){1,5}",
    r"(Katze|Kater| Katze|\n){2,4}",
    r"[^K\n]*[.!]",
    r"(?:[A-Z]?[a-z ]{1,9}\n){2}",
    r"",
]


def matched(name: str, pattern: str, seed: int, length: int = 60) -> tuple[str, str | None]:
    """A text generated under a pattern, and its finish reason."""
    tokenizer = TRAINED[name]
    rule = RegexConstraint(pattern, tokenizer)
    start, params = begin(tokenizer, ""), SamplingParams(length, seed=seed)
    found = list(
        generate(TinyTextModel(tokenizer, MODELS[name]), [start], params, (0,), [rule], rule.ends)
    )
    return "".join(chunk.text for chunk in found), found[-1].finish


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_stopped_text_matches_and_an_unfinished_one_matches_partially(
    name: str, pattern: str
) -> None:
    found = [matched(name, pattern, seed) for seed in range(6)]
    for text, finish in found:
        assert regex.fullmatch(pattern, text, partial=finish == "length"), text
    finishes = {finish for _, finish in found}
    assert finishes <= {"stop", "length"}
    assert "stop" in finishes


def test_a_newline_that_can_continue_a_match_does_not_end_the_text() -> None:
    text, finish = matched("char", r"(Katze|\n)+", 1)
    assert finish == "length"
    assert "\n" in text
    assert regex.fullmatch(r"(Katze|\n)+", text, partial=True)


def test_a_pattern_of_bounded_length_always_stops() -> None:
    for seed in range(20):
        text, finish = matched("char", "[abcdeü ]{3,9}", seed)
        assert finish == "stop"
        assert 3 <= len(text) <= 9


@pytest.mark.parametrize("name", ["byte", "char", "subword"])
@pytest.mark.parametrize("pattern", ["(?:ü|ß|€)+7", "aü", "hñ", "[😀-😂]{2}", "[ぁ-ん]+", "é.ñ"])
def test_a_pattern_may_require_characters_of_several_tokens(name: str, pattern: str) -> None:
    trained = TRAINED[name]
    tokenizer = TOKENIZERS[name].from_json({**trained.to_json(), **EVERYTHING[name]})
    model, params = noise(tokenizer.vocab_size, spread=0.1), SamplingParams(400, seed=1)
    rule = RegexConstraint(pattern, tokenizer)
    found = list(
        generate(
            TinyTextModel(tokenizer, model), [begin(tokenizer, "")], params, (0,), [rule], rule.ends
        )
    )
    assert regex.fullmatch(pattern, "".join(chunk.text for chunk in found))
    assert found[-1].finish == "stop"


def test_a_pattern_of_characters_that_cannot_be_written_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"continues 'a' .*widen the pattern, or allow its char"):
        list(
            generate(
                TinyTextModel(LETTERS, noise(LETTERS.vocab_size)), [begin(LETTERS, "")],
                SamplingParams(9), (0,), [RegexConstraint("añ", LETTERS)],
            )
        )  # fmt: skip


@pytest.mark.parametrize("pattern", ["(?s).*", ".*", "[^x]*"])
def test_a_byte_model_begins_any_character_where_any_is_allowed(pattern: str) -> None:
    left = last(RegexConstraint(pattern, BYTES_OF_ALL), BYTES_OF_ALL, [])
    alive = set(np.flatnonzero(np.isfinite(left)).tolist())
    assert set(range(0xC2, 0xF5)) <= alive
    assert not alive & {*range(0x80, 0xC2), *range(0xF5, 256)}
    after = last(RegexConstraint(pattern, BYTES_OF_ALL), BYTES_OF_ALL, [0xE3])
    assert np.flatnonzero(np.isfinite(after)).tolist() == list(range(0x80, 0xC0))


@pytest.mark.parametrize(
    "pattern", [r"(?=.*[A-Z]).{6}", r"a(?!b)", r"(?<=a)b", r"(a+)b\1", r"\bcat\b", r"(?>a+)b"]
)
def test_what_an_automaton_cannot_decide_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"--regex cannot be read: [^\n]+; correct the pattern"):
        RegexConstraint(pattern, LETTERS)


@pytest.mark.parametrize("pattern", [r"(a|a)*b", r"(a*)*b", r"(a|aa)+b", r"(.*a){20}b"])
def test_no_pattern_takes_more_than_bounded_time_per_token(pattern: str) -> None:
    rule, known = RegexConstraint(pattern, LETTERS), [0]
    a = int(LETTERS.encode("a")[0])
    began = time.process_time()
    for _ in range(300):
        rule(np.zeros((1, LETTERS.vocab_size), np.float32), Context(np.array([known])))
        known = [a]
    assert time.process_time() - began < 5


@pytest.mark.parametrize("pattern", ["^[ab]+$", "^(a|b)+$"])
def test_anchors_around_the_whole_pattern_change_nothing(pattern: str) -> None:
    excluded = set(ruled_out(RegexConstraint(pattern, LETTERS), LETTERS, "a"))
    assert not excluded & {"a", "b", "\n"}


@pytest.mark.parametrize("pattern", ["a\nb", "a(\nb)?", "a[^b]b"])
def test_in_a_corpus_of_lines_a_newline_ends_a_match_and_is_no_part_of_one(pattern: str) -> None:
    rule = RegexConstraint(pattern, LETTERS, lines=True)
    if pattern == "a\nb":
        with pytest.raises(UsageError, match="no text that continues 'a'"):
            ruled_out(rule, LETTERS, "a")
        return
    excluded = ruled_out(rule, LETTERS, "a")
    assert ("\n" in excluded) == (pattern == "a[^b]b")
    assert rule.ends(0, LETTERS.newline_id)


def test_a_newline_is_part_of_the_text_where_the_pattern_continues() -> None:
    rule = RegexConstraint("ab(\nc)?", LETTERS)
    newline = LETTERS.newline_id
    excluded = ruled_out(rule, LETTERS, "ab")
    assert "\n" not in excluded
    assert {"a", "b", "c"} <= set(excluded)
    assert not rule.ends(0, newline)
    assert not rule.ends(0, int(LETTERS.encode("a")[0]))
    rule = RegexConstraint("ab", LETTERS)
    assert "\n" not in ruled_out(rule, LETTERS, "ab")
    assert rule.ends(0, newline)


def test_tokens_that_can_match_keep_their_logits() -> None:
    rule, logits = RegexConstraint("[ab]+", LETTERS), np.arange(20, dtype=np.float32)[None]
    left = rule(logits, Context(np.array([[0]])))
    assert np.flatnonzero(np.isfinite(left)).tolist() == LETTERS.encode("ab").tolist()
    assert left[0, 17:19].tolist() == [17.0, 18.0]


def test_tokens_that_were_ruled_out_stay_so_except_the_end() -> None:
    rule, logits = RegexConstraint("[ab]*", LETTERS), np.full((1, 20), -np.inf, np.float32)
    logits[0, 18] = 1.0
    left = rule(logits, Context(np.array([[0]])))
    assert left[0, 18] == 1.0
    assert np.isfinite(left[0, LETTERS.newline_id])
    assert left[0, LETTERS.newline_id] <= -1e30
    assert np.isfinite(left).sum() == 2


@pytest.mark.parametrize(
    "pattern", ["(", "[z-a]", "*", "a{,", "\\", "(?P<a>x", "(?V0)a", "(" * 1500 + ")" * 1500]
)
def test_a_pattern_that_cannot_be_read_is_a_usage_error(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"--regex cannot be read: .+; correct the pattern"):
        RegexConstraint(pattern, LETTERS)


@pytest.mark.parametrize(("pattern", "after"), [("x", "''"), ("abx", "'ab'"), ("ab{2}dc", "'abb'")])
def test_a_pattern_that_cannot_be_matched_is_a_usage_error(pattern: str, after: str) -> None:
    rule = RegexConstraint(pattern, LETTERS)
    start, model = begin(LETTERS, ""), noise(LETTERS.vocab_size)
    with pytest.raises(
        UsageError, match=f"no text that continues {after} and matches --regex; widen"
    ):
        list(
            generate(
                TinyTextModel(LETTERS, model), [start], SamplingParams(9), (0,), [rule], rule.ends
            )
        )
