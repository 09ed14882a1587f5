"""Group C, tasks: a training that is killed and resumed equals an undisturbed one."""

import random
import time
from pathlib import Path

from charrnn.checkpoints.run import Run
from charrnn.tasks import TASKS, get_task
from tests.support.processes import Child, program, ran
from tests.tasks.test_conformance import DATA, SIZES
from tests.torture.rows import Outcomes, Row, verdict

STEPS, SAVED = 40, 4

NAMES = tuple(name for name in TASKS if name != "language")


def command(task: str, source: Path, name: str) -> list[str]:
    """A training of a small model that saves often."""
    sizes = [
        text
        for field, value in SIZES.items()
        if field not in get_task(task).refused
        for text in ("--" + field.replace("_", "-"), str(value))
    ]
    return [
        "train", str(source), "--task", task, "--name", name, "--steps", str(STEPS), "--save-every",
        str(SAVED), "--eval-every", "10", "--keep", "100", "--threads", "1", "--quiet", *sizes,
    ]  # fmt: skip


def killed(trials: int, seed: int, folder: Path) -> Outcomes:
    """C7: SIGKILL at a random time after a random checkpoint, and then a resume to the end."""
    draw = random.Random(seed)
    for number in range(trials):
        task = NAMES[number % len(NAMES)]
        source = folder / f"{task}.txt"
        whole = Run(folder / "runs" / f"{task}-whole")
        if not source.exists():
            DATA[task](source)
            ended = ran(folder, *command(task, source, whole.folder.name))
            if ended.code:
                yield verdict(f"{task}: {ended.err}")
                continue
        name = f"{task}-{number}"
        run, after = Run(folder / "runs" / name), draw.randrange(SAVED, STEPS, SAVED)
        child = Child(program(folder, *command(task, source, name)))
        while not child.gone() and not run.path_of(after).exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        child.kill()
        child.end()
        ended = ran(folder, "train", "--resume", "--name", name)
        problem = "" if not ended.code else ended.err
        for step in range(after, STEPS + 1, SAVED):
            paths = whole.path_of(step), run.path_of(step)
            if not problem and paths[0].read_bytes() != paths[1].read_bytes():
                problem = f"step {step} is another one"
        yield verdict(problem and f"{task}, killed after step {after}: {problem}")


ROWS = (
    Row("C7", "tasks that are killed and resumed",
        "the program is forked: SIGKILL after a random checkpoint of a training of each task; "
        "every checkpoint after it has the bytes of an undisturbed one", "kills", len(NAMES), 10**6,
        killed),
)  # fmt: skip
