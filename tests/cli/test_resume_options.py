"""`charrnn train --resume`: which options a run takes when it goes on."""

from typing import Any

import pytest

from charrnn.checkpoints.checkpoint import load
from charrnn.checkpoints.run import Run
from tests.support.left import RESUME
from tests.support.shell import Shell

PLANNED = (
    ("--steps", "30"), ("--hidden-size", "16"), ("--cell", "gru"),
    ("--seed", "1"), ("--tie-weights",), ("--no-residual",), ("--minutes", "1"),
    ("--epochs", "2"), ("--tokenizer", "byte"), ("--vocab-size", "300"), ("--min-count", "2"),
    ("--lines",), ("--valid", "x"), ("--test", "x"), ("--valid-fraction", "0.2"),
    ("--test-fraction", "0.2"), ("--encoding", "latin-1"), ("--split-words", "spaces"),
    ("--learning-rate", "0.1"), ("--batch-size", "5"), ("--preset", "ptb-small"),
)  # fmt: skip


@pytest.mark.parametrize("words", PLANNED, ids=lambda words: str(words[0]))
def test_resume_takes_no_option_of_the_plan_or_the_text(
    words: tuple[str, ...], trained: Shell
) -> None:
    name = words[0].replace("--no-", "--")
    trained.run(*RESUME, *words).failed(2, f"{name} cannot be changed by --resume", name)


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "20"),
        ("--cell", "lstm"),
        ("--threads", "1"),
        ("--seed", "0"),
        ("--tokenizer", "char"),
        ("--valid-fraction", "0.1"),
        ("--encoding", "utf-8"),
        ("--save-every", "5", "--keep", "2"),
    ],
    ids=lambda words: str(words[0]),
)
def test_resume_takes_values_that_the_run_has_already(
    words: tuple[str, ...], copied: Shell
) -> None:
    assert "note" not in copied.run(*RESUME, *words).succeeded().err


def test_resume_takes_the_epochs_and_the_preset_that_the_run_was_given(shell: Shell) -> None:
    sizes = ("--preset", "ptb-small", "--hidden-size", "8", "--embedding-size", "8")
    words = (*sizes, "--epochs", "0.5", "--batch-size", "2")
    shell.run("train", "corpus.txt", *words, "--quiet").succeeded()
    shell.run(*RESUME, *words).succeeded()
    shell.run(*RESUME, "--epochs", "0.6").failed(2, "--epochs cannot be changed", "--more-epochs")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--threads", 2),
        ("--keep", 5),
        ("--save-every", 3),
        ("--eval-every", 4),
        ("--log-every", 2),
    ],
)
def test_resume_changes_what_changes_no_step_with_a_note(
    flag: str, value: int, copied: Shell
) -> None:
    run = Run(copied.runs / "corpus")
    run.path_of(20).unlink()
    noted = copied.run(*RESUME, flag, str(value)).succeeded().err
    assert f"{flag} is {value} from step 15 on, and was " in noted
    training = load(run.path_of(20), training=True).training
    assert training
    assert getattr(training.config, flag[2:].replace("-", "_")) == value


def test_the_environment_variable_that_set_an_option_is_named(copied: Shell) -> None:
    copied.run(*RESUME, CHARRNN_TRAIN_THREADS="1", CHARRNN_TRAIN_STEPS="20").succeeded()
    name = "CHARRNN_TRAIN_HIDDEN_SIZE"
    refused = f"--hidden-size (set by {name}) cannot be changed by --resume"
    given: dict[str, Any] = {name: "9"}
    copied.run(*RESUME, **given).failed(2, refused)
    noted = copied.run(*RESUME, CHARRNN_TRAIN_KEEP="7").succeeded().err
    assert "--keep (set by CHARRNN_TRAIN_KEEP) is 7 from step 20 on, and was 2" in noted
