"""Group L, load: long sampling and training take no more memory and descriptors than short ones."""

import os
import selectors
import time
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from tests.support.processes import PATIENCE, Child, program
from tests.support.shell import TINY, Shell, sentences
from tests.torture.pipes import trained
from tests.torture.rows import Outcome, Outcomes, Row

GROWTH = 8 << 20
"""Bytes by which resident memory may grow after the first quarter; allocators fluctuate."""

LOOK = 0.001
"""Seconds between two measurements while nothing is written; the short form takes 0.1 s."""

SPARE = 2
"""Descriptors that may be open at one measurement only: a file being written or read."""


class Watch:
    """Resident bytes and open descriptors of a process, measured repeatedly."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.taken: list[tuple[int, int]] = []

    def look(self) -> None:
        """Measure once, if the process is running."""
        try:
            status = Path(f"/proc/{self.pid}/statm").read_text().split()
            files = len(os.listdir(f"/proc/{self.pid}/fd"))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            return
        if int(status[1]):
            self.taken.append((int(status[1]) * os.sysconf("SC_PAGE_SIZE"), files))

    def problem(self) -> str:
        """What grew between the second quarter and the last."""
        quarter = len(self.taken) // 4
        if quarter < 2:
            return f"it was measured only {len(self.taken)} times"
        early, late = self.taken[quarter : 2 * quarter], self.taken[-quarter:]
        memory = max(m for m, _ in late) - max(m for m, _ in early)
        files = max(f for _, f in late) - max(f for _, f in early)
        if memory > GROWTH or files > SPARE:
            return f"it grew by {memory:,} bytes and {files} descriptors: {early[0]} to {late[-1]}"
        return ""


def sampling(trials: int, seed: int, folder: Path) -> Outcomes:
    """L1: one sample of that many characters, read from a pipe."""
    trained(folder)
    child = Child(program(folder, "sample", "--length", str(trials), "--seed", str(seed)))
    watch, read, part = Watch(child.pid), 0, b"some"
    with selectors.DefaultSelector() as ready:
        ready.register(child.pipes[1], selectors.EVENT_READ)
        while part:
            if ready.select(LOOK):
                part = os.read(child.pipes[1], 1 << 20)
                read += len(part)
            if read > trials // 20:
                watch.look()
    ended = child.finish()
    problem = watch.problem() if read == trials + 1 or read == trials else f"{read} bytes, {ended}"
    yield Outcome(problem and f"{trials} characters: {problem}", trials=trials)


def training(trials: int, seed: int, folder: Path) -> Outcomes:
    """L2: a training of that many seconds, which evaluates and rotates every few of them."""
    Shell(folder).write("corpus.txt", sentences(30_000))
    every = max(20, min(2_000, trials * 10))
    options = ("--steps", "1000000000", "--keep", "2", "--seed", str(seed), "--quiet")
    names = ("--log-every", "--eval-every", "--save-every")
    intervals = [word for name in names for word in (name, str(every))]
    child = Child(program(folder, "train", "corpus.txt", *TINY, *options, *intervals))
    watch, began = Watch(child.pid), 0.0
    rotated: set[int] = set()
    latest_end = time.monotonic() + trials + PATIENCE
    run = Run(folder / "runs" / "corpus")
    while time.monotonic() < latest_end and not child.gone():
        time.sleep(min(1.0, trials / 40))
        if run.folder.exists():
            rotated |= {entry.step for entry in run.entries()}
        if rotated:  # the time starts with the first checkpoint, however slow the machine
            began = began or time.monotonic()
            watch.look()
            if time.monotonic() - began >= trials and len(rotated) >= 4:
                break
    running = not child.gone()
    child.kill(15)
    ended = child.finish()
    latest = run.latest()
    problem = watch.problem()
    if not running or ended.code != 143 or latest is None or len(rotated) < 4:
        problem = f"{ended}, checkpoints at {sorted(rotated)[-5:]}"
    elif len(run.entries()) > 4:
        problem = f"{len(run.entries())} checkpoints were left"
    else:
        checkpoint.load(latest.path, training=True)
    yield Outcome(problem, trials=trials)


ROWS = (
    Row("L1", "memory or file descriptors that grow while sampling",
        "the program is forked: one sample; resident memory constant within 8 MiB and "
        "descriptors constant between its second quarter and its last",
        "characters", 20_000, 10**7, sampling),
    Row("L2", "memory or file descriptors that grow while training",
        "the program is forked: training, evaluating, saving and rotating; constant as in L1, "
        "and the run can be resumed", "seconds", 2, 3_600, training),
)  # fmt: skip
