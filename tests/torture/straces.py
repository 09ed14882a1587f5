"""A function under strace: its system calls counted, and one of them failed or made the last."""

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

from tests.torture.processes import PATIENCE, Child, Ended, Work
from tests.torture.rows import Unavailable

CALL = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\(")

Point = tuple[str, int]
"""A system call and which of its kind, from 1."""

HANGS = 20.0
"""Seconds after which what is traced is taken to hang; the longest takes one."""

ENDS = {"exit_group", "exit", "rt_sigreturn"}
"""What is no work of the function any more."""


@cache
def require() -> None:
    """Unavailable where strace is not there or may not trace."""
    if not shutil.which("strace"):
        raise Unavailable("needs strace")
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if done.returncode:
        raise Unavailable("strace may not trace here")


def points(work: Work, log: Path) -> list[Point]:
    """Every system call that the function makes, named by its kind and its number."""
    ended, lines = traced(work, log, [])
    if ended.code:
        raise AssertionError(f"untouched, the function ends with {ended.code}: {ended.err}")
    counts = Counter(match[1] for line in lines if (match := CALL.match(line)))
    return [(name, n) for name in counts if name not in ENDS for n in range(1, counts[name] + 1)]


def killed_at(work: Work, point: Point, log: Path) -> Ended:
    """The function, killed by SIGKILL as it enters that system call."""
    name, number = point
    return traced(work, log, [f"inject={name}:signal=KILL:when={number}"])[0]


def failed_at(work: Work, point: Point, code: str, for_ever: bool, log: Path) -> Ended:
    """The function, with that system call (and for ever those of its kind) failing."""
    name, number = point
    when = f"{number}+" if for_ever else str(number)
    return traced(work, log, [f"inject={name}:error={code}:when={when}"])[0]


def traced(work: Work, log: Path, expressions: list[str]) -> tuple[Ended, list[str]]:
    """Run a function in a child that strace holds from its first line to its last."""
    require()
    here, there = socket.socketpair()
    child = Child(_gated(work, here, there))
    there.close()
    here.recv(1)  # until it stands at the gate, what it calls is the making of a child
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
        with contextlib.suppress(OSError):  # the first call that strace sees, and may fail
            there.recv(1)
        return work()

    return begin


def _await_tracer(child: Child, tracer: "subprocess.Popen[bytes]") -> None:
    """Wait until strace holds the child."""
    deadline = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" in Path(f"/proc/{child.pid}/status").read_text():
        assert tracer.poll() is None, "strace could not attach"
        assert time.monotonic() < deadline, "strace takes too long"
        time.sleep(0.001)
