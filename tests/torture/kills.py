"""Group A, sudden death: killed at every system call, and at random times of a real training.

After each death: the newest valid checkpoint is the last announced one or the one in flight, the
best is still there, and the next start finds no temporary file.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run, create_run
from charrnn.errors import CharRNNError
from charrnn.training.distributed import join
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import smallest_checkpoint
from tests.torture import straces
from tests.torture.processes import Child, program, ran
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

BEFORE = {10: 2.0, 20: 1.5, 30: 1.8}
"""The checkpoints that a run holds before the saves: step -> validation loss. 20 is the best."""

SAVED = {40: 1.9, 50: 1.4, 60: None}
"""The checkpoints that are saved then, rotating the older ones away."""


def made(folder: Path) -> Run:
    """A run of three checkpoints."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = Run(folder)
    for step, valid in BEFORE.items():
        checkpoint.save(smallest_checkpoint(step, valid), run.path_of(step))
    return run


def save_all(run: Run) -> None:
    """Save and rotate, and announce each step on stdout when it is safe."""
    with run.lock():
        for step, valid in SAVED.items():
            run.save(smallest_checkpoint(step, valid), keep=2)
            os.write(1, b"%d\n" % step)


def lost(run: Run, announced: int) -> str:
    """What a death has cost: "" when nothing that was announced."""
    following = next((step for step in SAVED if step > announced), announced)
    with run.lock():
        left = [path.name for path in run.folder.glob(".*.tmp")]
    if left:
        return f"{left} survived the next start"
    for entry in run.entries():
        try:
            checkpoint.load(entry.path, training=True)
        except CharRNNError as error:
            return f"after step {announced} was announced: {error}"
    latest, best = run.latest(), run.best()
    if latest is None or latest.step not in (announced, following):
        return f"step {announced} was announced and the newest is {latest}"
    known = {s: v for s, v in (BEFORE | SAVED).items() if s <= announced and v is not None}
    if best is None or best.valid is None or best.valid > min(known.values()):
        return f"step {announced} was announced and the best is {best}"
    return ""


def at_every_call(trials: int, seed: int, folder: Path) -> Outcomes:
    """A1: the saving process killed as it enters each of its system calls."""
    run = Run(folder / "run")

    def work() -> None:
        save_all(run)

    made(run.folder)
    for point in some(straces.points(work, folder / "log"), trials, seed):
        made(run.folder)
        ended = straces.killed_at(work, point, folder / "log")
        announced = max([30, *map(int, ended.out.split())])
        if ended.code not in (-9, 0):
            yield Outcome(f"killed at {point} it left with {ended.code}: {ended.err}")
        elif problem := lost(run, announced):
            shutil.copytree(run.folder, folder / f"{point[0]}-{point[1]}")
            yield Outcome(f"killed at {point}: {problem}")
        else:
            yield GOOD


def at_random(trials: int, seed: int, folder: Path) -> Outcomes:
    """A2: one training that saves after every step, killed and resumed over and over again.

    In the end its weights are those of the same training left in peace.
    """
    draw, shell, run = random.Random(seed), Shell(folder), Run(folder / "runs" / "corpus")
    shell.write("corpus.txt", sentences())
    often = ("--save-every", "1", "--eval-every", "7", "--keep", "2", "--eval-tokens", "64")
    words = ("--json", "--quiet", "--steps", "1000000000", "--log-every", "1000")
    begin = program(folder, "train", "corpus.txt", *TINY, *often, *words, "--dropout", "0.3")
    first = Child(begin)
    first.await_words(b'"saved"', 1)
    first.kill()
    announced = told(first.finish().out)
    again = program(folder, "train", "--resume", "--quiet", "--json")
    for number in range(trials):
        child = Child(again)
        time.sleep(draw.uniform(0.0, 0.5))
        child.kill()
        ended = child.finish()
        announced = max(announced, told(ended.out))
        problem = "" if ended.code == -9 else f"it left by itself with {ended.code}: {ended.err}"
        yield verdict(problem or after_kill(run, announced, number))
    yield verdict(as_if_left_in_peace(run, folder))


