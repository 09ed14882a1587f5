"""Group A, failing disks: full, broken, lying. A save succeeds or fails with one line."""

import contextlib
import errno
import os
import random
import resource
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

from charrnn.checkpoints import atomic, checkpoint
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.run import Run
from charrnn.errors import CharRNNError, StorageError
from tests.support.disks import Recorder
from tests.support.processes import Child, ran
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import smallest_checkpoint
from tests.torture import namespaces, straces
from tests.torture.kills import BEFORE, made
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

CODES = (errno.EIO, errno.EDQUOT, errno.EINTR, errno.EAGAIN, errno.ESTALE)

FILE_CALLS = (
    "openat", "open", "write", "fsync", "close", "read", "fstat", "newfstatat", "lseek", "rename",
    "renameat2", "unlink", "getdents64", "ioctl", "fcntl", "mkdir",
)  # fmt: skip
"""The system calls of a save that concern files."""

NEXT = smallest_checkpoint(40, 1.0)
"""What is saved while the disk fails."""


def refused_or_saved(run: Run, save: Callable[[], object], tidy: bool = True) -> str:
    """What is wrong after a save on a failing disk, and after the next one on a working disk."""
    refusal = ""
    try:
        save()
    except StorageError as error:
        refusal = str(error)
    there = run.path_of(40).exists()
    if refusal and (str(run.path_of(40)) not in refusal or " bytes; " not in refusal):
        return f"the message lacks the path or the number of bytes: {refusal}"
    if not refusal and not there:
        return "it reported no failure and saved nothing"
    problem = intact(run, 40 if there else 30)
    left = [path.name for path in run.folder.glob(".*.tmp")]
    if problem or (tidy and refusal and left):
        return problem or f"it left {left}"
    run.save(NEXT, keep=5)
    return intact(run, 40)


def intact(run: Run, newest: int) -> str:
    """What is wrong with the checkpoints up to the newest."""
    for step in [*BEFORE, newest]:
        try:
            checkpoint.load(run.path_of(step), training=True)
        except CharRNNError as error:
            return str(error)
    return ""


def count(folder: Path) -> int:
    """How many operations a save has."""
    disk = Recorder()
    made(folder).save(NEXT, keep=5, disk=disk)
    return len(disk.operations)


def every_operation(codes: tuple[int, ...], trials: int, seed: int, folder: Path) -> Outcomes:
    """Each operation of a save failing with each code, once and permanently."""
    with mock.patch.object(atomic, "BLOCK", 256):
        operations = range(1, count(folder / "run") + 1)
        cases = [(n, c, e) for n in operations for c in codes for e in (False, True)]
        for number, code, permanently in some(cases, trials, seed):
            run, disk = made(folder / "run"), Recorder(number, code, permanently)
            problem = refused_or_saved(run, partial(run.save, NEXT, 5, disk), not permanently)
            named = f"{errno.errorcode[code]} {'from' if permanently else 'at'} operation {number}"
            yield verdict(problem and f"{named}: {problem}")


def full(trials: int, seed: int, folder: Path) -> Outcomes:
    """A5: ENOSPC at each operation; file size limits; runs on small disks."""
    yield from every_operation((errno.ENOSPC,), trials, seed, folder)
    run = made(folder / "run")
    run.save(NEXT, keep=5)
    sizes = range(0, run.path_of(40).stat().st_size, 64)
    for size in some(sizes, trials, seed):
        yield limited(made(folder / "run"), size)
    yield from small_disks(trials, seed, folder)


def limited(run: Run, size: int) -> Outcome:
    """A save in a process whose files may not exceed a size."""

    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, soft[1]))
        with contextlib.suppress(StorageError):
            run.save(NEXT, keep=5)
            return 3
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        problem = intact(run, 30) or "".join(map(str, run.folder.glob(".*.tmp")))
        os.write(2, problem.encode())
        return int(bool(problem))

    ended = Child(work).finish()
    good = not ended.code
    return GOOD if good else Outcome(f"files of {size} bytes at most: {ended.code} {ended.err}")


def small_disks(trials: int, seed: int, folder: Path) -> Outcomes:
    """A training that saves to tmpfs disks of 20 sizes until they are full."""
    Shell(folder).write("corpus.txt", sentences())
    (folder / "runs").mkdir()
    for kilobytes in some([16 * n for n in range(1, 21)], trials, seed):
        ended = Child(partial(small_disk, folder, kilobytes)).finish()
        yield verdict(f"a disk of {kilobytes} kB: {ended.err}" if ended.code else "")


