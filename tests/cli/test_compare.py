"""`charrnn compare`: a table of ends and differences, the best run first."""

import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell, sentences


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with three runs of one text: short, long, and with words as tokens."""
    shell = Shell(tmp_path_factory.mktemp("three"))
    shell.write("corpus.txt", sentences())
    every = ("--log-every", "10", "--eval-every", "1000", "--save-every", "1000", "--quiet")
    for name, words in {
        "short": ("--steps", "10"),
        "long": ("--steps", "60", "--learning-rate", "0.02"),
        "words": ("--steps", "10", "--tokenizer", "word"),
    }.items():
        shell.train("corpus.txt", "--name", name, *words, *every).succeeded()
    return shell


def rows(shell: Shell, *args: str | Path) -> dict[str, list[str]]:
    """First word of a row -> the words after it."""
    lines = shell.run("compare", *args).succeeded().out.splitlines()
    return {line.split("  ")[0].strip(): line.split()[1:] for line in lines}


def test_the_best_run_is_first(three: Shell) -> None:
    table = rows(three, "short", "long")
    header = three.run("compare", "short", "long").out.splitlines()[0].split()
    assert header == ["long", "short"]
    best = [float(word) for word in table["best, nats/char"][1:]]
    assert best == sorted(best)
    given = three.run("compare", "short", "long", "--order", "given").out.splitlines()[0]
    assert given.split() == ["short", "long"]


def test_only_settings_that_differ_are_rows(three: Shell) -> None:
    table = rows(three, "short", "long")
    assert table["learning_rate"][0] == "0.02"
    assert table["steps"] == ["60", "10"]
    assert not {"cell", "hidden_size", "tokenizer", "text", "text_sha256"} & set(table)
    assert "tokenizer" in rows(three, "short", "words")


def test_without_names_all_runs_are_compared(three: Shell) -> None:
    header = three.run("compare").succeeded().out.splitlines()[0]
    assert sorted(header.split()) == ["long", "short", "words"]


def test_one_run_has_an_end_and_no_differences(three: Shell) -> None:
    done = three.run("compare", "long").succeeded()
    assert done.err == ""
    assert [line.split("  ")[0] for line in done.out.splitlines()[1:]] == [
        "best, nats/char", "at step", "steps taken", "epochs", "parameters", "time", "tokens/s",
    ]  # fmt: skip


def test_json_is_an_object_for_each_run(three: Shell) -> None:
    done = three.run("compare", "short", "long", "--json").succeeded()
    assert [row["run"] for row in done.json] == ["long", "short"]
    long = done.json[0]
    listed = {row["run"]: row for row in three.run("runs", "--json").json}["long"]
    assert long["best_nats_per_char"] == pytest.approx(listed["best_nats_per_char"])
    assert long["best_step"] == listed["best_step"] == long["step"] == 60
    assert long["parameters"] == listed["parameters"]
    assert long["settings"]["learning_rate"] == 0.02
    assert set(long["settings"]) == set(done.json[1]["settings"])
    assert long["seconds"] > 0
    assert long["tokens_per_second"] > 0


def test_losses_on_different_texts_get_a_note(three: Shell, tmp_path: Path) -> None:
    other = Shell(tmp_path)
    other.write("other.txt", sentences(seed=1))
    other.train("other.txt", "--steps", "2", "--quiet").succeeded()
    done = three.run("compare", "short", other.runs / "other").succeeded()
    assert done.err.startswith("charrnn: note: these runs were not evaluated on the same text")
    assert "corpus.txt" in done.out
    assert "other.txt" in done.out
    assert three.run("compare").err == ""


def test_damaged_runs_are_left_out_of_all_and_an_error_by_name(
    three: Shell, tmp_path: Path
) -> None:
    shutil.copytree(three.runs, tmp_path / "runs")
    copy = Shell(tmp_path)
    copy.write("runs/broken/run.json", "{")
    done = copy.run("compare").succeeded()
    assert "note: left out broken: cannot read" in done.err
    copy.run("compare", "short", "broken").failed(4, "cannot read", "start a new run")


def test_a_truncated_log_gets_a_note(three: Shell, tmp_path: Path) -> None:
    shutil.copytree(three.runs / "short", tmp_path / "torn")
    with Run(tmp_path / "torn").metrics.open("a") as file:
        file.write("{")
    done = three.run("compare", tmp_path / "torn").succeeded()
    assert done.err == "charrnn: note: left out 1 line of the log of torn: unreadable\n"


def test_no_run_at_all_is_one_line(tmp_path: Path) -> None:
    Shell(tmp_path).run("compare").failed(2, "there is no run in", "train one first")


def test_a_run_that_is_not_there_is_one_line(three: Shell) -> None:
    three.run("compare", "short", "nope").failed(2, "there is no run nope")
