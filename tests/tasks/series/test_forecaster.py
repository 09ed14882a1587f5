"""What a trained model of series does."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints.run import Run
from charrnn.errors import CorpusError, UsageError
from tests.tasks.series.conftest import TINY, write_days


def load(model: Any, **options: Any) -> Any:
    """A Forecaster: `charrnn.load` is typed as that of the default task."""
    return charrnn.load(model, threads=1, **options)


def test_a_forecast_begins_after_the_end_of_the_data(trained: Run) -> None:
    model = load(trained, task="series")
    (found,) = model.forecast(quantiles=(0.1, 0.5, 0.9))
    assert found.dates[:2] == ("2021-05-01", "2021-05-02")
    assert len(found.mean) == 5
    assert (found.quantiles[0.1] <= found.quantiles[0.9]).all()
    again = model.forecast()[0]
    np.testing.assert_array_equal(found.paths, again.paths)
    assert (model.forecast(seed=1)[0].paths != found.paths).any()


def test_a_longer_horizon_begins_with_the_shorter_one(trained: Run) -> None:
    model = load(trained)
    short, long = (model.forecast(horizon=n)[0] for n in (3, 12))
    assert long.dates[:3] == short.dates
    assert len(long.dates) == 12


def test_a_newer_file_goes_on_where_the_data_ends(trained: Run, tmp_path: Path) -> None:
    model = load(trained)
    rows = [f"2021-05-{i + 1:02d},{20 + i}" for i in range(3)]
    (tmp_path / "new.csv").write_text("date,s0\n" + "\n".join(rows) + "\n")
    (found,) = model.forecast(file=tmp_path / "new.csv")
    assert found.dates[0] == "2021-05-04"
    assert found.history[1][-3:].tolist() == [20.0, 21.0, 22.0]
    # The values before them are those of the training data.
    assert found.history[0][-4] == "2021-04-30"


def test_given_values_are_forecast_without_a_run(trained: Run, tmp_path: Path) -> None:
    model = load(trained)
    alone = load(model.save(tmp_path / "shared.safetensors"))
    values = (20 + np.sin(np.arange(60) * 2 * np.pi / 7)).tolist()
    (found,) = alone.forecast(values)
    assert np.isfinite(found.mean).all()
    assert [f.series for f in alone.forecast({"a": values, "b": values})] == ["a", "b"]
    with pytest.raises(CorpusError, match="are not next to it"):
        alone.forecast()
    # One value is little to go by, and yet no reason to fail.
    assert np.isfinite(alone.forecast([3.0])[0].mean).all()


def test_bad_arguments_are_errors_of_one_line(trained: Run) -> None:
    model = load(trained)
    for options in (
        {"horizon": 0}, {"paths": 0}, {"quantiles": (2.0,)}, {"series": ("x",)},
        {"values": [1.0], "file": "a.csv"},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            model.forecast(**options)


def test_values_that_came_are_scored_from_a_file(trained: Run, tmp_path: Path) -> None:
    model = load(trained)
    whole = write_days(tmp_path / "whole.csv", days=125)
    score = model.evaluate(file=whole)
    assert score.forecasts == 1
    assert score.mase < 3
    # Where statsforecast is installed there is AutoETS, too.
    assert set(score.baselines) - {"auto_ets"} == {"naive", "seasonal_naive"}
    with pytest.raises(CorpusError, match="no values after the end"):
        model.evaluate(file=write_days(tmp_path / "old.csv", days=100))


def test_covariates_of_the_future_matter(tmp_path: Path) -> None:
    t = np.arange(160)
    holiday = (t % 9 == 0).astype(int)
    dates = np.datetime64("2021-01-01") + t
    sales = [str(10 + 5 * each) if i < 150 else "" for i, each in enumerate(holiday)]
    rows = [",".join(map(str, row)) for row in zip(dates, sales, holiday, strict=True)]
    source = tmp_path / "shop.csv"
    source.write_text("date,sales,holiday\n" + "\n".join(rows) + "\n")
    run = charrnn.train(
        source, task="series", target="sales", covariate="holiday", horizon=5, steps=20,
        runs_dir=tmp_path / "runs", **TINY,
    )  # fmt: skip
    model = load(run)
    assert model.encoder.covariates == ("holiday",)
    notes: list[str] = []
    forecast = model.forecast(horizon=10, on_note=notes.append)[0]
    assert forecast.dates[0] == str(np.datetime64("2021-01-01") + 150)
    assert notes == []
    model.forecast(horizon=12, on_note=notes.append)
    assert notes == [
        "holiday is not known for 2 of the 12 steps ahead: its mean is used (give them in a file)"
    ]


def test_small_whole_numbers_are_counts(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(2, 200)
    source = tmp_path / "counts.csv"
    source.write_text("n\n" + "\n".join(map(str, counts)) + "\n")
    run = charrnn.train(source, task="series", horizon=4, steps=20, runs_dir=tmp_path, **TINY)
    model = load(run)
    assert model.checkpoint.config.distribution == "negative-binomial"
    paths = model.paths(count=20).values
    np.testing.assert_allclose(paths, paths.round(), atol=1e-6)


@pytest.mark.parametrize(
    "values", [[5.0] * 60, list(range(12)), [1e90, 1.0] * 20, [1e-90, 3e-90] * 20, [0.0] * 30]
)
def test_odd_series_train_and_forecast_finite_numbers(values: list[float], tmp_path: Path) -> None:
    source = tmp_path / "odd.csv"
    source.write_text("n\n" + "\n".join(map(str, values)) + "\n")
    run = charrnn.train(source, task="series", steps=3, runs_dir=tmp_path, **TINY)
    (found,) = load(run).forecast()
    assert np.isfinite(found.mean).all()


def test_a_series_of_three_values_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "three.csv").write_text("n\n1\n2\n3\n")
    with pytest.raises(CorpusError, match="the longest series has 3 values"):
        charrnn.train(tmp_path / "three.csv", task="series", steps=2, runs_dir=tmp_path)
    assert not list(tmp_path.glob("three"))


def test_forecasting_loads_no_torch(trained: Run) -> None:
    code = (
        "import sys, charrnn; charrnn.load(sys.argv[1]).forecast(); "
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(trained.folder)]
    assert subprocess.run(command, check=False).returncode == 0
