"""Writing a file so that it is either wholly there or not at all, whatever happens meanwhile.

The order is what makes it safe: write a temporary file, fsync it, read it back, rename it, fsync
the folder; only then may anyone be told. Every operation goes through `Disk`, so that a test can
record, fail or reorder them. This module does not know what the bytes mean.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from charrnn.errors import StorageError

TEMPORARY = ".tmp"
"""The suffix of a file that is not finished; its name also begins with a dot."""

BLOCK = 1 << 20


class Disk:
    """The operations of a durable save, one system call each."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; its mode is 0666 less the umask."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the data and say how much."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make what was written survive a power loss; a failure is final for this file."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close the file."""
        os.close(descriptor)

    def digest(self, path: Path) -> str:
        """The sha256 of a file as it reads back."""
        total = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            # Not hashlib.file_digest, which loops for ever where there is nothing to read yet.
            while block := file.read(BLOCK):
                total.update(block)
        return total.hexdigest()

    def rename(self, source: Path, target: Path) -> None:
        """Give the finished file its name, at one stroke."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the folder's names survive a power loss."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()


DISK = Disk()


def write_durably(path: Path, parts: Iterable[bytes | memoryview], disk: Disk = DISK) -> None:
    """Put these bytes at `path` for good, or leave there what was there before.

    Raises StorageError naming the path, the cause and how many bytes were written.
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
            raise OSError("what was written does not read back")
        disk.rename(temporary, path)
        disk.sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise StorageError(
            f"cannot write {path}: {error.strerror or error} after {written:,} bytes",
            "free some space or choose another folder; what was saved before is intact",
        ) from None


def _write_all(descriptor: int, data: memoryview, disk: Disk) -> int:
    done = 0
    while done < len(data):
        taken = disk.write(descriptor, data[done : done + BLOCK])
        if not taken:
            raise OSError("the disk takes no more")
        done += taken
    return done


def remove_leftovers(folder: Path) -> None:
    """Take away what a killed writer left unfinished; the caller holds the folder's lock."""
    for path in folder.glob(f".*{TEMPORARY}"):
        with contextlib.suppress(OSError):
            path.unlink()
