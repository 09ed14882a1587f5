"""`charrnn train --resume --more`: a run goes on by a new plan, which is resumed like any other."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.checkpoints.checkpoint import load
from charrnn.checkpoints.run import Run
from charrnn.errors import UsageError
from tests.golden.make import FILES
from tests.support.shell import Shell

MORE = ("train", "--resume", "--quiet")


@pytest.fixture
def continued(copied: Shell) -> Shell:
    """A run of 20 steps that was given 12 more, with a checkpoint every 3."""
    copied.run(*MORE, "--more-steps", "12", "--keep", "20").succeeded()
    return copied


def remove_after(shell: Shell, step: int) -> None:
    """Take away the checkpoints after a step, as if the process had died there."""
    for entry in Run(shell.runs / "corpus").entries():
        if entry.step > step:
            entry.path.unlink()


def test_a_finished_run_goes_on_and_says_that_it_is_a_new_plan(copied: Shell) -> None:
    before = copied.weights()
    done = copied.run("train", "--resume", "--more-steps", "10").succeeded()
    assert "goes on from step 20 by a new plan of 10 steps" in done.err
    assert "warm restart" in done.err
    assert copied.steps()[-1] == 30
    assert copied.weights() != before
    about = json.loads((copied.runs / "corpus" / "run.json").read_text())
    found = load(Run(copied.runs / "corpus").path_of(30), training=True)
    assert found.training
    for config in (about["plan"]["train"], vars(found.training.config)):
        assert (config["steps"], config["restart_step"]) == (30, 20)
    assert copied.run("runs", "--json").json[0]["steps"] == 30


@pytest.mark.parametrize("step", [23, 26, 29])
def test_what_goes_on_is_resumed_bit_for_bit(step: int, continued: Shell) -> None:
    whole, log = continued.weights(), Run(continued.runs / "corpus").events()
    remove_after(continued, step)
    continued.run(*MORE).succeeded()
    assert continued.weights() == whole
    losses = [event["loss"] for event in log if event["event"] == "progress"]
    again = Run(continued.runs / "corpus").events()
    assert [event["loss"] for event in again if event["event"] == "progress"] == losses


def test_a_process_that_died_before_its_first_new_checkpoint_keeps_the_new_plan(
    continued: Shell,
) -> None:
    whole = continued.weights()
    remove_after(continued, 20)
    continued.run(*MORE).succeeded()
    assert continued.steps()[-1] == 32
    assert continued.weights() == whole


def test_an_older_checkpoint_ends_the_old_plan_first(continued: Shell) -> None:
    remove_after(continued, 15)
    continued.run(*MORE).succeeded()
    assert continued.steps()[-1] == 20


def test_an_interrupted_run_goes_on_from_where_it_is(copied: Shell) -> None:
    remove_after(copied, 15)
    copied.run(*MORE, "--more-steps", "10", "--learning-rate", "0.001").succeeded()
    found = load(Run(copied.runs / "corpus").path_of(25), training=True)
    assert found.training
    assert found.training.config.restart_step == 15
    assert found.training.config.learning_rate == 0.001


def test_the_curves_are_one(continued: Shell) -> None:
    for curve in continued.run("plot", "corpus", "--json").succeeded().json:
        assert all(a < b for a, b in itertools.pairwise(curve["x"]))
        assert curve["x"][-1] == 32
    seconds = continued.run("plot", "corpus", "--x", "seconds", "--json").succeeded().json
    assert all(a <= b for a, b in itertools.pairwise(seconds[0]["x"]))
    (row,) = continued.run("compare", "corpus", "--json").succeeded().json
    assert row["step"] == 32


def test_epochs_are_a_measure_too(copied: Shell) -> None:
    copied.run(*MORE, "--more-epochs", "0.2").succeeded()
    assert copied.steps()[-1] == 20 + round(0.2 * 2700 / 64)


def test_minutes_are_kept(copied: Shell, tmp_path: Path) -> None:
    events: list[object] = []
    run = charrnn.resume(copied.runs / "corpus", more_minutes=0.03, on_event=events.append)
    latest = run.latest()
    assert latest
    assert latest.step > 20
    assert run.events()[-1]["seconds"] < 10


def test_the_api_changes_hyperparameters_only_with_a_new_plan(copied: Shell) -> None:
    with pytest.raises(UsageError, match="learning_rate cannot be changed by --resume"):
        charrnn.resume(copied.runs / "corpus", learning_rate=0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--steps", "600"), "charrnn train --resume --more-steps 600"),
        (("--minutes", "1"), "charrnn train --resume --more 1"),
        (("--epochs", "2.5"), "charrnn train --resume --more-epochs 2.5"),
        (("--more", "1", "--more-steps", "3"), "give one of them"),
        (("--more-steps", "3", "--batch-size", "9"), "--batch-size cannot be changed"),
        (("--more-steps", "3", "--tokenizer", "byte"), "--tokenizer cannot be changed"),
        (("--more-steps", "3", "--minutes", "1"), "--more 1"),
        (("--more-steps", "3", "--preset", "ptb-small"), "--preset"),
        (("--task", "language"), "--task has no effect with --resume"),
    ],
)
def test_what_a_run_that_goes_on_does_not_take_is_one_line(
    words: tuple[str, ...], said: str, trained: Shell
) -> None:
    trained.run("train", "--resume", *words).failed(2, said)


def test_a_finished_run_says_how_it_goes_on(copied: Shell) -> None:
    done = copied.run("train", "--resume").succeeded()
    # One line, and no "done" of a training that did not take place.
    assert done.err == (
        "this run is finished; to train it 10 minutes more: charrnn train --resume "
        f"--name {copied.runs / 'corpus'} --more 10\n"
    )


@pytest.mark.parametrize("name", ["lstm-char", "gru-byte", "rnn-word", "lstm-subword"])
def test_runs_of_an_older_version_go_on(name: str, tmp_path: Path) -> None:
    shell = Shell(shutil.copytree(FILES, tmp_path / "copy"))
    given: dict[str, Any] = {"CHARRNN_RUNS": "trained"}
    shell.run(*MORE, "--name", name, "--more-steps", "9", **given).succeeded()
    run = Run(shell.folder / "trained" / name)
    whole = load(run.path_of(29)).weights
    for entry in run.entries():
        if entry.step > 23:
            entry.path.unlink()
    shell.run(*MORE, "--name", name, **given).succeeded()
    again = load(run.path_of(29)).weights
    assert all((whole[key] == again[key]).all() for key in whole)


@pytest.mark.parametrize(
    "change", [{"steps": "x"}, {"restart_step": "x"}, {"nonsense": 3}, {"learning_rate": -1}]
)
def test_a_damaged_description_of_a_new_plan_is_one_line(
    change: dict[str, object], continued: Shell
) -> None:
    path = continued.runs / "corpus" / "run.json"
    about = json.loads(path.read_text())
    about["plan"]["train"] |= change
    path.write_text(json.dumps(about))
    continued.run(*MORE).failed(4, "run.json does not say how the run was started")
