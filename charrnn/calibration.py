"""How fast this machine trains a model: a few real steps, timed. It plans nothing."""

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from charrnn.allocator import keep_freed_memory
from charrnn.batches import Batches
from charrnn.config import ModelConfig, TrainConfig, layer_sizes, num_parameters
from charrnn.corpus import Corpus
from charrnn.distributed import Group, memory_limit
from charrnn.learner import Learner

CALIBRATION_SECONDS = 1.5

ROUNDED_UNITS = 128
"""Narrower layers are not bound by their products."""

CPU_INFO = Path("/proc/cpuinfo")

CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""What Linux calls a processor's instructions for it, on x86 and on ARM."""


def calibrate(
    corpus: Corpus, model: ModelConfig, train: Mapping[str, Any], group: Group, times: float = 1.0
) -> float:
    """Training tokens per second of all ranks together, measured on real steps.

    It takes `times` as long as CALIBRATION_SECONDS. `train` maps fields of TrainConfig to values,
    those that speed depends on among them.
    """
    config = TrainConfig(**train)
    with _learner(corpus, model, config, group) as learner:
        for _ in range(3):
            learner.advance()
        clock, flag = [time.perf_counter()], 0
        while not flag:
            late = clock[-1] - clock[0] > CALIBRATION_SECONDS * times
            # Every rank has to take the same number of steps, so rank 0's clock decides.
            flag = learner.advance(int(late and group.leads))
            learner.norm.item()  # a GPU works behind; this waits for it
            clock.append(time.perf_counter())
    # The median is what a step takes when the machine has nothing else to do for a moment.
    seconds = statistics.median(after - before for before, after in itertools.pairwise(clock))
    return group.mean(config.batch_size * config.seq_length / seconds)


def best_precision(model: ModelConfig, group: Group) -> str:
    """bfloat16 where the processor multiplies it fast enough to pay, float32 elsewhere.

    It is asked of the processor and not of a clock, so that the same command has the same plan.
    """
    large = model.cell == "lstm" and min(map(max, layer_sizes(model))) >= ROUNDED_UNITS
    fast = large and _multiplies_bfloat16(group.device)
    return group.share("bfloat16" if fast else "float32")


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    with contextlib.suppress(OSError):
        words = set(CPU_INFO.read_text().split())
        return device.type == "cpu" and not words.isdisjoint(CPU_FLAGS)
    return False


@contextlib.contextmanager
def _learner(
    corpus: Corpus, model: ModelConfig, config: TrainConfig, group: Group
) -> Iterator[Learner]:
    """A learner on the corpus's first steps, within what memory there is."""
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    batches = Batches(
        corpus.splits["train"].load(),
        config.batch_size,
        config.seq_length,
        group.rank,
        group.world_size,
    )
    with memory_limit(
        f"a model of {num_parameters(model):,} parameters does not fit in memory",
        "make --hidden-size, --batch-size or --seq-length smaller",
    ):
        yield Learner(model, config, batches, group)


def default_threads() -> int:
    """As many threads as torch would take: one for each physical core it may use."""
    return torch.get_num_threads()
