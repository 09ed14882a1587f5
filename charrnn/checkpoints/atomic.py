"""Write a file so that it is either complete or absent, whatever happens meanwhile.

The order makes it safe: write a temporary file, fsync it, read it back, rename it, fsync the
folder, and only then announce it. All operations go through `Disk`, so that a test can record, fail
or reorder them.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from charrnn.errors import StorageError

TEMPORARY = ".tmp"
"""Suffix of an unfinished file, whose name also begins with a dot."""

BLOCK = 1 << 20


class Disk:
    """The operations of a durable save, one system call each."""

    def create(self, path: Path) -> int:
        """Open a new file for writing, with mode 0666 & ~umask -> descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the data -> number of bytes written."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make the data survive a power loss. After a failure this file is never synced again."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close the file."""
        os.close(descriptor)

    def digest(self, path: Path) -> str:
        """The sha256 of a file as it is read back."""
        total = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            # Not hashlib.file_digest, which loops for ever if a read returns None.
            while block := file.read(BLOCK):
                total.update(block)
        return total.hexdigest()

    def rename(self, source: Path, target: Path) -> None:
        """Rename the finished file, atomically."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the folder's entries survive a power loss."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()


DISK = Disk()


def write_durably(path: Path, parts: Iterable[bytes | memoryview], disk: Disk = DISK) -> None:
    """Write bytes to `path` durably, or leave the previous file as it was.

    StorageError names the path, the cause and the number of bytes written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    written = 0
    expected = hashlib.sha256()
    try:
        descriptor = disk.create(temporary)
        try:
            for part in parts:
                expected.update(part)
                written += _write_all(descriptor, memoryview(part), disk)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        if disk.digest(temporary) != expected.hexdigest():
            raise OSError("the data read back differs from what was written")
        disk.rename(temporary, path)
        disk.sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise StorageError(
            f"cannot write {path}: {error.strerror or error} after {written:,} bytes",
            "free some space or choose another folder; earlier files are intact",
        ) from None


def _write_all(descriptor: int, data: memoryview, disk: Disk) -> int:
    done = 0
    while done < len(data):
        taken = disk.write(descriptor, data[done : done + BLOCK])
        if not taken:
            raise OSError("the disk accepts no more data")
        done += taken
    return done


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left unfinished. The caller holds the folder's lock."""
    for path in folder.glob(f".*{TEMPORARY}"):
        with contextlib.suppress(OSError):
            path.unlink()
