"""A durable write: the order of its operations, and what is left when any of them fails."""

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import atomic
from charrnn.checkpoints.atomic import (
    UNFINISHED,
    Disk,
    remove_leftovers,
    remove_unfinished,
    write_durably,
)
from charrnn.errors import StorageError
from tests.support.disks import Flipping, Idle, Lying, Recorder, Short

OLD, NEW = b"the older file", b"the newer file, longer than a block"
PARTS = (NEW[:10], memoryview(NEW)[10:])


ORDER = ["create", "write", "write", "sync", "close", "digest", "rename", "sync_folder"]
"""Of a write of two parts that goes well."""

RENAMED = ORDER.index("rename") + 1
"""From the operation after this one on, the new file is in its place."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def masked() -> Iterator[Any]:
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def test_the_order_is_what_makes_it_safe(target: Path) -> None:
    disk = Recorder()
    write_durably(target, PARTS, disk)
    assert disk.operations == ORDER
    temporary = disk.paths[0]
    assert disk.paths == [temporary, temporary, temporary, target, target.parent]
    assert target.read_bytes() == NEW
    assert list(target.parent.iterdir()) == [target]


def test_the_temporary_file_is_hidden_and_in_the_folder_of_its_target(target: Path) -> None:
    disk = Recorder()
    write_durably(target, PARTS, disk)
    temporary = disk.paths[0]
    assert temporary.parent == target.parent
    assert temporary.name.startswith(".")
    assert temporary.name.endswith(atomic.TEMPORARY)


def test_a_real_disk_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "new"
    write_durably(path, PARTS)
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("parts", [[], [b""], [b"", memoryview(b"")]])
def test_an_empty_file_can_be_written(tmp_path: Path, parts: list[bytes]) -> None:
    write_durably(tmp_path / "empty", parts)
    assert (tmp_path / "empty").read_bytes() == b""


def test_what_is_larger_than_a_block_is_written_in_blocks(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "BLOCK", 4)
    disk = Recorder()
    write_durably(target, [NEW[:10]], disk)
    assert disk.operations.count("write") == 3
    assert target.read_bytes() == NEW[:10]


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for_ever"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.ESTALE])
@pytest.mark.parametrize("number", range(1, len(ORDER) + 1))
def test_any_operation_may_fail(target: Path, number: int, code: int, for_ever: bool) -> None:
    disk = Recorder(number, code, for_ever)
    with pytest.raises(StorageError) as caught:
        write_durably(target, PARTS, disk)
    written = [0, 0, 10, len(NEW)][min(number - 1, 3)]
    assert caught.value.problem == (
        f"cannot write {target}: {os.strerror(code)} after {written:,} bytes"
    )
    assert target.read_bytes() == (OLD if number <= RENAMED else NEW)
    left = [path for path in target.parent.iterdir() if path != target]
    assert len(left) == (1 if for_ever and 1 < number <= RENAMED else 0)


@pytest.mark.parametrize("number", range(1, len(ORDER) + 1))
def test_no_operation_is_tried_again_after_a_failure(target: Path, number: int) -> None:
    disk = Recorder(number)
    with pytest.raises(StorageError):
        write_durably(target, PARTS, disk)
    cleanup = ["close"] if 1 < number < ORDER.index("close") + 1 else []
    assert disk.operations == [*ORDER[:number], *cleanup, "remove"]


@pytest.mark.parametrize("number", range(1, len(ORDER) + 1))
def test_after_a_failure_the_same_write_can_be_done(target: Path, number: int) -> None:
    with pytest.raises(StorageError):
        write_durably(target, PARTS, Recorder(number, errno.ENOSPC))
    write_durably(target, PARTS)
    assert target.read_bytes() == NEW
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("number", range(1, len(ORDER) + 1))
def test_no_descriptor_is_left_open(target: Path, number: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError):
        write_durably(target, PARTS, Recorder(number))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_leftover_that_cannot_be_removed_does_not_hide_the_first_error(target: Path) -> None:
    with pytest.raises(StorageError, match="No space left on device after 10 bytes; free some"):
        write_durably(target, PARTS, Recorder(3, errno.ENOSPC, for_ever=True))
    remove_leftovers(target.parent)
    assert list(target.parent.iterdir()) == [target]


def test_short_writes_are_continued(target: Path) -> None:
    write_durably(target, PARTS, Short())
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("disk", [Lying(), Flipping()])
def test_what_does_not_read_back_is_not_kept(target: Path, disk: Disk) -> None:
    with pytest.raises(StorageError, match=f"{target}: the data read back differs from what"):
        write_durably(target, PARTS, disk)
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


class Later(io.RawIOBase):
    """A file that never has anything to read."""

    reads = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> None:
        """Nothing for now."""
        self.reads += 1
        assert self.reads < 100


def test_a_file_that_cannot_be_read_back_yet_is_not_waited_for(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: Path, mode: str, buffering: int = -1) -> Any:
        return io.BufferedReader(Later()) if buffering else Later()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(StorageError, match="the data read back differs from what was written"):
        write_durably(target, PARTS)
    monkeypatch.undo()
    assert target.read_bytes() == OLD


def test_a_disk_that_accepts_no_data_is_an_error_and_not_a_hang(target: Path) -> None:
    with pytest.raises(StorageError, match="after 0 bytes"):
        write_durably(target, PARTS, Idle())
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_the_mode_follows_the_umask(tmp_path: Path, masked: Any, umask: int) -> None:
    masked(umask)
    write_durably(tmp_path / "file", [NEW])
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone/file: No such file or directory after 0 bytes"):
        write_durably(tmp_path / "gone" / "file", [NEW])


def test_a_target_that_is_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        write_durably(tmp_path / "taken", [NEW])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    "name", ["a b", "a\nb", "\x1b[31m", "-", "*?[x]", "ü€😀", os.fsdecode(b"\xff")]
)
def test_unusual_file_names_work(tmp_path: Path, name: str) -> None:
    write_durably(tmp_path / name, [NEW])
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == NEW


def test_a_name_too_long_for_the_disk_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        write_durably(tmp_path / ("x" * 250), [NEW])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_passes_through_and_leaves_the_older_file(target: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield NEW[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(target, parts())
    assert target.read_bytes() == OLD
    # Nobody else would remove it from a folder that is not a run's.
    assert list(target.parent.iterdir()) == [target]


def test_what_a_signal_ends_the_process_in_can_be_removed_first(target: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield NEW[:5]
        assert len(list(target.parent.iterdir())) == 2
        remove_unfinished()
        assert list(target.parent.iterdir()) == [target]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(target, parts())
    write_durably(target, [NEW])
    assert not UNFINISHED


def test_leftovers_are_hidden_temporary_files_and_nothing_else(tmp_path: Path) -> None:
    kept = ["step.safetensors", "notes.tmp", ".hidden", ".tmp.txt", "lock"]
    for name in [*kept, ".step.safetensors.17.tmp", ".a.tmp"]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_leftover_that_cannot_be_removed_is_skipped(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / ".b.tmp").touch()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [".a.tmp"]
