"""Group A, signals: a training is asked to stop in every phase, once and twice."""

import os
import pkgutil
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from charrnn.cli.signals import STOPPING
from charrnn.errors import CharRNNError
from tests.support.processes import Child, Work, program
from tests.support.shell import ERROR, TINY, Shell, sentences
from tests.torture.rows import GOOD, Outcome, Outcomes, Row

MESSAGE = b"saving and stopping; once more to leave at once without saving\n"

PATIENCE = 0.2
"""Seconds within which the message must appear."""

TRIES, LATE = 3, "the message appeared only after"
"""On a busy machine the scheduler may be the cause of a delay: then the trial is repeated."""

PHASES = {
    "reading the text": "charrnn.tasks.language.corpus._encode",
    "planning": "charrnn.training.session.make_plan",
    "describing the run": "charrnn.checkpoints.run.Run.write_description",
    "starting": "charrnn.training.learner.Learner.__init__",
    "a step": "charrnn.training.learner.Learner.advance",
    "clipping": "charrnn.training.learner.clip",
    "evaluating": "charrnn.tasks.language.task.LanguageTask.evaluate",
    "showing a sample": "charrnn.tasks.language.task.LanguageTask.preview",
    "collecting the state": "charrnn.training.learner.Learner.training_state",
    "serializing": "charrnn.checkpoints.container.serialize",
    "creating the file": "charrnn.checkpoints.atomic.Disk.create",
    "writing": "charrnn.checkpoints.atomic.Disk.write",
    "fsync": "charrnn.checkpoints.atomic.Disk.sync",
    "reading back": "charrnn.checkpoints.atomic.Disk.digest",
    "renaming": "charrnn.checkpoints.atomic.Disk.rename",
    "fsync of the folder": "charrnn.checkpoints.atomic.Disk.sync_folder",
    "rotating": "charrnn.checkpoints.run.Run.prune",
    "removing": "charrnn.checkpoints.atomic.Disk.remove",
    "logging": "charrnn.checkpoints.run.Run.log",
    "reporting": "charrnn.cli.progress.ProgressReporter.report",
}
"""Phase of a training -> the function on whose entry the signal is sent."""

STEPS = 12
ARGUMENTS = ("train", "corpus.txt", *TINY, "--steps", str(STEPS), "--save-every", "2",
             "--keep", "1", "--eval-every", "5", "--log-every", "3")  # fmt: skip


def at_every_phase(trials: int, seed: int, folder: Path) -> Outcomes:
    """A12: signals in each phase in turn, at any of its calls; every fourth time two signals."""
    draw = random.Random(seed)
    Shell(folder).write("corpus.txt", sentences())
    phases = list(PHASES)
    draw.shuffle(phases)
    for number in range(trials):
        phase, which = phases[number % len(phases)], draw.randint(1, 4)
        signals = draw.choices(STOPPING, k=2 if number % 4 == 3 else 1)
        for _ in range(TRIES):
            shutil.rmtree(folder / "runs", ignore_errors=True)
            problem = interrupted(folder, phase, which, [int(one) for one in signals])
            if LATE not in problem:
                break
        if problem:
            shutil.copytree(folder / "runs", folder / f"runs-{number}", dirs_exist_ok=True)
        named = " and ".join(one.name for one in signals)
        yield Outcome(f"{named} at call {which} of {phase}: {problem}") if problem else GOOD


def interrupted(folder: Path, phase: str, which: int, signals: list[int]) -> str:
    """What is wrong with a training after these signals within a phase."""
    marks = os.pipe()
    child = Child(signalled(program(folder, *ARGUMENTS), PHASES[phase], which, signals, marks[1]))
    os.close(marks[1])
    seen = child.await_text(MESSAGE)
    ended = child.finish()
    with open(marks[0]) as file:
        sent = float(file.read() or 0)
    run = Run(folder / "runs" / "corpus")
    if not sent or (len(signals) == 1 and ended.code == 0):
        # The phase was entered less often; or the signal came after the last step.
        return "" if ended.code == 0 and newest(run) == STEPS else f"it ended with {ended}"
    if ended.code == 128 + signals[0] and "before training began" in ended.err:
        return "" if not run.folder.exists() else "it left a folder"
    if ended.code != 128 + signals[-1]:
        return f"it ended with {ended}"
    if seen > 0 and seen - sent > PATIENCE:
        return f"{LATE} {seen - sent:.3f} s"
    if len(signals) == 2:
        return "" if newest(run) >= 0 else "an earlier checkpoint cannot be read"
    line = ended.err.splitlines(keepends=True)[-1] if ended.err else ""
    if not ERROR.fullmatch(line):
        return f"the last line is not an error line: {ended}"
    step, found = int(line.split("stopped at step ")[1].split()[0]), newest(run)
    return "" if found == step else f"it reports step {step} as saved, and the newest is {found}"


def newest(run: Run) -> int:
    """The newest step that can be resumed; 0 if there is none, -1 if one cannot be read."""
    steps = [0]
    for entry in run.entries():
        try:
            steps.append(checkpoint.load(entry.path, training=True).info.step)
        except CharRNNError:
            return -1
    return max(steps)


def signalled(work: Work, phase: str, which: int, signals: list[int], marks: int) -> Work:
    """The program, which receives the signals on its n-th entry to a function of PHASES."""
    module, name = resolve(phase)
    before: Callable[..., Any] = getattr(module, name)
    calls = 0

    def entered(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == which:
            os.write(marks, b"%f" % time.monotonic())
            os.close(marks)
            for number in signals:
                signal.raise_signal(number)
        return before(*args, **kwargs)

    def run() -> int | None:
        with mock.patch.object(module, name, entered):
            return work()

    return run


def resolve(path: str) -> tuple[Any, str]:
    """Dotted path -> the module or class, and the name within it."""
    *parts, name = path.split(".")
    return pkgutil.resolve_name(".".join(parts)), name


ROWS = (
    Row("A12", "SIGINT, SIGTERM, SIGHUP in each phase, and a second signal",
        f"the program is forked; it receives the signal on entry to one of {len(PHASES)} phases, "
        "every fourth time two signals; checked are the response within 0.2 s, the exit code, "
        "the single message line, and that what it reports as saved is saved",
        "trainings", 5, 400, at_every_phase),
)  # fmt: skip
