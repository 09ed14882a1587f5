"""The planner's rules for series, from the trials in benchmarks/trials.md."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.tasks.base import Dataset, Rules

if TYPE_CHECKING:
    from charrnn.tasks.series.dataset import SeriesDataset

FEW_VALUES, FEW_SERIES = 10_000, 10
"""Less data than this is learned by several small networks, whose forecasts are pooled."""

MEMBERS, MEMBERS_OF_MANY = 5, 2
"""Networks that are pooled, of little data and of much: two were better than one trained longer."""

MOST_STEPS = 3000
"""Steps after which nothing was gained in the trials with 414 series."""

COUNTS = 12.0
"""Whole numbers whose median is at most this are counts of events."""


def default_members(dataset: "SeriesDataset") -> int:
    """Networks that are averaged: more of them for one short series."""
    few = len(dataset.series) < FEW_SERIES and dataset.size("train") < FEW_VALUES
    return MEMBERS if few else MEMBERS_OF_MANY


def distribution_of(dataset: "SeriesDataset") -> str:
    """Small whole numbers from 0 on are counts: negative binomial; else Student's t."""
    whole = np.concatenate(dataset.series)
    known = whole[np.isfinite(whole)]
    is_count = known.min() >= 0 and not (known % 1).any() and np.median(known) <= COUNTS
    return "negative-binomial" if is_count and len(np.unique(known)) > 2 else "student-t"


def batch(dataset: Dataset, given: Mapping[str, Any]) -> dict[str, int]:
    """Windows of context and horizon; many for many series."""
    encoder = dataset.encoder
    length = given.get("seq_length") or encoder.context + encoder.horizon
    return {"batch_size": given.get("batch_size") or 32, "seq_length": length}


def most_steps(dataset: Dataset) -> int:
    """Steps after which more would overfit: few for little data."""
    values = max(1, dataset.size("train"))
    return int(min(MOST_STEPS, 250 * max(1.0, values / 30) ** 0.28))


def learning_rate(hidden_size: int) -> float:
    """AdamW's peak rate.

    Networks of fewer than 64 units are those of a few short series, which they soon memorize.
    """
    return round(8e-3 * math.sqrt(64 / hidden_size), 5) if hidden_size >= 64 else 0.00566


DROPOUTS = {"input_dropout": 0.1, "dropout": 0.2, "output_dropout": 0.2, "weight_dropout": 0.1}
"""For few series. The lags that go straight to the output are never dropped."""


FROM_VALUES = 500
"""With fewer values dropout made forecasts worse in the trials, with 700 and 4,000 better."""


def dropouts(dataset: Dataset, config: ModelConfig, epochs: float) -> dict[str, float]:
    """One series is memorized; many are not, and a very short one has few steps anyway."""
    few = len(getattr(dataset, "series", ())) < FEW_SERIES
    rates = DROPOUTS if few and dataset.size("train") >= FROM_VALUES else {}
    # Nothing is between layers where there is one.
    return rates | ({"dropout": 0.0} if config.num_layers == 1 else {})


RULES = Rules(
    sizes=((1, 32), (1, 64), (2, 64), (2, 128)),
    # Of two members together, each of which reads all tokens: 300 for one of them.
    tokens_per_parameter=150.0,
    parameters_per_token=2.0,
    batch=batch,
    most_steps=most_steps,
    learning_rate=learning_rate,
    dropouts=dropouts,
)
