"""Exponential smoothing as a baseline, where it is installed."""

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints.run import Run
from charrnn.tasks.series import ets
from charrnn.tasks.series.dataset import SeriesDataset
from charrnn.tasks.series.forecasting import QUANTILES


def test_it_forecasts_a_season_with_a_trend_and_gaps(dataset: SeriesDataset) -> None:
    pytest.importorskip("statsforecast", exc_type=ImportError)
    tape = dataset.tape
    tape.values[tape.starts[0] + 30] = np.nan
    firsts = tape.starts + 100
    found = ets.ets_quantiles(tape, dataset.encoder, firsts, 5)
    assert found.shape == (9, 1, 5)
    middle = found[QUANTILES.index(0.5), 0]
    assert np.abs(middle - dataset.series[0][100:105]).max() < 0.5
    assert (np.diff(found, axis=0) >= 0).all()


@pytest.mark.parametrize("installed", [True, False])
def test_an_evaluation_has_it_where_it_is_installed(
    trained: Run, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.tasks.series.evaluate.has_statsforecast", lambda: installed)
    monkeypatch.setattr(
        "charrnn.tasks.series.evaluate.ets_quantiles",
        lambda tape, encoder, firsts, horizon: np.zeros((9, len(firsts), horizon)),
    )
    model = charrnn.load(trained, threads=1)
    score = model.evaluate("valid")
    lines = model.baseline_lines(score)
    assert any(line.startswith("AutoETS (statsforecast): ") for line in lines) is installed
