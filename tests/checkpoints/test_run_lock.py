"""A run's folder: one writer."""

import errno
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from charrnn.errors import RunLockedError, StorageError
from tests.support.runs import put

HOLDER = """
import sys, time
from pathlib import Path
from charrnn.checkpoints.run import Run
with Run(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(run: Run) -> "subprocess.Popen[bytes]":
    """Another process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("death", ["end", "kill"])
def test_a_lock_excludes_another_process_and_dies_with_it(run: Run, death: str) -> None:
    with holder(run) as process:
        with pytest.raises(RunLockedError, match="tale is being trained by another"), run.lock():
            pytest.fail("two holders")
        if death == "kill":
            process.send_signal(signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    with run.lock():
        pass


def test_a_lock_excludes_a_second_in_the_same_process(run: Run) -> None:
    with run.lock():
        with pytest.raises(RunLockedError), run.lock():
            pytest.fail("two holders")
        with pytest.raises(RunLockedError), Run(run.folder).lock():
            pytest.fail("the failed attempt released the lock")
    with run.lock():
        pass


def test_a_lock_is_released_when_its_block_fails(run: Run) -> None:
    for error in (ValueError("a"), KeyboardInterrupt()):
        with pytest.raises(type(error)), run.lock():
            raise error
    with run.lock():
        pass


def test_a_blocking_error_within_the_lock_is_not_mistaken_for_another_holder(run: Run) -> None:
    with pytest.raises(BlockingIOError), run.lock():
        raise BlockingIOError(errno.EAGAIN, "standard output would block")


def test_a_lock_on_a_deleted_run_is_a_storage_error(run: Run) -> None:
    run.folder.rmdir()
    with pytest.raises(StorageError, match=r"cannot write in .*: No such file.*"), run.lock():
        pytest.fail("no folder, no lock")
    assert not run.folder.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_the_lock_has_the_mode_that_the_umask_asks_for(run: Run, umask: int) -> None:
    before = os.umask(umask)
    try:
        with run.lock():
            assert [path.stat().st_mode & 0o777 for path in run.folder.iterdir()] == [
                0o666 & ~umask
            ]
    finally:
        os.umask(before)


def test_a_disk_without_locks_is_a_storage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match=r"cannot write in .*: No locks available"), run.lock():
        pytest.fail("no lock")
    assert len(os.listdir("/proc/self/fd")) == before


def test_taking_the_lock_removes_what_a_killed_writer_left(run: Run) -> None:
    put(run, 1)
    (run.folder / ".step-000000002.safetensors.99.tmp").write_bytes(b"half")
    with run.lock():
        assert sorted(os.listdir(run.folder)) == ["lock", "step-000000001.safetensors"]


def test_failing_to_take_the_lock_removes_nothing(run: Run) -> None:
    with run.lock():
        (run.folder / ".step-000000002.safetensors.99.tmp").write_bytes(b"half")
        with pytest.raises(RunLockedError), run.lock():
            pytest.fail("two holders")
        assert (run.folder / ".step-000000002.safetensors.99.tmp").exists()
