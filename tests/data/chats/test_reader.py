"""Which files plainly are chats, and lines of `Name: text`."""

import io
from pathlib import Path

import pytest

from charrnn.data.chats import reader
from charrnn.data.chats.turns import ChatTally
from charrnn.errors import CorpusError

TALK = "".join(f"Ann: how are you {i}?\nBob: fine {i}.\nAnn: good {i}.\n\n" for i in range(8))


def read(text: str) -> tuple[list[str], ChatTally]:
    tally = ChatTally()
    return list(reader.read(io.StringIO(text, newline="\n"), "chat", tally)), tally


def test_lines_of_turns_with_blank_lines_between_conversations() -> None:
    assert reader.form_of(TALK) == "Name: text"
    found, tally = read(TALK)
    assert len(found) == 8
    assert found[0] == "Ann: how are you 0?\nBob: fine 0.\nAnn: good 0.\n"
    assert tally.speakers == {"Ann": 16, "Bob": 8}


@pytest.mark.parametrize(
    "text",
    [
        "Title: a\nAuthor: b\nYear: c\n\n" * 20,
        "First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 20,
        "X:1\nT: a tune\nM: 4/4\nK: D\nabc def\n\n" * 20,
        "It was late. He said: go. She went.\n" * 20,
        "2024-01-01 10:00 INFO: started\n2024-01-01 10:00 WARN: slow\n" * 20,
        "Ann: x\n" * 20,
        "",
        "Ann: hi\nBob: hi\n",
        "Ann: hi\nBob: hi\n" * 20,
    ],
)
def test_what_may_be_another_text_is_not_taken_for_a_chat(text: str) -> None:
    assert reader.form_of(text) == ""


@pytest.mark.parametrize("name", ["fables.txt", "names.txt", "tunes.abc", "dates.tsv", "load.csv"])
def test_no_other_corpus_of_the_project_is_taken_for_a_chat(name: str) -> None:
    text = Path(__file__).parents[3].joinpath("corpora", name).read_text(encoding="utf-8")
    assert reader.form_of(text[: reader.HEAD]) == ""


def test_lines_without_a_name_go_on_with_the_turn_before_them() -> None:
    found, tally = read("a title\nAnn: one\n two: three\nsee http://x.org\nBob:\nfour\r\n")
    assert found == ["Ann: one\u2028two: three\u2028see http://x.org\nBob: four\n"]
    assert tally.left_out == {"lines before the first turn": 1}


def test_the_strict_form_reads_as_itself() -> None:
    (once,), _ = read("Ann: one\n two\nBob: three\n")
    assert read(once)[0] == [once]


def test_a_text_without_turns_and_a_chat_of_one_are_errors_of_one_line() -> None:
    for text, message in (("no turns here\n", "no turn"), ("Ann: hi\n" * 3, "one speaker, 'Ann'")):
        tally = read(text)[1]
        with pytest.raises(CorpusError, match=message):
            reader.check(tally, "chat.txt")


def test_many_speakers_are_read_in_a_moment() -> None:
    found, tally = read("".join(f"n{i}: x\n" for i in range(20_000)))
    assert len(tally.speakers) == 20_000
    assert len(found) == 400
