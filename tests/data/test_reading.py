"""How text is read: line ends, documents and blank lines, the same in blocks of any size."""

from pathlib import Path

import pytest

from charrnn.data import sources
from charrnn.data.reading import LINE_ENDS, Reading, Tally, complete_lines, in_blocks
from charrnn.data.sources import Sources
from charrnn.tokenizers.documents import END


@pytest.fixture(params=[1, 2, 3, 5, 4 << 20], autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files read in blocks of so many bytes."""
    monkeypatch.setattr(sources, "BLOCK", request.param)


def files(folder: Path, *texts: str | bytes) -> Sources:
    """A corpus of these files."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.txt")
        paths[-1].write_bytes(text.encode() if isinstance(text, str) else text)
    return Sources(tuple(paths))


def text_of(reading: Reading, corpus: Sources) -> tuple[str, tuple[str, ...]]:
    """A corpus as a model is given it, and the notes."""
    tally = Tally()
    return "".join(reading.read(corpus, tally)), tally.notes(reading)


def documents_of(reading: Reading, corpus: Sources) -> list[str]:
    """Each document without its end."""
    found = list(reading.documents_of(corpus, Tally()))
    ends = {"\n"} if reading.documents == "line" else {END}
    assert {each[-1] for each in found} <= ends
    return [each[:-1] for each in found]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_every_line_end_becomes_a_newline_and_is_counted(end: str, tmp_path: Path) -> None:
    corpus = files(tmp_path, end.join(["a", "é", "", "b", ""]))
    note = f"line ends of other kinds are read as newlines: 4 {LINE_ENDS[end]}"
    assert text_of(Reading(newlines="convert"), corpus) == ("a\né\n\nb\n", (note,))
    kept, notes = text_of(Reading(newlines="keep"), corpus)
    assert kept == end.join(["a", "é", "", "b", ""])
    assert notes == (f"line ends of other kinds are kept as they are: 4 {LINE_ENDS[end]}",)
    # As earlier versions read, which said nothing of it.
    assert text_of(Reading(), corpus) == (kept, ())


@pytest.mark.parametrize("newlines", ["keep", "convert"])
def test_kinds_of_line_ends_are_told_apart(newlines: str, tmp_path: Path) -> None:
    text, notes = text_of(
        Reading(newlines=newlines), files(tmp_path, "a\r\nb\rc\r\r\nd\n\re\u2028\r")
    )
    assert text == (
        "a\nb\nc\n\nd\n\ne\n\n" if newlines == "convert" else "a\r\nb\rc\r\r\nd\n\re\u2028\r"
    )
    assert notes[0].endswith(": 2 CR LF, 4 CR, 1 LS")


def test_a_carriage_return_at_the_end_of_a_file_does_not_join_the_next_file(tmp_path: Path) -> None:
    assert text_of(Reading(newlines="convert"), files(tmp_path, "a\r", "\nb"))[0] == "a\n\nb"


def test_the_byte_tokenizer_keeps_line_ends_but_for_documents(tmp_path: Path) -> None:
    corpus = files(tmp_path, "a\r\nb\r\n")
    assert text_of(Reading(newlines="convert", exact=True), corpus)[0] == "a\r\nb\r\n"
    documents = Reading(newlines="convert", documents="line", exact=True)
    assert documents_of(documents, files(tmp_path, "a\rb\u2028c")) == ["a", "b", "c"]


def test_lines_are_documents_without_blank_ones_and_spaces_at_their_end(tmp_path: Path) -> None:
    corpus = files(tmp_path, "one  \n\n  two\n \t \nthree", "four\n")
    reading = Reading(newlines="convert", documents="line")
    text, notes = text_of(reading, corpus)
    assert text == "one\n  two\nthree\nfour\n"
    assert notes == ("2 blank lines are left out",)
    # Runs of earlier versions kept CR LF, of which a line has none nevertheless.
    assert documents_of(Reading(documents="line"), files(tmp_path, "a\r\n\r\nb\r\n")) == ["a", "b"]


