"""Group A, kills: at every system call of a save, and at random times of a real training.

After each kill the newest valid checkpoint is the last reported one or the one being written, the
best is still there, and the next start removes temporary files.
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
from tests.support.processes import Child, program, ran
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import smallest_checkpoint
from tests.torture import straces
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

BEFORE = {10: 2.0, 20: 1.5, 30: 1.8}
"""The checkpoints of a run before the saves: step -> validation loss. 20 is the best."""

SAVED = {40: 1.9, 50: 1.4, 60: None}
"""The checkpoints that are saved then, which rotates older ones out."""


def made(folder: Path) -> Run:
    """A run of three checkpoints."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = Run(folder)
    for step, valid in BEFORE.items():
        checkpoint.save(smallest_checkpoint(step, valid), run.path_of(step))
    return run


def save_all(run: Run) -> None:
    """Save and rotate, and report each step on stdout when it is durable."""
    with run.lock():
        for step, valid in SAVED.items():
            run.save(smallest_checkpoint(step, valid), keep=2)
            os.write(1, b"%d\n" % step)


def lost(run: Run, reported: int) -> str:
    """What a kill has lost: "" if nothing that was reported as saved."""
    following = next((step for step in SAVED if step > reported), reported)
    with run.lock():
        left = [path.name for path in run.folder.glob(".*.tmp")]
    if left:
        return f"{left} survived the next start"
    for entry in run.entries():
        try:
            checkpoint.load(entry.path, training=True)
        except CharRNNError as error:
            return f"after step {reported} was reported: {error}"
    latest, best = run.latest(), run.best()
    if latest is None or latest.step not in (reported, following):
        return f"step {reported} was reported and the newest is {latest}"
    known = {s: v for s, v in (BEFORE | SAVED).items() if s <= reported and v is not None}
    if best is None or best.valid is None or best.valid > min(known.values()):
        return f"step {reported} was reported and the best is {best}"
    return ""


def at_every_call(trials: int, seed: int, folder: Path) -> Outcomes:
    """A1: the saving process is killed on entry to each of its system calls."""
    run = Run(folder / "run")

    def work() -> None:
        save_all(run)

    made(run.folder)
    for point in some(straces.points(work, folder / "log"), trials, seed):
        made(run.folder)
        ended = straces.killed_at(work, point, folder / "log")
        reported = max([30, *map(int, ended.out.split())])
        if ended.code not in (-9, 0):
            yield Outcome(f"killed at {point} it ended with {ended.code}: {ended.err}")
        elif problem := lost(run, reported):
            shutil.copytree(run.folder, folder / f"{point[0]}-{point[1]}")
            yield Outcome(f"killed at {point}: {problem}")
        else:
            yield GOOD


def at_random(trials: int, seed: int, folder: Path) -> Outcomes:
    """A2: one training that saves after every step, killed and resumed repeatedly.

    At the end its weights are those of the same training without kills.
    """
    draw, shell, run = random.Random(seed), Shell(folder), Run(folder / "runs" / "corpus")
    shell.write("corpus.txt", sentences())
    often = ("--save-every", "1", "--eval-every", "7", "--keep", "2", "--eval-tokens", "64")
    output = ("--json", "--quiet", "--steps", "1000000000", "--log-every", "1000")
    dropout = ("--output-dropout", "0.3")
    begin = program(folder, "train", "corpus.txt", *TINY, *often, *output, *dropout)
    first = Child(begin)
    first.await_text(b'"saved"', 1)
    first.kill()
    reported = last_saved(first.finish().out)
    again = program(folder, "train", "--resume", "--quiet", "--json")
    for number in range(trials):
        child = Child(again)
        time.sleep(draw.uniform(0.0, 0.5))
        child.kill()
        ended = child.finish()
        reported = max(reported, last_saved(ended.out))
        problem = "" if ended.code == -9 else f"it ended by itself with {ended.code}: {ended.err}"
        yield verdict(problem or after_kill(run, reported, number))
    yield verdict(as_if_undisturbed(run, folder))


