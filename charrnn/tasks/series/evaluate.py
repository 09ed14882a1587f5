"""Forecasts from the origins of a part -> its score: by torch in training, else by the engine."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.tasks.series.dataset import SeriesDataset
from charrnn.tasks.series.encoder import SeriesEncoder
from charrnn.tasks.series.ets import MOST_FITS, ets_quantiles, has_statsforecast
from charrnn.tasks.series.forecasting import (
    QUANTILES,
    Paths,
    SeriesStepper,
    sample_paths,
    seasonal_naive,
)
from charrnn.tasks.series.scores import SeriesScore, calibration, figures, scored
from charrnn.tasks.series.windows import Floats, Tape

PATHS = 100
"""Paths of each forecast in an evaluation."""

BASELINES = ("naive", "seasonal_naive")


@activity("forecasting the validation part")
def evaluate(
    stepper: SeriesStepper,
    dataset: SeriesDataset,
    encoder: SeriesEncoder,
    split: str,
    limit: int = 0,
    more: bool = False,
) -> SeriesScore:
    """The score over a part, or over as many evenly spread forecasts as `limit` tokens are.

    more: whether to fit baselines that take long, where what they need is installed.

    On the validation part the calibration is found, and so part of the score; on others the
    encoder's is used.
    """
    origins = dataset.origins(split)
    if 0 < limit < dataset.size(split):
        count = max(1, round(len(origins) * limit / dataset.size(split)))
        chosen = np.linspace(0, len(origins) - 1, count).round().astype(int)
        origins = [origins[i] for i in dict.fromkeys(chosen.tolist())]
    which = np.array([i for i, _ in origins])
    places = np.array([place for _, place in origins])
    fits = split == "valid"
    return evaluate_at(stepper, dataset.tape, encoder, which, places, fits, more=more)


def evaluate_at(
    stepper: SeriesStepper,
    tape: Tape,
    encoder: SeriesEncoder,
    which: NDArray[np.int64],
    places: NDArray[np.int64],
    fits: bool,
    horizon: int = 0,
    more: bool = False,
) -> SeriesScore:
    """Series (N,) and places in them (N,) -> the score of the forecasts from there.

    fits: whether to find the calibration on them. more: as in `evaluate`.
    """
    horizon = horizon or encoder.horizon
    firsts = tape.starts[which] + places
    paths = sample_paths(stepper, encoder, tape, firsts, horizon, PATHS)
    scales = error_scales(tape, encoder, which, places)
    if fits:
        independent = len(places) / max(1, _overlap(which, places, horizon))
        weight, widening = calibration(paths, scales, independent)
        encoder = dataclasses.replace(encoder, naive_weight=weight, widening=widening)
    baselines = baseline_figures(tape, encoder, firsts, paths, scales)
    if more and len(firsts) <= MOST_FITS and has_statsforecast():
        quantiles = ets_quantiles(tape, encoder, firsts, horizon)
        baselines["auto_ets"] = figures(quantiles, paths.actual, scales)
    return scored(paths, encoder, scales, baselines)


def _overlap(which: NDArray[np.int64], places: NDArray[np.int64], horizon: int) -> float:
    """How many forecasts share a value with each other, on average."""
    if len(places) < 2:
        return 1.0
    steps = np.diff(places)[np.diff(which) == 0]
    return max(1.0, horizon / float(steps.mean())) if len(steps) else 1.0


def error_scales(
    tape: Tape, encoder: SeriesEncoder, which: NDArray[np.int64], places: NDArray[np.int64]
) -> Floats:
    """The mean absolute seasonal difference of each series before its forecast, (N,)."""
    found = np.zeros(len(places))
    known: dict[tuple[int, int], float] = {}
    for row, (series, place) in enumerate(zip(which.tolist(), places.tolist(), strict=True)):
        if (series, place) not in known:
            begin = int(tape.starts[series])
            values = tape.values[begin : begin + place]
            season = encoder.season if place > encoder.season else 1
            steps = np.abs(values[season:] - values[:-season])
            steps = steps[np.isfinite(steps)]
            known[series, place] = float(steps.mean()) if len(steps) else 0.0
        found[row] = known[series, place]
    return found


def baseline_figures(
    tape: Tape, encoder: SeriesEncoder, firsts: NDArray[np.int64], paths: Paths, scales: Floats
) -> dict[str, dict[str, float]]:
    """The figures of the last value and of the season before, with normal intervals."""
    horizon = paths.actual.shape[1]
    found = {}
    for name, season in zip(BASELINES, (1, encoder.season), strict=True):
        points = seasonal_naive(encoder, tape, firsts, horizon, season)
        spread = _residuals(tape, encoder, firsts, season)
        # The variance grows with every season ahead (Hyndman & Athanasopoulos, section 5.5).
        growth = np.sqrt(1 + np.arange(horizon) // season)
        half = spread[:, None] * growth
        quantiles = np.stack([points + NORMAL[level] * half for level in QUANTILES])
        found[name] = figures(quantiles, paths.actual, scales)
    return found


NORMAL = {
    0.1: -1.2815515655446004, 0.2: -0.8416212335729143, 0.3: -0.5244005127080407,
    0.4: -0.2533471031357997, 0.5: 0.0, 0.6: 0.2533471031357997, 0.7: 0.5244005127080407,
    0.8: 0.8416212335729143, 0.9: 1.2815515655446004,
}  # fmt: skip
"""Quantiles of the standard normal distribution."""


def _residuals(
    tape: Tape, encoder: SeriesEncoder, firsts: NDArray[np.int64], season: int
) -> Floats:
    """The standard deviation of the steps of a season before each forecast, (N,)."""
    back = firsts[:, None] - np.arange(1, encoder.context + 1)
    steps = tape.values[back] - tape.values[back - season]
    known = np.isfinite(steps)
    count = np.maximum(1, known.sum(1))
    found: Floats = np.sqrt(np.where(known, steps, 0.0).__pow__(2).sum(1) / count)
    return found
