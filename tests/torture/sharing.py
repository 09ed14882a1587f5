"""Group A, concurrency: trainings of one run, and readers of a run that is being rotated."""

import os
import random
import time
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import CheckpointError
from tests.support.processes import Child, Work, program
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import smallest_checkpoint
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, verdict

CROWD = 50


def crowd(trials: int, seed: int, folder: Path) -> Outcomes:
    """A13: rounds of 50 trainings that start on one run at once; the one that runs is killed."""
    draw, shell = random.Random(seed), Shell(folder)
    shell.write("corpus.txt", sentences())
    endless = ("--steps", "1000000000", "--save-every", "5", "--eval-every", "1000000")
    first = Child(program(folder, "train", "corpus.txt", *TINY, *endless, "--json", "--quiet"))
    first.await_text(b'"saved"', 1)
    first.kill()
    first.finish()
    size = min(CROWD, trials)
    for _ in range(max(1, trials // CROWD)):
        gate = os.pipe()
        children = [Child(waiting(folder, gate)) for _ in range(size)]
        os.close(gate[0])
        os.close(gate[1])  # the barrier opens for all of them
        deadline = time.monotonic() + 60
        while sum(not child.gone() for child in children) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        runner = [child for child in children if not child.gone()]
        if runner:
            runner[0].await_text(b'"saved"', 1)
            time.sleep(draw.uniform(0.0, 0.05))
            runner[0].kill()
        if len(runner) != 1:
            yield Outcome(f"{len(runner)} trainings were running at once")
        for child in children:
            ended = child.finish()
            right = ended.code == -9 if child in runner else not ended.refusal(6)
            yield GOOD if right else Outcome(f"{ended}")


def waiting(folder: Path, gate: tuple[int, int]) -> Work:
    """A resumed training that starts when the gate is closed."""
    work = program(folder, "train", "--resume", "--quiet", "--json")

    def begin() -> int | None:
        os.close(gate[1])
        os.read(gate[0], 1)
        return work()

    return begin


LOOKS = 100
"""How often a reader looks again if a file is deleted before it is opened."""


def rotation(trials: int, seed: int, folder: Path) -> Outcomes:
    """A14: one process saves and rotates continuously, another loads best and latest."""
    run, draw = Run(folder), random.Random(seed)
    known = {step: smallest_checkpoint(step, step % 7 / 10) for step in range(1, 200)}
    run.save(known[1], 1)

    def writer() -> None:
        with run.lock():
            while True:
                for made in known.values():
                    run.save(made, keep=1)
                for entry in run.entries():
                    entry.path.unlink() if entry.step != 199 else None
                run.save(known[1], keep=1)
                run.path_of(199).unlink()

    child = Child(writer)
    for number in range(trials):
        which = draw.choice(("best", "latest"))
        found = look(run, which)
        expected = known[found.info.step] if found else None
        same = found and expected and found.info == expected.info and alike(found, expected)
        yield verdict("" if same else f"load {number} of {which}: {found and found.info}")
    child.kill()
    ended = child.finish()
    yield verdict("" if ended.code == -9 else f"the writer ended with {ended}")


def look(run: Run, which: str) -> checkpoint.Checkpoint | None:
    """The checkpoint, looked up again if it was deleted after it was found."""
    for _ in range(LOOKS):
        found = run.best() if which == "best" else run.latest()
        if found is None:
            continue
        try:
            return checkpoint.load(found.path, training=True)
        except CheckpointError as error:
            if "No such file" not in str(error):
                raise
    return None


def alike(first: checkpoint.Checkpoint, second: checkpoint.Checkpoint) -> bool:
    """Whether weights, moments and state are equal."""
    if first.training is None or second.training is None:
        return False
    pairs = [
        (first.weights, second.weights),
        (first.training.moments, second.training.moments),
        (first.training.state, second.training.state),
    ]
    return all(checkpoint.digest(a) == checkpoint.digest(b) for a, b in pairs)


ROWS = (
    Row("A13", "50 processes train in one run; the lock holder is killed",
        "the program is forked 50 times behind a barrier; one runs, 49 exit with code 6; the one "
        "is killed by SIGKILL and the next round begins at once",
        "trainings", 6, 1_000, crowd),
    Row("A14", "reading while a run is rotated",
        "a forked process saves and rotates continuously, keeping one checkpoint; another loads "
        "concurrently, and looks again when a file disappeared between being found and being "
        "opened",
        "loads", 50, 1_000, rotation),
)  # fmt: skip
