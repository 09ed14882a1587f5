"""How fast this machine trains a model: a few real steps, timed. It plans nothing."""

import itertools
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from charrnn.batches import Batches
from charrnn.config import ModelConfig, TrainConfig, num_parameters
from charrnn.corpus import Corpus
from charrnn.distributed import Group, memory_limit
from charrnn.learner import Learner

CALIBRATION_SECONDS = 1.5


def calibrate(
    corpus: Corpus,
    model: ModelConfig,
    given: Mapping[str, Any],
    shape: Mapping[str, int],
    group: Group,
) -> float:
    """Training tokens per second of all ranks together, measured on real steps."""
    threads = given.get("threads") or default_threads()
    config = TrainConfig(threads=threads, **shape)
    torch.set_num_threads(threads)
    tokens = corpus.splits["train"].load()
    batches = Batches(tokens, **shape, rank=group.rank, world_size=group.world_size)
    with memory_limit(
        f"a model of {num_parameters(model):,} parameters does not fit in memory",
        "make --hidden-size, --batch-size or --seq-length smaller",
    ):
        learner = Learner(model, config, batches, group)
        for _ in range(3):
            learner.advance()
        clock, flag = [time.perf_counter()], 0
        while not flag:
            late = clock[-1] - clock[0] > CALIBRATION_SECONDS
            # Every rank has to take the same number of steps, so rank 0's clock decides.
            flag = learner.advance(int(late and group.leads))
            learner.norm.item()  # a GPU works behind; this waits for it
            clock.append(time.perf_counter())
    # The median is what a step takes when the machine has nothing else to do for a moment.
    seconds = statistics.median(after - before for before, after in itertools.pairwise(clock))
    return group.mean(shape["batch_size"] * shape["seq_length"] / seconds)


def default_threads() -> int:
    """As many threads as torch would take: one for each physical core it may use."""
    return torch.get_num_threads()
