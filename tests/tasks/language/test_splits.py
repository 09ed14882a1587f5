"""Which part a text belongs to: cut at positions, or documents by the hash of their content."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from charrnn.data.config import DataConfig
from charrnn.errors import CorpusError
from charrnn.tasks.language.files import found_sources, recorded_files
from charrnn.tasks.language.leaks import Leaks
from charrnn.tasks.language.splits import Texts, content_hash, gathered


def config(*files: Path, **fields: object) -> DataConfig:
    """What is asked of a new run."""
    return DataConfig(tuple(map(str, files)), **fields).for_new_run()  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    """A file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def parts_of(asked: DataConfig, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The text of each part, and the notes after two passes as in `prepare`."""
    texts = Texts(asked, folder / "spool")
    found: dict[str, str] = {}
    for _ in range(2):
        found = {}
        for name, text in texts:
            found[name] = found.get(name, "") + text
    return found, texts.notes()


def lines(count: int, seed: int = 0) -> list[str]:
    """Different lines."""
    draw = random.Random(seed)
    return [f"{number} {''.join(draw.choices('abcdef', k=8))}" for number in range(count)]


def joined(each: list[str]) -> str:
    """Lines as a text."""
    return "".join(f"{line}\n" for line in each)


def test_a_text_is_cut_at_characters_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "".join(chr(0x4E00 + number) for number in range(1_000)))
    found, _ = parts_of(config(path, valid_fraction=0.25, test_fraction=0.125), tmp_path)
    assert "".join(found[name] for name in ("train", "valid", "test")) == path.read_text()
    assert {name: len(text) for name, text in found.items()} == {
        "train": 625, "valid": 250, "test": 125,
    }  # fmt: skip


def test_documents_are_split_by_content_whatever_their_order(tmp_path: Path) -> None:
    made = lines(400)
    one = write(tmp_path / "a", joined(made))
    random.Random(1).shuffle(made)
    two = write(tmp_path / "b", joined(made))
    asked = [config(path, documents="line", test_fraction=0.2) for path in (one, two)]
    found = [parts_of(each, tmp_path)[0] for each in asked]
    for name in ("train", "valid", "test"):
        assert sorted(found[0][name].splitlines()) == sorted(found[1][name].splitlines())
    sizes = {name: len(text) / one.stat().st_size for name, text in found[0].items()}
    assert sizes["valid"] == pytest.approx(0.1, abs=0.01)
    assert sizes["test"] == pytest.approx(0.2, abs=0.01)


def test_equal_documents_are_in_one_part_and_none_is_lost(tmp_path: Path) -> None:
    made = lines(60) * 4
    found, notes = parts_of(config(write(tmp_path / "a", joined(made)), lines=True), tmp_path)
    parts = {name: Counter(text.splitlines()) for name, text in found.items()}
    assert parts["train"] + parts["valid"] == Counter(made)
    assert not parts["train"].keys() & parts["valid"].keys()
    assert notes == ()


def test_a_long_document_is_not_most_of_the_validation_part(tmp_path: Path) -> None:
    made = [*lines(200), "long " * 500]
    found, _ = parts_of(config(write(tmp_path / "a", joined(made)), lines=True), tmp_path)
    assert "long" not in found["valid"]
    total = sum(map(len, found.values()))
    assert 0.05 < len(found["valid"]) / total < 0.13


def test_of_long_documents_the_shortest_validates(tmp_path: Path) -> None:
    for number, length in enumerate((500, 300, 400)):
        write(tmp_path / f"book/{number}.txt", f"{number}" * length)
    found, _ = parts_of(config(tmp_path / "book", documents="file"), tmp_path)
    assert set(found["valid"][:-1]) == {"1"}


@pytest.mark.parametrize("fields", [{}, {"test_fraction": 0.1}])
def test_too_few_different_documents_are_refused(tmp_path: Path, fields: dict[str, float]) -> None:
    count = 1 + len(fields)
    path = write(tmp_path / "a", joined(lines(count) * 50))
    plural = "s" * (count > 1)
    with pytest.raises(CorpusError, match=f"the text has {count} different document{plural}, and"):
        Texts(config(path, lines=True, **fields), tmp_path)
    Texts(config(path, lines=True, valid_fraction=0.0), tmp_path)


def test_the_hash_of_a_document_is_the_same_for_ever() -> None:
    assert content_hash("The mill.\n") == 8303289632241208229
    assert content_hash("The mill.") != content_hash("The mill.\n")
    content_hash("\udcff")


def test_a_held_out_file_is_left_out_of_the_folder_it_is_in(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"book/{name}.txt", name * 200 + "\n")
    asked = config(tmp_path / "book", valid=(str(tmp_path / "book/b.txt"),))
    found, notes = parts_of(asked, tmp_path)
    assert found == {"train": "a" * 200 + "\n" + "c" * 200 + "\n", "valid": "b" * 200 + "\n"}
    assert notes[0].startswith(f"left out of {tmp_path}/book, held out for another part:")


def test_the_files_of_folders_and_globs_are_recorded_and_read_again(tmp_path: Path) -> None:
    for name in ("a1", "a10", "a2"):
        write(tmp_path / f"book/{name}.txt", name * 100)
    named = write(tmp_path / "v.txt", "valid")
    for source in ("book", "book/*.txt"):
        asked = config(tmp_path / source, valid=(str(named),))
        recorded = recorded_files(asked, found_sources(asked, tmp_path / "spool"))
        # The file that was named needs no record.
        ((name, files),) = recorded
        assert name == "train"
        assert [Path(file).stem for file in files] == ["a1", "a2", "a10"]
        write(tmp_path / "book/a3.txt", "new")
        again = DataConfig(**{**asked.__dict__, "files": recorded})
        assert [path.stem for path in found_sources(again, tmp_path)["train"].files] == [
            "a1", "a2", "a10",
        ]  # fmt: skip
        (tmp_path / "book/a3.txt").unlink()


def test_text_that_is_read_twice_and_held_out_files_that_are_trained_on_are_noted(
    tmp_path: Path,
) -> None:
    text = joined(lines(50))
    a, b = write(tmp_path / "a", text), write(tmp_path / "b", text)
    empty = [write(tmp_path / name, "") for name in ("e", "f")]
    _, notes = parts_of(config(a, *empty, b, valid=(str(b),)), tmp_path)
    assert f"the same text is read more than once: {b}" in notes
    assert f"1 of the valid files are in the training text too: {b}" in notes


def test_held_out_lines_in_the_training_part_are_noted_from_half_on(tmp_path: Path) -> None:
    made = lines(100)
    train = write(tmp_path / "a", joined(made))
    for known, noted in ((49, False), (50, True)):
        valid = write(tmp_path / "v", "\n \n" + joined(made[:known] + lines(100 - known, seed=1)))
        _, notes = parts_of(config(train, valid=(str(valid),)), tmp_path)
        said = f"{known} of 100 different valid lines are in the training part too"
        assert any(note.startswith(said) for note in notes) == noted


def test_a_bounded_number_of_held_out_lines_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.tasks.language.leaks.MOST_LINES", 3)
    leaks = Leaks()
    for text in ("a\nb\n", "c\nd\n", "e\nf\n"):
        leaks.take("valid", text)
    leaks.end_pass()
    leaks.take("train", "a\nb\nc\nd\ne\nf\n")
    assert next(leaks.notes()).startswith("4 of 4 different valid lines")


def test_documents_are_gathered_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.tasks.language.splits.BLOCK", 4)
    made = [("train", "ab"), ("valid", "x"), ("train", "cd"), ("train", "e"), ("test", "y")]
    assert list(gathered(iter(made))) == [
        ("train", "abcd"), ("train", "e"), ("valid", "x"), ("test", "y"),
    ]  # fmt: skip


def test_shares_of_documents_do_not_hang_on_their_number() -> None:
    hashes = np.array([content_hash(line) for line in lines(2_000)], np.uint64)
    # A tenth of the smallest hashes is a tenth at random, of even numbers as of odd ones.
    smallest = np.argsort(hashes)[:200]
    assert 70 < int((smallest % 2).sum()) < 130
