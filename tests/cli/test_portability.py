"""Systems without what only POSIX has, simulated: what is missing there is taken away first.

It is no Windows: paths, line ends of the console and its locks are not tried. But the program finds
neither the modules nor the names that Windows lacks, and has to do without.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoints import atomic
from charrnn.checkpoints.run import Run
from tests.support.each import each
from tests.support.shell import PATIENCE, TINY, Done, Shell

TAKEN_AWAY = """
import os, signal, sys
# A module that is None cannot be imported.
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "readline"):
    sys.modules[name] = None
for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "sched_getaffinity",
             "sched_setaffinity", "fork", "mkfifo", "getuid", "geteuid"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGPIPE", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGALRM",
             "SIGCHLD", "alarm", "setitimer", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
# Where a text file is opened without an encoding, Windows takes another one than UTF-8.
import warnings
warnings.simplefilter("ignore", EncodingWarning)
warnings.filterwarnings("error", category=EncodingWarning, module="charrnn")
"""


PROGRAM = TAKEN_AWAY + "import charrnn.cli.main; charrnn.cli.main.run()"


def runs(shell: Shell, *lines: tuple[str, ...]) -> list[Done]:
    """Run command lines without what only POSIX has, one after the other."""
    return each(shell, lines, before=TAKEN_AWAY, options=("-X", "warn_default_encoding"))


def run(shell: Shell, *args: str) -> Done:
    """Run the program without what only POSIX has, from the start of its interpreter."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", PROGRAM, *args],
        cwd=shell.folder, env=shell.environment({}), capture_output=True, check=False,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr.decode())


def test_it_starts(shell: Shell) -> None:
    assert run(shell, "--version").succeeded().out.startswith("charrnn ")
    assert "--resume" in run(shell, "train", "--help").succeeded().out


def test_it_trains_resumes_samples_and_shows(shell: Shell) -> None:
    """Bit for bit what a system that has everything computes."""
    words = ("corpus.txt", *TINY, "--steps", "8", "--save-every", "4", "--eval-every", "4")
    shell.run("train", *words, "--quiet", "--name", "here").succeeded()
    runs(shell, ("train", *words, "--quiet", "--name", "there"))[0].succeeded()
    assert shell.weights("there") == shell.weights("here")
    Run(shell.runs / "there").path_of(8).unlink()
    shown = [
        ("sample", "there", "--length", "20", "--seed", "1"),
        ("evaluate", "there"),
        ("runs",),
        ("checkpoints", "list", "there"),
        ("plot", "there", "--json"),
        ("compare", "there", "here", "--json"),
    ]
    resume = ("train", "--resume", "--name", "there", "--quiet")
    resumed, *done = runs(shell, resume, *shown)
    resumed.succeeded()
    assert shell.weights("there") == shell.weights("here")
    for command, left in zip(shown, done, strict=True):
        left.succeeded()
        if command[0] in ("sample", "evaluate", "checkpoints"):
            assert left.raw == shell.run(*command).succeeded().raw
    runs(shell, (*resume, "--more-steps", "4"))[0].succeeded()


def test_a_second_writer_is_locked_out_and_errors_are_lines(shell: Shell) -> None:
    shell.train("corpus.txt", "--steps", "2", "--quiet").succeeded()
    os.symlink("runs/corpus/step-000000002.safetensors", shell.folder / "b.safetensors")
    # The file itself is the lock where there is no other, and it names a process that lives.
    with Run(shell.runs / "corpus").lock():
        locked, missing, link = runs(
            shell, ("train", "--resume"), ("train", "missing.txt"), ("sample", "b.safetensors")
        )
    locked.failed(6, "is being trained by another process")
    missing.failed(3, "there is no file or folder missing.txt")
    link.failed(4, "it is a link")


def test_a_reader_that_leaves_ends_it_silently(trained: Shell) -> None:
    code = PROGRAM.replace("signal, sys", "signal, sys; signal.signal(13, signal.SIG_IGN)", 1)
    with subprocess.Popen(
        [sys.executable, "-c", code, "sample", "corpus", "--length", "100000"],
        cwd=trained.folder, env=trained.environment({}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout
        assert child.stderr
        child.stdout.read(10)
        child.stdout.close()
        assert child.wait(PATIENCE) == 1
        assert child.stderr.read() == b""


def test_flags_are_those_that_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)
    assert atomic.flags("O_CLOEXEC", "O_BINARY", "O_NONSENSE") == os.O_CLOEXEC | 0x8000
    monkeypatch.delattr(os, "O_CLOEXEC")
    assert atomic.flags(*atomic.PLAIN) == 0x8000


def test_a_save_is_written_where_folders_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    atomic.write_durably(tmp_path / "file", [b"a\r\n\n"])
    assert (tmp_path / "file").read_bytes() == b"a\r\n\n"
