"""The planner's rules for pairs, from the trials in benchmarks/trials.md."""

import math
from collections.abc import Mapping
from typing import Any

from charrnn.config import ModelConfig
from charrnn.tasks.base import Dataset, Rules

SIZES = ((1, 96), (1, 192), (1, 320), (1, 512))
"""Layers of the encoder and units, smallest first."""

EMBEDDINGS = {96: 64, 192: 96, 320: 256, 512: 256}
"""Units -> embedding dimension."""

BATCH_TOKENS = 1_600
"""Padded tokens of both sides in a step."""

LARGE_VOCABULARY = 500
"""From this size on tokens are words or parts of them, and not characters or symbols."""

EXAMPLES = 600_000
"""Pairs that a training reads, some of them many times, before more would overfit."""

LEAST_EPOCHS, MOST_EPOCHS = 20.0, 200.0


def embedding_size(units: int) -> int:
    """Units -> embedding dimension."""
    return EMBEDDINGS.get(units, min(256, max(16, units // 2)))


def most_epochs(pairs: int) -> float:
    """Pairs of the training part -> epochs that still improve the model.

    >>> most_epochs(3_600), most_epochs(29_000)
    (166.66666666666666, 20.689655172413794)
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, EXAMPLES / max(1, pairs)))


def batch(dataset: Dataset, given: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of a pair, in the mean, as the window; so many pairs as make a batch.

    A small set has some hundred steps an epoch, or steps of eight pairs.
    """
    pairs, tokens = max(1, dataset.length("train")), dataset.size("train")
    length = given.get("seq_length") or max(1, round(tokens / pairs))
    wanted = min(BATCH_TOKENS, max(8 * length, tokens // 100))
    return {"seq_length": length, "batch_size": given.get("batch_size") or max(1, wanted // length)}


def most_steps(dataset: Dataset) -> int:
    """Steps after which more would overfit."""
    shape = batch(dataset, {})
    per_epoch = dataset.size("train") / (shape["batch_size"] * shape["seq_length"])
    return max(10, int(most_epochs(dataset.length("train")) * per_epoch))


def learning_rate(units: int) -> float:
    """Units -> AdamW's peak rate."""
    return round(3e-3 * math.sqrt(192 / max(96, units)), 5)


def dropouts(dataset: Dataset, model: ModelConfig, epochs: float) -> dict[str, float]:
    """Sizes, epochs -> dropout: none for a few epochs, 0.3 from about twelve on.

    Half as much for characters and symbols, of which a target depends on nearly each.
    """
    large = model.vocab_size >= LARGE_VOCABULARY
    slope, first = (0.12, 2) if large else (0.06, 4)
    rate = round(min(0.3, slope * math.log2(max(1.0, epochs / first))), 2)
    return {"input_dropout": rate, "dropout": rate, "output_dropout": rate}


def minutes(dataset: Dataset) -> float:
    """How long to train, if nothing is said."""
    return min(10.0, max(1.0, dataset.size("train") / 100_000))


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
