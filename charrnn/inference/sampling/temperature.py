"""Filters that sharpen or flatten the distribution: temperature, dynamic temperature, mirostat."""

import math

import numpy as np

from charrnn.errors import UsageError
from charrnn.inference.sampling.base import (
    Context,
    Filter,
    Logits,
    Parameter,
    Rows,
    keep_where,
    parameters,
    probabilities,
)


@parameters(
    temperature=Parameter(
        1.0, 0, 1e6, "Below 1 sharpens the distribution, above 1 flattens it, 0 is greedy."
    ),
    dynatemp_range=Parameter(0.0, 0, 1e3, "Vary the temperature by up to this, with the entropy."),
    dynatemp_exponent=Parameter(
        1.0, 0, 100, "How the temperature follows the entropy.", False, needs="dynatemp_range"
    ),
)
def temperature(value: float, spread: float, exponent: float) -> Filter:
    """Divide the logits by `value`: below 1 sharpens, above 1 flattens, 0 keeps the most likely.

    With a `spread`, the divisor is between value - spread and value + spread, higher for a higher
    entropy: by its fraction of the largest possible entropy, to the power `exponent` (dynamic
    temperature, as in llama.cpp).

    >>> context = Context(np.zeros((1, 0), int))
    >>> logits = np.array([[1, 3, 2]], np.float32)
    >>> temperature(0.5, 0, 1)(logits, context).tolist()
    [[-4.0, 0.0, -2.0]]
    >>> temperature(0, 0, 1)(logits, context).tolist()
    [[-inf, 0.0, -inf]]
    """

    def apply(logits: Logits, context: Context) -> Logits:
        divisor = value if spread == 0 else _dynamic(logits, value, spread, exponent)
        # Relative to the maximum and in float64, so that no temperature overflows to NaN.
        distance = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        # Greedy sampling avoids the division by zero; of equal logits it takes the first.
        if spread == 0 and value == 0:
            first = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
            return np.where(first, np.float32(0), np.float32(-np.inf))
        # Near 0 a temperature sends all but the maximum to -inf, which is the right limit.
        with np.errstate(over="ignore"):
            scaled: Logits = (distance / divisor).astype(np.float32)
        return scaled

    return apply


def _dynamic(logits: Logits, value: float, spread: float, exponent: float) -> Rows:
    """The divisor (B, 1) of each row."""
    p = probabilities(logits)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1, keepdims=True)
    # This is the entropy if all tokens that are left were equally likely; log 1 would divide by 0.
    most = np.log(np.maximum(2, (p > 0).sum(axis=1, keepdims=True)))
    # A spread larger than the value would make the divisor zero or negative.
    low, high = max(1e-6, value - spread), value + spread
    divisor: Rows = low + (high - low) * np.clip(entropy / most, 0, 1) ** exponent
    return divisor


@parameters(
    mirostat=Parameter(0, 0, 2, "2 keeps the surprise of the text near a target."),
    mirostat_tau=Parameter(
        5.0, 0, 100, "Target surprise of mirostat, in bits per token.", False, per_character=1.0
    ),
    mirostat_eta=Parameter(0.1, 0, 1, "Learning rate of mirostat.", False),
)
def mirostat(version: float, tau: float, eta: float) -> Filter:
    """Keep the surprise of the text near `tau` bits per token, correcting by `eta` at each step.

    Tokens of more surprise than a bound are ruled out; the bound starts at 2 tau and moves by the
    error of each drawn token. Source: Basu et al. 2021 (mirostat), algorithm 2 as in llama.cpp.
    It keeps each row's bound, so a filter can be used for one generation only. `version` is 2, or
    0 for none; version 1, which estimates the exponent of a Zipf distribution, is refused.
    """
    if version == 1:
        raise UsageError("version 1 of mirostat is not implemented", "give --mirostat 2")
    return _Mirostat(tau, eta)


class _Mirostat:
    """The filter `mirostat`, with the bound of each row."""

    name = "mirostat"

    def __init__(self, tau: float, eta: float) -> None:
        self._tau, self._eta = tau, eta
        # The keys are row numbers, because places change when other samples end.
        self._bounds: dict[int | None, float] = {}
        self._before: dict[int, Rows] = {}

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        p = probabilities(logits)
        surprise = -np.log2(np.maximum(p, 1e-300))
        limits = np.empty((len(p), 1))
        for place, row in enumerate(context.rows):
            # A filter runs before the draw, so it sees the drawn token only now, in the history.
            limits[place] = self._bounds[row] = self.state(row, int(context.history[place, -1]))
        left = keep_where(surprise <= limits, logits)
        # These are normalized over what is left, from which the token is drawn.
        self._before.update(zip(context.rows, probabilities(left), strict=True))
        return left

    def state(self, row: int, token: int) -> float:
        """The bound after a token."""
        bound = self._bounds.get(row, self._bounds.get(None, 2 * self._tau))
        if row in self._before:
            drawn = self._before[row][token]
            bound -= self._eta * (-math.log2(max(drawn, 1e-300)) - self._tau)
        return float(bound)

    def restore(self, row: int | None, saved: float) -> None:
        """Go on with the bound of a text."""
        # A state file may hold anything that is well-formed.
        if isinstance(saved, int | float):
            self._bounds[row] = float(saved)
