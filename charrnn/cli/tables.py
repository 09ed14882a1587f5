"""Tables on stdout: as wide as they are in a pipe, fitted to the terminal where there is one.

A table that is too wide first breaks its texts, at blanks and slashes; what still does not fit is
printed below, in further blocks that begin with the first column again. A number, a name or any
other word is never cut in two, and no column is dropped.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterable, Sequence

from charrnn.cli import terminal
from charrnn.cli.output import Output

GAP = 2
"""Blanks between two columns."""

PIECE = re.compile(r"[^ /]*[ /]+|[^ /]+")
"""What is kept in one piece when a text is broken into lines."""

Lines = list[str]


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table on stdout; columns named ">..." are aligned to the right."""
    names = list(columns)
    cells = [[terminal.visible(cell, keep="") for cell in row] for row in rows]
    is_terminal = os.isatty(1)
    width = shutil.get_terminal_size().columns if is_terminal else None
    lines = layout([terminal.visible(name, keep="") for name in names], cells, width)
    # The cells are escaped, and the style of the header would be, too.
    out = Output(escapes=False)
    for line, is_header in lines:
        styled = is_header and is_terminal and terminal.has_style()
        out.write(f"\x1b[1m{line}\x1b[0m\n" if styled else f"{line}\n")
    out.flush()


def layout(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> list[tuple[str, bool]]:
    """Columns and rows -> lines, and whether each is of a header. width: None for any.

    >>> [line for line, _ in layout(["run", ">best"], [["fables", "1.54"]])]
    ['run     best', 'fables  1.54']
    """
    if not columns:
        return []
    names = [name.lstrip(">") for name in columns]
    right = [name.startswith(">") for name in columns]
    table = [names, *rows]
    widths = [max(terminal.width_of(row[i]) for row in table) for i in range(len(names))]
    if width is not None:
        least = [
            widths[i] if right[i] else max(_least(row[i]) for row in table)
            for i in range(len(names))
        ]
        widths = _shrunk(widths, least, width)
    lines: list[tuple[str, bool]] = []
    for block in _blocks(widths, width):
        # A line between two blocks, so that the second header is seen as one.
        lines += [("", False)] if lines else []
        for number, row in enumerate(table):
            parts = [(_wrapped(row[i], widths[i]), widths[i], right[i]) for i in block]
            lines += [(line, number == 0) for line in _lines(parts)]
    return lines


def _least(cell: str) -> int:
    """The width of a cell's longest piece that is not broken."""
    return max((terminal.width_of(piece.rstrip()) for piece in PIECE.findall(cell)), default=0)


def _shrunk(widths: list[int], least: list[int], width: int) -> list[int]:
    """Narrower widths, the widest column first, until all fit or none can be narrower."""
    widths = list(widths)
    while sum(widths) + GAP * (len(widths) - 1) > width:
        able = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not able:
            break
        widths[max(able, key=lambda i: widths[i])] -= 1
    return widths


def _blocks(widths: list[int], width: int | None) -> list[list[int]]:
    """The columns of each block: the first one, and as many others as fit, at least one."""
    blocks, used = [[0]], widths[0]
    for i in range(1, len(widths)):
        if width is not None and used + GAP + widths[i] > width and len(blocks[-1]) > 1:
            blocks.append([0])
            used = widths[0]
        blocks[-1].append(i)
        used += GAP + widths[i]
    return blocks


def _wrapped(cell: str, width: int) -> Lines:
    """A cell -> its lines, broken only between pieces."""
    lines = [""]
    for piece in PIECE.findall(cell):
        if lines[-1] and terminal.width_of((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _lines(parts: Sequence[tuple[Lines, int, bool]]) -> Iterable[str]:
    """The cells of a row, with their widths and alignments -> its lines."""
    for texts in itertools.zip_longest(*(lines for lines, _, _ in parts), fillvalue=""):
        yield (" " * GAP).join(
            _padded(text, width, right)
            for text, (_, width, right) in zip(texts, parts, strict=True)
        )


def _padded(text: str, width: int, right: bool) -> str:
    blank = " " * (width - terminal.width_of(text))
    return blank + text if right else text + blank
