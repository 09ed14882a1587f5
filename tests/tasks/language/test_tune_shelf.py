"""A corpus of tunes: split by tune before it is moved to other keys."""

from collections import Counter
from pathlib import Path

import pytest

from charrnn.data.config import DataConfig
from charrnn.data.tunes import strict
from charrnn.data.tunes.abc import parse
from charrnn.data.tunes.score import Note, Tune
from charrnn.data.tunes.transposition import melody, transposed
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language.splits import Texts
from charrnn.tokenizers.documents import END
from tests.support.tune_files import abc_tune, midi_tune


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A file of forty tunes."""
    path = tmp_path / "book.abc"
    path.write_text("".join(map(abc_tune, range(1, 41))))
    return path


def texts_of(*names: Path, folder: Path, **fields: object) -> Texts:
    """What is asked of a new run -> its texts, read twice as in `prepare`."""
    config = DataConfig(tuple(map(str, names)), **fields).for_new_run()  # type: ignore[arg-type]
    (folder / "spool").mkdir(exist_ok=True)
    texts = Texts(config, folder / "spool")
    for _ in range(2):
        list(texts)
    return texts


def parts(texts: Texts) -> dict[str, list[Tune]]:
    """The tunes of each part."""
    found: dict[str, list[Tune]] = {}
    for name, text in texts:
        assert text.endswith("\n" + END)
        each = text.removesuffix(END).split(END)
        assert all(one.startswith("X:1\nM:") and one.count("\n") == 5 for one in each)
        found.setdefault(name, []).extend(parse(one.splitlines(), Counter()) for one in each)
    return found


def test_no_held_out_tune_is_learned_in_another_key(book: Path, tmp_path: Path) -> None:
    # Half of the tunes stand in the file a second time, a tone higher.
    again = []
    for number in range(1, 41, 2):
        tune = transposed(parse(abc_tune(number).splitlines(), Counter()), 1, 2)
        assert tune
        again.append(strict.write(tune))
    book.write_text(book.read_text() + "\n".join(again))
    found = parts(texts_of(book, folder=tmp_path, valid_fraction=0.2, test_fraction=0.2))
    melodies = {name: set(map(melody, tunes)) for name, tunes in found.items()}
    assert len(melodies["train"] | melodies["valid"] | melodies["test"]) == 40
    assert not melodies["train"] & melodies["valid"]
    assert not melodies["train"] & melodies["test"]
    assert not melodies["valid"] & melodies["test"]
    # Two versions of a tune are in the same part, each in its own key.
    assert max(Counter(map(melody, found["valid"])).values()) == 2


def test_the_training_part_is_in_all_keys_that_the_range_allows(book: Path, tmp_path: Path) -> None:
    texts = texts_of(book, folder=tmp_path, valid_fraction=0.1)
    found = parts(texts)
    assert set(Counter(map(melody, found["train"])).values()) == {12}
    assert set(Counter(map(melody, found["valid"])).values()) == {1}
    assert len({tune.key.name for tune in found["train"]}) > 12
    for tune in found["train"]:
        pitches = [
            each.pitch.midi for each in tune.elements if isinstance(each, Note) and each.pitch
        ]
        assert 55 <= min(pitches) <= max(pitches) <= 88
    notes = texts.notes()
    assert notes[0].startswith("read as tunes, because the files plainly are (ABC)")
    assert "40 tunes in 1 ABC file; keys" in notes[1]
    learned = len(found["train"]) // 12
    assert any(f"the {learned} different tunes of the training part" in note for note in notes)
    assert any(f"allows: {len(found['train']):,} texts" in note for note in notes)


def test_a_bass_is_moved_within_its_own_range(tmp_path: Path) -> None:
    low = [
        f"X:{n}\nM:3/4\nK:C\nC,2D,2{'EFGA'[n % 4]},2|C,,6|{'CDEFG'[n % 5]},,6|]\n"
        for n in range(20)
    ]
    (tmp_path / "bass.abc").write_text("\n".join(low))
    found = parts(texts_of(tmp_path / "bass.abc", folder=tmp_path))
    assert min(Counter(map(melody, found["train"])).values()) > 6


def test_midi_and_abc_of_a_folder_are_one_corpus_with_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        (folder / "deep" / f"{number}.mid").write_bytes(midi_tune(number))
    (folder / "a.abc").write_text("".join(map(abc_tune, range(6))))
    (folder / "bad.mid").write_bytes(b"MThd")
    texts = texts_of(folder, folder=tmp_path)
    notes = "\n".join(texts.notes())
    assert "12 tunes in 1 ABC file and 7 MIDI files" in notes
    assert f"not taken, it is damaged (it ends early): {folder / 'bad.mid'}" in notes
    rows = (tmp_path / "spool" / "tunes.tsv").read_text().splitlines()
    assert len(rows) == 9
    assert f"{folder / 'bad.mid'}\tMIDI\t0\t1\tit is damaged (it ends early)\t" in rows


def test_held_out_files_that_repeat_a_tune_are_named(book: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.abc"
    moved = transposed(parse(abc_tune(7).splitlines(), Counter()), 2, 4)
    assert moved
    other.write_text(strict.write(moved) + "\n" + abc_tune(50))
    notes = texts_of(book, folder=tmp_path, valid=(str(other),)).notes()
    assert "1 tune of the valid part is in the training part too" in notes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (abc_tune(1) * 2, "1 different tune, and each part needs one of its own"),
        ("X:1\nK:G\nABc|\n" * 9, "no tune that can be read: it has no meter .9 times"),
    ],
)
def test_what_is_no_corpus_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(text)
    with pytest.raises(CorpusError, match=problem):
        texts_of(tmp_path / "a.abc", folder=tmp_path)


def test_an_encoding_of_midi_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "tunes").mkdir()
    for number in range(4):
        (tmp_path / "tunes" / f"{number}.mid").write_bytes(midi_tune(number))
    with pytest.raises(UsageError, match="--encoding has no effect on MIDI files"):
        texts_of(tmp_path / "tunes", folder=tmp_path, encoding="latin-1")
    with pytest.raises(UsageError, match="--errors has no effect on MIDI files"):
        texts_of(tmp_path / "tunes", folder=tmp_path, errors="skip")
    with pytest.raises(UsageError, match="--newlines keep has no effect on tunes"):
        texts_of(tmp_path / "tunes", folder=tmp_path, newlines="keep")


def test_more_tunes_than_are_kept_are_read_from_their_texts(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(texts_of(book, folder=tmp_path))
    monkeypatch.setattr("charrnn.tasks.language.tune_shelf.KEPT", 3)
    assert list(texts_of(book, folder=tmp_path)) == whole
