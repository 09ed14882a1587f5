"""How good forecasts are: MASE, weighted quantile loss, sMAPE, coverage; baselines; calibration."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charrnn.tasks.series.encoder import SeriesEncoder
from charrnn.tasks.series.forecasting import QUANTILES, Paths
from charrnn.tasks.series.windows import Floats

COVERED = (0.1, 0.9)
"""The quantiles between which 80% of the values should be."""

STEP = 0.05
"""Weights of the naive forecast that are tried are multiples of it."""

USUAL_WEIGHT, USUAL_COUNTS = 0.3, 8.0
"""The naive forecast's weight where nothing is held out, and how many forecasts that is worth.

A weight that is chosen by a few held-out forecasts is worse than a fixed one (the forecast
combination puzzle: Stock & Watson 2004; Smith & Wallis 2009), so it is shrunk towards that.
"""

WIDEST = 4.0
"""Intervals become at most so many times as wide, and as many times narrower."""

CONVINCING = 4.0
"""As many independent forecasts are needed before half of a narrowing is believed."""


@dataclass(frozen=True)
class SeriesScore:
    """Figures of so many forecasts; value: the MASE.

    mase: mean absolute error over the seasonal naive one within the series before (Hyndman &
    Koehler 2006). wql: weighted quantile loss, mean of the nine deciles. smape: in percent.
    coverage: of the 80% interval. baselines: the same figures of simple forecasts.
    """

    mase: float
    wql: float
    smape: float
    coverage: float
    forecasts: int
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    naive_weight: float = 0.0
    widening: float = 1.0

    @property
    def value(self) -> float:
        """The value of the task's metric."""
        return self.mase

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "mase": self.mase, "wql": self.wql, "smape": self.smape, "coverage": self.coverage,
            "forecasts": self.forecasts, "baselines": self.baselines,
        }  # fmt: skip

    def summary(self) -> str:
        """The figures in a few words."""
        return (
            f"{self.mase:.4f} MASE, wQL {self.wql:.4f}, sMAPE {self.smape:.2f}%, "
            f"{self.coverage:.0%} within the 80% interval"
        )


def mase(errors: Floats, scales: Floats) -> float:
    """Absolute errors (N, H), NaN where unknown, and scales (N,) -> the mean of their ratios.

    Series that repeat themselves exactly have no scale and are left out, unless all are so.
    """
    each = _row_means(errors)
    usable = (scales > 0) & np.isfinite(each)
    if usable.any():
        return float(np.mean(each[usable] / scales[usable]))
    known = each[np.isfinite(each)]
    return float(known.mean()) if len(known) else 0.0


def _row_means(values: Floats) -> Floats:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(1, known.sum(1)), np.nan)


def figures(quantiles: Floats, actual: Floats, scales: Floats) -> dict[str, float]:
    """Quantiles of QUANTILES (9, N, H) and what came (N, H) -> the four figures."""
    known = np.isfinite(actual)
    middle = quantiles[QUANTILES.index(0.5)]
    levels = np.array(QUANTILES)[:, None, None]
    rest = np.where(known, actual - quantiles, 0.0)
    losses = 2 * np.maximum(levels * rest, (levels - 1) * rest).sum((1, 2))
    size = np.abs(np.where(known, actual, 0.0)).sum()
    both = np.abs(actual) + np.abs(middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(both > 0, 200 * np.abs(actual - middle) / both, 0.0)
    low, high = (quantiles[QUANTILES.index(level)] for level in COVERED)
    inside = (actual >= low) & (actual <= high)
    count = max(1, int(known.sum()))
    return {
        "mase": mase(np.abs(actual - middle), scales),
        "wql": float(losses.mean() / size) if size else 0.0,
        "smape": float(relative[known].sum() / count),
        "coverage": float(inside[known].sum() / count),
    }


def scored(
    paths: Paths,
    encoder: SeriesEncoder,
    scales: Floats,
    baselines: dict[str, dict[str, float]] | None = None,
) -> SeriesScore:
    """Paths -> their score, with the encoder's calibration."""
    found = np.quantile(paths.calibrated(encoder), QUANTILES, axis=1)
    return SeriesScore(
        **figures(found, paths.actual, scales), forecasts=len(scales), baselines=baselines or {},
        naive_weight=encoder.naive_weight, widening=encoder.widening,
    )  # fmt: skip


def calibration(paths: Paths, scales: Floats, independent: float) -> tuple[float, float]:
    """Paths of held-out forecasts -> weight of the naive one, widening of intervals.

    independent: how many of the forecasts do not overlap: of few not much is believed. The widening
    makes the 80% interval hold 80% of what came (split conformal: Vovk et al. 2005).
    """
    middle = np.median(paths.values, axis=1)
    errors = {
        weight: mase(np.abs(paths.actual - (1 - weight) * middle - weight * paths.naive), scales)
        for weight in np.arange(0, 1 + STEP / 2, STEP).tolist()
    }
    found = min(errors, key=lambda each: errors[each])
    believed = independent / (independent + USUAL_COUNTS)
    weight = round((believed * found + (1 - believed) * USUAL_WEIGHT) / STEP) * STEP
    place = (1 - weight) * middle + weight * paths.naive
    low, high = (np.quantile(paths.values, level, axis=1) for level in COVERED)
    half = np.where(paths.actual > place, high - middle, middle - low)
    known = np.isfinite(paths.actual) & (half > 0)
    if not known.any():
        return weight, 1.0
    ratios = np.abs(paths.actual - place)[known] / half[known]
    ratio = float(np.quantile(ratios, min(1.0, 0.8 * (1 + 1 / max(1.0, independent)))))
    # Intervals of one series are mostly too narrow, so a few forecasts may widen them; to narrow
    # them takes more.
    believed = independent / (independent + (CONVINCING if ratio < 1 else CONVINCING / 4))
    widening = math.exp(believed * math.log(max(ratio, 1e-3)))
    return weight, float(min(WIDEST, max(1 / WIDEST, widening)))
