"""Group A, power loss, simulated: what may be on a disk afterwards, and what a run finds there.

A journal records every operation of real saves and rotations. From it, states of the disk after a
power loss are derived: up to some operation, with writes that no fsync has made durable written,
dropped, torn or replaced by garbage, and with any of the names that no fsync of the folder has made
durable. A run is then opened on what is left.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from charrnn.checkpoints import atomic, checkpoint
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.run import Run
from charrnn.errors import CharRNNError
from tests.support.tiny import smallest_checkpoint
from tests.torture.kills import BEFORE, SAVED, made
from tests.torture.rows import GOOD, Outcome, Outcomes, Row

Operation = tuple[Any, ...]


class Journal(Disk):
    """Performs and records every operation; those called `omitted` are not recorded."""

    def __init__(self, omitted: str = "") -> None:
        self.log: list[Operation] = []
        self.omitted = omitted
        self.made = 0
        self.files: dict[int, int] = {}

    def note(self, name: str, *arguments: Any) -> None:
        """Record an operation."""
        if name != self.omitted:
            self.log.append((name, *arguments))

    def create(self, path: Path) -> int:
        """Recorded, with a number for the file that is unique in the journal."""
        descriptor = super().create(path)
        self.made += 1
        self.files[descriptor] = self.made
        self.note("create", path.name, self.made)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Recorded, with the bytes."""
        written = super().write(descriptor, data)
        self.note("write", self.files[descriptor], bytes(data[:written]))
        return written

    def sync(self, descriptor: int) -> None:
        """Recorded."""
        super().sync(descriptor)
        self.note("sync", self.files[descriptor])

    def rename(self, source: Path, target: Path) -> None:
        """Recorded."""
        super().rename(source, target)
        self.note("rename", source.name, target.name)

    def sync_folder(self, folder: Path) -> None:
        """Recorded."""
        super().sync_folder(folder)
        self.note("sync_folder")

    def remove(self, path: Path) -> None:
        """Recorded."""
        super().remove(path)
        self.note("remove", path.name)


@dataclass
class Inode:
    """A file's writes, and how many of them are durable."""

    writes: list[bytes]
    durable: int = 0
    text: bytes = b""

    def content(self, draw: random.Random) -> bytes:
        """The content after a power loss."""
        if self.durable == len(self.writes):
            self.text = self.text or b"".join(self.writes)
            return self.text
        left = b"".join(self.writes[: self.durable])
        hole = 0
        for part in self.writes[self.durable :]:
            fate = draw.choice(("written", "dropped", "torn", "garbage"))
            if fate == "dropped":
                hole += len(part)  # zeros, if anything after it was written
                continue
            if fate == "torn":
                part = part[: draw.randrange(len(part) + 1)]
            left += bytes(hole) + (draw.randbytes(len(part)) if fate == "garbage" else part)
            hole = 0
        return left


class CrashState:
    """The disk after the operations of a log: durable names and files, and pending changes."""

    def __init__(self, before: dict[str, bytes], log: list[Operation]) -> None:
        self.inodes = {-n: Inode([data], 1) for n, data in enumerate(before.values(), 1)}
        self.names = {name: -n for n, name in enumerate(before, 1)}
        self.pending: list[Operation] = []
        self.reported = max(BEFORE)
        for operation in log:
            self._apply(operation)

    def _apply(self, operation: Operation) -> None:
        match operation:
            case ("create", name, number):
                self.inodes[number] = Inode([])
                self.pending.append(("link", name, number))
            case ("write", number, data):
                self.inodes[number].writes.append(data)
            case ("sync", number):
                self.inodes[number].durable = len(self.inodes[number].writes)
            case ("rename", source, target):
                number = self._now()[source]
                self.pending += [("link", target, number), ("unlink", source)]
            case ("remove", name):
                self.pending.append(("unlink", name))
            case ("sync_folder",):
                self.names, self.pending = self._now(), []
            case ("report", step):
                self.reported = step

    def _now(self) -> dict[str, int]:
        return changed(self.names, self.pending)

    def state(self, draw: random.Random) -> dict[str, bytes]:
        """One of the folders that may be found: name -> content."""
        kept = [operation for operation in self.pending if draw.random() < 0.5]
        found = changed(self.names, kept)
        final = {name: number for name, number in found.items() if name.startswith("step-")}
        return {name: self.inodes[number].content(draw) for name, number in final.items()}


