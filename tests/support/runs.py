"""Checkpoint files in the folder of a run."""

import tempfile
from functools import cache
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from tests.support.tiny import smallest_checkpoint

Scores = dict[int, float | None]


@cache
def bytes_of(step: int, valid: float | None) -> bytes:
    """A checkpoint file; made once, because making one takes a millisecond."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(smallest_checkpoint(step, valid, training=False), Path(folder, "a"))
        return Path(folder, "a").read_bytes()


def put(run: Run, step: int, valid: float | None = None) -> Path:
    """Put a checkpoint file into a run, as a save would have done."""
    run.path_of(step).write_bytes(bytes_of(step, valid))
    return run.path_of(step)


def put_all(run: Run, scores: Scores) -> None:
    for step, valid in scores.items():
        put(run, step, valid)


def damage(path: Path) -> None:
    """Make a checkpoint unreadable."""
    path.write_bytes(path.read_bytes()[:50])


def steps(run: Run) -> list[int]:
    return [entry.step for entry in run.entries()]
