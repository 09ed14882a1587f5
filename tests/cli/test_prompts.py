"""Prompts and texts from options, files and pipes: read exactly, and refused in one line."""

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli.prompts import note_unseen, read_prompt, read_prompts, read_text, unescape
from charrnn.errors import CharRNNError, CorpusError, StorageError, UsageError
from charrnn.tokenizers import TOKENIZERS, Tokenizer

ENDINGS = [
    (b"abc", "abc"),
    (b"abc\n", "abc"),
    (b"abc\r\n", "abc"),
    (b"abc\n\n", "abc\n"),
    (b"\n", ""),
    (b"", ""),
    (b"\n\nabc", "\n\nabc"),
    (b" abc \t\n", " abc \t"),
    (b"a\r\nb\r\n", "a\r\nb"),
    ("café €😀\n".encode(), "café €😀"),
    (b"\xef\xbb\xbfabc\n", "abc"),
    (b"\xef\xbb\xbf\xef\xbb\xbfabc", "\ufeffabc"),
    (b"a\xef\xbb\xbfb", "a\ufeffb"),
    (b"a\0b\x1b", "a\0b\x1b"),
]


def pipe(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    """Let stdin bring these bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "ascii"))


@pytest.mark.parametrize(("raw", "text"), ENDINGS)
def test_a_prompt_file_loses_its_mark_and_one_newline(
    raw: bytes, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(raw)
    assert read_prompt("", path, escapes=False) == text


@pytest.mark.parametrize(("raw", "text"), ENDINGS)
def test_a_piped_prompt_does_too(raw: bytes, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, raw)
    assert read_prompt("-", None, escapes=False) == text


@pytest.mark.parametrize(
    "text", ["", "abc", "abc\n", "\n", "--", " - ", "\ufeffabc", "é€😀", "a\\n"]
)
def test_a_prompt_from_the_option_is_taken_as_it_is(text: str) -> None:
    assert read_prompt(text, None, escapes=False) == text


def test_a_prompt_that_is_a_dash_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("-\n")
    assert read_prompt("", path, escapes=False) == "-"


def test_option_and_file_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--prompt and --prompt-file contradict each other; give"):
        read_prompt("abc", tmp_path / "prompt.txt", escapes=False)
    with pytest.raises(UsageError, match="contradict"):
        read_prompt("-", tmp_path / "prompt.txt", escapes=False)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.txt", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=rf"cannot read {path}: {why}.*; check it"):
            read_prompt("", path, escapes=False)


def test_undecodable_bytes_are_counted_and_their_source_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(b"a" * 1234 + b"\xff\n")
    with pytest.raises(
        UsageError, match=rf"{path} is not valid UTF-8 at byte 1,234 .*; give it in"
    ):
        read_prompt("", path, escapes=False)
    pipe(monkeypatch, b"\xef\xbb\xbfab\xe9")
    with pytest.raises(
        UsageError, match="stdin ends inside a UTF-8 character that begins at byte 5"
    ):
        read_prompt("-", None, escapes=False)
    argument = b"ab\xe9c".decode("utf-8", "surrogateescape")
    with pytest.raises(UsageError, match="the prompt is not valid UTF-8 at byte 2"):
        read_prompt(argument, None, escapes=False)


@pytest.mark.parametrize(
    ("raw", "prompts"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xef\xbb\xbfone\n", ["one"]),
        (b"one\n\ntwo\n\n", ["one", "", "two", ""]),
        (b"", [""]),
        (b"\n", [""]),
        (b" one \n\ttwo", [" one ", "\ttwo"]),
        ("one\u2028two\x0bthree\n".encode(), ["one\u2028two\x0bthree"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_each_line_is_a_prompt(
    raw: bytes, prompts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(raw)
    assert read_prompts(path, escapes=False) == prompts
    pipe(monkeypatch, raw)
    assert read_prompts(Path("-"), escapes=False) == prompts


def test_prompts_that_cannot_be_read_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_prompts(tmp_path / "none.txt", escapes=False)


def test_escapes_are_read_after_the_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(b"a\\tb\\n\nc\\x41\n")
    assert read_prompts(path, escapes=True) == ["a\tb\n", "cA"]
    assert read_prompts(path, escapes=False) == ["a\\tb\\n", "c\\x41"]
    assert read_prompt("", path, escapes=True) == "a\tb\n\ncA"
    assert read_prompt("\\n", None, escapes=True) == "\n"
    pipe(monkeypatch, b"x\\r\n")
    assert read_prompt("-", None, escapes=True) == "x\r"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (r"\n\t\r\\", "\n\t\r\\"),
        (r"\'\"", "'\""),
        (r"\a\b\f\v", "\a\b\f\v"),
        (r"\x41\xe9", "Aé"),
        (r"\u20ac\U0001f600", "€😀"),
        (r"\N{DEGREE SIGN}", "°"),
        (r"\0\7\60\101\3777", "\0\a0Aÿ7"),
        (r"\\n", r"\n"),
        (r"\\\n", "\\\n"),
        ("é€😀\\n", "é€😀\n"),
        ("\\xe9é", "éé"),
        ("a\nb", "a\nb"),
        ("", ""),
    ],
)
def test_escapes_stand_for_what_they_do_in_python(given: str, text: str) -> None:
    assert unescape(given) == text


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("\\", 1),
        ("ab\\", 3),
        ("é€\\d", 3),
        (r"\é", 1),
        (r"a\x4", 2),
        (r"\xg1", 1),
        ("\\x4é", 1),
        (r"\u12", 1),
        (r"\U0011", 1),
        (r"\U00110000", 1),
        (r"\ud800", 1),
        (r"\udcff", 1),
        (r"\N", 1),
        (r"\N{", 1),
        (r"\N{no such name}", 1),
        (r"\8", 1),
        (r"\ ", 1),
        ("\\\n", 1),
        (r"\\\q", 3),
    ],
)
def test_a_wrong_escape_is_a_usage_error_that_says_where(given: str, place: int) -> None:
    with pytest.raises(UsageError) as caught:
        unescape(given)
    assert caught.value.problem == f"the prompt has a wrong escape at character {place}"
    assert caught.value.remedy == r"write \\ for a backslash"


@given(text=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_text_with_doubled_backslashes_comes_back(text: str) -> None:
    assert unescape(text.replace("\\", "\\\\")) == text


@given(text=st.text(alphabet="\\nxuUN0147{}a1é ", max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        unescape(text).encode()
    except UsageError:
        assert "\\" in text


@pytest.mark.parametrize("kind", [CorpusError, UsageError, StorageError])
def test_a_text_is_read_completely_and_fails_with_the_class_given(
    kind: type[CharRNNError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\n\n")
    assert read_text(str(path), kind) == "a\r\n\n"
    pipe(monkeypatch, b"a\n")
    assert read_text("-", kind) == "a\n"
    path.write_bytes(b"a\xc3")
    with pytest.raises(kind, match="ends inside a UTF-8 character that begins at byte 1 in line 1"):
        read_text(str(path), kind)
    with pytest.raises(kind, match="cannot read"):
        read_text(str(tmp_path / "none"), kind)


def test_the_class_of_the_error_is_corpus_error_by_default(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        read_text(str(tmp_path / "none"))


LETTERS: Tokenizer = TOKENIZERS["char"].train(["abc\n"])
WORDS: Tokenizer = TOKENIZERS["word"].train(["the cat\n"])
BYTES: Tokenizer = TOKENIZERS["byte"].train(["abc\n"])


@pytest.mark.parametrize(
    ("prompts", "tokenizer", "unseen"),
    [
        (["abc", "", "\n"], LETTERS, False),
        (["abc", "abd"], LETTERS, True),
        (["abé"], LETTERS, True),
        (["the cat"], WORDS, False),
        (["the dog"], WORDS, True),
        (["abc"], BYTES, False),
        (["d"], BYTES, True),
        ([], BYTES, False),
    ],
)
def test_what_the_training_text_does_not_contain_is_noted_once(
    prompts: list[str],
    tokenizer: Tokenizer,
    unseen: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    note_unseen(prompts, tokenizer)
    out, err = capsys.readouterr()
    assert out == ""
    note = (
        "charrnn: note: the prompt contains characters or words that the training text does not\n"
    )
    assert err == (note if unseen else "")
