"""Group A, power loss, simulated: what may be on a disk when the power goes, and what is found.

A journal notes every operation of real saves and rotations. A state of the disk after a power loss
is made of it: up to some operation, with what no fsync had made safe written, dropped, torn or
trashed, and with any of the names that no fsync of the folder had made safe. A run is then opened
on what is left.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.run import Run
from charrnn.errors import CharRNNError
from tests.support.tiny import smallest_checkpoint
from tests.torture.kills import BEFORE, SAVED, made
from tests.torture.rows import GOOD, Outcome, Outcomes, Row

Operation = tuple[Any, ...]


class Journal(Disk):
    """A disk that does everything and notes it; `deaf` to some operations, which it leaves out."""

    def __init__(self, deaf: str = "") -> None:
        self.log: list[Operation] = []
        self.deaf = deaf
        self.made = 0
        self.files: dict[int, int] = {}

    def note(self, name: str, *facts: Any) -> None:
        """Add an operation, unless this disk is deaf to it."""
        if name != self.deaf:
            self.log.append((name, *facts))

    def create(self, path: Path) -> int:
        """Noted, with a number for the file that lasts as long as the journal."""
        descriptor = super().create(path)
        self.made += 1
        self.files[descriptor] = self.made
        self.note("create", path.name, self.made)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Noted, with the bytes."""
        written = super().write(descriptor, data)
        self.note("write", self.files[descriptor], bytes(data[:written]))
        return written

    def sync(self, descriptor: int) -> None:
        """Noted."""
        super().sync(descriptor)
        self.note("sync", self.files[descriptor])

    def rename(self, source: Path, target: Path) -> None:
        """Noted."""
        super().rename(source, target)
        self.note("rename", source.name, target.name)

    def sync_folder(self, folder: Path) -> None:
        """Noted."""
        super().sync_folder(folder)
        self.note("sync_folder")

    def remove(self, path: Path) -> None:
        """Noted."""
        super().remove(path)
        self.note("remove", path.name)


@dataclass
class Inode:
    """A file's writes, and how many of them are safe."""

    writes: list[bytes]
    safe: int = 0
    text: bytes = b""

    def content(self, draw: random.Random) -> bytes:
        """What a power loss leaves of it."""
        if self.safe == len(self.writes):
            self.text = self.text or b"".join(self.writes)
            return self.text
        left = b"".join(self.writes[: self.safe])
        hole = 0
        for part in self.writes[self.safe :]:
            fate = draw.choice(("written", "dropped", "torn", "trashed"))
            if fate == "dropped":
                hole += len(part)  # zeros, where anything after it was written
                continue
            if fate == "torn":
                part = part[: draw.randrange(len(part) + 1)]
            left += bytes(hole) + (draw.randbytes(len(part)) if fate == "trashed" else part)
            hole = 0
        return left


class Wreck:
    """The disk as the log's first `length` operations leave it: safe things, and loose names."""

    def __init__(self, before: dict[str, bytes], log: list[Operation]) -> None:
        self.inodes = {-n: Inode([data], 1) for n, data in enumerate(before.values(), 1)}
        self.names = {name: -n for n, name in enumerate(before, 1)}
        self.loose: list[Operation] = []
        self.announced = max(BEFORE)
        for operation in log:
            self._apply(operation)

    def _apply(self, operation: Operation) -> None:
        match operation:
            case ("create", name, number):
                self.inodes[number] = Inode([])
                self.loose.append(("link", name, number))
            case ("write", number, data):
                self.inodes[number].writes.append(data)
            case ("sync", number):
                self.inodes[number].safe = len(self.inodes[number].writes)
            case ("rename", source, target):
                number = self._now()[source]
                self.loose += [("link", target, number), ("unlink", source)]
            case ("remove", name):
                self.loose.append(("unlink", name))
            case ("sync_folder",):
                self.names, self.loose = self._now(), []
            case ("announce", step):
                self.announced = step

    def _now(self) -> dict[str, int]:
        return changed(self.names, self.loose)

    def state(self, draw: random.Random) -> dict[str, bytes]:
        """One of the folders that may be found: name -> content."""
        kept = [operation for operation in self.loose if draw.random() < 0.5]
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


def record(folder: Path, save: Callable[[Run, int, Journal], None], deaf: str = "") -> list[Wreck]:
    """The wreck after each operation of the saves."""
    journal, run = Journal(deaf), made(folder)
    before = {entry.path.name: entry.path.read_bytes() for entry in run.entries()}
    with mock.patch.object(storage, "BLOCK", 1024):
        for step in SAVED:
            save(run, step, journal)
            journal.note("announce", step)
    return [Wreck(before, journal.log[:length]) for length in range(len(journal.log) + 1)]


def as_charrnn(run: Run, step: int, disk: Journal) -> None:
    """Save, then rotate, as a training does."""
    run.save(smallest_checkpoint(step, SAVED[step]), keep=2, disk=disk)


def rotating_first(run: Run, step: int, disk: Journal) -> None:
    """Rotate, then save: what must not be done."""
    for entry in run.entries():
        disk.remove(entry.path)
    run.save(smallest_checkpoint(step, SAVED[step]), keep=2, disk=disk)


class Finder:
    """Opens runs on states; a folder seen before is not opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[frozenset[tuple[str, str]], tuple[int, float]] = {}

    def problem(self, wreck: Wreck, state: dict[str, bytes]) -> str:
        """What is lost; "" for nothing."""
        key = frozenset((name, hashlib.md5(data).hexdigest()) for name, data in state.items())
        if key not in self.known:
            self.known[key] = self._open(state)
        newest, best = self.known[key]
        announced = wreck.announced
        following = next((step for step in SAVED if step > announced), announced)
        judged = [v for s, v in (BEFORE | SAVED).items() if s <= announced and v is not None]
        if newest not in (announced, following):
            return f"step {announced} was announced and {newest} is the newest"
        return "" if best <= min(judged) else f"the best of step {announced} is gone"

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
                    facts = checkpoint.load(entry.path, training=True).info
                    found[entry.step] = facts.valid
                except CharRNNError:
                    continue
        judged = [valid for valid in found.values() if valid is not None]
        return max(found, default=0), min(judged, default=float("inf"))


def simulated(trials: int, seed: int, folder: Path) -> Outcomes:
    """A3: states of the disk after a power loss; and savers that do less must be found out."""
    draw, finder = random.Random(seed), Finder(folder / "found")
    wrecks = record(folder / "run", as_charrnn)
    for number in range(trials):
        wreck = wrecks[number % len(wrecks)]
        state = wreck.state(draw)
        problem = finder.problem(wreck, state)
        if problem:
            shutil.copytree(finder.folder, folder / f"state-{number}", dirs_exist_ok=True)
        yield Outcome(f"state {number}: {problem}") if problem else GOOD
    careless = {
        "no fsync of the file": record(folder / "run", as_charrnn, "sync"),
        "no fsync of the folder": record(folder / "run", as_charrnn, "sync_folder"),
        "rotation before the save": record(folder / "run", rotating_first),
    }
    for what, others in careless.items():
        states = ((wreck, wreck.state(draw)) for _ in range(20) for wreck in others)
        found = any(finder.problem(wreck, state) for wreck, state in states)
        yield GOOD if found else Outcome(f"a saver with {what} was not found out")


ROWS = (
    Row("A3", "power loss",
        "simulated in process: a journal of three saves is replayed up to each operation, unsynced "
        "writes written, dropped, torn or trashed, any unsynced names; three careless savers "
        "(no fsync, no fsync of the folder, rotation first) must be found out",
        "states", 3_000, 200_000, simulated),
)  # fmt: skip
