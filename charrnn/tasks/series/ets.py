"""Forecasts by exponential smoothing, chosen by information criterion: a baseline where installed.

They are statsforecast's (AutoETS: Hyndman et al. 2002), from the extra charrnn[bench]; training and
forecasts never need it.
"""

import importlib.util

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.tasks.series.encoder import SeriesEncoder
from charrnn.tasks.series.forecasting import QUANTILES
from charrnn.tasks.series.windows import Floats, Tape

MOST_FITS = 24
"""An evaluation with more forecasts than this has no such baseline: each is a fit of its own."""

MOST_VALUES = 1000
"""Values before a forecast that are fitted."""

MOST_SEASON = 24
"""Longer seasons are more states than exponential smoothing can estimate."""


def has_statsforecast() -> bool:
    """Whether the package is installed; it is not imported."""
    return importlib.util.find_spec("statsforecast") is not None


@activity("fitting exponential smoothing")
def ets_quantiles(
    tape: Tape, encoder: SeriesEncoder, firsts: NDArray[np.int64], horizon: int
) -> Floats:
    """Places of first values to forecast (N,) -> QUANTILES of each value, (9, N, H)."""
    from statsforecast.models import AutoETS

    season = encoder.season if encoder.season <= MOST_SEASON else 1
    found = np.empty((len(QUANTILES), len(firsts), horizon))
    for row, first in enumerate(firsts.tolist()):
        begin = int(tape.starts[np.searchsorted(tape.starts, first, side="right") - 1])
        values = tape.values[max(begin, first - MOST_VALUES) : first]
        fitted = AutoETS(season_length=season).forecast(
            y=_filled(values), h=horizon, level=[20, 40, 60, 80]
        )
        for i, level in enumerate(QUANTILES):
            wide = round(abs(200 * level - 100))
            name = "mean" if not wide else f"{'lo' if level < 0.5 else 'hi'}-{wide}"
            found[i, row] = fitted[name]
    return found


def _filled(values: Floats) -> Floats:
    """Values with straight lines in their gaps, which smoothing cannot have."""
    known = np.flatnonzero(np.isfinite(values))
    filled: Floats = np.interp(np.arange(len(values)), known, values[known])
    return filled
