"""Where a text is copied from: the part of the corpus, and the line of the user's own files."""

from pathlib import Path
from typing import Any

import pytest

from charrnn.activity import listen_to_remarks
from charrnn.data.config import DataConfig
from charrnn.tasks.language.copies import CorpusSearch
from charrnn.tasks.language.corpus import prepare


def write(folder: Path, name: str, first: int, count: int = 40) -> Path:
    """A file of lines that are each different."""
    path = folder / name
    path.write_text("".join(f"{name} says {i * i} and {i}\n" for i in range(first, first + count)))
    return path


def search(folder: Path, *files: Path, **options: Any) -> CorpusSearch:
    """A corpus of files, ready to be searched."""
    asked = DataConfig(tuple(map(str, files)), **options).for_new_run()
    corpus = prepare(asked, folder / "corpus")
    return CorpusSearch(corpus, folder / "corpus", {"recipe": as_json(corpus.recipe(asked))})


def as_json(recipe: dict[str, Any]) -> dict[str, Any]:
    """As run.json has it: lists for tuples."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in recipe.items()}


def places(own: CorpusSearch, text: str, shortest: int = 12) -> list[tuple[str, str | None, Any]]:
    """Part, file name and line of each copy."""
    found = own.located(own.copies(text, shortest))
    return [(c.part, Path(c.file).name if c.file else None, c.line) for c in found]


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word"])
@pytest.mark.parametrize("documents", ["", "line", "blank", "file"])
def test_every_line_of_every_file_is_found_where_it_is(
    documents: str, tokenizer: str, tmp_path: Path
) -> None:
    files = [write(tmp_path, f"f{number}", 100 * number) for number in (1, 2, 3)]
    own = search(tmp_path, *files, documents=documents, tokenizer=tokenizer, valid_fraction=0.2)
    seen = []
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for copy in own.located(own.copies(line, len(line))):
                assert (copy.file, copy.line) == (str(file), number)
                seen.append(copy.part)
    assert set(seen) == {"train", "valid"} or tokenizer == "word"
    # One may be cut between two parts; words that training has not are unknown in the other part.
    assert len(seen) >= (119 if tokenizer != "word" else 60)


def test_files_of_a_part_of_its_own_are_named_for_that_part(tmp_path: Path) -> None:
    main, held_out, test = (write(tmp_path, name, 9) for name in ("main", "held", "test"))
    own = search(tmp_path, main, valid=(str(held_out),), test=(str(test),))
    text = "§".join(path.read_text().splitlines()[6] for path in (main, held_out, test))
    assert places(own, text) == [("train", "main", 7), ("valid", "held", 7), ("test", "test", 7)]


def test_of_equal_copies_that_of_the_training_part_counts_and_of_others_the_longest(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_text("one two three four\n" * 10 + "five six seven\n")
    (tmp_path / "b").write_text("x\n" * 40 + "one two three four\nfive six seven eight\n")
    own = search(tmp_path, tmp_path / "a", valid=(str(tmp_path / "b"),))
    assert places(own, "one two three four") == [("train", "a", 1)]
    assert places(own, "-five six seven eight-") == [("valid", "b", 42)]


def test_a_copy_of_lines_that_are_not_neighbours_in_the_file_is_found_by_its_longest(
    tmp_path: Path,
) -> None:
    (tmp_path / "names").write_text("Anna Maria\n\n\nElisabeth Charlotte\n" + "other\n" * 30)
    own = search(tmp_path, tmp_path / "names", documents="line", valid_fraction=0.0)
    assert places(own, "Anna Maria\nElisabeth Charlotte\n") == [("train", "names", 4)]


def test_what_is_gone_is_said_and_the_line_of_the_part_is_left(tmp_path: Path) -> None:
    path = write(tmp_path, "f", 0)
    own = search(tmp_path, path, valid_fraction=0.0)
    line = path.read_text().splitlines()[5]
    path.write_text("something else\n")
    assert own.located(own.copies(line, 8))[0].to_json() == {
        "begin": 0, "length": len(line), "corpus_line": 6, "text": line, "part": "train",
        "file": None, "line": None,
    }  # fmt: skip
    path.unlink()
    remarks: list[str] = []
    with listen_to_remarks(remarks.append):
        assert own.located(own.copies(line, 8))[0].file is None
    assert remarks == ["the files of the corpus are not there any more, so none of them is named"]


def test_a_run_that_does_not_say_how_it_was_started_has_lines_of_its_parts(tmp_path: Path) -> None:
    asked = DataConfig((str(write(tmp_path, "f", 0)),))
    own = CorpusSearch(prepare(asked, tmp_path / "c"), tmp_path / "c", {"turn": 1})
    (copy,) = own.located(own.copies("f says 9 and 3", 8))
    assert (copy.corpus_line, copy.file, copy.line) == (4, None, None)


def test_text_from_standard_input_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    saved = write(tmp_path / "corpus", "stdin.txt", 0)
    own = search(tmp_path, saved, valid_fraction=0.0)
    assert places(own, "stdin.txt says 9 and 3") == [("train", "stdin", 4)]


def test_a_text_on_the_edge_of_two_blocks_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "f", 0)
    own = search(tmp_path, path, valid_fraction=0.0)
    for block in (3, 7, 50):
        monkeypatch.setattr("charrnn.data.sources.BLOCK", block)
        assert places(own, "f says 400 and 20\nf says 441 and 21") == [("train", "f", 21)]
