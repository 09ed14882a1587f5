"""Child processes by fork: they start within milliseconds, because all modules are loaded already.

A child has real descriptors, real signals and a real exit; only the start of the interpreter is
left out. It may be the program itself, with its command line, or any function.
"""

import contextlib
import faulthandler
import gc
import io
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.shell import ERROR, Shell, sentences

PATIENCE = 60.0
"""Seconds after which a child counts as hanging."""

BROKEN = 70
"""The exit code of a child in which something other than the program failed."""

HUNG = 124
"""The exit code reported for a child that was killed because it hung."""

Work = Callable[[], int | None]


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or minus the number of the signal; and its output."""

    code: int
    out: bytes
    err: str
    seconds: float

    def refusal(self, *codes: int) -> str:
        """What is wrong with this as an error, which has one of these codes and one line."""
        if self.code not in codes:
            return f"exit code {self.code}, not one of {codes}: {self.err[-800:]!r}"
        return "" if ERROR.fullmatch(self.err) else f"not one error line: {self.err[-800:]!r}"


class Awake:
    """A time limit that does not count while this machine, or this process, is suspended."""

    def __init__(self, seconds: float) -> None:
        self.left, self.looked = seconds, time.monotonic()

    def time_left(self) -> bool:
        """Whether time is left; to be called at least every second."""
        now = time.monotonic()
        self.left -= min(now - self.looked, 2.0)
        self.looked = now
        return self.left > 0


class Child:
    """A forked process. `streams` are descriptors for its 0, 1 and 2; None means closed.

    Those not given are an empty input and two pipes, which `finish` reads to their end.
    """

    def __init__(self, work: Work, streams: Mapping[int, int | None] | None = None) -> None:
        self._pipes = {number: os.pipe() for number in (1, 2) if number not in (streams or {})}
        given = {0: _nothing()} if 0 not in (streams or {}) else {}
        writers: dict[int, int | None] = {n: ends[1] for n, ends in self._pipes.items()}
        self.began = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks while there are threads
            self.pid = os.fork()
        if not self.pid:
            for ends in self._pipes.values():
                os.close(
                    ends[0]
                )  # a pipe breaks only if no process, this one included, can read it
            _live(work, {**given, **writers, **(streams or {})})
        for own in [*given.values(), *(ends[1] for ends in self._pipes.values())]:
            os.close(own)
        self.pipes = {number: ends[0] for number, ends in self._pipes.items()}
        self.read = {1: b"", 2: b""}
        self._status: int | None = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, if it is still running."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def gone(self) -> bool:
        """Whether it has ended."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def await_text(self, text: bytes, number: int = 2, patience: float = PATIENCE) -> float:
        """Read a pipe until this text has appeared -> the monotonic time, -1.0 for never."""
        deadline = time.monotonic() + patience
        while text not in self.read[number]:
            if not self._take(number, deadline):
                return -1.0
        return time.monotonic()

    def _take(self, number: int, deadline: float) -> bool:
        """Read the next part of a pipe; False at its end and when time is up."""
        with selectors.DefaultSelector() as ready:
            ready.register(self.pipes[number], selectors.EVENT_READ)
            if not ready.select(max(0.0, deadline - time.monotonic())):
                return False
        part = os.read(self.pipes[number], 1 << 16)
        self.read[number] += part
        return bool(part)

    def finish(self, patience: float = PATIENCE) -> Ended:
        """Read the pipes until the child has ended; kill it if its time is up."""
        left = Awake(patience)
        with selectors.DefaultSelector() as ready:
            for number, end in self.pipes.items():
                ready.register(end, selectors.EVENT_READ, number)
            while ready.get_map() and left.time_left():
                for key, _ in ready.select(1.0):
                    part = os.read(key.fd, 1 << 16)
                    self.read[key.data] += part
                    if not part:
                        ready.unregister(key.fd)
        while not self.gone() and left.time_left():
            time.sleep(0.0005)
        hung = not self.gone()
        if hung:
            self.kill()
        return self.end(HUNG if hung else None)

    def end(self, code: int | None = None) -> Ended:
        """Wait for its end without reading any more."""
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        for end in self.pipes.values():
            os.close(end)
        self.pipes = {}
        found = os.waitstatus_to_exitcode(self._status) if code is None else code
        seconds = time.monotonic() - self.began
        return Ended(found, self.read[1], self.read[2].decode("utf-8", "replace"), seconds)


