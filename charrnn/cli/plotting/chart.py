"""Curves, a chart of them, its axes and ticks.

`braille` draws a chart as text for a terminal, `picture` as PNG or SVG.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.errors import UsageError


@dataclass(frozen=True)
class Curve:
    """y over x. Curves of one `color` number look alike; a `faint` one is drawn lighter."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    color: int = 0
    faint: bool = False

    @property
    def end(self) -> str:
        """The curve's name with its last value."""
        return f"{self.name} {end_value(self.y[-1])}".strip()


@dataclass(frozen=True)
class Chart:
    """Curves on common axes; the x axis begins at `start` if given, else at the first point.

    A logarithmic y axis (`log`) shows nothing at or below `floor`.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log: bool = False
    floor: float = 0.0
    start: float | None = None

    def scales(self) -> tuple["Scale", "Scale"]:
        """The x and y axis. UsageError if there is nothing to show."""
        points = [(x, y) for curve in self.curves for x, y in self.visible(curve)]
        if not points:
            raise UsageError("there is nothing that a chart can show", "choose another quantity")
        xs = [x for x, _ in points]
        return fit(xs if self.start is None else [self.start, *xs]), fit(
            [y for _, y in points], self.log
        )

    def visible(self, curve: Curve) -> list[tuple[float, float]]:
        """The points of a curve that the axes can show."""
        points = zip(curve.x, curve.y, strict=True)
        return [(x, y) for x, y in points if not self.log or y > self.floor]


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, `low` < `high`; both above 0 if it is logarithmic."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Value -> its position, 0 at the low end and 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int) -> list[float]:
        """Round values on the axis, about `count` of them and at least one."""
        # Less than a decade contains at most one power of ten: too few ticks to read values from.
        decades = math.log10(self.high / self.low) if self.log else 0.0
        return _powers(self, count) if decades >= 1.0 else _round_values(self, count)


def fit(values: Sequence[float], log: bool = False) -> Scale:
    """Values -> the axis that just contains them; a single value is in its middle."""
    low, high = min(values), max(values)
    # An axis of no length could not place its one value: that would divide by zero.
    if low == high:
        return (
            Scale(low / 2, low * 2, True) if log else Scale(low - _margin(low), high + _margin(low))
        )
    return Scale(low, high, log)


def _margin(value: float) -> float:
    return abs(value) / 2 or 1.0  # an axis around 0 needs a length too


def _powers(scale: Scale, count: int) -> list[float]:
    first, last = math.ceil(math.log10(scale.low)), math.floor(math.log10(scale.high))
    stride = max(1, math.ceil((last - first + 1) / max(1, count)))
    # Counted from the top, so that the highest power is labelled whatever the stride.
    return [10.0**power for power in range(last, first - 1, -stride)][::-1]


def _round_values(scale: Scale, count: int) -> list[float]:
    rough = (scale.high - scale.low) / max(1, count)
    unit = 10.0 ** math.floor(math.log10(rough))
    # Steps of 1, 2 or 5 times a power of ten; 0.7 accepts one that is a little too small, which
    # gives a few more ticks than `count` and not far fewer.
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor > 0.7 * rough)
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    # Multiples of whole numbers: adding the step up would accumulate rounding errors in the labels.
    # Between two neighbouring floats there may be no round number.
    return [index * step for index in range(first, last + 1)] or [scale.low]


def format_value(value: float) -> str:
    """Value -> a label of four significant digits.

    >>> [format_value(x) for x in (0, 1.3868, 41_700, 2e-6)]
    ['0', '1.387', '41.7k', '2e-06']
    """
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e9):
        return f"{value:.3g}"
    if size >= 1e4:
        # From here on four digits would be rounded to 1000k.
        unit, name = (1e6, "M") if size >= 999_950 else (1e3, "k")
        return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def end_value(value: float) -> str:
    """Value -> exactly four significant digits: 1.520."""
    # With its final zeros, so that the ends of several curves can be compared digit by digit.
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 999.95 else format_value(value)
