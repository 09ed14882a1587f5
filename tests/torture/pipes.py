"""Group D, pipes: readers that close, full devices, closed descriptors, streaming."""

import itertools
import os
import random
import signal
import time
from pathlib import Path

from tests.support.processes import Child, Ended, program, ran
from tests.support.shell import TINY, Shell, sentences
from tests.torture.rows import Outcomes, Row, some, verdict

COMMANDS = (
    ("sample", "--seed", "1", "--length", "300"), ("sample", "--seed", "1", "--json"),
    ("sample", "--num-samples", "3", "--length", "9"), ("evaluate",), ("evaluate", "--json"),
    ("runs",), ("runs", "--json"), ("checkpoints", "list"), ("checkpoints", "list", "--json"),
    ("checkpoints", "show"), ("checkpoints", "verify"), ("score", "corpus", "corpus.txt"),
    ("score", "corpus", "corpus.txt", "--json"), ("originality", "corpus.txt"),
    ("--help",), ("--version",), ("train", "--help"), ("sample", "--help"), ("evaluate", "--help"),
    ("score", "--help"), ("originality", "--help"), ("write", "--help"), ("runs", "--help"),
    ("checkpoints", "--help"), ("checkpoints", "prune", "--help"),
)  # fmt: skip
"""Commands that write to stdout."""

MOMENT = 0.2
"""Seconds within which a program ends after its reader has closed the pipe."""


def trained(folder: Path, text: str = "") -> Shell:
    """A folder with a run of a tiny model."""
    shell = Shell(folder)
    shell.write("corpus.txt", text or sentences())
    steps = ("--steps", "20", "--save-every", "10", "--eval-every", "10", "--quiet")
    ended = ran(folder, "train", "corpus.txt", *TINY, *steps)
    assert not ended.code, ended.err
    return shell


def leaving(trials: int, seed: int, folder: Path) -> Outcomes:
    """D1: a reader that closes before the first byte, or after some; and one of a failing command.

    The program is terminated by SIGPIPE, silently, within 0.2 s; a failing command keeps its code.
    """
    draw = random.Random(seed)
    trained(folder)
    for number in range(trials):
        if number % 4 == 0:
            size = draw.choice((1, 10, 1_000, 8_192, 20_000))
            # On a busy machine the scheduler may cause a delay.
            yield verdict(
                after_some(folder, size) and after_some(folder, size) and after_some(folder, size)
            )
        elif number % 4 == 1:
            yield verdict(unread(folder, ("sample", "no-such-run"), 2))
        else:
            yield verdict(unread(folder, draw.choice(COMMANDS), -signal.SIGPIPE))


def after_some(folder: Path, size: int) -> str:
    """An endless sample, whose reader closes the pipe after so many bytes."""
    child = Child(program(folder, "sample", "--length", "1000000000"))
    left = size
    while left > 0:
        left -= len(os.read(child.pipes[1], left))
    os.close(child.pipes.pop(1))
    began = time.monotonic()
    ended = child.finish()
    seconds = time.monotonic() - began
    good = ended.code == -signal.SIGPIPE and not ended.err and seconds < MOMENT
    return "" if good else f"after {size} bytes: {ended}, {seconds:.3f} s"


def unread(folder: Path, command: tuple[str, ...], code: int) -> str:
    """A command whose reader has closed the pipe before it started."""
    reader, writer = os.pipe()
    os.close(reader)
    child = Child(program(folder, *command), {1: writer})
    os.close(writer)
    ended = child.finish()
    good = ended.code == code and (not ended.err or code > 0)
    return "" if good else f"{command}: {ended}"


def full(trials: int, seed: int, folder: Path) -> Outcomes:
    """D2: /dev/full as stdout of every command."""
    trained(folder)
    with open("/dev/full", "wb") as device:
        for command in some(COMMANDS, trials, seed):
            ended = Child(program(folder, *command), {1: device.fileno()}).finish(patience=10)
            problem = ended.refusal(1) or ("" if "No space left" in ended.err else ended.err)
            yield verdict(problem and f"{command}: {problem}")


def closed(trials: int, seed: int, folder: Path) -> Outcomes:
    """D3: commands with every set of closed descriptors; the exit code reports lost output."""
    trained(folder)
    ran(folder, "originality", "corpus.txt")  # which makes an index, once
    commands = (*COMMANDS[:14], ("--help",), ("train", "corpus.txt", *TINY, "--steps", "3"))
    sets = [s for n in range(1, 4) for s in itertools.combinations((0, 1, 2), n)]
    for command, shut in some(list(itertools.product(commands, sets)), trials, seed):
        before = contents(folder / "runs" / "corpus")
        ended = Child(program(folder, *command), dict.fromkeys(shut)).finish()
        lost = 1 in shut and command[0] != "train"
        problem = "" if ended.code == int(lost) else f"{ended}"
        if 2 not in shut and not problem:
            problem = ended.refusal(1) if lost else ""
        if contents(folder / "runs" / "corpus") != before or misplaced(folder):
            problem = problem or "output ended up in another file"
        yield verdict(problem and f"{command} without {shut}: {problem}")


def contents(folder: Path) -> dict[Path, bytes]:
    """All files of a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def misplaced(folder: Path) -> list[Path]:
    """Locks that are not empty, and logs with a line that is not JSON."""
    locks = [path for path in folder.glob("runs/*/lock") if path.read_bytes()]
    logs = folder.glob("runs/*/metrics.jsonl")
    lines = [(log, line) for log in logs for line in log.read_bytes().splitlines()]
    return locks + [log for log, line in lines if not line.startswith(b"{")]


LETTERS = "äöüßé漢字😀𝄞"


def streaming(trials: int, seed: int, folder: Path) -> Outcomes:
    """D7: text of multi-byte characters appears long before the end, in complete characters."""
    draw = random.Random(seed)
    text = "".join(draw.choices(LETTERS + "\n", k=3_000))
    trained(folder, text)
    for number in range(trials):
        child = Child(program(folder, "sample", "--length", "20000", "--seed", str(number)))
        first, parts = 0.0, []
        while part := os.read(child.pipes[1], 1 << 20):
            first = first or time.monotonic()
            parts.append(part)
        last = time.monotonic()
        ended: Ended = child.finish()
        split = [part for part in parts if not is_text(part)]
        early = last - first > 0.5 * (last - child.began - 0.2) and len(parts) > 1
        good = not ended.code and not split and early
        detail = f"{len(parts)} parts, first after {first - child.began:.3f} s, last {last - first}"
        yield verdict("" if good else f"sample {number}: {ended.code} {detail} {split[:1]!r:.60}")


def is_text(part: bytes) -> bool:
    """Whether bytes are complete characters."""
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


ROWS = (
    Row("D1", "the reader of the output closes the pipe",
        f"the program is forked, {len(COMMANDS)} commands: before the first byte, after 1 to "
        "20,000; terminated by SIGPIPE, silently, within 0.2 s; a failing command keeps its exit "
        "code",
        "readers", 8, 1_000, leaving),
    Row("D2", "/dev/full as stdout of every command",
        "the program is forked; exit code 1 and one line that says so", "commands", 5, 10**6, full),
    Row("D3", "file descriptors 0, 1, 2 closed, all combinations",
        "the program is forked, 16 commands: lost output is exit code 1, and no output ends up "
        "in another file",
        "commands", 8, 10**6, closed),
    Row("D7", "buffered output, split characters",
        "the program is forked: 20,000 characters of two to four bytes, read as they are produced",
        "samples", 1, 60, streaming),
)  # fmt: skip