def told(out: bytes) -> int:
    """The last step that a line of JSON announced as saved; a line cut short announces nothing."""
    steps = [0]
    for line in out.split(b"\n")[:-1]:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "saved":
            steps.append(event["step"])
    return max(steps)


def after_kill(run: Run, announced: int, number: int) -> str:
    """What the kill has cost."""
    latest, best = run.latest(), run.best()
    if latest is None or best is None or latest.step < announced:
        return f"kill {number}: step {announced} was announced and the newest is {latest}"
    try:
        checkpoint.load(latest.path, training=True)
        checkpoint.load(best.path)
    except CharRNNError as error:
        return f"kill {number}: {error}"
    return ""


def as_if_left_in_peace(run: Run, folder: Path) -> str:
    """Whether a training without a kill comes to the same weights at the same step."""
    from charrnn.tasks.language.corpus import reopen
    from charrnn.training import trainer
    from charrnn.training.planner.plan import Plan

    latest = run.latest()
    assert latest is not None
    ours = checkpoint.load(latest.path, training=True)
    assert ours.training is not None
    text = reopen(run.corpus_folder, ours.tokenizer)
    assert text is not None
    peace = create_run(folder / "peace", "peace")
    plan = Plan(ours.model, ours.training.config, 1.0, 1.0, 1.0, 1)
    for event in trainer.train(plan, text, peace, join("cpu")):
        if getattr(event, "path", None) and event.step >= latest.step:
            break
    theirs = checkpoint.load(peace.path_of(latest.step), training=True)
    assert theirs.training is not None
    same = checkpoint.digest(ours.weights | ours.training.moments) == checkpoint.digest(
        theirs.weights | theirs.training.moments
    )
    return "" if same else f"at step {latest.step} the weights are others than without any kill"


def at_every_call_of_a_start(trials: int, seed: int, folder: Path) -> Outcomes:
    """A8: killed, or failing by EIO, at each system call of a start that cleans up and resumes."""
    shell = Shell(folder)
    shell.write("corpus.txt", sentences())
    steps = ("--steps", "6", "--save-every", "2", "--eval-every", "3", "--keep", "9")
    shell.train("corpus.txt", *steps, "--quiet").succeeded()
    run, good = Run(folder / "runs" / "corpus"), folder / "good"
    run.path_of(6).unlink()
    (run.folder / ".step-000000006.safetensors.00.tmp").write_bytes(b"half")
    shutil.copytree(run.folder, good)
    whole = ran(folder, "train", "--resume", "--quiet")
    weights = shell.weights()

    def start() -> int | None:
        from charrnn.training import session

        request = session.Request(
            recipe={}, given={}, budget={}, name="corpus", runs_dir=folder / "runs",
            resume=True, device="cpu", json=False, quiet=True, preset=None, began=0.0,
        )  # fmt: skip
        with session._resumed(request, join("cpu")):
            return 0

    restore(good, run.folder)
    for point in some(straces.points(start, folder / "log"), trials, seed):
        for code in ("", "EIO"):
            restore(good, run.folder)
            if code:
                ended = straces.failed_at(start, point, code, False, folder / "log")
            else:
                ended = straces.killed_at(start, point, folder / "log")
            again = ran(folder, "train", "--resume", "--quiet")
            if (again.code, again.err) != (whole.code, whole.err) or shell.weights() != weights:
                yield Outcome(f"{code or 'killed'} at {point} ({ended.err}): then {again}")
            else:
                yield GOOD


def restore(source: Path, target: Path) -> None:
    """Make a folder again what it was."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


ROWS = (
    Row("A1", "kill -9 at every system call of save and rotation",
        "strace kills three saves, keeping two, as they enter each call; forked process",
        "kill points", 12, 10**6, at_every_call),
    Row("A2", "kill -9 at random times of a training that saves every step",
        "the program forked and killed within 0.5 s, over and over on one run; at the end its "
        "weights beside those of a training left in peace",
        "kills", 6, 2_000, at_random),
    Row("A8", "the same faults during resume and clean-up",
        "strace kills, or fails by EIO, each call of the start of --resume; then it resumes",
        "faults", 2, 10**6, at_every_call_of_a_start),
)  # fmt: skip
