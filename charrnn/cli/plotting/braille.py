"""A chart as text: braille characters of 2 x 4 dots, axes with ticks, a label at each curve's end.

The caller says how wide and high it is.
"""

from collections.abc import Sequence

from charrnn.cli.plotting.chart import Chart, Curve, Scale, format_value

DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of a braille character, by column and by height from below (Unicode 17, chapter 21.1)."""

BLANK = 0x2800
"""The braille character without dots; the others follow it, in the order of their bits."""

COLORS = (36, 33, 35, 32, 34, 31)
"""ANSI numbers of the terminal's own colours, which fit its background."""

MIN_COLUMNS, MIN_ROWS = 24, 3
"""A smaller chart cannot be read."""

FAINT_EVERY = 3
"""A faint curve shows every third dot."""

LABEL_SHARE = 0.4
"""Largest fraction of the width for labels next to the curves; longer ones go below."""


class Canvas:
    """Braille characters, `columns` x `rows`, drawn dot by dot; (0, 0) is at the bottom left."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = 2 * columns, 4 * rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._colors = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int, color: int) -> None:
        """Set a dot; a character has the colour of its last dot."""
        row, column = len(self._bits) - 1 - y // 4, x // 2
        self._bits[row][column] |= DOTS[x % 2][y % 4]
        self._colors[row][column] = color

    def line(self, points: Sequence[tuple[int, int]], color: int, every: int = 1) -> None:
        """Connect points by straight lines, showing every `every`-th dot."""
        drawn = 0
        # A single point is a line from itself to itself.
        for begin, end in zip(points, points[1:] or points, strict=False):
            # One dot per row or column, whichever are more, so that the line has no gap.
            length = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]))
            # A segment leaves its last dot to the next one: drawn twice, it would disturb `every`.
            for i in range(length + (end == points[-1])):
                fraction = i / max(1, length)
                # Counted over all segments: many are shorter than `every` dots.
                if drawn % every == 0:
                    x = round(begin[0] + fraction * (end[0] - begin[0]))
                    self.dot(x, round(begin[1] + fraction * (end[1] - begin[1])), color)
                drawn += 1

    def row(self, index: int, colored: bool) -> str:
        """One row of characters, counted from the top."""
        pairs = zip(self._bits[index], self._colors[index], strict=True)
        return "".join(
            painted(chr(BLANK + bits), color, colored) if bits else " " for bits, color in pairs
        )


def painted(text: str, color: int, colored: bool) -> str:
    """Text in one of COLORS, or as it is."""
    return f"\x1b[{COLORS[color % len(COLORS)]}m{text}\x1b[0m" if colored else text


def draw(chart: Chart, width: int = 80, height: int = 20, colored: bool = False) -> str:
    """A chart -> `width` columns and about `height` lines of text, each with its newline.

    UsageError if there is nothing to show. Names of curves are not escaped.
    """
    width, rows = max(MIN_COLUMNS, width), max(MIN_ROWS, height - 4)
    x_scale, y_scale = chart.scales()
    ticks = {
        round((rows - 1) * (1 - y_scale.place(v))): format_value(v) for v in _y_ticks(y_scale, rows)
    }
    left = max(map(len, ticks.values()))
    label_width = 1 + max(len(curve.end) for curve in chart.curves)
    below = label_width > width * LABEL_SHARE or len(chart.curves) > rows
    # 2 for the axis and the space before it; labels below leave a letter and a space at the end.
    canvas = Canvas(max(1, width - left - 2 - (2 if below else label_width)), rows)
    ends = _ends(chart, canvas, x_scale, y_scale)
    labels = _spread(ends, rows)
    lines = [chart.title, chart.y_label]
    for row in range(rows):
        line = (
            f"{ticks.get(row, ''):>{left}} {'┤' if row in ticks else '│'}{canvas.row(row, colored)}"
        )
        if row in labels:
            curve = labels[row]
            text = _mark(chart, curve) if below else curve.end
            line += " " + painted(text, curve.color, colored)
        lines.append(line.rstrip())
    lines += [f"{' ' * left} {line}" for line in _x_axis(x_scale, canvas.width // 2, chart.x_label)]
    if below:
        lines += [
            painted(f"{_mark(chart, curve)} {curve.end}", curve.color, colored)
            for curve in chart.curves
        ]
    return "".join(line + "\n" for line in lines)


def _y_ticks(scale: Scale, rows: int) -> list[float]:
    return scale.ticks(max(2, rows // 3))


def _mark(chart: Chart, curve: Curve) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[chart.curves.index(curve) % 26]


def _ends(chart: Chart, canvas: Canvas, x: Scale, y: Scale) -> list[tuple[int, Curve]]:
    """Draw the curves, faint ones first -> the row in which each ends."""
    ends = []
    # A character has one colour, that of its last dot, so solid curves are drawn last.
    for curve in sorted(chart.curves, key=lambda each: not each.faint):
        points = [
            (round(x.place(a) * (canvas.width - 1)), round(y.place(b) * (canvas.height - 1)))
            for a, b in chart.visible(curve)
        ]
        if points:
            canvas.line(points, curve.color, FAINT_EVERY if curve.faint else 1)
            ends.append((canvas.height // 4 - 1 - points[-1][1] // 4, curve))
    return ends


def _spread(ends: list[tuple[int, Curve]], rows: int) -> dict[int, Curve]:
    """Rows in which curves end -> rows of their labels, one each; surplus labels are left out.

    Labels that would collide are pushed down, and up again from the bottom.
    """
    # Of curves that end in the same row the higher one has the higher label.
    ordered = sorted(ends, key=lambda end: (end[0], -end[1].y[-1]))[:rows]
    places: list[int] = []
    for row, _ in ordered:
        places.append(max(row, places[-1] + 1 if places else 0))
    limit = rows - 1
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - 1
    return {place: curve for place, (_, curve) in zip(places, ordered, strict=True)}


def _x_axis(scale: Scale, columns: int, label: str) -> list[str]:
    """The line of the axis, its numbers, its name."""
    axis, numbers = ["─"] * columns, [" "] * columns
    free = 0
    for value in scale.ticks(max(1, columns // 12)):
        text = format_value(value)
        place = round(scale.place(value) * (columns - 1))
        # Centred under its tick, but not beyond the ends of the axis.
        begin = min(max(0, place - len(text) // 2), columns - len(text))
        # A number that would touch the one before is left out, and its tick with it.
        if begin >= free:
            axis[place] = "┬"
            numbers[begin : begin + len(text)] = text
            free = begin + len(text) + 1
    return ["└" + "".join(axis), " " + "".join(numbers).rstrip(), " " + label.rjust(columns)]
