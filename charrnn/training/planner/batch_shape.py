"""Batch size and window that fit the data."""

import math
from collections.abc import Mapping
from typing import Any

from charrnn.data.batches import rows_per_rank
from charrnn.errors import CorpusError
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.planner import heuristics
from charrnn.training.planner.budget import Budget, minutes


def batch_shape(
    task: Task, dataset: Dataset, given: Mapping[str, Any], group: Group, read: float = 0.0
) -> dict[str, int]:
    """Batch size and window that fit the data: each stream has at least a window and a token.

    read: what `read_in_larger_steps` says.
    """
    tokens = dataset.size("train")
    if task.rules:
        shape = task.rules.batch(dataset, given)
        if "batch_size" not in given:
            shape["batch_size"] = (
                math.ceil(shape["batch_size"] / group.world_size) * group.world_size
            )
        rows_per_rank(shape["batch_size"], group.world_size)
        return shape
    length = given.get("seq_length") or heuristics.seq_length(tokens)
    batch = given.get("batch_size") or heuristics.batch_size(tokens, length, group.device.type)
    if group.device.type == "cpu" and not {"seq_length", "batch_size"} & set(given):
        size = task.model_config(dataset, {}).vocab_size
        batch, length = heuristics.larger_step(batch, length, tokens, read, size)
    if "batch_size" not in given:
        # Every rank has to have the same number of rows.
        batch = math.ceil(batch / group.world_size) * group.world_size
    rows_per_rank(batch, group.world_size)  # raises if a given batch cannot be divided
    if batch * (length + 1) > tokens:
        raise CorpusError(
            f"the training part has {tokens:,} tokens and --batch-size {batch} with "
            f"--seq-length {length} needs {batch * (length + 1):,}",
            "make them smaller or give more text",
        )
    return {"batch_size": batch, "seq_length": length}


def tokens_read(
    task: Task, dataset: Dataset, budget: Budget, speed: float = heuristics.USUAL_SPEED
) -> float:
    """About how many tokens a training reads at a speed (tokens/s), at most those worth reading."""
    tokens = dataset.size("train")
    if budget.steps:
        return budget.steps * heuristics.seq_length(tokens) * heuristics.MOST_STREAMS
    if budget.epochs:
        return budget.epochs * tokens
    seconds = 60 * minutes(task, dataset, budget)
    return min(seconds * speed, heuristics.most_epochs(tokens) * tokens)


def read_in_larger_steps(
    task: Task,
    dataset: Dataset,
    budget: Budget,
    optimizer: str,
    speed: float = heuristics.USUAL_SPEED,
) -> float:
    """The tokens that a training reads if larger steps may be worth more to it, else 0.

    Only with SOAP, and not where steps are given, whose number keeps its meaning.
    """
    if optimizer != "soap" or task.rules or budget.steps:
        return 0.0
    return tokens_read(task, dataset, budget, speed)