def small_disk(folder: Path, kilobytes: int) -> int:
    """A training on a disk of that size, visible to this process and its children only."""
    namespaces.small_disk(folder / "runs", kilobytes)
    often = ("--save-every", "1", "--keep", "9", "--steps", "8", "--quiet", "--json")
    ended = ran(folder, "train", "corpus.txt", *TINY, *often)
    reported = ended.out.count(b'"saved"')
    run = Run(folder / "runs" / "corpus")
    problem = ended.refusal(1) if ended.code else ""
    if ended.code and not problem and "No space left" not in ended.err:
        problem = ended.err
    steps = [entry.step for entry in run.entries()]
    for step in steps:
        checkpoint.load(run.path_of(step), training=True)
    if len(steps) < reported:
        problem = problem or f"{reported} were reported and {steps} are there"
    if list(run.folder.glob(".*.tmp")):
        problem = problem or "a temporary file was left"
    os.write(2, problem.encode())
    return int(bool(problem))


def broken(trials: int, seed: int, folder: Path) -> Outcomes:
    """A6: each operation failing with each code; then each file system call, by strace."""
    yield from every_operation(CODES, trials, seed, folder)
    run = made(folder / "run")
    save = partial(save_once, run)
    calls = [p for p in straces.points(save, folder / "log") if p[0] in FILE_CALLS]
    names = [errno.errorcode[code] for code in (*CODES, errno.ENOSPC)]
    cases = [
        (point, name, permanently)
        for point in calls
        for name in names
        for permanently in (False, True)
    ]
    # Python itself repeats an interrupted system call, so permanent interruptions never end.
    cases = [case for case in cases if case[1:] != ("EINTR", True)]
    for point, name, permanently in some(cases, trials, seed):
        made(run.folder)
        ended = straces.failed_at(save, point, name, permanently, folder / "log")
        there = run.path_of(40).exists()
        problem = intact(run, 40 if there else 30)
        if ended.code not in (0, 1) or (ended.code == 0 and not there):
            problem = problem or f"{ended}"
        yield verdict(problem and f"{name} at {point}, permanently {permanently}: {problem}")


def save_once(run: Run) -> int:
    """Save -> 0, or 1 if it fails with the right error."""
    try:
        run.save(NEXT, keep=5)
    except StorageError:
        return 1
    return 0


class Deceiver(Disk):
    """Falsifies the n-th write and reports success."""

    def __init__(self, number: int, how: str, draw: random.Random) -> None:
        self.number, self.how, self.draw, self.writes = number, how, draw, 0

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write; the n-th time less, something else, twice or nothing."""
        self.writes += 1
        if self.writes != self.number:
            return super().write(descriptor, data)
        place = self.draw.randrange(len(data))
        if self.how == "truncated":
            os.write(descriptor, data[:place])
        elif self.how == "flipped":
            changed = bytearray(data)
            changed[place] ^= 1 << self.draw.randrange(8)
            os.write(descriptor, changed)
        elif self.how == "zeros":
            os.write(descriptor, bytes(data[:place]) + bytes(len(data) - place))
        elif self.how == "twice":
            os.write(descriptor, bytes(data) * 2)
        return len(data)


def lying(trials: int, seed: int, folder: Path) -> Outcomes:
    """A7: a write that reports success and does something else."""
    draw, run = random.Random(seed), made(folder / "run")
    with mock.patch.object(atomic, "BLOCK", 512):
        writes = sum(name == "write" for name in recorded(run))
        run = made(folder / "run")
        for number in range(trials):
            how = draw.choice(("truncated", "flipped", "zeros", "twice", "nothing"))
            disk = Deceiver(draw.randint(1, writes), how, draw)
            try:
                run.save(NEXT, 5, disk)
            except StorageError as error:
                problem = intact(run, 30)
                if run.path_of(40).exists() or "the data read back differs" not in str(error):
                    problem = f"{error}; and the file is there: {run.path_of(40).exists()}"
            else:
                # For example zeros over zeros: what was written is right all the same.
                problem = intact(run, 40)
                run.path_of(40).unlink()
            yield verdict(problem and f"lie {number}, write {disk.number} {how}: {problem}")


def recorded(run: Run) -> list[str]:
    """The operations of a save."""
    disk = Recorder()
    run.save(NEXT, 5, disk)
    return disk.operations


ROWS = (
    Row("A5", "disk full",
        "in process: ENOSPC at each operation of a save in blocks of 256 bytes, once and "
        "permanently; forked: RLIMIT_FSIZE in steps of 64 bytes; forked: training on tmpfs of 20 "
        "sizes",
        "full disks", 4, 10**6, full),
    Row("A6", "EIO, EDQUOT, EINTR, EAGAIN, ESTALE at each call",
        "in process: each operation of the disk interface, once and permanently; strace: each "
        "file system call, these errors and ENOSPC, once and permanently",
        "failures", 10, 10**6, broken),
    Row("A7", "writes that report success falsely",
        "in process: a write that reports success is truncated, has bits flipped, is zeroed, "
        "duplicated or omitted",
        "lies", 200, 20_000, lying),
)  # fmt: skip
