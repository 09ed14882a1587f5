"""A corpus of documents that are lines: its splits, their order, their ends."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.tokenizers import TOKENIZERS
from tests.support.corpora import LINES, all_lines, lines_of, made_of, texts_of


def test_every_tenth_line_is_for_validation(tmp_path: Path) -> None:
    parts = lines_of(made_of(tmp_path, LINES, lines=True))
    assert parts["valid"] == [f"line {n} of the names" for n in (10, 20, 30, 40)]
    assert sorted(parts["train"] + parts["valid"]) == sorted(LINES.splitlines())


def test_lines_for_validation_and_testing_alternate(tmp_path: Path) -> None:
    parts = lines_of(made_of(tmp_path, LINES, lines=True, test_fraction=0.1))
    assert parts["test"] == [f"line {n} of the names" for n in (5, 15, 25, 35)]
    assert parts["valid"] == [f"line {n} of the names" for n in (10, 20, 30, 40)]


@pytest.mark.parametrize(
    ("valid", "test"), [(0.1, 0.1), (0.2, 0.1), (0.25, 0.125), (0.5, 0.25), (0.5, 0.4), (0.0, 0.1)]
)
def test_lines_are_split_by_the_fractions(tmp_path: Path, valid: float, test: float) -> None:
    made = made_of(tmp_path, LINES, lines=True, valid_fraction=valid, test_fraction=test)
    parts = lines_of(made)
    assert all_lines(made) == Counter(LINES.splitlines())
    assert len(parts.get("valid", [])) == pytest.approx(40 * valid, abs=1)
    assert len(parts["test"]) == pytest.approx(40 * test, abs=1)
    gaps = np.diff([LINES.splitlines().index(line) for line in parts["test"]])
    assert gaps.max() <= 2 / test


def test_training_lines_are_shuffled_in_the_same_order_every_time(tmp_path: Path) -> None:
    first = made_of(tmp_path, LINES, "a.txt", lines=True)
    second = made_of(tmp_path, LINES, "b.txt", lines=True)
    assert lines_of(first) == lines_of(second)
    train = lines_of(first)["train"]
    assert train != sorted(train, key=LINES.splitlines().index)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("split_words", ["punctuation", "spaces"])
@pytest.mark.parametrize("ending", ["\n", " \n", "  \n", "\t\n", "\r\n", " \r\n"])
def test_every_line_ends_with_the_newline_id_whatever_it_ends_with(
    tmp_path: Path, name: str, split_words: str, ending: str
) -> None:
    text = LINES.replace("\n", ending)
    size = 310 if name == "subword" else None
    made = made_of(
        tmp_path, text, tokenizer=name, vocab_size=size, split_words=split_words, lines=True,
        min_count=1,
    )  # fmt: skip
    for part in made.splits.values():
        ids = part.load()
        assert ids[-1] == made.tokenizer.newline_id
        assert len(ids) == part.tokens
    ends = [np.count_nonzero(p.load() == made.tokenizer.newline_id) for p in made.splits.values()]
    assert ends == [36, 4]
    train = lines_of(made)["train"]
    assert sorted(line.strip() for line in train) == sorted(
        line.strip() for number, line in enumerate(LINES.splitlines(), 1) if number % 10
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_blank_lines_are_left_out_and_noted(tmp_path: Path, newline: str) -> None:
    text = ("\n\n" + LINES + " \t\n" + LINES + "\n").replace("\n", newline)
    made = made_of(tmp_path, text, lines=True)
    assert made.notes == ("4 blank lines are left out",)
    assert all_lines(made) == Counter(2 * LINES.splitlines())
    assert made.characters == 2 * len(LINES)


def test_one_blank_line_is_noted_in_the_singular(tmp_path: Path) -> None:
    made = made_of(tmp_path, "\n" + LINES, lines=True)
    assert made.notes == ("1 blank line is left out",)


def test_blank_lines_of_a_continuous_text_are_not_noted(tmp_path: Path) -> None:
    assert made_of(tmp_path, "\n\n" + LINES).notes == ()


def test_a_last_line_without_a_newline_is_a_line(tmp_path: Path) -> None:
    made = made_of(tmp_path, LINES.rstrip("\n"), lines=True)
    assert lines_of(made)["valid"][-1] == "line 40 of the names"
    assert texts_of(made)["valid"].endswith("\n")


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    text = LINES.replace(" of ", "\u2028\x0b\x85\r")
    made = made_of(tmp_path, text, lines=True)
    parts = texts_of(made)
    assert sum(part.count("\n") for part in parts.values()) == 40
    assert "line 10\u2028\x0b\x85\rthe names\n" in parts["valid"]


def test_lines_of_a_split_with_its_own_files_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("b\r\n\na\nc")
    made = made_of(tmp_path, LINES, lines=True, valid=(str(tmp_path / "own"),))
    assert texts_of(made)["valid"] == "b\na\nc\n"
    assert sorted(lines_of(made)["train"]) == sorted(LINES.splitlines())


def test_a_text_of_blank_lines_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"part of the text would be empty"):
        made_of(tmp_path, "\n" * 200, lines=True)
