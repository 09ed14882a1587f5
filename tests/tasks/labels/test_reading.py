"""Files of many forms -> texts with labels."""

import json
from pathlib import Path

import pytest

from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.reading import Texts, read
from tests.support.labels import SENTENCES, SEVERAL, write_examples

EXPECTED = {(example.text, example.labels) for example in SENTENCES}


def texts(path: Path, **options: object) -> Texts:
    """A file -> its texts."""
    return read(LabelsDataConfig((str(path),), **options), path.parent)  # type: ignore[arg-type]


def found(path: Path, **options: object) -> set[tuple[str, tuple[str, ...]]]:
    """A file -> all its texts."""
    splits = texts(path, **options).splits
    return {(example.text, example.labels) for part in splits.values() for example in part}


FORMS = {
    "x.tsv": "".join(f"{t}\t{n[0]}\n" for t, n in SENTENCES),
    "y.tsv": "".join(f"{n[0]}\t{t}\n" for t, n in SENTENCES),
    "names.tsv": "Label\tSentence\n" + "".join(f"{n[0]}\t{t}\n" for t, n in SENTENCES),
    "x.csv": "id,label,text\n"
    + "".join(f'{i},{e[1][0]},"{e[0]}"\n' for i, e in enumerate(SENTENCES)),
    "x.txt": "".join(f"__label__{n[0]} {t}\n" for t, n in SENTENCES),
    "x.jsonl": "".join(json.dumps({"text": t, "label": n[0]}) + "\n" for t, n in SENTENCES),
    "list.json": json.dumps([{"review": t, "labels": [n[0]]} for t, n in SENTENCES]),
    "crlf.tsv": "".join(f"{t}\t{n[0]}\r\n" for t, n in SENTENCES),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_each_form_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], newline="")
    assert found(tmp_path / name) == EXPECTED


def test_which_column_is_which_is_said(tmp_path: Path) -> None:
    (tmp_path / "y.tsv").write_text(FORMS["y.tsv"])
    assert "text is column 2 of y.tsv, label column 1" in texts(tmp_path / "y.tsv").notes


def test_columns_can_be_named_or_numbered(tmp_path: Path) -> None:
    rows = "".join(f"{i % 3},{e[0]},{e[1][0]}\n" for i, e in enumerate(SENTENCES))
    path = tmp_path / "x.csv"
    path.write_text("stars,words,kind\n" + rows)
    with pytest.raises(UsageError, match="is not plain"):
        texts(path)
    assert found(path, label="kind", text="words") == EXPECTED
    assert {label for _, (label,) in found(path, label="stars")} == {"0", "1", "2"}


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    for number, (text, (label,)) in enumerate(SENTENCES):
        (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / label / f"{number}.txt").write_text(text + "\n")
    assert found(tmp_path / "in") == EXPECTED
    assert any("each file is a text" in note for note in texts(tmp_path / "in").notes)


def test_a_file_for_each_label_with_a_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for label in ("animal", "plant", "tool"):
        lines = [text for text, labels in SENTENCES if labels == (label,)]
        (tmp_path / "in" / f"{label}.txt").write_text("\n".join(lines) + "\n")
    assert found(tmp_path / "in") == EXPECTED
    assert any("each line is a text" in note for note in texts(tmp_path / "in").notes)


def test_several_labels_a_text(tmp_path: Path) -> None:
    path = write_examples(tmp_path / "x.txt", SEVERAL)
    assert {frozenset(labels) for _, labels in found(path)} == {
        frozenset(example.labels) for example in SEVERAL
    }


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(FORMS["x.tsv"] + "no tab\n\tanimal\nno label\t\n")
    notes = " ".join(texts(path).notes)
    assert "1 without a tab" in notes
    assert "1 without a text" in notes
    assert "1 without a label" in notes


def test_equal_texts_are_in_the_same_part_and_contradictions_are_said(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(FORMS["x.tsv"] * 2 + f"{SENTENCES[0].text}\ttool\n")
    read_ = texts(path, valid_fraction=0.3)
    parts = [{example.text for example in part} for part in read_.splits.values()]
    assert not parts[0] & parts[1]
    assert "1 text occurs with different labels" in read_.notes


def test_texts_of_another_file_that_were_trained_on_and_labels_that_were_not_are_said(
    tmp_path: Path,
) -> None:
    path = write_examples(tmp_path / "x.tsv")
    other = tmp_path / "v.tsv"
    other.write_text(f"{SENTENCES[0].text}\tanimal\nsomething else\tstone\nmore of it\tplant\n" * 3)
    notes = texts(path, valid=(str(other),)).notes
    assert "3 of the valid texts are in the training part too" in notes
    assert "labels of the valid part that the training part lacks: stone" in notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__label__a b\n", "needs at least 10"),
        ("x\n", "has no text with a label"),
        ("".join(f"text {n}\tgood\n" for n in range(20)), "not plain|the same label"),
        ("".join(f"__label__good text {n}\n" for n in range(20)), "the same label, 'good'"),
        ("".join(f"text {n}\tgo\x07od\n" for n in range(20)), "not plain|control characters"),
        ("text a\tx\ntext c\tx\ntext b\ty\x1b\n" * 20, "control characters"),
        ("".join(f"__label__{'y' * 300} text {n}\n" for n in range(20)), "300 characters"),
        ("".join(f"__label__{n} text {n}\n" for n in range(10_001)), "10,001 different labels"),
    ],
)
def test_what_cannot_be_labels_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises((CorpusError, UsageError), match=message):
        texts(tmp_path / "x.tsv")
