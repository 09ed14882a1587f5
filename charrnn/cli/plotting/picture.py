"""A chart as PNG or SVG, by matplotlib, the extra charrnn[plot]; it is imported only when used."""

import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from charrnn.cli.plotting.chart import Chart, Curve, end_value, format_value
from charrnn.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

FORMATS = ("png", "svg")

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours that are distinct for all kinds of colour vision (Okabe & Ito 2008)."""

GRAY = "#555555"

STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#999999",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.0,
    "svg.hashsalt": "charrnn",  # equal charts give equal files
    "xtick.color": GRAY,
    "ytick.color": GRAY,
}

SIZE = (7.2, 4.2)
"""Inches."""

LABEL_SIZE = (0.08, 0.042)
"""Size of a label at a curve's end, as fractions of the axes."""

MOST_NUMBERED = 30
"""Labels of a confusion matrix up to which each cell has its number."""


def picture(chart: Chart, kind: str) -> bytes:
    """A chart -> the bytes of a file in one of FORMATS, PNG at 200 dots per inch.

    Equal charts give equal bytes. UsageError if there is nothing to show, or no matplotlib.
    """
    require_matplotlib()
    with _quiet():
        # Figure and not pyplot, which keeps global state and may open a window.
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        with rc_context(STYLE):
            figure = Figure(figsize=SIZE, layout="constrained")
            _fill(figure.add_subplot(), chart)
            return _saved(figure, kind)


def heatmap(
    sources: Sequence[str], targets: Sequence[str], weights: "NDArray[np.float32]", kind: str
) -> bytes:
    """Tokens of a source and of a target, weights (T, S) -> the bytes of a picture of them."""
    require_matplotlib()
    with _quiet():
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        # Up to so many tokens each has its name, and room for it.
        named = max(len(sources), len(targets)) <= 80
        size = (1.5 + 0.22 * min(len(sources), 80), 1.2 + 0.22 * max(1, min(len(targets), 80)))
        with rc_context(STYLE | {"axes.spines.right": True, "axes.spines.top": True}):
            figure = Figure(figsize=size, layout="constrained")
            axes = figure.add_subplot()
            axes.imshow(weights.reshape(-1, len(sources)), cmap="Blues", vmin=0, aspect="auto")
            for tokens, ticks, turn in (
                (sources, axes.set_xticks, 90), (targets, axes.set_yticks, 0),
            ):  # fmt: skip
                names = [token.strip() or "␣" for token in tokens] if named else []
                for label in ticks(range(len(names)), names, rotation=turn, fontsize=8):
                    # A token may contain a dollar.
                    label.label1.set_parse_math(False)
            axes.xaxis.tick_top()
            return _saved(figure, kind)


def confusion_matrix(names: Sequence[str], counts: "NDArray[np.int64]", kind: str) -> bytes:
    """Names of L labels, and how often each was predicted for each (L, L) -> a picture of them.

    A row is a true label, a column a predicted one; a cell is as dark as its part of its row.
    """
    require_matplotlib()
    with _quiet():
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        count = len(names)
        shares = counts / counts.sum(1, keepdims=True).clip(min=1)
        # Room for the numbers of a few labels, and for the names of some.
        side = 0.42 * count if count <= MOST_NUMBERED else 0.16 * min(count, 80)
        with rc_context(STYLE | {"axes.spines.right": True, "axes.spines.top": True}):
            figure = Figure(figsize=(2.4 + side, 1.8 + side), layout="constrained")
            axes = figure.add_subplot()
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            for ticks, turn in ((axes.set_xticks, 90), (axes.set_yticks, 0)):
                shown = list(names) if count <= 80 else []
                for label in ticks(range(len(shown)), shown, rotation=turn, fontsize=8):
                    # A label may contain a dollar.
                    label.label1.set_parse_math(False)
            if count <= MOST_NUMBERED:
                for true, guess in zip(*counts.nonzero(), strict=True):
                    axes.text(
                        guess, true, f"{counts[true, guess]:,}", ha="center", va="center",
                        fontsize=7, color="white" if shares[true, guess] > 0.5 else "black",
                    )  # fmt: skip
            axes.set_xlabel("predicted", color=GRAY)
            axes.set_ylabel("true", color=GRAY)
            return _saved(figure, kind)


