"""Write a file so that it is either complete or absent, whatever happens meanwhile.

The order makes it safe: write a temporary file, fsync it, read it back, rename it, and fsync the
folder; only then does the caller report it as saved. All operations go through `Disk`, so that a
test can record, fail or reorder them.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from charrnn.errors import StorageError, UsageError, is_forbidden

TEMPORARY = ".tmp"
"""Suffix of an unfinished file, whose name also begins with a dot."""

BLOCK = 1 << 20

PLAIN = ("O_CLOEXEC", "O_BINARY")
"""Flags of every opening: no child inherits it; on Windows, no byte of a line's end is changed."""


def flags(*names: str) -> int:
    """Names of flags of os.open -> those together that this system has."""
    total = 0
    for name in names:
        total |= getattr(os, name, 0)
    return total


class Disk:
    """The operations of a durable save, one system call each."""

    def create(self, path: Path) -> int:
        """Open a new file for writing, with mode 0666 & ~umask -> descriptor."""
        # O_EXCL neither overwrites a file nor follows a link of this name.
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags(*PLAIN), 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the data -> number of bytes written."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make the data survive a power loss. After a failure this file is never synced again."""
        # After a failed fsync, Linux may count the data as written, and a second one would succeed.
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
        # Windows cannot open a folder; its file system logs a rename by itself.
        if not hasattr(os, "O_DIRECTORY"):
            return
        # A rename changes the folder, whose own data an fsync of the file does not write.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | flags(*PLAIN))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()


DISK = Disk()

UNFINISHED: set[Path] = set()
"""The temporary files that this process is writing."""


def write_durably(path: Path, parts: Iterable[bytes | memoryview], disk: Disk = DISK) -> None:
    """Write bytes to `path` durably, or leave the previous file as it was.

    StorageError names the path, the cause and the number of bytes written. Whatever else ends the
    writing, such as Ctrl-C, the temporary file is removed too.
    """
    # It is in the same folder, because a rename is atomic only within one file system. The random
    # digits keep two writers of the same target apart.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    written = 0
    expected = hashlib.sha256()
    UNFINISHED.add(temporary)
    try:
        descriptor = disk.create(temporary)
        try:
            for part in parts:
                expected.update(part)
                written += _write_all(descriptor, memoryview(part), disk)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        # A disk may report success and have written something else.
        if disk.digest(temporary) != expected.hexdigest():
            raise OSError("the data read back differs from what was written")
        disk.rename(temporary, path)
        # If only this fails, the new file is in place, but a power loss may bring back the old one.
        disk.sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        if not isinstance(error, OSError):
            raise
        raise StorageError(
            f"cannot write {path}: {error.strerror or error} after {written:,} bytes",
            (
                "choose a folder that can be written to"
                if is_forbidden(error)
                else "free some space or choose another folder"
            )
            # No comfort where there is nothing to comfort with.
            + ("; the file of that name is as it was" if path.exists() else ""),
        ) from None
    finally:
        UNFINISHED.discard(temporary)


def _write_all(descriptor: int, data: memoryview, disk: Disk) -> int:
    done = 0
    while done < len(data):
        # Python can handle a signal between two blocks, but not within one long write.
        taken = disk.write(descriptor, data[done : done + BLOCK])
        # Otherwise a disk that takes nothing and reports no error would be tried for ever.
        if not taken:
            raise OSError("the disk accepts no more data")
        done += taken
    return done


def check_target(path: Path, force: bool) -> None:
    """UsageError if a file that a user names is not to be written; called before the work.

    StorageError if its folder cannot be written to.

    force: whether an existing file may be replaced. A link, pipe, device or folder never is: a
    rename would put a file in its place, and what it names would not be written.
    """
    if path.name in ("", "..") or path.name == path.suffix or path.is_dir():
        raise UsageError(f"{path} is not the name of a file", "give a name such as model.onnx")
    # lstat does not follow a link, so a broken one is found too.
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UsageError(
                f"{path} is a link or no regular file, and is not replaced", "give another name"
            )
        if not force:
            raise UsageError(f"{path} exists", "give another --output, or --force to overwrite it")
    if not os.access(path.parent, os.W_OK):
        found = path.parent.is_dir()
        why = "its folder cannot be written to" if found else "there is no such folder"
        raise StorageError(f"cannot write {path}: {why}", "choose a folder that can be written to")


def remove_unfinished() -> None:
    """Delete the temporary files of this process, which a signal is about to end."""
    for path in tuple(UNFINISHED):
        with contextlib.suppress(OSError):
            path.unlink()


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left unfinished. The caller holds the folder's lock."""
    for path in folder.glob(f".*{TEMPORARY}"):
        with contextlib.suppress(OSError):
            path.unlink()