@cache
def preload() -> None:
    """Run the program once, so that the modules that it loads late are loaded in the children."""
    with tempfile.TemporaryDirectory() as name:
        shell = Shell(Path(name))
        shell.write("corpus.txt", sentences())
        options = ("--steps", "2", "--quiet", "--tokenizer", "subword", "--vocab-size", "300")
        shell.train("corpus.txt", *options).succeeded()
        for command in ("sample", "evaluate", "runs", "originality"):
            shell.run(command, *(["corpus.txt"] if command == "originality" else []))


def program(folder: Path, *args: str | Path, **variables: str) -> Work:
    """The program with this command line, in this folder, with its runs in `runs`."""
    preload()

    def work() -> int | None:
        from charrnn.cli import main
        from charrnn.training.planner import calibration

        calibration.CALIBRATION_SECONDS = 0.0
        os.chdir(folder)
        environment = Shell(folder).environment(variables)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["charrnn", *map(str, args)]
        main.run()

    return work


def forked(work: Work, **settings: Any) -> "subprocess.Popen[bytes]":
    """The work in a forked process that is handled like a started one.

    `settings` are those of subprocess.Popen: streams, and the folder.
    """

    def live() -> None:
        # Popen waits until its pipe to the child is closed, which a new program would do.
        os.closerange(3, 1 << 16)
        _live(work, {0: 0, 1: 1, 2: 2}, signal.SIG_IGN)

    start: Any = subprocess.Popen
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks while there are threads
        child: subprocess.Popen[bytes] = start([sys.executable], preexec_fn=live, **settings)
    return child


def ran(folder: Path, *args: str | Path, stdin: bytes = b"", **variables: str) -> Ended:
    """The program in a forked process, to its end."""
    if not stdin:
        return Child(program(folder, *args, **variables)).finish()
    with open(folder / "stdin.bin", "w+b") as file:
        file.write(stdin)
        file.seek(0)
        return Child(program(folder, *args, **variables), {0: file.fileno()}).finish()


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _live(work: Work, streams: Mapping[int, int | None], pipe: Any = signal.SIG_DFL) -> None:
    """Run the work and exit; this never returns. `pipe` is what SIGPIPE does at first."""
    code: Any = BROKEN
    try:
        gc.freeze()
        faulthandler.disable()
        warnings.simplefilter("default")
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, pipe)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _connect(streams)
        code = work() or 0
    except SystemExit as left:
        code = left.code or 0
    except BaseException:
        with contextlib.suppress(Exception):
            os.write(2, traceback.format_exc().encode())
    finally:
        with contextlib.suppress(BaseException):
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        os._exit(code if isinstance(code, int) else BROKEN)


def _connect(streams: Mapping[int, int | None]) -> None:
    """Move the descriptors to their numbers, and open Python's streams on them."""
    apart = {n: None if d is None else os.dup(d) for n, d in streams.items()}
    for number, descriptor in apart.items():
        if descriptor is None:
            with contextlib.suppress(OSError):
                os.close(number)
        else:
            os.dup2(descriptor, number)
            os.close(descriptor)
    raw = None if streams[0] is None else io.FileIO(0, "r", closefd=False)
    sys.stdin = None if raw is None else io.TextIOWrapper(io.BufferedReader(raw))
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, None if streams[number] is None else _text(number))


def _text(number: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    errors = "strict" if number == 1 else "backslashreplace"
    return io.TextIOWrapper(raw, "utf-8", errors, write_through=number == 2)
