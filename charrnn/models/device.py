"""The machine as torch sees it: its devices, its memory, and running out of it."""

import contextlib
import ctypes
import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from charrnn.errors import MemoryLimitError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""mallopt's parameter numbers in <malloc.h>."""

KEPT_BYTES = 2**30
"""Bytes at the top of the heap that are not returned to the system."""

LARGEST_HEAP_BLOCK = 2**25
"""The highest threshold that glibc allows: larger blocks are mapped separately in any case."""

ONE_IS_FASTER = 1.3
"""One thread has to be faster by this factor to be used where the number is not measured longer."""

OUT_OF_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "could not create a primitive")
"""Parts of the RuntimeError messages that mean out of memory; the last is oneDNN's."""


def keep_freed_memory() -> bool:
    """Make the C library reuse freed memory in this process -> whether that was possible.

    A training allocates the same large blocks at every step. By default glibc returns them to the
    system and gets them back page by page, which took a fifth of a step. On other C libraries
    nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    # In the C library that this process has loaded already; others than glibc may lack mallopt.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Both are needed: the trim threshold does not apply to blocks that are mapped separately.
    return mallopt is not None and bool(
        mallopt(MMAP_THRESHOLD, LARGEST_HEAP_BLOCK) and mallopt(TRIM_THRESHOLD, KEPT_BYTES)
    )


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """One of DEVICES -> the torch device; `auto` takes a GPU if there is one.

    UsageError if this machine has no such device.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available.get(name, False):
        choices = ", ".join(kind for kind, is_available in available.items() if is_available)
        raise UsageError(f"there is no device {name} on this machine", f"choose one of: {choices}")
    if name == "cuda":
        # torch's calls that name no device, such as a barrier, would otherwise all use GPU 0.
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)
    return torch.device(name)


@dataclass
class _Threads:
    """The number of threads that this program set last, and the one before it set any."""

    own: int = 0
    foreign: int = 0


_THREADS = _Threads()


def set_threads(threads: int) -> None:
    """Set torch's number of threads, and remember that it was not the user who did."""
    now = torch.get_num_threads()
    if now != _THREADS.own:
        _THREADS.foreign = now
    _THREADS.own = threads
    if now != threads:
        torch.set_num_threads(threads)


def available_threads() -> int:
    """The threads that a training may use: torch's choice, one per core, or the user's.

    OMP_NUM_THREADS and `torch.set_num_threads` change it; an earlier training does not.
    """
    now = torch.get_num_threads()
    return _THREADS.foreign if now == _THREADS.own else now


def faster_threads(work: Callable[[], object], most: int) -> int:
    """A short piece of work -> `most` threads, or 1 if that is much faster as the machine is now.

    While other processes are busy, threads wait, spinning, for partners that are not running. Only
    a large difference counts, because the last bits of a figure depend on the number.
    """
    seconds = {most: 0.0, 1: 0.0}
    for threads in (most, 1) * 2 if most > 1 else ():
        torch.set_num_threads(threads)
        began = time.perf_counter()
        work()
        seconds[threads] += time.perf_counter() - began
    return 1 if ONE_IS_FASTER * seconds[1] < seconds[most] else most


@functools.cache
def has_bfloat16_lstm() -> bool:
    """Whether torch can run an LSTM in bfloat16 on this CPU: oneDNN refuses it on some."""
    weights = [torch.zeros(size, requires_grad=True) for size in ((4, 1), (4, 1), (4,), (4,))]
    x, state = torch.zeros(1, 1, 1), [torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)]
    try:
        # Tried as it is used: of tensors that are bfloat16 themselves torch asks oneDNN nothing.
        with torch.autocast("cpu", torch.bfloat16):
            torch.lstm(x, state, weights, True, 1, 0.0, True, False, True)
    except RuntimeError:
        return False
    return True


def in_bfloat16(precision: str, cell: str, device: torch.device) -> bool:
    """Whether a training that asks for this precision is one in bfloat16 on this device.

    A run may be resumed on a processor that has no LSTM in bfloat16, and then goes on in float32.
    """
    missing = device.type == "cpu" and cell == "lstm" and not has_bfloat16_lstm()
    return precision == "bfloat16" and not missing


@contextlib.contextmanager
def memory_limit(problem: str, remedy: str) -> Iterator[None]:
    """Turn every error by which Python and torch report out of memory into a MemoryLimitError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryLimitError(f"{problem} ({type(error).__name__})", remedy) from None


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out."""
    # torch's CPU allocator raises a bare RuntimeError, unlike its GPU allocators.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in OUT_OF_MEMORY)
