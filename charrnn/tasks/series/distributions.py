"""The distributions of the next value, without torch: constants of the head, and drawing."""

import math

import numpy as np
from numpy.typing import NDArray

from charrnn.tasks.series.windows import Floats, Scale

MASKED = 30.0
"""What a lag without a value loses before the softmax."""

LEAST_SCALE, LEAST_DF = 1e-3, 2.0
"""Bounds that keep the logarithms finite, and the variance of Student's t."""

SEASON_ODDS = 3.0
"""How much more an untrained network weighs the first season than another lag, in nats."""


def START_BIAS(num_lags: int) -> list[float]:  # noqa: N802 - a constant for each number of lags
    """The output layer's biases: on the first season's lag, no correction, scale 0.7, df 5."""
    lags = [0.0] * num_lags
    lags[min(1, num_lags - 1)] = SEASON_ODDS
    return [*lags, 0.0, math.log(math.expm1(0.7)), math.log(math.expm1(3.0))]


def draw(
    distribution: str,
    parameters: NDArray[np.float32],
    scale: Scale,
    generator: np.random.Generator,
) -> Floats:
    """Place, scale, degrees of freedom (B, 3) -> a drawn value of each row, scaled, (B,)."""
    place, spread, df = (parameters[:, i].astype(np.float64) for i in range(3))
    if distribution == "student-t":
        # Bailey 1994: two uniforms, and a smooth function of the parameters.
        u, v = 1.0 - generator.random((2, len(place)))
        noise = np.cos(2 * np.pi * v) * np.sqrt(df * np.expm1(-2 / df * np.log(u)))
        drawn: Floats = place + spread * noise
        return drawn
    mean = count_mean(place, scale)
    total = 1.0 / spread
    rate = generator.standard_gamma(total) * mean / total
    counts = generator.poisson(np.minimum(rate, 1e15)).astype(np.float64)
    found: Floats = ((counts[:, None] - scale.center) / scale.size)[:, 0]
    return found


def count_mean(place: Floats, scale: Scale) -> Floats:
    """Scaled place (B,) -> the mean of a count: above 0, close to the place where that is."""
    raised = 4 * (place[:, None] + scale.center / scale.size)
    mean: Floats = (scale.size * np.logaddexp(0.0, raised) / 4 + 1e-6)[:, 0]
    return mean
