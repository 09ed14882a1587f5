"""The figures of forecasts, and the calibration."""

import dataclasses

import numpy as np
import pytest

from charrnn.tasks.series.dataset import SeriesDataset
from charrnn.tasks.series.encoder import better_naive
from charrnn.tasks.series.forecasting import QUANTILES, Paths, seasonal_naive
from charrnn.tasks.series.scores import calibration, figures, mase


def test_mase_is_the_mean_of_each_series_ratio() -> None:
    errors = np.array([[1.0, 3.0], [np.nan, 4.0]])
    assert mase(errors, np.array([2.0, 1.0])) == pytest.approx((1.0 + 4.0) / 2)
    # A series that repeats itself exactly has no scale.
    assert mase(errors, np.array([2.0, 0.0])) == 1.0
    assert mase(errors, np.zeros(2)) == 3.0


def test_figures_of_known_quantiles() -> None:
    quantiles = np.stack([np.full((1, 2), 10 * level) for level in QUANTILES])
    found = figures(quantiles, np.array([[5.0, 20.0]]), np.array([5.0]))
    assert found["mase"] == pytest.approx(15 / 2 / 5)
    assert found["coverage"] == 0.5
    assert found["smape"] == pytest.approx(200 * 15 / 25 / 2)
    losses = [
        sum(2 * max(q * (y - 10 * q), (q - 1) * (y - 10 * q)) for y in (5.0, 20.0)) / 25
        for q in QUANTILES
    ]
    assert found["wql"] == pytest.approx(np.mean(losses))


def test_intervals_that_are_too_narrow_are_widened() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(200, 100, 4))
    actual = 3 * generator.normal(size=(200, 4))
    paths = Paths(drawn, np.zeros((200, 4)), actual)
    _, widening = calibration(paths, np.ones(200), 200.0)
    assert 2.6 < widening < 3.4
    # Of one forecast less is believed.
    assert calibration(paths, np.ones(200), 1.0)[1] < widening


def test_a_seasonal_naive_forecast_that_is_better_is_mixed_in(dataset: SeriesDataset) -> None:
    generator = np.random.default_rng(0)
    naive = np.zeros((50, 4))
    paths = Paths(8 + generator.normal(size=(50, 100, 4)), naive, generator.normal(size=(50, 4)))
    weight, widening = calibration(paths, np.ones(50), 5000.0)
    assert weight == 1.0
    # Of a few forecasts not much is believed, whichever is better in them.
    assert calibration(paths, np.ones(50), 2.0)[0] == pytest.approx(0.45)
    encoder = dataclasses.replace(dataset.encoder, naive_weight=1.0, widening=1.0, lowest=None)
    moved = paths.calibrated(encoder)
    assert abs(np.median(moved)) < 0.2
    # As far apart as they were.
    assert moved.std(1).mean() == pytest.approx(paths.values.std(1).mean())
    assert 0.5 < widening < 2


def test_no_path_is_below_the_lowest_value(dataset: SeriesDataset) -> None:
    paths = Paths(np.full((1, 3, 2), -5.0), np.zeros((1, 2)), np.zeros((1, 2)))
    assert dataset.encoder.lowest == 0.0
    assert paths.calibrated(dataset.encoder).min() == 0.0


def test_the_seasonal_naive_forecast_repeats_the_last_season(dataset: SeriesDataset) -> None:
    firsts = dataset.tape.starts + 50
    values = dataset.series[0]
    found = seasonal_naive(dataset.encoder, dataset.tape, firsts, 9)
    np.testing.assert_array_equal(found[0, :7], values[43:50])
    np.testing.assert_array_equal(found[0, 7:], values[43:45])
    last = seasonal_naive(dataset.encoder, dataset.tape, firsts, 3, season=1)
    np.testing.assert_array_equal(last[0], [values[49]] * 3)


@pytest.mark.parametrize(("walk", "season"), [(True, 1), (False, 0)])
def test_the_naive_forecast_is_the_one_that_the_training_part_prefers(
    dataset: SeriesDataset, walk: bool, season: int
) -> None:
    steps = np.random.default_rng(0).normal(size=120)
    values = steps.cumsum() if walk else np.tile([1.0, 5, 2, 8, 3, 9, 4], 18)[:120]
    assert better_naive(dataset.encoder, [values]) == season
