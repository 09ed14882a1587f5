"""Originality: the suffix array against a plain search, copied spans, text without copies."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydivsufsort import divsufsort

from charrnn.activity import listen_to_remarks
from charrnn.data import suffix_array
from charrnn.data.suffix_array import Span, SuffixArray
from charrnn.errors import CorpusError
from charrnn.inference.constraints import NoCopyConstraint
from charrnn.inference.sampling import Context
from charrnn.tasks.language import originality
from charrnn.tasks.language.originality import copied_fraction, open_index
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from tests.support.steppers import noise, pairs, written
from tests.support.tiny import TEXT as PLAIN
from tests.support.tiny import tiny_corpus

TEXT = "Der Müller mahlt.\nDas Café hat offen - für 7 €! Ich weiß, die Katze saß.\n" * 15 + "ñ😀\n"

TRAINED: dict[str, Tokenizer] = {
    name: kind.train([TEXT], vocab_size=None if name == "word" else 340, min_count=2)
    for name, kind in TOKENIZERS.items()
}

LETTERS: Tokenizer = TOKENIZERS["char"].train(["abcd\n"])
WORDS: Tokenizer = TOKENIZERS["word"].train(["the cat concat cats\n"])

FEW = st.text(alphabet="ab", max_size=14) | st.text(alphabet="aé€b😀", max_size=12)
CORPORA = st.text(alphabet="ab", min_size=1, max_size=30) | st.text(
    alphabet="aé€b😀", min_size=1, max_size=20
)


def index_of(text: str) -> SuffixArray:
    """An index over a text."""
    raw = text.encode()
    return SuffixArray(raw, divsufsort(np.frombuffer(raw, np.uint8).copy()).astype(np.int32))


def copies(corpus: str, text: str, shortest: int) -> list[tuple[int, int]]:
    """Begin and length of the longest copied parts, none within another, by plain search."""
    found, reached = [], 0
    for begin in range(len(text)):
        ends = [e for e in range(begin + shortest, len(text) + 1) if text[begin:e] in corpus]
        if ends and ends[-1] > reached:
            found.append((begin, ends[-1] - begin))
            reached = ends[-1]
    return found


def marked(spans: list[tuple[int, int]]) -> set[int]:
    """The positions that lie in spans."""
    return {place for begin, length in spans for place in range(begin, begin + length)}


@given(corpus=CORPORA, part=FEW)
@settings(max_examples=150, deadline=None)
def test_finding_is_what_a_plain_search_finds(corpus: str, part: str) -> None:
    place = index_of(corpus).find(part.encode())
    raw = corpus.encode()
    if part.encode() in raw:
        assert raw[place : place + len(part.encode())] == part.encode()
    else:
        assert place == -1


@given(corpus=CORPORA, part=FEW)
@settings(max_examples=150, deadline=None)
def test_the_interval_contains_all_suffixes_with_the_prefix(corpus: str, part: str) -> None:
    raw = corpus.encode()
    ranked = sorted(range(len(raw)), key=lambda place: raw[place:])
    low, high = index_of(corpus).interval(part.encode())
    assert [raw[p:].startswith(part.encode()) for p in ranked] == [
        low <= rank < high for rank in range(len(raw))
    ]


def test_an_interval_can_be_narrowed() -> None:
    index = index_of("banana")
    within = index.interval(b"an")
    assert within == (1, 3)
    assert index.interval(b"ana", *within) == (1, 3)
    assert index.interval(b"anan", *within) == (2, 3)
    assert index.interval(b"b", *within) == (3, 3)


@given(corpus=CORPORA, text=FEW)
@settings(max_examples=150, deadline=None)
def test_the_longest_prefix_is_as_long_as_possible(corpus: str, text: str) -> None:
    raw, sought = corpus.encode(), text.encode()
    length, place = index_of(corpus).longest(sought)
    assert length == max(n for n in range(len(sought) + 1) if sought[:n] in raw)
    assert place == -1 if length == 0 else raw[place : place + length] == sought[:length]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 129, 300])
@pytest.mark.parametrize("rest", ["", "x", "x" * 500])
def test_long_prefixes_are_measured_exactly(length: int, rest: str) -> None:
    corpus = "".join(chr(97 + i * i % 23) for i in range(300)) + "\n"
    assert index_of(corpus).longest((corpus[:length] + rest).encode())[0] == length


@given(corpus=CORPORA, text=FEW, shortest=st.integers(1, 5))
@settings(max_examples=250, deadline=None)
def test_spans_are_those_of_a_plain_search(corpus: str, text: str, shortest: int) -> None:
    spans = index_of(corpus).spans(text, shortest)
    assert [(span.begin, span.length) for span in spans] == copies(corpus, text, shortest)
    for span in spans:
        part = text[span.begin : span.begin + span.length].encode()
        assert corpus.encode()[span.source :].startswith(part)


@given(corpus=CORPORA, text=FEW, shortest=st.integers(1, 5), longest=st.integers(1, 6))
@settings(max_examples=250, deadline=None)
def test_long_spans_reported_in_pieces_cover_the_same_characters(
    corpus: str, text: str, shortest: int, longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suffix_array, "MAX_SPAN", longest)
        spans = index_of(corpus).spans(text, shortest)
    for span in spans:
        assert text[span.begin : span.begin + span.length] in corpus
        assert shortest <= span.length <= max(longest, 2 * shortest)
    begins = [span.begin for span in spans]
    assert begins == sorted(set(begins))
    pieces = [(span.begin, span.length) for span in spans]
    assert marked(pieces) == marked(copies(corpus, text, shortest))
    assert copied_fraction(spans, len(text)) == pytest.approx(
        len(marked(pieces)) / (len(text) or 1)
    )


def test_a_span_longer_than_the_maximum_continues_in_an_overlapping_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suffix_array, "MAX_SPAN", 10)
    corpus = "abcdefghijklmnopqrstuvwxyz"
    spans = index_of(corpus).spans("--" + corpus[:23] + "--", 4)
    assert [(span.begin, span.source, span.length) for span in spans] == [
        (2, 0, 10), (9, 7, 10), (16, 14, 9),
    ]  # fmt: skip
    assert copied_fraction(spans, 27) == pytest.approx(23 / 27)


@pytest.mark.parametrize(
    ("text", "shortest", "spans"),
    [
        ("xxabcxx", 3, [Span(2, 0, 3)]),
        ("xxabcxx", 4, []),
        ("abcdcdef", 3, [Span(0, 0, 4), Span(4, 2, 4)]),
        ("abcabc", 3, [Span(0, 0, 3), Span(3, 0, 3)]),
        ("", 2, []),
        ("a", 2, []),
        ("é", 1, []),
    ],
)
def test_spans_exactly(text: str, shortest: int, spans: list[Span]) -> None:
    assert index_of("abcdef").spans(text, shortest) == spans


def test_overlapping_spans_are_both_reported_and_one_within_another_is_not() -> None:
    index = index_of("abcd|cdef|bc")
    assert [(s.begin, s.length) for s in index.spans("abcdef", 2)] == [(0, 4), (2, 4)]


def test_a_character_that_is_copied_in_part_does_not_count() -> None:
    # ä and ö share their first byte.
    index = index_of("xxä")
    assert index.longest("xxö".encode()) == (3, 0)
    assert index.spans("xxö", 2) == [Span(0, 0, 2)]


@pytest.mark.parametrize(
    ("spans", "characters", "fraction"),
    [
        ([], 0, 0.0),
        ([], 5, 0.0),
        ([(0, 5)], 5, 1.0),
        ([(1, 2)], 4, 0.5),
        ([(0, 4), (2, 4)], 8, 0.75),
        ([(0, 2), (2, 2)], 8, 0.5),
        ([(0, 2), (6, 2)], 8, 0.5),
        ([(0, 6), (1, 2)], 8, 0.75),
    ],
)
def test_the_copied_fraction_counts_each_character_once(
    spans: list[tuple[int, int]], characters: int, fraction: float
) -> None:
    assert copied_fraction([Span(b, 0, n) for b, n in spans], characters) == fraction


def test_positions_have_line_numbers_from_one() -> None:
    index = index_of("one\ntwo\n\nthrée\nfour")
    lines = {word: index.line(index.find(word.encode())) for word in ("one", "two", "e\nf", "our")}
    assert lines == {"one": 1, "two": 2, "e\nf": 4, "our": 5}


def windows(text: str, size: int) -> list[str]:
    """All substrings of this length."""
    return [text[begin : begin + size] for begin in range(len(text) - size + 1)]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(limit=st.integers(4, 9), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_nothing_longer_than_the_limit_is_copied(name: str, limit: int, seed: int) -> None:
    tokenizer = TRAINED[name]
    limit += 10 if name == "word" else 0
    rule = NoCopyConstraint(index_of(TEXT), limit, tokenizer)
    text = written(tokenizer, pairs(tokenizer, TEXT), [rule], 70, seed)
    assert [window for window in windows(text, limit + 1) if window in TEXT] == []


@pytest.mark.parametrize("name", TOKENIZERS)
def test_without_the_filter_the_same_model_copies(name: str) -> None:
    tokenizer = TRAINED[name]
    text = written(tokenizer, pairs(tokenizer, TEXT), [], 150)
    assert any(window in TEXT for window in windows(text, 12 if name == "word" else 7))


def ruled_out(
    rule: NoCopyConstraint, tokenizer: Tokenizer, text: str, possible: str = ""
) -> list[str]:
    """The tokens that the constraint excludes after a text, of those that were possible."""
    ids = tokenizer.encode(text).tolist()
    logits = np.full((1, tokenizer.vocab_size), -np.inf if possible else 0.0, np.float32)
    logits[0, [int(tokenizer.encode(each)[-1]) for each in possible]] = 0.0
    before = logits.copy()
    for end in range(len(ids) + 1):
        left = rule(logits, Context(np.array([[-1, *ids[:end]]])))
    assert np.array_equal(logits, before)
    out = np.flatnonzero(np.isinf(left) & np.isfinite(logits)).tolist()
    return [tokenizer.decode([token]) for token in out]


@pytest.mark.parametrize(
    ("text", "limit", "out"),
    [
        ("", 2, []),
        ("a", 2, []),
        ("ab", 2, ["c", "d"]),
        ("cab", 2, ["c", "d"]),
        ("bc", 2, ["a"]),
        ("dd", 2, []),
        ("abc", 3, ["a"]),
        ("bca", 3, ["b"]),
        ("dbca", 9, []),
        ("", 1, []),
        ("b", 1, ["c", "d"]),
    ],
)
def test_tokens_that_would_exceed_the_limit_are_excluded(
    text: str, limit: int, out: list[str]
) -> None:
    assert ruled_out(NoCopyConstraint(index_of("abcabd"), limit, LETTERS), LETTERS, text) == out


def test_a_row_is_left_unchanged_where_every_token_copies() -> None:
    rule = NoCopyConstraint(index_of("abcabd"), 2, LETTERS)
    assert ruled_out(rule, LETTERS, "ab", possible="cd") == []
    rule = NoCopyConstraint(index_of("abcabd"), 2, LETTERS)
    assert ruled_out(rule, LETTERS, "ab", possible="cda") == ["c", "d"]


@pytest.mark.parametrize(
    ("corpus", "limit", "text", "out"),
    [
        (" concat", 6, "", [" concat"]),
        (" conca", 6, "", []),
        ("oncat", 4, "", [" concat"]),
        ("ncat", 3, "", [" concat"]),
        ("e cat", 4, "the", [" cat", " cats"]),
        ("e cats", 5, "the", [" cats"]),
        ("e cats", 4, "the", [" cat", " cats"]),
        ("the c", 4, "the", [" cat", " cats", " concat"]),
        ("at\n", 2, " cat", ["\n"]),
    ],
)
def test_every_position_in_a_token_of_several_characters_is_checked(
    corpus: str, limit: int, text: str, out: list[str]
) -> None:
    assert ruled_out(NoCopyConstraint(index_of(corpus), limit, WORDS), WORDS, text) == out


@pytest.mark.parametrize(("name", "character"), [("byte", "é"), ("byte", "😀"), ("char", "ñ")])
def test_a_character_of_several_tokens_is_excluded_at_its_last_token(
    name: str, character: str
) -> None:
    tokenizer = TRAINED[name]
    rule = NoCopyConstraint(index_of("xa" + character), 1, tokenizer)
    known = [-1, *tokenizer.encode("a").tolist()]
    logits = np.zeros((1, tokenizer.vocab_size), np.float32)
    rule(logits, Context(np.array([known[:1]])))
    ids = tokenizer.encode(character).tolist()
    for token in ids:
        left = rule(logits, Context(np.array([known])))
        known.append(token)
        assert np.isinf(left[0, token]) == (token == ids[-1] and len(known) == 2 + len(ids))


def test_rows_are_tracked_separately() -> None:
    rule, logits = NoCopyConstraint(index_of("abc"), 2, LETTERS), np.zeros((2, 21), np.float32)
    a, b, c, d = LETTERS.encode("abcd").tolist()
    for history in ([[0], [0]], [[a], [d]], [[a, b], [d, b]]):
        left = rule(logits, Context(np.array(history), rows=(3, 9)))
    assert np.argwhere(np.isinf(left)).tolist() == [[0, c]]


def test_a_limit_that_is_never_reached_changes_nothing() -> None:
    tokenizer, model = TRAINED["char"], noise(TRAINED["char"].vocab_size)
    free = written(tokenizer, model, [], 50)
    assert (
        written(tokenizer, model, [NoCopyConstraint(index_of(TEXT), 10**6, tokenizer)], 50) == free
    )


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_index_of_a_corpus_is_over_its_training_part(name: str, tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path, name)
    index = open_index(corpus, tmp_path / "corpus")
    text = corpus.tokenizer.decode(corpus.splits["train"].load().tolist())
    assert bytes(index.text).decode() == text == PLAIN[: len(text)]
    assert index.find(text[-20:].encode()) >= 0
    assert index.find(b"no such text") == -1
    assert index.spans("xx" + text[5:40] + "yy", 20)[0].length >= 35


def test_an_index_is_built_once_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, folder = tiny_corpus(tmp_path), tmp_path / "corpus"
    first = open_index(corpus, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {"train.txt", "suffixes.npy"} < set(before)
    assert not any(name.endswith(".tmp") for name in before)
    monkeypatch.setattr(originality, "build_suffix_array", None)
    again = open_index(corpus, folder)
    assert bytes(again.text) == bytes(first.text)
    assert again.find(b"mill") == first.find(b"mill") >= 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["train.txt", "suffixes.npy"])
@pytest.mark.parametrize("left", [None, 0, 50, 300])
def test_an_incomplete_index_is_built_again(name: str, left: int | None, tmp_path: Path) -> None:
    corpus, folder = tiny_corpus(tmp_path), tmp_path / "corpus"
    before = bytes(open_index(corpus, folder).text)
    if left is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:left])
    index = open_index(corpus, folder)
    assert bytes(index.text) == before
    assert index.spans(PLAIN[:60], 20)[0].length >= 60


def test_a_corpus_too_large_to_index_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originality, "MAX_BYTES", 500)
    with pytest.raises(CorpusError, match=r"has 5\d\d bytes and at most 500 can be searched; leav"):
        open_index(tiny_corpus(tmp_path), tmp_path / "corpus")
    assert not (tmp_path / "corpus" / "suffixes.npy").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("place", ["numpy.save", "pathlib.Path.write_bytes"])
def test_an_index_that_cannot_be_kept_is_used_all_the_same(
    place: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, folder = tiny_corpus(tmp_path), tmp_path / "corpus"

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(place, refused)
    said: list[str] = []
    with listen_to_remarks(said.append):
        index = open_index(corpus, folder)
    assert index.find(b"cat") >= 0
    assert said == [f"the index of the training text was not kept ({os.strerror(number)})"]
    monkeypatch.undo()
    assert not (folder / "suffixes.npy").exists()
    assert not (folder / "suffixes.tmp").exists()
    assert open_index(corpus, folder).find(b"cat") >= 0
