"""Rank, world size and device, and the few things that processes of one training tell each other.

The one library module that reads the environment: torchrun says there who is who.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from charrnn.errors import MemoryLimitError, StorageError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")

OUT_OF_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "could not create a primitive")
"""What the message of a RuntimeError holds that means it; the last is oneDNN's."""


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """StorageError when another process has gone; what it said on its way is the cause."""
    try:
        yield
    except RuntimeError as error:
        if _out_of_memory(error):
            raise
        raise StorageError(
            "another process of this training has ended", "see what it said, and start all again"
        ) from None


@dataclass(frozen=True)
class Group:
    """The processes that share a training; alone there is one, and every method is free."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that reads, writes and speaks."""
        return self.rank == 0

    @_together()
    def average(self, tensors: Sequence[Tensor], flag: int) -> int:
        """Replace the tensors by their mean over all ranks; the largest flag that any rank gives.

        One message for all of them. Every rank learns of a flag at the same step, so that none
        stops while another waits for it.
        """
        if self.world_size == 1:
            return flag
        parts = [tensor.flatten() for tensor in tensors]
        # A signal's number is below 100: one slot for each rank keeps them apart in the sum.
        flags = torch.zeros(self.world_size, device=self.device)
        flags[self.rank] = flag
        message = torch.cat([*parts, flags])
        distributed.all_reduce(message)
        begin = 0
        for tensor in tensors:
            mean = message[begin : begin + tensor.numel()].view_as(tensor) / self.world_size
            tensor.copy_(mean)
            begin += tensor.numel()
        return int(message[begin:].max().item())

    @_together()
    def mean(self, value: float) -> float:
        """The mean of a number over all ranks."""
        if self.world_size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total.item()) / self.world_size

    @_together()
    def gather(self, rows: Tensor) -> Tensor:
        """The rows (B/W, ...) of all ranks, one below the other, (B, ...)."""
        if self.world_size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @_together()
    def share(self, text: str) -> str:
        """The text that rank 0 has, on every rank."""
        if self.world_size == 1:
            return text
        raw = torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)
        raw = raw.to(self.device)
        size = torch.tensor([len(raw)], device=self.device)
        distributed.broadcast(size, src=0)
        if not self.leads:
            raw = torch.empty(int(size.item()), dtype=torch.uint8, device=self.device)
        distributed.broadcast(raw, src=0)
        return bytes(raw.cpu().tolist()).decode()

    @_together()
    def wait(self) -> None:
        """Go on when every rank has come here."""
        if self.world_size > 1:
            distributed.barrier()


def join(device: str) -> Group:
    """The group that torchrun started this process in, or a group of one.

    UsageError when the device is not there. Gloo connects processors, NCCL connects GPUs.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if world_size > 1:
        # Loaded later, its functions would hold the group as a default value, and with it gloo's
        # threads, beyond `leave`: what they still do at the interpreter's end aborts the process.
        importlib.import_module("torch.distributed.nn.functional")
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        with _together():
            distributed.init_process_group(backend, timeout=timedelta(hours=2))
    return Group(chosen, rank, world_size)


def leave(group: Group) -> None:
    """Take leave of the other processes."""
    if group.world_size > 1:
        distributed.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one."""
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name, False):
        have = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise UsageError(f"there is no device {name} on this machine", f"choose one of: {have}")
    if name == "cuda":
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)
    return torch.device(name)


@contextlib.contextmanager
def memory_limit(problem: str, remedy: str) -> Iterator[None]:
    """MemoryLimitError for every way in which Python and torch say that memory is out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise MemoryLimitError(f"{problem} ({type(error).__name__})", remedy) from None


def _out_of_memory(error: Exception) -> bool:
    # Where a GPU has an error of its own, torch's CPU allocator raises a bare RuntimeError.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in OUT_OF_MEMORY)
