"""SeriesEncoder: what a checkpoint knows of its series besides weights: step, lags, calibration."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CheckpointError
from charrnn.tasks.series.frequency import Frequency, frequency_from_json

MOST_LAG = 1_000_000

CYCLES = ("day", "week", "year")

VALUES_PER_LAG = 2
"""A lag is used if the series are so many times as long."""

MULTIPLES = (1, 2, 3, 7)
"""Seasons back of the values that a network is shown, besides the last one."""

PEAK, NEAR = 0.3, 0.75
"""Least autocorrelation at a season, and the share of the highest that an earlier peak needs."""

FEWEST_COMPARED = 3
"""Places of a series from which two naive forecasts are compared."""

SHOWN_SERIES = 50
"""Series of many from which the season is found."""


@dataclass(frozen=True)
class SeriesEncoder:
    """Series <-> the inputs of a network.

    season: steps, 1 for none. lags: steps back of the values that are inputs, rising. context:
    steps that are read before a forecast, from which the scale is taken too. covariates, centers
    and spreads: names, means and standard deviations. lowest: a bound of all values, None for none.
    naive_weight: of a naive forecast in the model's, and widening: of its intervals; both are found
    on the validation part. naive_season: steps back of that forecast, 0 for the season.
    """

    frequency: Frequency
    season: int
    horizon: int
    lags: tuple[int, ...]
    context: int
    cycles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    centers: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()
    lowest: float | None = None
    naive_weight: float = 0.0
    widening: float = 1.0
    naive_season: int = 0
    name: str = dataclasses.field(default="series", init=False)

    @property
    def inputs(self) -> int:
        """Inputs of the network: lags, whether each is known, calendar, level, covariates."""
        return 2 * len(self.lags) + 4 * len(self.cycles) + 1 + len(self.covariates)

    @property
    def history(self) -> int:
        """Values before a forecast that have an effect on it."""
        return self.context + self.lags[-1]

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        names = [item.name for item in dataclasses.fields(self) if item.name != "name"]
        found = {n: getattr(self, n) for n in names} | {"frequency": self.frequency.to_json()}
        return {n: v for n, v in found.items() if n != "naive_season" or v}


def encoder_from_json(data: Mapping[str, Any]) -> SeriesEncoder:
    """The inverse of `SeriesEncoder.to_json`. CheckpointError if it is damaged."""
    names = {item.name for item in dataclasses.fields(SeriesEncoder) if item.name != "name"}
    if isinstance(data, Mapping) and set(data) == names - {"naive_season"}:
        data = {**data, "naive_season": 0}
    if not isinstance(data, Mapping) or set(data) != names or not _is_valid(data):
        raise CheckpointError("its description of the series is damaged", "use another checkpoint")
    values: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list | tuple) else v for n, v in data.items()
    }
    values["frequency"] = frequency_from_json(data["frequency"])
    return SeriesEncoder(**values)


def _is_valid(data: Mapping[str, Any]) -> bool:
    def whole(value: Any, low: int, high: int) -> bool:
        return type(value) is int and low <= value <= high

    def real(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value)

    def listed(name: str, valid: Any) -> bool:
        return isinstance(data[name], list | tuple) and all(map(valid, data[name]))

    lags = data["lags"]
    return (
        whole(data["season"], 1, 100_000)
        and whole(data["naive_season"], 0, 100_000)
        and whole(data["horizon"], 1, 10_000)
        and whole(data["context"], 1, MOST_LAG)
        and listed("lags", lambda lag: whole(lag, 1, MOST_LAG))
        and 1 <= len(lags) <= 64
        and all(a < b for a, b in itertools.pairwise(lags))
        and listed("cycles", lambda cycle: cycle in CYCLES)
        and all(listed(name, lambda v: isinstance(v, str)) for name in ("targets", "covariates"))
        and all(listed(name, real) for name in ("centers", "spreads"))
        and len(data["covariates"]) == len(data["centers"]) == len(data["spreads"])
        and all(spread > 0 for spread in data["spreads"])
        and (data["lowest"] is None or real(data["lowest"]))
        and real(data["naive_weight"])
        and 0 <= data["naive_weight"] <= 1
        and real(data["widening"])
        and 0 < data["widening"] <= 100
    )


def find_season(series: list[NDArray[np.float64]]) -> int:
    """Series without dates -> the season that their autocorrelation shows, 1 for none.

    >>> find_season([np.sin(np.arange(200) * 2 * np.pi / 12)])
    12
    """
    chosen = series[:: max(1, len(series) // SHOWN_SERIES)]
    length = int(np.median([len(each) for each in chosen]))
    most = min(length // 3, 2000)
    if most < 4:
        return 1
    total = np.zeros(most + 1)
    for values in chosen:
        total += _autocorrelation(values, most)
    total /= len(chosen)
    inner = total[1:-1]
    peaks = np.flatnonzero((inner > total[:-2]) & (inner >= total[2:])) + 1
    peaks = peaks[(total[peaks] > PEAK) & (peaks >= 2)]
    if not len(peaks):
        return 1
    return int(peaks[total[peaks] >= NEAR * total[peaks].max()][0])


def _autocorrelation(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Of the values without their trend, at the lags 0 to `most`; zeros if there is none."""
    known = np.isfinite(values)
    t = np.arange(len(values), dtype=float)
    if known.sum() < 8:
        return np.zeros(most + 1)
    # Of any size, down to the smallest: only the shape matters.
    values = values / max(1e-300, float(np.abs(values[known]).max()))
    slope, level = np.polyfit(t[known], values[known], 1)
    rest = np.where(known, values - slope * t - level, 0.0)
    size = 1 << (2 * len(rest) - 1).bit_length()
    power = np.abs(np.fft.rfft(rest, size)) ** 2
    found = np.fft.irfft(power)[: most + 1]
    counts = len(rest) - np.arange(len(found))
    # Of a constant series nothing is left but rounding.
    if not found[0] > 1e-18 * max(1e-300, float(np.square(values[known]).sum())):
        return np.zeros(most + 1)
    scaled = np.zeros(most + 1)
    scaled[: len(found)] = found / counts / (found[0] / len(rest))
    return scaled


