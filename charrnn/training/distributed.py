"""The processes that share a training: rank, world size, device, and what they exchange.

torchrun starts the processes and sets RANK, WORLD_SIZE and LOCAL_RANK, which are read here.
"""

import contextlib
import importlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from charrnn.errors import CharRNNError, StorageError
from charrnn.models.device import choose_device, is_out_of_memory


@contextlib.contextmanager
def _collective() -> Iterator[None]:
    """Turn the failure of a collective operation into a StorageError: another process is gone."""
    try:
        yield
    except RuntimeError as error:
        # torch reports both as RuntimeError; this one is left to `memory_limit`.
        if is_out_of_memory(error):
            raise
        raise _heard() or StorageError(
            "another process of this training has ended",
            "see what it printed, and start all of them again",
        ) from None


KEY = "charrnn.error"
"""In the store of the training: the error that ended it, as JSON."""

PATIENCE = timedelta(seconds=5)
"""For a store that may have gone with the process that held it."""


def _store() -> Any:
    """What the processes of this training have in common; None where it is gone."""
    # A client of its own, because the one of the process group may be in use by a collective.
    # torchrun holds the store itself; else it is gone with rank 0.
    try:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        return distributed.TCPStore(  # type: ignore[attr-defined]
            host, port, is_master=False, timeout=PATIENCE
        )
    except (RuntimeError, KeyError, ValueError):
        return None


def _heard() -> CharRNNError | None:
    """The error that another process has reported."""
    try:
        store = _store()
        if store is None or not store.check([KEY]):
            return None
        return _error_of(store.get(KEY).decode())
    except (RuntimeError, ValueError):
        return None


def _tell(error: CharRNNError) -> None:
    """Tell the other processes what ended this one, unless one of them has reported it already."""
    own = {"rank": os.environ.get("RANK"), "code": error.exit_code}
    own |= {"problem": error.problem, "remedy": error.remedy}
    with contextlib.suppress(RuntimeError, ValueError):
        store = _store()
        if store is not None:
            found = json.loads(store.compare_set(KEY, "", json.dumps(own)).decode())
            same = found.get("problem") == error.problem
            error.is_reported = same and found.get("rank") != own["rank"]


def _error_of(text: str) -> CharRNNError:
    """What `_tell` wrote -> the same error, which its own process has printed."""
    received = json.loads(text)
    error = CharRNNError(str(received["problem"]), str(received["remedy"]))
    error.exit_code, error.is_reported = int(received["code"]), True
    return error


@dataclass(frozen=True)
class Group:
    """The processes of one training. Without torchrun it is one, and all methods return at once."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that reads, writes and prints."""
        return self.rank == 0

    @_collective()
    def average(self, tensors: Sequence[Tensor], flag: int) -> int:
        """Replace the tensors by their mean over all ranks -> the largest flag of any rank.

        One message for everything. Every rank receives a flag at the same step, so that none stops
        while another waits for it.
        """
        if self.world_size == 1:
            return flag
        # One all-reduce: many small messages would each cost a round trip.
        parts = [tensor.flatten() for tensor in tensors]
        # The sum must keep the ranks' flags apart: each rank has a slot of its own.
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

    @_collective()
    def mean(self, value: float) -> float:
        """The mean of a number over all ranks."""
        if self.world_size == 1:
            return value
        # float64, so that a Python float is sent without rounding.
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total.item()) / self.world_size

    @_collective()
    def gather(self, rows: Tensor) -> Tensor:
        """The rows (B/W, ...) of all ranks, concatenated to (B, ...)."""
        if self.world_size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        # A view could be strided, and the backends send contiguous memory only.
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @_collective()
    def broadcast(self, text: str) -> str:
        """The text of rank 0, on every rank."""
        if self.world_size == 1:
            return text
        # frombuffer refuses an empty buffer, and warns about the read-only memory of bytes.
        raw = torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)
        raw = raw.to(self.device)
        # The receivers have to allocate the buffer, so the length goes first.
        size = torch.tensor([len(raw)], device=self.device)
        distributed.broadcast(size, src=0)
        if not self.is_main:
            raw = torch.empty(int(size.item()), dtype=torch.uint8, device=self.device)
        distributed.broadcast(raw, src=0)
        return bytes(raw.cpu().tolist()).decode()

    @_collective()
    def barrier(self) -> None:
        """Wait until every rank has come here."""
        if self.world_size > 1:
            distributed.barrier()


def join(device: str) -> Group:
    """Device name -> the group that torchrun started this process in, or a group of one.

    UsageError if the device does not exist. Gloo connects CPUs, NCCL connects GPUs.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if world_size > 1:
        # If it were imported after init_process_group, its functions would hold the group in their
        # default arguments, and gloo's threads would abort the process at interpreter exit.
        importlib.import_module("torch.distributed.nn.functional")
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        # The others wait in a collective while rank 0 reads the text, evaluates and saves; torch's
        # default limits of 10 (NCCL) and 30 minutes (gloo) would end a training of a large text.
        with _collective():
            distributed.init_process_group(backend, timeout=timedelta(hours=2))
    return Group(chosen, rank, world_size)


def leave(group: Group) -> None:
    """Leave the group of processes."""
    if group.world_size > 1:
        distributed.destroy_process_group()


@contextlib.contextmanager
def joined(device: str) -> Iterator[Group]:
    """The group, while this lasts. An error of one process is reported to the others.

    They raise it too, and so all have the same exit code; the one in which it happened prints it.
    """
    group = join(device)
    try:
        yield group
    except CharRNNError as error:
        if group.world_size > 1 and not error.is_reported:
            _tell(error)
        raise
    finally:
        leave(group)
