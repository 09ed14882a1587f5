"""How fast this machine trains a model, and on how many threads: a few real steps, timed."""

import contextlib
import math
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from charrnn.activity import activity
from charrnn.config import ModelConfig, TrainConfig, layer_sizes
from charrnn.models.device import has_bfloat16_lstm, memory_limit
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner, make_learner
from charrnn.training.planner.threads import fewest

CALIBRATION_SECONDS = 1.5

LOOKS = 5
"""Looks at each number of threads: the best of them, and how much they differ."""

SLOW_STEP = 0.5
"""Seconds of a step that is measured by itself: what starts threads is a small part of it, and more
of them would take the time that is to be planned."""

HOPELESS = 3.0
"""A number of threads that is so many times slower than the best is not looked at again."""

BUSY_RATIO = 1.5
"""On an idle machine the mean of the looks is closer to the best of them."""

BUSY_SHARE = 0.75
"""On an idle machine the main thread computes nearly all the time."""

MIN_BFLOAT16_UNITS = 128
"""Narrower layers spend too little time in matrix products, the only part that gets faster."""

CPU_INFO = Path("/proc/cpuinfo")

CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Linux's names for a CPU's bfloat16 instructions, on x86 and on ARM."""


@dataclass(frozen=True)
class Speed:
    """What calibration found: training tokens per second of all ranks, and with how many threads.

    tokens_per_second: of the best look, which other work disturbed least. busy: whether other work
    took much of the machine meanwhile.
    """

    tokens_per_second: float
    threads: int
    busy: bool = False


@activity("measuring how fast this machine trains")
def calibrate(
    task: Task,
    dataset: Dataset,
    model: ModelConfig,
    train: Mapping[str, Any],
    group: Group,
    times: float = 1.0,
    counts: tuple[int, ...] = (),
) -> Speed:
    """A model and fields of TrainConfig -> how fast it trains, and on how many threads best.

    counts: the numbers of threads to try, those of `train` if empty. It takes about
    `times` * CALIBRATION_SECONDS. `train` has all fields that the speed depends on.
    """
    config = TrainConfig(**train)
    counts = counts or (config.threads,)
    with _learner(task, dataset, model, config, group) as learner:
        # The first steps also allocate memory and choose and prepare kernels. They are taken on the
        # fewest threads, which do not wait for each other on a busy machine.
        learner.use_threads(counts[0])
        warm_up = time.perf_counter()
        for _ in range(3):
            learner.advance()
            if group.world_size == 1 and time.perf_counter() - warm_up > SLOW_STEP:
                break
        looks, share = _looks(learner, counts, CALIBRATION_SECONDS * times)
    # The mean of a number's looks decides between numbers: a lucky moment of two threads is no
    # reason to wait for each other in all the others. Its best look tells what the machine can do.
    means = {threads: statistics.mean(each) for threads, each in looks.items()}
    chosen = int(group.broadcast(str(fewest(means)) if group.is_main else ""))
    seconds = looks[chosen]
    unsteady = statistics.mean(seconds) > BUSY_RATIO * min(seconds)
    best = group.mean(config.batch_size * config.seq_length / min(seconds))
    return Speed(best, chosen, bool(unsteady or share < BUSY_SHARE))


def _looks(
    learner: Learner, counts: tuple[int, ...], budget: float
) -> tuple[dict[int, list[float]], float]:
    """Short looks at each number of threads in turn -> seconds per step, the processor's share.

    The numbers take turns, because load that comes and goes would decide between long looks.
    """
    looks: dict[int, list[float]] = {threads: [] for threads in counts}
    group, began = learner.group, time.perf_counter()
    processor, watched, alone = time.thread_time(), 0.0, group.world_size == 1
    while True:
        for threads in counts:
            # A hopeless number is not looked at again: on a busy machine its steps take seconds.
            best = min((min(each) for each in looks.values() if each), default=math.inf)
            if not alone or not looks[threads] or min(looks[threads]) <= HOPELESS * best:
                learner.use_threads(threads)
                looks[threads].append(_look(learner, budget / LOOKS / len(counts)))
        watched = time.perf_counter() - began
        # Every rank has to take the same number of steps, so rank 0's clock decides.
        over = watched >= budget or max(map(len, looks.values())) == LOOKS
        if group.broadcast(str(over) if group.is_main else "") == "True":
            break
    # A GPU is waited for, in whichever way its driver waits.
    on_cpu = group.device.type == "cpu"
    return looks, (time.thread_time() - processor) / max(1e-9, watched) if on_cpu else 1.0


def _look(learner: Learner, seconds: float) -> float:
    """About so many seconds of steps -> seconds per step."""
    # The step after a change starts threads; on a GPU, `item` waits for the step's end.
    begun = time.perf_counter()
    learner.advance()
    learner.norm.item()
    first = time.perf_counter() - begun
    if learner.group.world_size == 1 and first > max(SLOW_STEP, seconds):
        return first
    group, late, flag, steps = learner.group, False, 0, 0
    began = now = time.perf_counter()
    while not flag:
        flag = learner.advance(int(late and group.is_main))
        learner.norm.item()
        now, steps = time.perf_counter(), steps + 1
        late = now - began >= seconds
        # Alone, no other process has to hear of it, which takes a step more.
        flag = int(late) if group.world_size == 1 else flag
    return (now - began) / steps


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
        words = set(CPU_INFO.read_text(encoding="utf-8").split())
        flagged = device.type == "cpu" and not words.isdisjoint(CPU_FLAGS)
        return flagged and has_bfloat16_lstm()
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
