"""Runs that nobody may write to: whatever only reads them works, and writes nothing."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Child, Work, program
from tests.support.shell import Done, Shell

READING = [
    line.split()
    for line in """
    sample --length 10 --seed 1
    sample --length 10 --seed 1 --no-copy 5
    sample --length 10 --seed 1 --novel --json
    sample --length 10 --seed 1 --regex [a-z]+
    score corpus.txt
    evaluate
    evaluate --precision int8
    originality corpus.txt --json
    checkpoints list
    checkpoints show
    checkpoints verify
    runs
    compare
    plot
    """.strip().splitlines()
]
"""Commands that need a run and change nothing of it."""

INDEXED = "charrnn: note: the index of the training text was not kept ({})\n"

WRITING = [
    "checkpoints prune", "checkpoints export", "sample --length 1 --save-state s", "plot -o p.svg",
    "train --resume", "train corpus.txt",
]  # fmt: skip
"""Commands that cannot do without writing."""

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
"""Events of the interpreter's audit that change a folder."""


def guarded(work: Work, number: int, folder: Path) -> Work:
    """The work in a process that the system refuses every change of a folder, with this error."""

    def guard(event: str, details: tuple[Any, ...]) -> None:
        writes = event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not writes and event not in CHANGES:
            return
        for each in details[:1] if writes else details:
            if isinstance(each, str | bytes):
                path = os.path.abspath(os.fsdecode(each))
                if path.startswith(str(folder)):
                    raise OSError(number, os.strerror(number), each)

    def run() -> int | None:
        sys.addaudithook(guard)
        return work()

    return run


def refused(shell: Shell, number: int, lines: list[list[str]]) -> list[Done]:
    """Run command lines while nothing of the shell's folder can be changed."""
    works = [guarded(program(shell.folder, *line), number, shell.folder) for line in lines]
    ended = [Child(work).finish() for work in works]
    return [Done(each.code, each.out, each.err) for each in ended]


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def fresh(trained: Shell, tmp_path: Path) -> Shell:
    """A copy of the trained folder in which no command has run yet."""
    shutil.copytree(trained.folder, tmp_path / "copy")
    for name in ("train.txt", "suffixes.npy"):
        (tmp_path / "copy" / "runs" / "corpus" / "corpus" / name).unlink(missing_ok=True)
    return Shell(tmp_path / "copy")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that share an import")
@pytest.mark.parametrize(
    ("number", "lines"),
    [(errno.EROFS, READING), (errno.EACCES, READING[1:3])],
    ids=["EROFS", "EACCES"],
)
def test_what_reads_a_run_needs_no_right_to_write(
    number: int, lines: list[list[str]], fresh: Shell
) -> None:
    before = files(fresh.folder)
    for words, done in zip(lines, refused(fresh, number, lines), strict=True):
        assert done.code == 0, (words, done.err)
        assert done.raw, words
        indexed = "--no-copy" in words or words[0] == "originality"
        assert done.err == (INDEXED.format(os.strerror(number)) if indexed else ""), words
    assert files(fresh.folder) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that share an import")
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=os.strerror)
def test_what_has_to_write_says_why_it_cannot(number: int, fresh: Shell) -> None:
    before = files(fresh.folder)
    lines = [line.split() for line in WRITING]
    for words, done in zip(lines, refused(fresh, number, lines), strict=True):
        assert done.code == 1, (words, done.err)
        assert done.err.startswith("charrnn: error: cannot "), words
        assert done.err.count("\n") == 1
        assert os.strerror(number) in done.err, words
        assert number == errno.ENOSPC or "free some space" not in done.err, words
    assert files(fresh.folder) == before


def test_a_file_system_that_is_mounted_read_only(fresh: Shell) -> None:
    """The same by the system itself, where this user may have a mount of his own."""
    mount = f"mount --bind {fresh.folder} {fresh.folder}"
    again = f"mount -o remount,ro,bind {fresh.folder}"
    enter = ["unshare", "-rm", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run(
            [*enter, f"{mount} && {again}"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs user namespaces")
    inside = f'{mount} && {again} && cd {fresh.folder} && exec "$@"'
    for line, code in (("sample --length 9 --no-copy 5", 0), ("checkpoints export", 1)):
        done = subprocess.run(
            [*enter, inside, "sh", *fresh.command(*line.split())],
            env=fresh.environment({}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "free some space" not in done.stderr
        wanted = INDEXED.format("Read-only file system")
        refusal = "charrnn: error: cannot write corpus.safetensors: its folder cannot be written to"
        assert wanted in done.stderr if code == 0 else done.stderr.startswith(refusal)