def choose_lags(season: int, length: int, horizon: int) -> tuple[int, ...]:
    """Season, length of the series -> the lags that they are long enough for; at least lag 1."""
    multiples = [season * k for k in MULTIPLES] if season > 1 else [2, 3, 4, 7]
    most = max(1, length // VALUES_PER_LAG)
    return tuple(sorted({1, *(lag for lag in multiples if lag <= most)}))


def default_horizon(frequency: Frequency, season: int, length: int) -> int:
    """Step, season, length of the series -> steps ahead that such series are mostly forecast."""
    usual = {"month": 12, "quarter": 8, "year": 6, "week": 13, "day": 14, "business day": 10}
    wanted = usual.get(frequency.name, season if season > 1 else 10)
    return max(1, min(wanted, length // 5))


def better_naive(encoder: SeriesEncoder, series: list[NDArray[np.float64]]) -> int:
    """Training parts -> 1 if the last value forecasts them better than the season before, else 0.

    Both are compared at all places of the series, a quarter of the horizon apart.
    """
    season, horizon = encoder.season, encoder.horizon
    errors: list[tuple[float, float]] = []
    for values in series[:: max(1, len(series) // SHOWN_SERIES)]:
        scale = np.nanmean(np.abs(values)) or 1.0
        for place in range(season, len(values) - horizon + 1, max(1, horizon // 4)):
            ahead = values[place : place + horizon]
            known = values[np.arange(place - season, place)][np.arange(horizon) % season]
            both = [np.abs(ahead - known), np.abs(ahead - values[place - 1])]
            if np.isfinite(both).any(1).all():
                errors.append((np.nanmean(both[0]) / scale, np.nanmean(both[1]) / scale))
    if season < 2 or len(errors) < FEWEST_COMPARED:
        return 0
    seasonal, last = np.mean(errors, axis=0)
    return int(last < seasonal)
