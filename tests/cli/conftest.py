"""A run that was stopped, for the tests of resuming it."""

import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell, sentences

RESUMED = ("--steps", "24", "--save-every", "4", "--eval-every", "8", "--keep", "9", "--quiet")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run of 24 steps with a checkpoint at every fourth."""
    shell = Shell(tmp_path_factory.mktemp("long"))
    shell.write("corpus.txt", sentences())
    shell.train("corpus.txt", *RESUMED, "--output-dropout", "0.2").succeeded()
    return shell


@pytest.fixture
def stopped(long: Shell, tmp_path: Path) -> Shell:
    """The long run as it was at step 12, with a copy of its end to compare with."""
    shutil.copytree(long.folder, tmp_path / "stopped")
    shell = Shell(tmp_path / "stopped")
    for step in (16, 20, 24):
        Run(shell.runs / "corpus").path_of(step).unlink()
    return shell
