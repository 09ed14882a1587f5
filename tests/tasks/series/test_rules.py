"""The planner's rules for series."""

from pathlib import Path

import pytest

from charrnn.config import ModelConfig
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.dataset import SeriesDataset, prepare
from charrnn.tasks.series.rules import batch, default_members, distribution_of, dropouts, most_steps
from tests.tasks.series.conftest import write_days


@pytest.fixture
def many(tmp_path: Path) -> SeriesDataset:
    """Twelve series."""
    source = write_days(tmp_path / "many.csv", columns=12)
    return prepare(SeriesDataConfig((str(source),), horizon=5), tmp_path / "many")


def test_few_series_are_learned_by_several_networks_and_with_dropout_unless_very_short(
    dataset: SeriesDataset, many: SeriesDataset, tmp_path: Path
) -> None:
    source = write_days(tmp_path / "long.csv", days=700)
    long = prepare(SeriesDataConfig((str(source),), horizon=5), tmp_path / "long")
    one, two = (ModelConfig(vocab_size=1, num_layers=layers) for layers in (1, 2))
    assert all(dropouts(long, two, 9.0).values())
    # Nothing is between layers where there is one.
    assert dropouts(long, one, 9.0) == dropouts(long, two, 9.0) | {"dropout": 0.0}
    assert (default_members(dataset), default_members(many)) == (5, 2)
    assert not dropouts(dataset, two, 9.0)
    assert not dropouts(many, two, 9.0)
    assert most_steps(dataset) < most_steps(many)


def test_a_window_is_context_and_horizon(dataset: SeriesDataset) -> None:
    assert batch(dataset, {})["seq_length"] == dataset.encoder.context + 5
    assert batch(dataset, {"seq_length": 9, "batch_size": 2}) == {"seq_length": 9, "batch_size": 2}


def test_measurements_are_no_counts(dataset: SeriesDataset) -> None:
    assert distribution_of(dataset) == "student-t"


def test_of_few_series_two_horizons_are_held_back_and_forecast_from_several_origins(
    dataset: SeriesDataset, many: SeriesDataset
) -> None:
    assert dataset.length("valid") == 10
    assert len(dataset.origins("valid")) == 6
    assert len(many.origins("valid")) == 24
