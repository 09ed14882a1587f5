"""A function under strace: its system calls are counted, and one of them fails or is the last."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.support.processes import PATIENCE, Child, Ended, Work
from tests.torture.rows import Unavailable

CALL = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\(")

Point = tuple[str, int]
"""A system call and which of its kind, from 1."""

HANGS = 20.0
"""Seconds after which a traced process counts as hanging; the longest takes one second."""

ENDS = {"exit_group", "exit", "rt_sigreturn"}
"""Calls that are not part of the function's work."""


@cache
def require() -> None:
    """Unavailable if strace is not installed or may not trace."""
    if not shutil.which("strace"):
        raise Unavailable("needs strace")
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if done.returncode:
        raise Unavailable("needs permission to trace")


def points(work: Work, log: Path) -> list[Point]:
    """Every system call of the function, as its name and its number among those of the name."""
    ended, lines = traced(work, log, [])
    if ended.code:
        raise AssertionError(f"without a fault the function ends with {ended.code}: {ended.err}")
    counts = Counter(match[1] for line in lines if (match := CALL.match(line)))
    return [(name, n) for name in counts if name not in ENDS for n in range(1, counts[name] + 1)]


def killed_at(work: Work, point: Point, log: Path) -> Ended:
    """Run the function, killed by SIGKILL on entry to that system call."""
    name, number = point
    return traced(work, log, [f"inject={name}:signal=KILL:when={number}"])[0]


def failed_at(work: Work, point: Point, code: str, permanently: bool, log: Path) -> Ended:
    """Run the function while that system call (permanently: and all later ones of it) fails."""
    name, number = point
    when = f"{number}+" if permanently else str(number)
    return traced(work, log, [f"inject={name}:error={code}:when={when}"])[0]


def traced(work: Work, log: Path, expressions: list[str]) -> tuple[Ended, list[str]]:
    """Run a function in a child that strace traces from its first line to its last."""
    require()
    here, there = socket.socketpair()
    child = Child(_gated(work, here, there))
    there.close()
    here.recv(1)  # until it waits at the gate, its system calls belong to the start of the child
    options = [word for text in ["trace=all", *expressions] for word in ("-e", text)]
    command = ["strace", "-f", "-o", str(log), "-p", str(child.pid), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        _await_tracer(child, tracer)
        here.sendall(b"!")
        here.close()
        ended = child.finish(HANGS)
        tracer.wait(PATIENCE)
    return ended, log.read_text(errors="replace").splitlines()


def _gated(work: Work, here: socket.socket, there: socket.socket) -> Callable[[], int | None]:
    def begin() -> int | None:
        here.close()
        there.sendall(b"!")
        with contextlib.suppress(OSError):  # the first call that strace sees, which may fail
            there.recv(1)
        return work()

    return begin


def _await_tracer(child: Child, tracer: "subprocess.Popen[bytes]") -> None:
    """Wait until strace has attached to the child."""
    deadline = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" in Path(f"/proc/{child.pid}/status").read_text():
        assert tracer.poll() is None, "strace could not attach"
        assert time.monotonic() < deadline, "strace takes too long"
        time.sleep(0.001)
