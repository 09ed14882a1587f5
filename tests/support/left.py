"""What `charrnn train` left behind."""

from pathlib import Path

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell

QUICKLY = ("--steps", "4", "--quiet")

RESUME = ("train", "--resume")


def left(shell: Shell) -> list[str]:
    """The names in the runs folder."""
    return sorted(path.name for path in shell.runs.glob("*"))


def first_checkpoint(shell: Shell, run: str = "corpus") -> Path:
    """The oldest checkpoint of a run."""
    return Run(shell.runs / run).entries()[0].path
