"""A chart -> SVG inside a page: its colours are those of the page, in light and in dark."""

from charrnn.cli.pages.page import escaped
from charrnn.cli.plotting.chart import Chart, Curve, Scale, end_value, format_value

WIDTH, HEIGHT = 760, 330
"""Size of the drawing; a page scales it."""

LEFT, RIGHT, TOP, BOTTOM = 64, 170, 14, 42
"""Margins: of the labels on the left, the names of the curves on the right."""

LINE_HEIGHT = 15
"""Least distance between the names of two curves."""

MOST_POINTS = 600
"""Points of a curve that are drawn, evenly spread: more could not be distinguished."""


def svg(chart: Chart) -> str:
    """A chart -> a figure with a drawing. UsageError if there is nothing to show."""
    x, y = chart.scales()
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(chart.title)}">',
        f"<title>{escaped(chart.title)}</title>",
        *_axes(chart, x, y),
    ]
    ends = []
    for curve in chart.curves:
        points = chart.visible(curve)
        if points:
            parts.append(_curve(curve, points, x, y))
            ends.append((curve, points[-1]))
    parts += _names(ends, y)
    caption = f"<figcaption class=soft>{escaped(chart.y_label)}</figcaption>"
    return f"<figure>\n{caption}\n{''.join(parts)}</svg>\n</figure>"


def _across(scale: Scale, value: float) -> float:
    return LEFT + scale.place(value) * (WIDTH - LEFT - RIGHT)


def _up(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)


def _axes(chart: Chart, x: Scale, y: Scale) -> list[str]:
    """Ticks with their values, a line across for each of the y axis."""
    right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in y.ticks(6):
        at = _up(y, value)
        parts.append(f'<path class="axis" d="M{LEFT} {at:.1f}H{right}"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{format_value(value)}</text>'
        )
    for value in x.ticks(6):
        at = _across(x, value)
        parts.append(f'<path class="axis" d="M{at:.1f} {low}v5"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{low + 19}" text-anchor="middle">{format_value(value)}</text>'
        )
    parts.append(
        f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end">{escaped(chart.x_label)}</text>'
    )
    return parts


def _curve(curve: Curve, points: list[tuple[float, float]], x: Scale, y: Scale) -> str:
    """A line through the points, or a dot if there is one."""
    kind = "curve faint" if curve.faint else "curve"
    if len(points) == 1:
        at = f'cx="{_across(x, points[0][0]):.1f}" cy="{_up(y, points[0][1]):.1f}"'
        return f'<circle class="dot c{curve.color % 7}" {at} r="4"/>'
    stride = -(-len(points) // MOST_POINTS)
    # The last point is where the curve's name is.
    drawn = [*points[:-1:stride], points[-1]]
    path = "L".join(f"{_across(x, a):.1f} {_up(y, b):.1f}" for a, b in drawn)
    return f'<path class="{kind} c{curve.color % 7}" d="M{path}"/>'


def _names(ends: list[tuple[Curve, tuple[float, float]]], y: Scale) -> list[str]:
    """The name and last value of each curve at its end, moved down where two would meet."""
    parts, taken = [], float(TOP)
    for curve, (_, value) in sorted(ends, key=lambda end: -y.place(end[1][1])):
        at = max(_up(y, value) + 4, taken)
        taken = at + LINE_HEIGHT
        name = f"{curve.name} {end_value(value)}".strip()
        parts.append(
            f'<text class="name c{curve.color % 7}" x="{WIDTH - RIGHT + 8}" y="{at:.1f}">'
            f"{escaped(name)}</text>"
        )
    return parts
