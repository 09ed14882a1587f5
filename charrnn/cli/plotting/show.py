"""The options of a chart, and where it goes: the terminal or a file."""

import os
import shutil
from pathlib import Path
from typing import Annotated

from charrnn.checkpoints.atomic import check_target
from charrnn.cli.options import option
from charrnn.cli.output import Output
from charrnn.cli.plotting.chart import Chart
from charrnn.errors import UsageError

FORMATS = ("png", "svg")

Picture = Annotated[
    Path | None,
    option(
        "--output",
        "-o",
        help="Write the chart to a .png or .svg file instead of the terminal.",
        show_default="none",
    ),
]

Width = Annotated[
    int | None,
    option(
        min=24,
        max=1000,
        help="Width of the chart as text, in columns.",
        show_default="the terminal's, else 80",
    ),
]

Height = Annotated[int, option(min=8, max=1000, help="Height of the chart as text, in lines.")]


def check_picture(path: Path | None, force: bool) -> None:
    """UsageError if a picture cannot be written there, before anything is computed for it."""
    if path is None:
        return
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(
            f"{path} is not the name of a picture", "use one that ends in .png or .svg"
        )
    check_target(path, force)
    from charrnn.cli.plotting.picture import require_matplotlib

    require_matplotlib()


def show(chart: Chart, width: int | None, height: int, picture: Path | None) -> None:
    """Write a chart to stdout as text, or to a file, whose name is then written to stdout."""
    if picture is None:
        color = has_colors()
        # Escaping would show the colours as characters; names are escaped before they are drawn.
        out = Output(escapes=not color)
        from charrnn.cli.plotting.braille import draw

        out.write(draw(chart, width or columns(), height, color))
    else:
        from charrnn.checkpoints.atomic import write_durably
        from charrnn.cli.plotting.picture import picture as drawn

        write_durably(picture, [drawn(chart, picture.suffix.lower().lstrip("."))])
        out = Output()
        out.write(f"{picture}\n")
    out.flush()


def columns() -> int:
    """Columns of a chart: one less than the terminal has, so that no line wraps."""
    # Where there is no terminal, 81 - 1 = 80 columns.
    return max(24, shutil.get_terminal_size((81, 24)).columns - 1)


def has_colors() -> bool:
    """Whether stdout is a terminal that accepts colours (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return os.isatty(1) and not plain
