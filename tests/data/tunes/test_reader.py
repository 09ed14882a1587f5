"""Files of tunes: what they are recognized by, and what is said of each."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from charrnn.data.tunes import reader, strict
from charrnn.data.tunes.tally import TuneTally
from charrnn.errors import CorpusError, UsageError
from tests.support.tune_files import abc_tune, midi_tune

TUNE = "X:1\nM:3/4\nK:G\nG2A2B2|c6|]\n"


def read(
    files: Sequence[Path], encoding: str = "utf-8", errors: str = "strict"
) -> tuple[list[str], TuneTally]:
    tally = TuneTally()
    found = reader.read(files, encoding, errors, tally)
    return [strict.write(tune) for tune in found], tally


def written(folder: Path, **files: bytes) -> list[Path]:
    """Files by name, with _ for the point."""
    paths = []
    for name, raw in files.items():
        paths.append(folder / name.replace("_", "."))
        paths[-1].write_bytes(raw)
    return paths


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (midi_tune(1)[:40], "MIDI"),
        (b"RIFF\x40\0\0\0RMIDdata\x30\0\0\0" + midi_tune(1)[:40], "MIDI"),
        (TUNE.encode(), "ABC"),
        (b"\xef\xbb\xbf" + TUNE.replace("\n", "\r\n").encode(), "ABC"),
        (b"%abc-2.1\n% a book\n\n" + abc_tune(1).encode(), "ABC"),
        (b"<html><pre>\n" + TUNE.encode() + b"</pre>", "ABC"),
        (b"X: 12 % the twelfth\nT:One\n\nM:C\nK:Ador\nABc|", "ABC"),
        (b"X:1\nA tune of\nK:G\n", ""),
        (b"X: hello\nK: hi\nX: so\nK: yes\n" * 9, ""),
        (b"X: 1\nK: hello, my friend\n" * 9, ""),
        (b"Once upon a time\n" * 50 + TUNE.encode(), ""),
        (b"T:One\nK:G\nABc\n", ""),
        (b"X:1\nT:\0\nK:G\nABc\n", ""),
        (b"", ""),
    ],
)
def test_only_what_plainly_is_a_tune_is_recognized(head: bytes, form: str) -> None:
    assert reader.form_of(head) == form


@pytest.mark.parametrize("name", ["fables.txt", "names.txt", "dates.tsv", "load.csv"])
def test_no_other_corpus_of_the_project_is_taken_for_tunes(name: str) -> None:
    path = Path(__file__).parents[3] / "corpora" / name
    assert reader.form_of(path.read_bytes()[: reader.HEAD]) == ""
    assert not reader.may_be_tunes(path, path.read_bytes()[: reader.HEAD])


def test_most_files_decide_and_pictures_do_not() -> None:
    tune, text, picture = midi_tune(1)[:99], b"Once upon a time", b"\x89PNG\r\n\0\0"
    assert reader.forms([tune, picture, picture]) == "MIDI"
    assert reader.forms([tune, TUNE.encode(), text]) == "MIDI, ABC"
    assert reader.forms([tune, text]) == ""
    assert reader.forms([picture]) == reader.forms([]) == ""


def test_each_file_has_a_line_of_what_was_taken_and_why_the_rest_was_not(tmp_path: Path) -> None:
    no_meter = "X:2\nT:No meter\nK:G\nABc|\n"
    files = written(
        tmp_path,
        a_abc=(TUNE.replace("G2", "{a}G2") + "\n" + no_meter).encode(),
        b_mid=midi_tune(1),
        c_mid=midi_tune(1)[:50],
        d_mid=b"<html>404 not found",
        e_abc=b"",
        f_abc=b"no tunes here",
    )
    found, tally = read(files)
    assert len(found) == 2
    rows = [line.split("\t") for line in tally.table().splitlines()]
    assert [row[1:] for row in rows] == [
        ["form", "taken", "not taken", "why", "left out"],
        ["ABC", "1", "1", "X:2 'No meter': it has no meter", "1 grace notes"],
        ["MIDI", "1", "0", "", ""],
        ["MIDI", "0", "1", "it is damaged (it ends early)", ""],
        ["MIDI", "0", "1", "it is no MIDI file, which begins with MThd", ""],
        ["ABC", "0", "1", "it is empty", ""],
        ["ABC", "0", "1", "it has no tune, which begins with X:", "1 lines of free text"],
    ]
    notes = list(tally.notes())
    assert notes[0] == "2 tunes in 3 ABC files and 3 MIDI files; keys G 1, D 1; meters 3/4 2"
    assert f"not taken, it has no meter: X:2 'No meter' of {files[0]}" in notes
    assert "left out: 1 grace notes, 1 lines of free text" in notes


def test_many_reasons_are_counted_and_the_first_few_are_named(tmp_path: Path) -> None:
    tunes = [f"X:{n}\nM:3/4\nK:G\n{'A' * n}[\n" for n in range(1, 4)]
    tunes += [f"X:{n}\nM:3/4\nK:Z{n}\nA|\n" for n in range(7)]
    _, tally = read(written(tmp_path, a_abc="".join([*tunes, TUNE]).encode()))
    notes = list(tally.notes())
    assert f"not taken, a chord is not closed: X:1 of {tmp_path / 'a.abc'} and 2 more" in notes
    assert "not taken, for 3 other reasons: 3 more" in notes


def test_letters_of_another_encoding_are_no_reason_to_refuse_a_tune(tmp_path: Path) -> None:
    latin = TUNE.replace("M:", "T:Café\nM:").encode("latin-1")
    wide = TUNE.encode("utf-16")
    files = written(tmp_path, a_abc=latin, b_abc=wide, c_abc=b"\xef\xbb\xbf" + TUNE.encode())
    found, tally = read(files)
    assert found == [found[0]] * 3
    assert f"read as Latin-1: {files[0]}" in list(tally.notes())
    assert read(files[:1], errors="skip")[0] == found[:1]
    with pytest.raises(CorpusError, match="is not valid ascii"):
        read(files[:1], encoding="ascii")


def test_lines_of_other_systems_and_html_are_read(tmp_path: Path) -> None:
    crlf = TUNE.replace("\n", "\r\n").encode()
    html = b"<html><body><pre>\n" + TUNE.encode() + b"</pre></body></html>\n"
    found, _ = read(written(tmp_path, a_abc=crlf, b_abc=html))
    assert found == ["X:1\nM:3/4\nL:1/8\nK:G\nG2A2B2|c6|]\n"] * 2


def test_where_no_tune_is_readable_the_most_frequent_reason_is_said(tmp_path: Path) -> None:
    _, tally = read(written(tmp_path, a_abc=b"X:1\nK:G\nABc|\n" * 3, b_mid=b"MThd"))
    with pytest.raises(CorpusError) as raised:
        tally.check("tunes")
    assert raised.value.problem == (
        "tunes has no tune that can be read: it has no meter (3 times); 1 other reason"
    )


def test_midi_without_mido_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mido", None)
    with pytest.raises(UsageError) as raised:
        read(written(tmp_path, a_mid=midi_tune(1)))
    assert raised.value.remedy == "install it with: pip install 'charrnn[midi]'"
    assert read(written(tmp_path, a_abc=TUNE.encode()))[0]
