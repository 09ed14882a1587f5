"""LabelsTask: what it recognizes, shows and refuses."""

from pathlib import Path

import pytest

from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.task import LabelsTask
from tests.support.labels import SENTENCES, network_of, write_examples
from tests.support.shell import Shell

TASK = LabelsTask()

LINES = "".join(f"{text} {n}\t{labels[0]}\n" for n, (text, labels) in enumerate(SENTENCES))


def test_labels_are_recognized_and_nothing_else() -> None:
    assert TASK.recognizes(LINES) == "texts with labels"
    assert TASK.recognizes("__label__a some text\n" * 3) == "texts with labels"
    turned = "".join("\t".join(reversed(line.split("\t"))) + "\n" for line in LINES.splitlines())
    assert TASK.recognizes(turned) == "texts with labels"
    assert TASK.recognizes("".join(f"text {n}\tTEXT {n}\n" for n in range(90))) == ""
    assert TASK.recognizes("".join(f"{n}\t{n % 2}\n" for n in range(90))) == ""
    assert TASK.recognizes(LINES.replace("\t", " ")) == ""
    assert TASK.recognizes("a\tb\n") == ""


def test_a_preview_shows_texts_and_their_labels(tmp_path: Path) -> None:
    source = write_examples(tmp_path / "x.tsv")
    dataset = TASK.prepare(LabelsDataConfig((str(source),)), tmp_path / "corpus")
    lines = TASK.preview(network_of(dataset.encoder), dataset).split("\n")
    assert len(lines) == 3
    assert all(line.split(" -> ")[1] in dataset.encoder.labels for line in lines)


def test_the_baselines_are_better_than_nothing(tmp_path: Path) -> None:
    source = write_examples(tmp_path / "x.tsv")
    dataset = TASK.prepare(LabelsDataConfig((str(source),)), tmp_path / "corpus")
    found = TASK.baselines(dataset)
    assert 0 <= found["most frequent"] < found["naive Bayes"] <= 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--lines",), "--lines is no option of the task labels"),
        (("--tie-weights",), "--tie-weights is no option of the task labels"),
        (("--preset", "ptb-small"), "--preset is no option of the task labels"),
        (("--source-column", "1"), "it is for --task pairs"),
        (("--vocab-size", "50", "--tokenizer", "char"), "--vocab-size has no effect"),
        (("--label", "9"), "there is no column '9'"),
    ],
)
def test_options_without_effect_are_refused(
    tmp_path: Path, option: tuple[str, ...], message: str
) -> None:
    write_examples(tmp_path / "x.tsv")
    Shell(tmp_path).run("plan", "x.tsv", "--task", "labels", *option).failed(2, message)


def test_options_of_labels_are_refused_by_texts(tmp_path: Path) -> None:
    write_examples(tmp_path / "x.tsv")
    Shell(tmp_path).run("plan", "x.tsv", "--label", "1").failed(2, "it is for --task labels")
