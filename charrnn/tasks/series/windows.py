"""Windows of series as arrays of a network: the same code for training and for forecasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.tasks.series.encoder import SeriesEncoder

Floats = NDArray[np.float64]

LARGEST = 1e4
"""Scaled values are cut off here: one number that is out of all proportion must not be infinite."""

SMALLEST = 1e-3
"""A scale is at least so much of the mean: of a constant series there is no other one."""


@dataclass(frozen=True)
class Scale:
    """Mean and mean absolute seasonal difference of each context, (B, 1) each."""

    center: Floats
    size: Floats

    def scaled(self, values: Floats) -> Floats:
        """Values (B, ...) -> scaled ones, NaN where they are NaN."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        found = (values - self.center.reshape(shape)) / self.size.reshape(shape)
        return np.clip(found, -LARGEST, LARGEST)

    def values(self, scaled: Floats) -> Floats:
        """The inverse of `scaled`."""
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        return scaled * self.size.reshape(shape) + self.center.reshape(shape)

    @property
    def level(self) -> Floats:
        """How large the mean is in units of the scale, compressed: an input, (B, 1)."""
        return 0.3 * np.arcsinh(self.center / self.size)

    def rows(self, index: NDArray[np.int64]) -> "Scale":
        """The scales of some rows."""
        return Scale(self.center[index], self.size[index])


def scale_of(context: Floats, before: Floats) -> Scale:
    """Values (B, C) of a context, and those a season before each, NaN if missing -> the scale."""
    center = _mean(context)
    center = np.where(np.isnan(center), _mean(before), center)
    center = np.where(np.isnan(center), 0.0, center)
    size = _mean(np.abs(context - before))
    # Where nothing differs from a season before, or nothing is known of it.
    for other in (np.abs(np.diff(context, axis=1)), np.abs(context - center)):
        size = np.where(size > 0, size, _mean(other))
    least = np.maximum(SMALLEST * np.abs(center), 1e-30)
    return Scale(center, np.where(size > least, size, least))


def _mean(values: Floats) -> Floats:
    """The mean of each row without NaN, (B, 1); NaN where nothing else is there."""
    known = np.isfinite(values)
    count = known.sum(1, keepdims=True)
    total = np.where(known, values, 0.0).sum(1, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def inputs(
    encoder: SeriesEncoder,
    scale: Scale,
    lagged: Floats,
    index: NDArray[np.int64],
    covariates: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Values at the lags (B, T, L), indices (B, T), covariates (B, T, C) -> inputs (B, T, D).

    In this order: the scaled lags, whether each is known, calendar, level, covariates.
    """
    known = np.isfinite(lagged)
    scaled = np.where(known, scale.scaled(lagged), 0.0)
    level = np.broadcast_to(scale.level[:, None], (*index.shape, 1))
    calendar = encoder.frequency.calendar(index, encoder.cycles)
    parts = [scaled, known, calendar, level, standardized(encoder, covariates)]
    return np.concatenate(parts, -1, dtype=np.float32, casting="unsafe")


def standardized(encoder: SeriesEncoder, covariates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Covariates (..., C) -> of mean 0 and deviation 1; a missing one becomes the mean."""
    if not encoder.covariates:
        return covariates
    found = (covariates - np.array(encoder.centers)) / np.array(encoder.spreads)
    return np.where(np.isfinite(found), np.clip(found, -LARGEST, LARGEST), 0.0).astype(np.float32)


@dataclass(frozen=True)
class Tape:
    """Several series in one array (P,), each after enough NaN for every lag of its first window.

    index: of each value on the frequency. starts: where the values of each series begin.
    """

    values: Floats
    index: NDArray[np.int64]
    covariates: NDArray[np.float32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def windows(
        self, encoder: SeriesEncoder, firsts: NDArray[np.int64], ahead: int
    ) -> tuple[Scale, NDArray[np.float32], Floats]:
        """Places (B,) of first values to forecast -> scale, inputs (B, C + A, D), values.

        C: the encoder's context, which is read before.
        """
        positions = firsts[:, None] + np.arange(-encoder.context, ahead)
        values = self.values[positions]
        context = positions[:, : encoder.context]
        scale = scale_of(values[:, : encoder.context], self.values[context - encoder.season])
        lagged = self.values[positions[..., None] - np.array(encoder.lags)]
        made = inputs(encoder, scale, lagged, self.index[positions], self.covariates[positions])
        return scale, made, values


def make_tape(
    encoder: SeriesEncoder,
    values: list[Floats],
    begins: list[int],
    covariates: list[NDArray[np.float32]],
    ahead: int = 0,
) -> Tape:
    """Series -> a tape; `ahead` places are kept free after each, for what is to be forecast."""
    pad = encoder.history + max(encoder.season, encoder.horizon) + 1
    parts, indices, others, starts, place = [], [], [], [], 0
    width = len(encoder.covariates)
    for each, begin, known in zip(values, begins, covariates, strict=True):
        size = pad + len(each) + ahead
        whole = np.full(size, np.nan)
        whole[pad : pad + len(each)] = each
        more = np.full((size, width), np.nan, np.float32)
        given = known[: len(each) + ahead]
        if width:
            more[pad : pad + len(given)] = given
        parts.append(whole)
        indices.append(begin - pad + np.arange(size))
        others.append(more)
        starts.append(place + pad)
        place += size
    return Tape(
        np.concatenate(parts),
        np.concatenate(indices),
        np.concatenate(others),
        np.array(starts),
        np.array([len(each) for each in values]),
    )
