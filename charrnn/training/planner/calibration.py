"""How fast this machine trains a model: a few real steps, timed."""

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from charrnn.config import ModelConfig, TrainConfig, layer_sizes
from charrnn.models.device import memory_limit
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner, make_learner

CALIBRATION_SECONDS = 1.5

MIN_BFLOAT16_UNITS = 128
"""Narrower layers spend too little time in matrix products, the only part that gets faster."""

CPU_INFO = Path("/proc/cpuinfo")

CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Linux's names for a CPU's bfloat16 instructions, on x86 and on ARM."""


def calibrate(
    task: Task,
    dataset: Dataset,
    model: ModelConfig,
    train: Mapping[str, Any],
    group: Group,
    times: float = 1.0,
) -> float:
    """A model and fields of TrainConfig -> training tokens per second of all ranks together.

    It takes about `times` * CALIBRATION_SECONDS. `train` has all fields that the speed depends on.
    """
    config = TrainConfig(**train)
    with _learner(task, dataset, model, config, group) as learner:
        # The first steps also allocate memory and choose and prepare kernels.
        for _ in range(3):
            learner.advance()
        clock, flag = [time.perf_counter()], 0
        while not flag:
            late = clock[-1] - clock[0] > CALIBRATION_SECONDS * times
            # Every rank has to take the same number of steps, so rank 0's clock decides.
            flag = learner.advance(int(late and group.is_main))
            learner.norm.item()  # a GPU works asynchronously; this waits for it
            clock.append(time.perf_counter())
    # The median ignores the steps during which the machine was busy with something else.
    seconds = statistics.median(after - before for before, after in itertools.pairwise(clock))
    return group.mean(config.batch_size * config.seq_length / seconds)


def best_precision(model: ModelConfig, group: Group) -> str:
    """bfloat16 where the processor multiplies it fast enough to pay off, float32 elsewhere.

    It depends on the processor and not on a measurement, so the same command has the same plan.
    """
    # On a CPU torch's autocast leaves a GRU in float32, and the trials were made with LSTMs.
    wide = model.cell == "lstm" and min(map(max, layer_sizes(model))) >= MIN_BFLOAT16_UNITS
    fast = wide and _has_fast_bfloat16(group.device)
    # Processes may run on different processors, and all have to compute the same.
    return group.broadcast("bfloat16" if fast else "float32")


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        # Emulated bfloat16, as on older GPUs, would save no time.
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Only Linux has this file; elsewhere float32 is the safe choice.
    with contextlib.suppress(OSError):
        words = set(CPU_INFO.read_text().split())
        return device.type == "cpu" and not words.isdisjoint(CPU_FLAGS)
    return False


@contextlib.contextmanager
def _learner(
    task: Task, dataset: Dataset, model: ModelConfig, config: TrainConfig, group: Group
) -> Iterator[Learner]:
    """A learner on the data's first steps. MemoryLimitError if it does not fit in memory."""
    parameters = task.num_parameters(model)
    with memory_limit(
        f"a model of {parameters:,} parameters does not fit in memory",
        "make --hidden-size, --batch-size or --seq-length smaller",
    ):
        yield make_learner(task, dataset, model, config, group)


def default_threads() -> int:
    """The number of threads that torch chooses: one per physical core that it may use."""
    return torch.get_num_threads()
