"""Contexts -> sampled paths -> forecasts with quantiles, whoever steps the network.

Each path follows one member of the network from the end of the context on: a value is drawn, and
becomes a lag of those after it. The values before a forecast are a part of the state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.tasks.series.distributions import draw
from charrnn.tasks.series.encoder import SeriesEncoder
from charrnn.tasks.series.windows import Floats, Scale, Tape, inputs

ROWS = 16_384
"""Paths that are stepped at once, which bounds the memory."""

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Those by which forecasts are scored."""


class SeriesStepper(Protocol):
    """A network that is read step by step: by ONNX Runtime, or by torch during training."""

    members: int
    distribution: str

    def zero_state(self, rows: int) -> list[Any]:
        """The state of so many rows before their first step."""

    def step(
        self, member: int, inputs: NDArray[np.float32], state: list[Any]
    ) -> tuple[NDArray[np.float32], list[Any]]:
        """Inputs (B, D) of one member -> place, scale, degrees of freedom (B, 3); state after."""

    def repeat(self, state: list[Any], index: NDArray[np.int64]) -> list[Any]:
        """The state of these rows, each as often as it is named."""


@dataclass(frozen=True)
class Paths:
    """Sampled paths (N, P, H) of N forecasts, the naive ones (N, H), and what came (N, H).

    actual: NaN where it is not known.
    """

    values: Floats
    naive: Floats
    actual: Floats

    def calibrated(self, encoder: SeriesEncoder) -> Floats:
        """The paths, wider or narrower around their median, and nearer to the naive one."""
        middle = np.median(self.values, axis=1, keepdims=True)
        weight, found = encoder.naive_weight, self.values
        # The paths are moved to the mean of both forecasts, and stay as far apart: a single value
        # that is mixed in says nothing of how sure it is.
        if weight or encoder.widening != 1.0:
            place = (1 - weight) * middle + weight * self.naive[:, None]
            found = place + encoder.widening * (found - middle)
        return found if encoder.lowest is None else np.maximum(found, encoder.lowest)


def sample_paths(
    stepper: SeriesStepper,
    encoder: SeriesEncoder,
    tape: Tape,
    firsts: NDArray[np.int64],
    horizon: int,
    count: int,
    seed: int = 0,
) -> Paths:
    """Places on a tape of the first value to forecast -> `count` paths for each of them.

    The tape has room for `horizon` values from there on. What it holds there is not read, but
    returned as `actual`.
    """
    each = max(1, ROWS // count)
    parts = []
    for begin in range(0, len(firsts), each):
        some = firsts[begin : begin + each]
        generator = np.random.default_rng([seed, begin])
        parts.append(_sample(stepper, encoder, tape, some, horizon, count, generator))
    offsets = firsts[:, None] + np.arange(horizon)
    naive = seasonal_naive(encoder, tape, firsts, horizon, encoder.naive_season)
    return Paths(np.concatenate(parts), naive, tape.values[offsets])


def _sample(
    stepper: SeriesStepper,
    encoder: SeriesEncoder,
    tape: Tape,
    firsts: NDArray[np.int64],
    horizon: int,
    count: int,
    generator: np.random.Generator,
) -> Floats:
    scale, context, _ = tape.windows(encoder, firsts, 0)
    lags = np.array(encoder.lags)
    found = np.empty((len(firsts), count, horizon))
    index = firsts[:, None] + np.arange(horizon)
    for member in range(stepper.members):
        places = np.arange(member, count, stepper.members)
        if not len(places):
            continue
        state = stepper.zero_state(len(firsts))
        for t in range(context.shape[1]):
            _, state = stepper.step(member, context[:, t], state)
        rows = np.repeat(np.arange(len(firsts)), len(places))
        state, own = stepper.repeat(state, rows), scale.rows(rows)
        # All earlier values that a lag can reach, then what is drawn.
        before = tape.values[firsts[:, None] + np.arange(-lags[-1], 0)]
        values = np.concatenate([before[rows], np.full((len(rows), horizon), np.nan)], 1)
        for t in range(horizon):
            lagged = values[:, None, lags[-1] + t - lags]
            at = index[rows, t][:, None]
            made = inputs(encoder, own, lagged, tape.index[at], tape.covariates[at])
            parameters, state = stepper.step(member, made[:, 0], state)
            drawn = own.values(_bounded(stepper, encoder, parameters, own, generator))
            values[:, lags[-1] + t] = drawn
        drawn = values[:, lags[-1] :].reshape(len(firsts), len(places), horizon)
        found[:, places] = drawn
    return found


def _bounded(
    stepper: SeriesStepper,
    encoder: SeriesEncoder,
    parameters: NDArray[np.float32],
    scale: Scale,
    generator: np.random.Generator,
) -> Floats:
    """Drawn scaled values (B,), within the bound that all values of the series keep."""
    drawn = np.nan_to_num(draw(stepper.distribution, parameters, scale, generator), nan=0.0)
    # A path that ran away would take the others' figures with it.
    drawn = np.clip(drawn, -1e4, 1e4)
    if encoder.lowest is not None:
        drawn = np.maximum(drawn, ((encoder.lowest - scale.center) / scale.size)[:, 0])
    return drawn


def seasonal_naive(
    encoder: SeriesEncoder, tape: Tape, firsts: NDArray[np.int64], horizon: int, season: int = 0
) -> Floats:
    """The value of a season before, again and again, (N, H); the last known one for a gap."""
    season = season or encoder.season
    back = season - np.arange(horizon) % season
    found = tape.values[firsts[:, None] - back]
    # The nearest known value at or before each gap.
    last = tape.values[firsts[:, None] - np.arange(1, encoder.history + 1)]
    known = np.isfinite(last)
    nearest = last[np.arange(len(last)), known.argmax(1)]
    nearest = np.where(known.any(1), nearest, 0.0)
    filled: Floats = np.where(np.isfinite(found), found, nearest[:, None])
    return filled


@dataclass(frozen=True)
class Forecast:
    """A forecast of one series: dates as text (H,), mean (H,), quantiles by level, paths (P, H).

    history: the dates and values before it, for a picture.
    """

    series: str
    dates: tuple[str, ...]
    mean: Floats
    quantiles: dict[float, Floats]
    paths: Floats
    history: tuple[tuple[str, ...], Floats]

    @property
    def median(self) -> Floats:
        """The value that is exceeded as often as not."""
        middle: Floats = np.median(self.paths, axis=0)
        return middle

    def to_json(self) -> dict[str, Any]:
        """One object for each series."""
        levels = {f"{level:g}": values.tolist() for level, values in self.quantiles.items()}
        return {
            "series": self.series, "dates": list(self.dates), "mean": self.mean.tolist(),
            "quantiles": levels,
        }  # fmt: skip


def make_forecast(
    name: str,
    dates: Sequence[str],
    paths: Floats,
    levels: Sequence[float],
    history: tuple[tuple[str, ...], Floats],
) -> Forecast:
    """Paths (P, H) -> the forecast with its quantiles."""
    found = np.quantile(paths, levels, axis=0)
    quantiles = dict(zip(levels, found, strict=True))
    return Forecast(name, tuple(dates), paths.mean(0), quantiles, paths, history)