def test_files_are_documents_without_newlines_around_them(tmp_path: Path) -> None:
    corpus = files(tmp_path, "\none\ntwo\n\n", "", "\n\n", f"three{END}four")
    reading = Reading(newlines="convert", documents="file")
    assert documents_of(reading, corpus) == ["one\ntwo", "threefour"]


def test_documents_between_blank_lines_end_with_their_file(tmp_path: Path) -> None:
    corpus = files(tmp_path, "\n\none\ntwo\n \t\n\n\nthree", "four\r\n\r\nfive\r\n")
    reading = Reading(newlines="convert", documents="blank")
    assert documents_of(reading, corpus) == ["one\ntwo", "three", "four", "five"]


def test_without_documents_the_text_is_read_as_it_is(tmp_path: Path) -> None:
    corpus = files(tmp_path, "one\n\n\ntwo", "three \n")
    assert text_of(Reading(newlines="convert"), corpus) == ("one\n\n\ntwo\nthree \n", ())


def test_numbered_lines_are_those_of_the_file(tmp_path: Path) -> None:
    blocks = ["one  \n\nt", "wo\n", " \nthree"]
    tally = Tally()
    documents = Reading(documents="line").numbered_lines(blocks, tally)
    assert list(documents) == [(1, "one"), (3, "two"), (5, "three")]
    assert tally.blank == 2
    plain = Reading().numbered_lines(blocks, Tally())
    assert list(plain) == [(1, "one  "), (2, ""), (3, "two"), (4, " "), (5, "three")]


@pytest.mark.parametrize(("errors", "text"), [("replace", "a\ufffdb\nc\ufffd"), ("skip", "ab\nc")])
def test_undecodable_places_are_counted_with_the_first_file(
    errors: str, text: str, tmp_path: Path
) -> None:
    found, notes = text_of(Reading(errors=errors), files(tmp_path, b"a\xffb", b"c\xe2\x82"))
    assert found == text
    done = "replaced by U+FFFD" if errors == "replace" else "left out"
    assert notes == (f"2 undecodable places {done}, first in {tmp_path}/0.txt",)


def test_nul_characters_are_counted_but_for_the_byte_tokenizer(tmp_path: Path) -> None:
    corpus = files(tmp_path, "a\0b", "\0c")
    note = "the text has 2 NUL characters, as files that are no text do"
    assert text_of(Reading(newlines="convert"), corpus) == ("a\0b\n\0c", (note,))
    assert text_of(Reading(newlines="convert", exact=True), corpus)[1] == ()


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("", ()),
        ("aaaa", ("the text is 'a' repeated: there is nothing to learn from it",)),
        ("\r\n\r\n", ("the text is '\\n' repeated: there is nothing to learn from it",)),
        ("\0" * 9, ("the text is '\\x00' repeated: there is nothing to learn from it",)),
        ("  \n\t \u3000", ("the text is blank: it has spaces, tabs and line ends alone",)),
        ("aaaab", ()),
        ("    a", ()),
    ],
)
def test_a_text_with_nothing_to_learn_is_doubted(
    text: str, doubt: tuple[str, ...], tmp_path: Path
) -> None:
    tally = Tally()
    list(Reading(newlines="convert").read(files(tmp_path, text), tally))
    assert tally.doubts() == doubt


def test_blocks_end_with_a_line_where_there_is_one() -> None:
    assert list(complete_lines(["a", "b\nc\nd", "", "e", "\n"])) == ["ab\nc\n", "de\n"]
    assert list(complete_lines([])) == []


def test_documents_are_gathered_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.data.reading.BLOCK", 4)
    assert list(in_blocks(["a\n", "bc\n", "d\n", "e\n", "f\n"])) == ["a\nbc\n", "d\ne\n", "f\n"]
