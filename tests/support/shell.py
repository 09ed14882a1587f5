"""The program as a shell sees it: run in this process or in one of its own, its streams apart.

`Shell.run` calls the same `run()` as the installed program does, so errors become lines and exit
codes as they would for a person. What the program writes is caught at the descriptors, because it
writes its product there and not through `sys.stdout`.
"""

import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

TINY = (
    "--hidden-size", "8", "--embedding-size", "8", "--num-layers", "1", "--batch-size", "4",
    "--seq-length", "16", "--threads", "1",
)  # fmt: skip
"""Options of a model that is trained in a moment."""

ENDLESS = (*TINY, "--steps", "10000000", "--eval-every", "10000000", "--save-every", "10000000")
"""Options of a training that somebody has to stop."""

ERROR = re.compile(r"charrnn: error: (?P<problem>.+?); (?P<remedy>.+)\n")

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "saw", "dog,", "who", "ran;", "7 o'clock")

PATIENCE = 60.0
"""Seconds after which a process is taken to hang; nothing is measured by it."""

Child = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code, and what it wrote to stdout and stderr."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """What went to stdout, as text."""
        return self.raw.decode()

    @property
    def json(self) -> list[dict[str, Any]]:
        """The objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.split("\n") if line]

    def succeeded(self) -> "Done":
        """The same, after making sure that it went well."""
        assert self.code == 0, self.err
        return self

    def failed(self, code: int, *words: str) -> str:
        """The one line on stderr, after making sure that it is one, with these words in it."""
        assert self.code == code, (self.code, self.err)
        assert self.raw == b""
        assert ERROR.fullmatch(self.err), self.err
        for word in words:
            assert word in self.err, self.err
        return self.err


class Shell:
    """A folder in which commands are run; their runs lie in its folder `runs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def run(
        self, *args: str | Path, stdin: bytes = b"", device: str = "", **variables: str
    ) -> Done:
        """Run the program in this process, with a stream into a `device` as in 1>/dev/x."""
        from charrnn.cli import main

        environment = self.environment(variables)
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.chdir(self.folder))
            stack.enter_context(mock.patch.dict(os.environ, environment, clear=True))
            stack.enter_context(
                mock.patch("charrnn.training.planner.calibration.CALIBRATION_SECONDS", 0.0)
            )
            stack.enter_context(mock.patch.object(sys, "argv", ["charrnn", *map(str, args)]))
            stack.enter_context(_signals_kept())
            out, err = stack.enter_context(_descriptors(stdin, device))
            try:
                main.run()
            except SystemExit as left:
                code = left.code
            assert isinstance(code, int)
            return Done(code, _contents(out), _contents(err).decode())

    def train(self, *args: str | Path, **settings: Any) -> Done:
        """Train a tiny model in this process, unless the options ask for another."""
        return self.run("train", *TINY, *args, **settings)

    def weights(self, run: str = "corpus", which: str = "latest") -> str:
        """The hash of a checkpoint's weights."""
        shown = self.run("checkpoints", "show", run, "--checkpoint", which, "--json").succeeded()
        return str(shown.json[0]["weights_sha256"])

    def steps(self, run: str = "corpus") -> list[int]:
        """The steps of a run's checkpoints."""
        return [row["step"] for row in self.run("checkpoints", "list", run, "--json").json]

    def process(
        self, *args: str | Path, stdin: bytes = b"", redirect: str = "", **variables: str
    ) -> Done:
        """Run the program in a process of its own, to the end, redirected as a shell would."""
        command = self.command(*args)
        if redirect:
            command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
        done = subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=PATIENCE,
            cwd=self.folder, env=self.environment(variables),
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr.decode())

    @contextlib.contextmanager
    def started(self, *args: str | Path, quick: bool = True, **settings: Any) -> Iterator[Child]:
        """The running program; killed in the end if it still is.

        A quick one is forked from this process, which has all modules, and does not calibrate.
        """
        from tests.support.processes import forked, program

        given: dict[str, Any] = {"stdin": subprocess.DEVNULL}
        given |= dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) | settings
        made: Child
        if quick:
            made = forked(program(self.folder, *args), **given)
        else:
            start: Any = subprocess.Popen
            made = start(self.command(*args), cwd=self.folder, env=self.environment({}), **given)
        with made as child:
            try:
                yield child
            finally:
                child.kill()

    def command(self, *args: str | Path) -> list[str]:
        """The command line of the program."""
        return [sys.executable, "-m", "charrnn", *map(str, args)]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment of this process without what the program reads, and with these."""
        odd = ("CHARRNN", "RANK", "WORLD_SIZE", "LOCAL_RANK", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(odd)}
        own = {"CHARRNN_RUNS": str(self.runs), "OMP_NUM_THREADS": "1"}
        own |= {f"CHARRNN_{command}_THREADS": "1" for command in ("SAMPLE", "EVALUATE", "SCORE")}
        return kept | own | dict(variables)

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


def sentences(characters: int = 3_000, seed: int = 0) -> str:
    """A text of few words, the same for the same seed."""
    draw = random.Random(seed)
    text = ""
    while len(text) < characters:
        text += " ".join(draw.choices(WORDS, k=8)) + ".\n"
    return text[:characters]


def wait_for(path: Path, child: Child) -> None:
    """Return as soon as a path is there, which the child is going to make."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_until(stream: Any, words: bytes) -> bytes:
    """The lines of a pipe up to and with the first that holds these words."""
    read = b""
    while words not in read:
        line = stream.readline()
        assert line, read
        read += line
    return read


def flip(path: Path, position: int = -1) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@contextlib.contextmanager
def _descriptors(stdin: bytes, device: str) -> Iterator[tuple[Any, Any]]:
    """Files in the place of the standard descriptors, and new streams on them."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, file in enumerate(files):
            kept = os.dup(number)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        if device:
            place = stack.enter_context(open(device[2:], "wb"))
            os.dup2(place.fileno(), int(device[0]))
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            raw = io.FileIO(number, "w" if number else "r", closefd=False)
            buffer = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
            errors = "backslashreplace" if name == "stderr" else "strict"
            stream = io.TextIOWrapper(buffer, "utf-8", errors, write_through=True)
            stack.callback(_close, stream)
            stack.enter_context(mock.patch.object(sys, name, stream))
        yield files[1], files[2]


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what a command does to signals, as the end of its process would."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(stream: Any) -> None:
    """Close a stream; what it still holds may have nowhere to go."""
    with contextlib.suppress(OSError):
        stream.close()


def _contents(file: Any) -> bytes:
    file.seek(0)
    raw: bytes = file.read()
    return raw
