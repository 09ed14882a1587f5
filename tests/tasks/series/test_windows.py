"""Windows, scales, and the batches made of them."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.dataset import SeriesDataset, prepare
from charrnn.tasks.series.encoder import choose_lags, find_season
from charrnn.tasks.series.windows import scale_of
from tests.tasks.series.conftest import write_days


def test_the_scale_is_the_mean_seasonal_difference() -> None:
    scale = scale_of(np.array([[1.0, 3.0, np.nan]]), np.array([[0.0, 1.0, 5.0]]))
    assert scale.center[0, 0] == 2.0
    assert scale.size[0, 0] == 1.5


@pytest.mark.parametrize("value", [0.0, 5.0, -1e12, 1e-12])
def test_a_constant_context_has_a_finite_scale(value: float) -> None:
    context = np.full((1, 6), value)
    scale = scale_of(context, context)
    assert scale.size[0, 0] > 0
    assert np.isfinite(scale.scaled(context)).all()
    np.testing.assert_allclose(scale.values(scale.scaled(context)), context)


def test_a_context_without_values_is_finite_too() -> None:
    scale = scale_of(np.full((1, 3), np.nan), np.full((1, 3), np.nan))
    assert np.isfinite([scale.center[0, 0], scale.size[0, 0]]).all()


def test_inputs_are_the_lags_of_each_place(dataset: SeriesDataset) -> None:
    encoder, tape = dataset.encoder, dataset.tape
    first = int(tape.starts[0]) + 60
    scale, inputs, values = tape.windows(encoder, np.array([first]), 2)
    count = len(encoder.lags)
    assert inputs.shape == (1, encoder.context + 2, encoder.inputs)
    series = dataset.series[0]
    place = 60 - encoder.context
    for j, lag in enumerate(encoder.lags):
        if place - lag >= 0:
            expected = scale.scaled(series[None, place - lag, None])[0, 0]
            np.testing.assert_allclose(inputs[0, 0, j], expected, rtol=1e-5)
        assert inputs[0, 0, count + j] == (place - lag >= 0)
    np.testing.assert_array_equal(values[0], series[place:62])


def test_training_windows_hold_nothing_of_the_validation_part(dataset: SeriesDataset) -> None:
    # A value that is found nowhere else marks the part.
    train = int(dataset.parts["train"][0])
    dataset.series[0][train:] = 1e6
    batches = dataset.batches(8, dataset.encoder.context + 5, 0, 1)
    for step in range(40):
        inputs, scaled, known, _ = batches[step]
        assert np.abs(scaled * known).max() < 1e3
        assert np.abs(inputs[..., : len(dataset.encoder.lags)]).max() < 1e3


def test_missing_values_are_masked(days: Path, tmp_path: Path) -> None:
    lines = days.read_text().splitlines()
    del lines[30:33]
    days.write_text("\n".join(lines) + "\n")
    dataset = prepare(SeriesDataConfig((str(days),), horizon=5), tmp_path / "corpus")
    seen = [dataset.batches(4, 20, 0, 1)[step] for step in range(40)]
    assert all(np.isfinite(array).all() for arrays in seen for array in arrays)
    assert min(float(known.min()) for _, _, known, _ in seen) == 0.0


def test_a_season_is_found_without_dates() -> None:
    t = np.arange(400)
    noise = np.random.default_rng(0).normal(size=400)
    assert find_season([np.sin(2 * np.pi * t / 24) + 0.1 * noise + 0.01 * t]) == 24
    assert find_season([noise]) == 1
    assert find_season([np.ones(100)]) == 1
    assert find_season([np.arange(4.0)]) == 1


def test_lags_are_those_that_the_series_is_long_enough_for() -> None:
    assert choose_lags(24, 700, 48) == (1, 24, 48, 72, 168)
    assert choose_lags(12, 60, 12) == (1, 12, 24)
    assert choose_lags(12, 3, 1) == (1,)


def test_a_few_series_hold_back_more_horizons_than_many(tmp_path: Path) -> None:
    for columns, horizons in ((1, 6), (12, 3)):
        source = write_days(tmp_path / f"{columns}.csv", 300, columns)
        config = SeriesDataConfig((str(source),), horizon=5)
        data = prepare(config, tmp_path / str(columns))
        assert data.parts["valid"].tolist() == [5 * horizons] * columns


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.tasks.series.dataset.MOST_LINE", 1000)
    days.write_text(days.read_text() + "9" * 2000)
    with pytest.raises(CorpusError, match="a line of more than 1,000 characters"):
        prepare(SeriesDataConfig((str(days),)), tmp_path / "corpus")


def test_of_hundreds_of_series_every_other_one_validates(tmp_path: Path) -> None:
    source = write_days(tmp_path / "many.csv", 40, 200)
    config = SeriesDataConfig((str(source),), horizon=4, test_fraction=0.1)
    data = prepare(config, tmp_path / "corpus")
    assert data.parts["valid"].tolist() == [4, 0] * 100
    assert data.parts["test"].tolist() == [4] * 200
    assert len(data.origins("valid")) == 100
