"""What is not a file with a checksum: pickles, archives, pipes, devices, folders, links."""

import io
import os
import socket
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from charrnn.checkpoints import container
from charrnn.errors import CheckpointError
from tests.support.containers import METADATA, TENSORS, check, read, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "model.safetensors", METADATA, TENSORS)


@pytest.mark.parametrize("suffix", sorted(container.PICKLE_SUFFIXES | {".PT", ".Pkl"}))
def test_names_of_pickles_are_refused_unopened(path: Path, suffix: str) -> None:
    target = path.with_suffix(suffix)
    os.mkfifo(target)  # without a writer, so opening it for reading would never end
    with pytest.raises(CheckpointError, match=r"pickle or archive.*opens only the safetensors"):
        read(target)


PICKLES = {
    f"protocol {protocol}": b"\x80" + bytes([protocol]) + b"cos\nsystem\n(S'touch %s'\ntR."
    for protocol in (2, 3, 4, 5)
} | {"framed": b"\x80\x04\x95\x20\0\0\0\0\0\0\0cos\nsystem\n(S'touch %s'\ntR."}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_with_the_suffix_of_a_checkpoint_is_recognized_and_not_run(
    path: Path, kind: str
) -> None:
    canary = path.parent / "canary"
    path.write_bytes(PICKLES[kind].replace(b"%s", bytes(canary)))
    with pytest.raises(CheckpointError, match="looks like a pickle or archive"):
        read(path)
    assert not canary.exists()


def test_an_archive_with_the_suffix_of_a_checkpoint_is_recognized(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointError, match="looks like a pickle or archive"):
        read(path)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(CheckpointError, match="it is not a regular file"):
        read(tmp_path / "pipe.safetensors")


class Later(io.RawIOBase):
    """A file that has nothing to read yet after its first bytes."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self.file, self.left = file, left

    def readable(self) -> bool:
        """It can be read."""
        return True

    def fileno(self) -> int:
        """The file's own."""
        return self.file.fileno()

    def readinto(self, buffer: Any) -> int | None:
        """Some of what is left, then nothing yet."""
        data = self.file.read(min(len(buffer), self.left))
        self.left -= len(data)
        buffer[: len(data)] = data
        return len(data) or None


@pytest.mark.parametrize("left", [0, 4, 8, 100, 200])
def test_what_cannot_be_read_yet_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    opened = container._open
    with opened(path) as file:
        monkeypatch.setattr(container, "_open", lambda _: io.BufferedReader(Later(file, left)))
        with pytest.raises(CheckpointError, match="cannot use"):
            read(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_refused_at_once(device: str) -> None:
    with pytest.raises(CheckpointError, match=f"cannot use {device}: it is not a regular file"):
        read(Path(device))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it is not a regular file"):
        read(tmp_path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(CheckpointError, match="cannot use s: "):
            read(Path("s"))


def test_a_link_is_not_followed(path: Path) -> None:
    link = path.with_name("link.safetensors")
    link.symlink_to(path)
    with pytest.raises(CheckpointError, match=r"link.safetensors: it is a link"):
        read(link)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for reader in (read, lambda path: container.read_header(path, check)):
        with pytest.raises(CheckpointError, match=r"gone.safetensors: No such file or directory"):
            reader(tmp_path / "gone.safetensors")


def test_no_descriptor_is_left_open_by_a_refusal(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for other in (path.parent, path.parent / "gone", Path("/dev/zero")):
        with pytest.raises(CheckpointError):
            read(other)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError):
        read(path)
    assert len(os.listdir("/proc/self/fd")) == before
