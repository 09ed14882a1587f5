"""Small series and models of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints.run import Run
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.dataset import SeriesDataset, prepare

TINY: dict[str, Any] = {
    "num_layers": 1,
    "hidden_size": 6,
    "members": 2,
    "batch_size": 4,
    "threads": 1,
}


def write_days(path: Path, days: int = 120, columns: int = 1) -> Path:
    """Days with a week and a trend; each column is the first one and its number."""
    dates = np.datetime64("2021-01-01") + np.arange(days)
    t = np.arange(days)
    base = 20 + 0.05 * t + 4 * np.sin(2 * np.pi * t / 7)
    names = ["date", *(f"s{i}" for i in range(columns))]
    rows = [
        ",".join([str(date), *(f"{value + i:.3f}" for i in range(columns))])
        for date, value in zip(dates, base, strict=True)
    ]
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    return path


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A file of 120 days."""
    return write_days(tmp_path / "days.csv")


@pytest.fixture
def dataset(days: Path, tmp_path: Path) -> SeriesDataset:
    """The same, prepared."""
    return prepare(SeriesDataConfig((str(days),), horizon=5), tmp_path / "corpus")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    source = write_days(folder / "days.csv")
    return charrnn.train(
        source, task="series", runs_dir=folder / "runs", steps=30, horizon=5, eval_every=15, **TINY
    )