def _saved(figure: "Figure", kind: str) -> bytes:
    """A figure -> the bytes of its file."""
    # To memory first: the file is then written atomically, like all others.
    file = io.BytesIO()
    # An SVG would contain the date, and would differ at every call.
    figure.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def require_matplotlib() -> None:
    """UsageError unless matplotlib is installed."""
    # Looked up and not imported, because importing it takes long.
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "a picture needs matplotlib, which is not installed",
            "install it with: pip install 'charrnn[plot]'",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence matplotlib's messages on caches and missing glyphs."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _fill(axes: "Axes", chart: Chart) -> None:
    x, y = chart.scales()
    if chart.log:
        axes.set_yscale("log")
        if y.high < 10 * y.low:  # less than a decade has no powers of ten
            ticks = y.ticks(6)
            axes.set_yticks(ticks, [format_value(value) for value in ticks])
            axes.set_yticks([], minor=True)
    ends = []
    for curve in chart.curves:
        points = chart.visible(curve)
        if points:
            _line(axes, curve, points)
            # A curve whose last point is below the axis has no end to label.
            if points[-1][0] == curve.x[-1]:
                ends.append((curve, points[-1]))
    axes.set_xlim(x.low, x.high)
    # The title contains names of runs, in which a dollar is not the start of a formula.
    axes.set_title(chart.title, loc="left", fontsize=10, fontweight="bold", parse_math=False)
    axes.set_xlabel(chart.x_label, color=GRAY)
    axes.set_ylabel(chart.y_label, color=GRAY)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.04)
    axes.autoscale_view(scalex=False)  # now, because the labels below depend on it
    _label_ends(axes, ends)
    _legend(axes, chart)


def _line(axes: "Axes", curve: Curve, points: list[tuple[float, float]]) -> None:
    color = COLORS[curve.color % len(COLORS)]
    alpha, thickness = (0.55, 0.9) if curve.faint else (1.0, 1.6)
    # A line through one point would not be visible.
    marker = "o" if len(points) == 1 else None
    axes.plot(
        *zip(*points, strict=True), color=color, alpha=alpha, linewidth=thickness,
        marker=marker, markersize=4, solid_capstyle="round",
    )  # fmt: skip


def _label_ends(axes: "Axes", ends: list[tuple[Curve, tuple[float, float]]]) -> None:
    """The last value of each curve at its end, moved up if it would collide with another."""
    fraction = axes.transData - axes.transAxes
    taken: list[tuple[float, float]] = []
    # From the lowest up, so that a label that is moved up can collide only with later ones.
    for curve, point in sorted(ends, key=lambda end: end[1][1]):
        x, y = (float(part) for part in fraction.transform(point))
        others = [there[1] for there in taken if abs(there[0] - x) < LABEL_SIZE[0]]
        y = max([y, *(height + LABEL_SIZE[1] for height in others)])
        taken.append((x, y))
        axes.annotate(
            end_value(point[1]),
            xy=(x, y),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=COLORS[curve.color % len(COLORS)],
            alpha=0.75 if curve.faint else 1.0,
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=1.5,  # above the grid, below the curves
        )


def _legend(axes: "Axes", chart: Chart) -> None:
    """One entry per curve, if there are several."""
    if len(chart.curves) == 1:
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=COLORS[curve.color % len(COLORS)],
            alpha=0.55 if curve.faint else 1.0, linewidth=0.9 if curve.faint else 1.6,
        )
        for curve in chart.curves
    ]  # fmt: skip
    # matplotlib leaves out names that begin with an underscore; this space has no width.
    names = [f"\u200b{curve.name}" for curve in chart.curves]
    for text in axes.legend(handles, names, frameon=False, fontsize=8, loc="best").get_texts():
        text.set_parse_math(False)  # a name may contain a dollar
