"""The planner's rules for labels, from the trials in benchmarks/trials.md."""

import math
from collections.abc import Mapping
from typing import Any

from charrnn.config import ModelConfig
from charrnn.tasks.base import Dataset, Rules

SIZES = ((1, 64), (1, 128), (1, 256))
"""Layers, and units of both directions together, smallest first."""

MEMBERS, MANY_TEXTS = 3, 20_000
"""Networks that are averaged; one of them from so many texts on."""

TEXTS = 64
"""Texts of a step."""

EXAMPLES = 60_000
"""Texts that a training reads, some of them many times, before more would overfit."""

LEAST_EPOCHS, MOST_EPOCHS = 4.0, 60.0


def embedding_size(units: int) -> int:
    """Units -> embedding dimension."""
    return min(128, max(16, units // 2 + 32))


def members(texts: int) -> int:
    """Texts of the training part -> networks that are averaged."""
    return MEMBERS if texts < MANY_TEXTS else 1


def most_epochs(texts: int) -> float:
    """Texts of the training part -> epochs that still improve the model.

    >>> most_epochs(6_920), most_epochs(300)
    (8.670520231213873, 60.0)
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, EXAMPLES / max(1, texts)))


def batch(dataset: Dataset, given: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of a text, in the mean, as the window; fewer texts a step where there are few."""
    texts, tokens = max(1, dataset.length("train")), dataset.size("train")
    length = given.get("seq_length") or max(1, round(tokens / texts))
    rows = given.get("batch_size") or max(4, min(TEXTS, texts // 20))
    return {"seq_length": length, "batch_size": rows}


def most_steps(dataset: Dataset) -> int:
    """Steps after which more would overfit."""
    shape = batch(dataset, {})
    per_epoch = dataset.size("train") / (shape["batch_size"] * shape["seq_length"])
    return max(10, int(most_epochs(dataset.length("train")) * per_epoch))


def learning_rate(units: int) -> float:
    """Units -> AdamW's peak rate."""
    return round(2e-3 * math.sqrt(128 / max(32, units)), 5)


def dropouts(dataset: Dataset, model: ModelConfig, epochs: float) -> dict[str, float]:
    """Dropout of inputs and pooled outputs."""
    rate = 0.3 if epochs > 2 else 0.1
    between = {"dropout": rate} if model.num_layers > 1 else {}
    return {"input_dropout": rate, "output_dropout": rate} | between


def minutes(dataset: Dataset) -> float:
    """How long to train, if nothing is said."""
    return min(10.0, max(1.0, dataset.size("train") / 200_000))


RULES = Rules(
    sizes=SIZES,
    tokens_per_parameter=0.5,
    parameters_per_token=20.0,
    batch=batch,
    most_steps=most_steps,
    learning_rate=learning_rate,
    weight_decay=0.01,
    dropouts=dropouts,
    minutes=minutes,
)
