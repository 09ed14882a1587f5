"""Keep what is freed: a training asks for the same large blocks at every step.

The C library hands blocks back to the system when they are freed and gets them again, page by page,
which took a fifth of a step. glibc only; elsewhere nothing is done.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""mallopt's names for them in <malloc.h>."""

KEPT = 2**30
"""Bytes at the top of the heap that are not handed back."""

BLOCK = 2**25
"""Larger blocks are the system's own in any case; the most that glibc allows."""


def keep_freed_memory() -> bool:
    """Have freed memory used again in this process; whether that could be had."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(
        mallopt(MMAP_THRESHOLD, BLOCK) and mallopt(TRIM_THRESHOLD, KEPT)
    )
