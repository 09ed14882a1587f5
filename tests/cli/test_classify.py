"""`charrnn classify`: a line in, its label out."""

from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from tests.support.labels import (
    SENTENCES,
    SEVERAL,
    checkpoint_of,
    learned,
    network_of,
    write_examples,
)
from tests.support.pairs import PAIRS
from tests.support.pairs import checkpoint_of as checkpoint_of_pairs
from tests.support.pairs import learned as learned_pairs
from tests.support.pairs import network_of as network_of_pairs
from tests.support.shell import Done, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with a checkpoint of a model of labels."""
    encoder = learned(SENTENCES)
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), tmp_path / "x.safetensors")
    return Shell(tmp_path)


def classify(shell: Shell, *words: str, text: str | bytes = "") -> Done:
    """The command, with a text on stdin."""
    stdin = text.encode() if isinstance(text, str) else text
    return shell.run("classify", "x.safetensors", *words, stdin=stdin)


def test_each_line_has_one_line_in_order(shell: Shell) -> None:
    lines = [example.text for example in SENTENCES[:20]]
    whole = classify(shell, "-", text="\n".join(lines) + "\n\nlast").succeeded().out.splitlines()
    assert len(whole) == 22
    for line, found in zip(lines[:3], whole, strict=False):
        assert classify(shell, line).succeeded().out == f"{found}\n"
    assert [row.count("\t") for row in whole] == [1] * 22


def test_so_many_labels_are_printed_as_are_asked_for(shell: Shell) -> None:
    cells = classify(shell, "a cat", "--top", "2").succeeded().out.strip().split("\t")
    assert len(cells) == 4
    assert float(cells[1]) >= float(cells[3])
    (found,) = classify(shell, "a cat", "--top", "9", "--json").succeeded().json
    assert sum(found["probabilities"].values()) == pytest.approx(1.0)
    assert found["text"] == "a cat"
    assert found["labels"] == [cells[0]]


def test_a_line_without_a_label_that_is_likely_enough_stays_empty(shell: Shell) -> None:
    assert classify(shell, "a cat", "--threshold", "1").succeeded().out == "\n"
    (found,) = classify(shell, "a cat", "--threshold", "1", "--json").succeeded().json
    assert found["labels"] == []
    assert classify(shell, "a cat", "--threshold", "0").succeeded().out.count("\t") == 1


def test_several_labels_follow_each_other_on_a_line(shell: Shell) -> None:
    encoder = learned(SEVERAL)
    path = shell.folder / "s.safetensors"
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), path)
    out = shell.run("classify", "s.safetensors", "a cat", "--threshold", "0").succeeded().out
    assert out.count("\t") == 5
    out = (
        shell.run("classify", "s.safetensors", "--top", "1", "-", stdin=b"a cat\n").succeeded().out
    )
    assert out.count("\t") == 1


def test_what_cannot_be_read_is_an_error_after_what_can(shell: Shell) -> None:
    classify(shell, "-", text=b"ok\n\xff").failed(3, "stdin is not utf-8 near byte 3")
    classify(shell, "-", "--encoding", "x").failed(2, "there is no encoding 'x'")
    classify(shell, "-", "--threshold", "2").failed(2, "threshold")
    assert classify(shell, "-", "--errors", "skip", text=b"ok\xff\n").succeeded().out


def test_a_model_of_another_task_names_its_own_command(shell: Shell) -> None:
    encoder = learned_pairs(PAIRS)
    model = checkpoint_of_pairs(encoder, network_of_pairs(encoder))
    checkpoint.save(model, shell.folder / "p.safetensors")
    shell.run("classify", "p.safetensors", "x").failed(2, "use charrnn translate")
    shell.run("translate", "x.safetensors", "x").failed(2, "use charrnn classify")


def test_evaluate_draws_the_confusion_matrix(shell: Shell) -> None:
    write_examples(shell.folder / "t.tsv")
    words = ("evaluate", "x.safetensors", "--file", "t.tsv", "--confusion")
    plain = shell.run(*words[:-1]).succeeded().out
    assert shell.run(*words, "c.svg").succeeded().out == plain
    picture = (shell.folder / "c.svg").read_text()
    assert picture.count("<!-- animal -->") == 2
    shell.run(*words, "c.svg").failed(2, "exists")
    shell.run(*words, "c.svg", "--force").succeeded()
    shell.run(*words, "c.png", "--json").succeeded()
    assert (shell.folder / "c.png").read_bytes().startswith(b"\x89PNG")
    shell.run(*words, "c.txt").failed(2, "c.txt is not the name of a picture")
    shell.run(*words[:-1], "--force").failed(2, "--force has no effect without --confusion")


def test_a_model_without_a_confusion_matrix_says_so(shell: Shell) -> None:
    encoder = learned(SEVERAL)
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), shell.folder / "s.safetensors")
    write_examples(shell.folder / "t.txt", SEVERAL)
    shell.run("evaluate", "s.safetensors", "--file", "t.txt", "--confusion", "c.svg").failed(
        2, "no confusion matrix where a text can have several labels"
    )
    pairs = learned_pairs(PAIRS)
    path = shell.folder / "p.safetensors"
    checkpoint.save(checkpoint_of_pairs(pairs, network_of_pairs(pairs)), path)
    shell.run("evaluate", "p.safetensors", "--confusion", "c.svg").failed(
        2, "--confusion has no effect on a model of the task pairs"
    )
    assert not (shell.folder / "c.svg").exists()
    # No more than a figure of a text that was adapted to.
    shell.run("evaluate", "p.safetensors", "--adapt").failed(
        2, "--adapt has no effect on a model of the task pairs"
    )
