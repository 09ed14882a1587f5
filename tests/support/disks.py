"""Disks that fail: they note every operation of a durable write, and fail, lie or idle as told."""

import errno
import os
from pathlib import Path

from charrnn.checkpoints.atomic import Disk


class Recorder(Disk):
    """A disk that notes each operation, and fails the N-th one: once, or from there on for ever."""

    def __init__(self, fail_at: int = 0, code: int = errno.EIO, for_ever: bool = False) -> None:
        self.operations: list[str] = []
        self.paths: list[Path] = []
        self.fail_at, self.code, self.for_ever = fail_at, code, for_ever

    def note(self, name: str, *paths: Path) -> None:
        """Count an operation, and fail it where its turn has come."""
        self.operations.append(name)
        self.paths += paths
        number = len(self.operations)
        if number == self.fail_at or (self.for_ever and 0 < self.fail_at <= number):
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        """Noted."""
        self.note("create", path)
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Noted."""
        self.note("write")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Noted."""
        self.note("sync")
        super().sync(descriptor)

    def close(self, descriptor: int) -> None:
        """Noted; as Linux has it, a close that fails has closed all the same."""
        super().close(descriptor)
        self.note("close")

    def digest(self, path: Path) -> str:
        """Noted."""
        self.note("digest", path)
        return super().digest(path)

    def rename(self, source: Path, target: Path) -> None:
        """Noted."""
        self.note("rename", source, target)
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Noted."""
        self.note("sync_folder", folder)
        super().sync_folder(folder)

    def remove(self, path: Path) -> None:
        """Noted."""
        self.note("remove", path)
        super().remove(path)


class Short(Disk):
    """A disk that takes one byte at a time."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write the first byte."""
        return super().write(descriptor, data[:1])


class Lying(Disk):
    """A disk that says it wrote everything and leaves out the last byte of each piece."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write less than is said."""
        super().write(descriptor, data[:-1])
        return len(data)


class Flipping(Disk):
    """A disk on which a byte turns over between writing and reading."""

    def close(self, descriptor: int) -> None:
        """Spoil the fourth byte."""
        os.pwrite(descriptor, b"X", 3)
        super().close(descriptor)


class Idle(Disk):
    """A disk that takes nothing and reports no error."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Do nothing."""
        return 0
