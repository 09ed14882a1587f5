"""Groups C and D, environments: the same seed gives the same bytes, and nothing but the text."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PATIENCE
from tests.torture.pipes import trained
from tests.torture.rows import Outcomes, Row, some, verdict
from tests.torture.terminals import on_a_terminal

SAMPLE = ("sample", "--seed", "1", "--length", "120", "--prompt", "é漢😀")

LOCALES: tuple[dict[str, str], ...] = (
    {}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "bogus"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-16"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}, {"LANG": "tr_TR.UTF-8"},
)  # fmt: skip

ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
    {"CI": "true"}, {"COLUMNS": "10"}, {"PYTHONHASHSEED": "7"}, {"PYTHONHASHSEED": "0"},
    {"PYTHONUNBUFFERED": "1"}, {"TZ": "Pacific/Chatham"}, {"OMP_NUM_THREADS": "2"},
)  # fmt: skip

WAYS = ("pipe", "file")


def output(folder: Path, way: str, variables: dict[str, str]) -> tuple[bytes, bytes]:
    """What a new process writes to stdout and stderr."""
    from tests.support.shell import Shell

    command = [sys.executable, "-m", "charrnn", *SAMPLE]
    environment = Shell(folder).environment(variables)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=way == "pipe", check=False,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    ) if way == "pipe" else into_files(command, folder, environment)  # fmt: skip
    return done.stdout, done.stderr


def into_files(
    command: list[str], folder: Path, environment: dict[str, str]
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command with its output sent to files."""
    with open(folder / "out", "w+b") as out, open(folder / "err", "w+b") as err:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=out, stderr=err, check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())


def same_text(trials: int, seed: int, folder: Path) -> Outcomes:
    """C4, D4, D5: one sample in every locale and environment, to a pipe, a file and a terminal."""
    trained(folder)
    expected, _ = output(folder, "pipe", {})
    assert expected.startswith("é漢😀".encode())
    cases = list(itertools.product(WAYS, LOCALES, ENVIRONMENTS))
    for way, locale, variables in some(cases, trials, seed):
        out, err = output(folder, way, locale | variables)
        # Messages are in the encoding that the user has chosen for Python.
        message = err.decode("utf-16-le" if "utf-16" in locale.values() else "utf-8")
        note = "charrnn: note: the prompt contains characters"
        clean = note in message and message.count("\n") == 1
        good = out == expected and clean
        yield verdict("" if good else f"{way} {locale} {variables}: {out[:80]!r} {err[:300]!r}")
    for variables in some(ENVIRONMENTS, trials, seed):
        seen = on_a_terminal(folder, *SAMPLE, **variables).removeprefix(os.linesep.encode())
        yield verdict("" if expected in seen else f"terminal {variables}: {seen[:120]!r}")


ROWS = (
    Row("C4", "the same seed in other environments; with D4 and D5",
        "real processes: 8 locales x 11 environments (NO_COLOR, TERM, CI, hash seeds, time "
        "zones) x {pipe, file}, and terminals: byte for byte the same, and nothing but the text",
        "samples", 1, 10**6, same_text),
)  # fmt: skip