def last_saved(out: bytes) -> int:
    """The last step that a line of JSON reports as saved; an incomplete line does not count."""
    steps = [0]
    for line in out.split(b"\n")[:-1]:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "saved":
            steps.append(event["step"])
    return max(steps)


def after_kill(run: Run, reported: int, number: int) -> str:
    """What the kill has lost."""
    latest, best = run.latest(), run.best()
    if latest is None or best is None or latest.step < reported:
        return f"kill {number}: step {reported} was reported and the newest is {latest}"
    try:
        checkpoint.load(latest.path, training=True)
        checkpoint.load(best.path)
    except CharRNNError as error:
        return f"kill {number}: {error}"
    return ""


def as_if_undisturbed(run: Run, folder: Path) -> str:
    """Whether a training without kills has the same weights at the same step."""
    from charrnn.tasks.language.corpus import reopen
    from charrnn.training import trainer
    from charrnn.training.planner.plan import Plan

    latest = run.latest()
    assert latest is not None
    killed = checkpoint.load(latest.path, training=True)
    assert killed.training is not None
    corpus = reopen(run.corpus_folder, killed.tokenizer)
    assert corpus is not None
    other = create_run(folder / "undisturbed", "undisturbed")
    plan = Plan(killed.config, killed.training.config, 1.0, 1.0, 1.0, 1)
    for event in trainer.train(plan, corpus, other, join("cpu")):
        if getattr(event, "path", None) and event.step >= latest.step:
            break
    undisturbed = checkpoint.load(other.path_of(latest.step), training=True)
    assert undisturbed.training is not None
    same = checkpoint.digest(killed.weights | killed.training.moments) == checkpoint.digest(
        undisturbed.weights | undisturbed.training.moments
    )
    return "" if same else f"at step {latest.step} the weights differ from those without kills"


def at_every_call_of_a_start(trials: int, seed: int, folder: Path) -> Outcomes:
    """A8: a kill, or EIO, at each system call of a start that cleans up and resumes."""
    shell = Shell(folder)
    shell.write("corpus.txt", sentences())
    steps = ("--steps", "6", "--save-every", "2", "--eval-every", "3", "--keep", "9")
    shell.train("corpus.txt", *steps, "--quiet").succeeded()
    run, good = Run(folder / "runs" / "corpus"), folder / "good"
    run.path_of(6).unlink()
    (run.folder / ".step-000000006.safetensors.00.tmp").write_bytes(b"incomplete")
    shutil.copytree(run.folder, good)
    expected = ran(folder, "train", "--resume", "--quiet")
    weights = shell.weights()

    def start() -> int | None:
        from charrnn.training import session

        where = ("corpus", folder / "runs", join("cpu"), session.NO_HOOKS)
        with session._resumed_session(*where, new=None, began=0.0, changed=False):
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
            if (again.code, again.err) != (
                expected.code,
                expected.err,
            ) or shell.weights() != weights:
                yield Outcome(f"{code or 'killed'} at {point} ({ended.err}): then {again}")
            else:
                yield GOOD


def restore(source: Path, target: Path) -> None:
    """Restore a folder from a copy."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


ROWS = (
    Row("A1", "kill -9 at every system call of save and rotation",
        "strace kills three saves, with two checkpoints kept, on entry to each call; forked "
        "process",
        "kill points", 12, 10**6, at_every_call),
    Row("A2", "kill -9 at random times, training saves every step",
        "the program is forked and killed within 0.5 s, repeatedly on the same run; at the end "
        "the weights are compared with those of an undisturbed training",
        "kills", 6, 2_000, at_random),
    Row("A8", "the same faults during resume and clean-up",
        "strace kills each call at the start of --resume, or makes it fail with EIO; then the "
        "run is resumed",
        "faults", 2, 10**6, at_every_call_of_a_start),
)  # fmt: skip
