"""A chart where a person wants it: in the terminal, or in a file; what it shows is all the same."""

import os
import shutil
from pathlib import Path
from typing import Annotated

from charrnn.cli.options import option
from charrnn.cli.output import Output
from charrnn.drawing import Chart
from charrnn.errors import UsageError

FORMATS = ("png", "svg")

Picture = Annotated[
    Path | None,
    option("--output", "-o", help="Draw into this .png or .svg file instead.", show_default="none"),
]

Force = Annotated[bool, option("--force", help="Overwrite the file.")]

Width = Annotated[
    int | None,
    option(min=24, max=1000, help="Columns of text.", show_default="the terminal's, else 80"),
]

Height = Annotated[int, option(min=8, max=1000, help="Lines of text.")]


def check_picture(path: Path | None, force: bool) -> None:
    """UsageError when a picture cannot be put there, before anything is computed for it."""
    if path is None:
        return
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(f"{path} is no name of a picture", "let it end in .png or .svg")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "give another --output, or --force to overwrite it")


def show(chart: Chart, width: int | None, height: int, picture: Path | None) -> None:
    """Put a chart on stdout as text, or into a file, whose name then is what stdout says."""
    if picture is None:
        color = colored()
        out = Output(escapes=not color)
        from charrnn.braille import draw

        out.write(draw(chart, width or columns(), height, color))
    else:
        from charrnn.pictures import picture as drawn
        from charrnn.storage import write_durably

        write_durably(picture, [drawn(chart, picture.suffix.lower().lstrip("."))])
        out = Output()
        out.write(f"{picture}\n")
    out.flush()


def columns() -> int:
    """Columns that a chart may take: one less than the terminal has, so that no line wraps."""
    return max(24, shutil.get_terminal_size((81, 24)).columns - 1)


def colored() -> bool:
    """Whether stdout is a terminal that wants colours (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return os.isatty(1) and not plain