def changed(names: dict[str, int], operations: list[Operation]) -> dict[str, int]:
    """A folder's names after some links and unlinks."""
    after = dict(names)
    for operation in operations:
        if operation[0] == "link":
            after[operation[1]] = operation[2]
        else:
            after.pop(operation[1], None)
    return after


def record(
    folder: Path, save: Callable[[Run, int, Journal], None], omitted: str = ""
) -> list[CrashState]:
    """The disk after each operation of the saves."""
    journal, run = Journal(omitted), made(folder)
    before = {entry.path.name: entry.path.read_bytes() for entry in run.entries()}
    with mock.patch.object(atomic, "BLOCK", 1024):
        for step in SAVED:
            save(run, step, journal)
            journal.note("report", step)
    return [CrashState(before, journal.log[:length]) for length in range(len(journal.log) + 1)]


def as_charrnn(run: Run, step: int, disk: Journal) -> None:
    """Save, then rotate, as a training does."""
    run.save(smallest_checkpoint(step, SAVED[step]), keep=2, disk=disk)


def rotating_first(run: Run, step: int, disk: Journal) -> None:
    """Rotate, then save: an incorrect order."""
    for entry in run.entries():
        disk.remove(entry.path)
    run.save(smallest_checkpoint(step, SAVED[step]), keep=2, disk=disk)


class Finder:
    """Opens runs on states of the disk; equal folders are opened only once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[frozenset[tuple[str, str]], tuple[int, float]] = {}

    def problem(self, crash: CrashState, state: dict[str, bytes]) -> str:
        """What is lost; "" for nothing."""
        key = frozenset((name, hashlib.md5(data).hexdigest()) for name, data in state.items())
        if key not in self.known:
            self.known[key] = self._open(state)
        newest, best = self.known[key]
        reported = crash.reported
        following = next((step for step in SAVED if step > reported), reported)
        scores = [v for s, v in (BEFORE | SAVED).items() if s <= reported and v is not None]
        if newest not in (reported, following):
            return f"step {reported} was reported and {newest} is the newest"
        return "" if best <= min(scores) else f"the best checkpoint up to step {reported} is gone"

    def _open(self, state: dict[str, bytes]) -> tuple[int, float]:
        """The newest step that can be resumed, and the least loss of those that can be loaded."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, data in state.items():
            (self.folder / name).write_bytes(data)
        found = {}
        run = Run(self.folder)
        with run.lock():
            for entry in run.entries():
                try:
                    info = checkpoint.load(entry.path, training=True).info
                    found[entry.step] = info.valid
                except CharRNNError:
                    continue
        scores = [valid for valid in found.values() if valid is not None]
        return max(found, default=0), min(scores, default=float("inf"))


def simulated(trials: int, seed: int, folder: Path) -> Outcomes:
    """A3: states of the disk after a power loss; incorrect savers must be detected."""
    draw, finder = random.Random(seed), Finder(folder / "found")
    crashes = record(folder / "run", as_charrnn)
    for number in range(trials):
        crash = crashes[number % len(crashes)]
        state = crash.state(draw)
        problem = finder.problem(crash, state)
        if problem:
            shutil.copytree(finder.folder, folder / f"state-{number}", dirs_exist_ok=True)
        yield Outcome(f"state {number}: {problem}") if problem else GOOD
    incorrect = {
        "no fsync of the file": record(folder / "run", as_charrnn, "sync"),
        "no fsync of the folder": record(folder / "run", as_charrnn, "sync_folder"),
        "rotation before the save": record(folder / "run", rotating_first),
    }
    for what, others in incorrect.items():
        states = ((crash, crash.state(draw)) for _ in range(20) for crash in others)
        found = any(finder.problem(crash, state) for crash, state in states)
        yield GOOD if found else Outcome(f"a saver with {what} was not detected")


ROWS = (
    Row("A3", "power loss",
        "simulated in process: a journal of three saves is replayed up to each operation; "
        "unsynced writes are written, dropped, torn or replaced by garbage, unsynced names are "
        "kept or lost; three incorrect savers (no fsync, no fsync of the folder, rotation first) "
        "must be detected",
        "states", 3_000, 200_000, simulated),
)  # fmt: skip
