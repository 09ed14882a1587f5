"""The terminal: the one file that imports rich. Consoles, tables, progress, the error line.

Text that comes from a user, a file or a model is never read as markup, and control characters in
it are shown, not obeyed.
"""

import contextlib
import math
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from charrnn.errors import CharRNNError


def visible(text: str, keep: str = "\n\t") -> str:
    """The text with control characters written out, so that a terminal does not act on them."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or not _controls(c) else _spelled(c) for c in text)


def _controls(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in "\u2028\u2029"


def _spelled(character: str) -> str:
    code = ord(character)
    if code < 32 or code == 127:
        return "^" + chr(code ^ 64)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Console(Console):
    """A console that leaves it to us what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        """Let the BrokenPipeError that rich is handling out, instead of leaving the program."""
        raise


def console(file: Any = None) -> Console:
    """A console on stderr, or on the file given, that adds no markup and breaks no lines."""
    return _Console(
        file=file or sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def say(text: str, style: str = "") -> None:
    """A line for the person, on stderr; silent when nobody can read it any more."""
    with contextlib.suppress(OSError):
        console().print(Text(visible(text), style=style))


def note(text: str) -> None:
    """A remark on stderr that is worth a line but no stop."""
    say(f"charrnn: note: {text}", "yellow")


def error_line(error: CharRNNError) -> None:
    """The one line that an error is."""
    with contextlib.suppress(OSError):
        line = Text("charrnn: error: ", style="bold red")
        console().print(line + Text(visible(str(error), keep="").strip(), style="not bold default"))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table on stdout, as wide as it needs to be; numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(
            name.lstrip(">"), justify="right" if name.startswith(">") else "left", no_wrap=True
        )
    cells = [[Text(visible(cell, keep="")) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*row)
    out = console(sys.stdout)
    out.width = 10_000
    out.print(table, soft_wrap=True)


def ask(text: str, offer: str) -> str | None:
    """Show a text with what is offered after it, and read a line; None at the end of input."""
    shown = console()
    shown.print(Text(visible(text)) + Text(visible(offer), style="bold cyan"))
    try:
        return shown.input(Text("> ", style="dim"))
    except (EOFError, KeyboardInterrupt):
        shown.print()
        return None


def shaded(text: str, heat: float) -> str:
    """Text on a ground between black (0) and red (1), by the terminal's 24-bit colours."""
    red = round(200 * max(0.0, min(1.0, heat)))
    ground = f"\x1b[48;2;{red};{round(red * 0.15)};40m" if red else ""
    lines = visible(text).split("\n")
    return "\n".join(f"{ground}{line}\x1b[0m" if line else "" for line in lines)


def number(value: float) -> str:
    """A count for a person: 950, 45.0k, 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= 0.9995 * limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.{0 if scaled >= 100 else 1}f}{unit}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "kB", "MB"):
        if value < (1000 if unit == "B" else 999.95):
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def duration(seconds: float) -> str:
    """A time for a person: 1:05, or 2:03:04."""
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    hours, rest = divmod(whole, 3600)
    clock = f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else clock


class Ticker:
    """Progress on stderr: a line that is redrawn in a terminal, plain lines elsewhere."""

    def __init__(self, total: int, plain_every: float = 5.0) -> None:
        self._console = console()
        self._plain_every = plain_every
        self._told = -math.inf
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Ticker":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            with contextlib.suppress(OSError):
                self._bar.stop()

    def tick(self, done: int, text: str, seconds: float, last: bool = False) -> None:
        """Show how far it is; as a plain line only every few seconds."""
        if self._bar:
            self._bar.update(self._task, completed=done, description=visible(text))
        elif last or seconds - self._told >= self._plain_every:
            self._told = seconds
            self.tell(text)

    def lengthen(self, total: int) -> None:
        """There is more to do than was thought, or less."""
        if self._bar:
            self._bar.update(self._task, total=total)

    def tell(self, text: str, style: str = "") -> None:
        """A line that stays."""
        with contextlib.suppress(OSError):
            self._console.print(Text(visible(text), style=style))
