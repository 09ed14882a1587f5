"""A private mount without being root: a process that enters a user and a mount namespace."""

import ctypes
import os
from functools import cache
from pathlib import Path

from tests.support.processes import Child
from tests.torture.rows import Unavailable

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000


def _enter() -> None:
    """Become root in a new user namespace, which only a process with a single thread may do."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


@cache
def require() -> None:
    """Unavailable if users may not create namespaces."""
    if Child(_enter).finish().code:
        raise Unavailable("needs user namespaces")


def small_disk(folder: Path, kilobytes: int) -> None:
    """Mount a tmpfs of that size on a folder, visible to the calling child alone."""
    _enter()
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={kilobytes}k".encode()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
