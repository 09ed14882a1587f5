"""Disks with faults: they record, fail, shorten or falsify the operations of a durable write."""

import errno
import os
from pathlib import Path

from charrnn.checkpoints.atomic import Disk


class Recorder(Disk):
    """Records each operation, and fails the N-th: once, or that one and all after it."""

    def __init__(self, fail_at: int = 0, code: int = errno.EIO, for_ever: bool = False) -> None:
        self.operations: list[str] = []
        self.paths: list[Path] = []
        self.fail_at, self.code, self.for_ever = fail_at, code, for_ever

    def note(self, name: str, *paths: Path) -> None:
        """Record an operation; fail it if its number is due."""
        self.operations.append(name)
        self.paths += paths
        number = len(self.operations)
        if number == self.fail_at or (self.for_ever and 0 < self.fail_at <= number):
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        """Recorded."""
        self.note("create", path)
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Recorded."""
        self.note("write")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Recorded."""
        self.note("sync")
        super().sync(descriptor)

    def close(self, descriptor: int) -> None:
        """Recorded; as on Linux, a close that fails has still closed the file."""
        super().close(descriptor)
        self.note("close")

    def digest(self, path: Path) -> str:
        """Recorded."""
        self.note("digest", path)
        return super().digest(path)

    def rename(self, source: Path, target: Path) -> None:
        """Recorded."""
        self.note("rename", source, target)
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Recorded."""
        self.note("sync_folder", folder)
        super().sync_folder(folder)

    def remove(self, path: Path) -> None:
        """Recorded."""
        self.note("remove", path)
        super().remove(path)


class Short(Disk):
    """Accepts one byte at a time."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write the first byte."""
        return super().write(descriptor, data[:1])


class Lying(Disk):
    """Reports that everything was written and omits the last byte of each write."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write less than is reported."""
        super().write(descriptor, data[:-1])
        return len(data)


class Flipping(Disk):
    """Changes a byte between writing and reading."""

    def close(self, descriptor: int) -> None:
        """Overwrite the fourth byte."""
        os.pwrite(descriptor, b"X", 3)
        super().close(descriptor)


class Idle(Disk):
    """Writes nothing and reports no error."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Do nothing."""
        return 0
