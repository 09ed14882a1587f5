"""The terminal, and the one module that imports rich: consoles, progress, the error line.

Text from a user, a file or a model is never read as markup, and its control characters are shown
in escaped form instead of being obeyed.
"""

import contextlib
import math
import os
import sys
import unicodedata
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn.cli.output import from_system
from charrnn.errors import CharRNNError


def visible(text: str, keep: str = "\n\t", before: str = "") -> str:
    """Text -> the same with control characters escaped, except those in `keep`.

    before: what was shown just before it, in whose last letter a joiner may be at work.

    >>> visible("a" + chr(27) + "[31mb")
    'a^[[31mb'
    """
    # The common case, far faster than looking at each character.
    if text.isprintable():
        return text
    shown = []
    for c in from_system(text):
        is_kept = c in keep or not _is_control(c) or _is_writing(c, before)
        shown.append(c if is_kept else _escaped(c))
        # After one that is escaped the next one has no letter to join either.
        before = c if is_kept else ""
    return "".join(shown)


def _is_control(character: str) -> bool:
    # Control, format (such as bidirectional marks, which reorder a line) and surrogate characters,
    # and the two separators that break a line.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in "\u2028\u2029"


def _is_harmless(character: str) -> bool:
    """Whether a format character belongs to writing: joiners, Arabic number signs, flags' tags.

    By its bidirectional class: what embeds, isolates, overrides or marks a direction has others.
    """
    return (
        unicodedata.category(character) == "Cf"
        and unicodedata.bidirectional(character) in ("BN", "AN", "NSM")
        # Deprecated: they switch how all that follows is shaped.
        and not "\u206a" <= character <= "\u206f"
    )


def _is_writing(character: str, before: str) -> bool:
    """Whether a format character is at work here: inside a word or an emoji, or in a number."""
    if not _is_harmless(character):
        return False
    # Arabic number signs come first in a number, and are visible; the others would hide.
    if unicodedata.bidirectional(character) == "AN":
        return True
    last = before[-1:]
    return bool(last) and (unicodedata.category(last)[0] in "LMSN" or _is_harmless(last))


def _escaped(character: str) -> str:
    code = ord(character)
    # ^[ for ESC, as `cat -v` and terminals show it.
    if code < 32 or code == 127:
        return "^" + chr(code ^ 64)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Console(Console):
    """A console that does not exit the program when a pipe is closed."""

    def on_broken_pipe(self) -> None:
        """Re-raise the BrokenPipeError that rich is handling; the caller knows what it means."""
        raise


def console(file: Any = None) -> Console:
    """A console on stderr, or on the file given, without markup, highlighting or line breaks."""
    # Made anew for each use: a console keeps its stream, and sys.stderr may be replaced.
    return _Console(
        file=file or sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def say(text: str, style: str = "") -> None:
    """Print a line on stderr; nothing happens if stderr is closed."""
    # A remark that nobody can read is no reason to end a training.
    with contextlib.suppress(OSError):
        console().print(Text(visible(text), style=style))


def begin_line(text: str, style: str = "") -> None:
    """Print the beginning of a line on stderr, which is gone on with by what is printed next."""
    with contextlib.suppress(OSError):
        console().print(Text(visible(text), style=style), end="")


def note(text: str) -> None:
    """Print a remark on stderr."""
    say(f"charrnn: note: {text}", "yellow")


def error_line(error: CharRNNError) -> None:
    """Print an error as one line on stderr."""
    with contextlib.suppress(OSError):
        # keep="": an error is one line, even if a file's name contains a newline.
        line = Text("charrnn: error: ", style="bold red")
        console().print(line + Text(visible(str(error), keep="").strip(), style="not bold default"))


def width_of(text: str) -> int:
    """The columns that a text takes in a terminal: two for a Chinese character or an emoji."""
    return cell_len(text)


def has_style() -> bool:
    """Whether a terminal is to be written to in colours and bold type (no-color.org)."""
    return not (os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")


def is_terminal(out: Console | None = None) -> bool:
    """Whether stderr is a terminal whose lines can be redrawn.

    FORCE_COLOR and TTY_COMPATIBLE ask for colours in a file; a file has no cursor to move.
    """
    shown = out or console()
    with contextlib.suppress(ValueError):  # a closed stream
        return shown.file.isatty() and not shown.is_dumb_terminal
    return False


def show_offer(text: str, offer: str) -> None:
    """Show a text and what is offered after it, on stderr."""
    with contextlib.suppress(OSError):
        console().print(Text(visible(text)) + Text(visible(offer, before=text), style="bold cyan"))


def shaded(text: str, amount: float, before: str = "") -> str:
    """Text on a background from black (0) to red (1), in the terminal's 24-bit colours.

    before: the text just before it, as in `visible`.
    """
    red = round(200 * max(0.0, min(1.0, amount)))
    background = f"\x1b[48;2;{red};{round(red * 0.15)};40m" if red else ""
    # Each line ends its own background, which would otherwise fill the rest of the row.
    lines = visible(text, before=before).split("\n")
    return "\n".join(f"{background}{line}\x1b[0m" if line else "" for line in lines)


def grounded(text: str, amount: float, before: str = "") -> str:
    """Text on a ground from blue (-1) over none (0) to orange (1), in 24-bit colours."""
    strength = min(1.0, abs(amount))
    if strength < 0.1:
        return visible(text, before=before)
    color = (200, 90, 0) if amount > 0 else (20, 90, 210)
    red, green, blue = (round(strength * part) for part in color)
    # White, because the ground is dark also in a terminal whose own is light.
    style = f"\x1b[38;2;255;255;255;48;2;{red};{green};{blue}m"
    lines = visible(text, before=before).split("\n")
    return "\n".join(f"{style}{line}\x1b[0m" if line else "" for line in lines)


def number(value: float) -> str:
    """A count -> 950, 45.0k, 1.2M.

    >>> number(72_174), number(568_140)
    ('72.2k', '568k')
    """
    # Up to four digits are shown in full, because 9.5k is no shorter than 9500.
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        # What would be rounded to 1000k is 1.0M.
        if value >= 0.9995 * limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.{0 if scaled >= 100 else 1}f}{unit}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Bytes -> 21.0 MB."""
    for unit in ("B", "kB", "MB"):
        # What would be rounded to 1000.0 kB is 1.0 MB; bytes are whole and not rounded.
        if value < (1000 if unit == "B" else 999.95):
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def duration(seconds: float) -> str:
    """Seconds -> 1:05, or 2:03:04."""
    # An estimate is infinite or NaN while the speed is not known.
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    hours, rest = divmod(whole, 3600)
    clock = f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else clock


class ProgressLine:
    """Progress on stderr: a line that is redrawn in a terminal, plain lines elsewhere."""

    def __init__(self, total: int, plain_every: float = 5.0) -> None:
        self._console = console()
        self._plain_every = plain_every
        self._printed_at = -math.inf
        self._bar: Progress | None = None
        # In a log file, redrawing would leave escape sequences and one endless line.
        if is_terminal(self._console):
            columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
            # transient: the line is erased at the end, where the last message takes its place.
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "ProgressLine":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            with contextlib.suppress(OSError):
                self._bar.stop()

    @property
    def is_redrawn(self) -> bool:
        """Whether it is one line that is redrawn, and not several plain ones."""
        return self._bar is not None

    def update(self, done: int, text: str, seconds: float, last: bool = False) -> None:
        """Show how far it is; as a plain line only every few seconds."""
        if self._bar:
            self._bar.update(self._task, completed=done, description=visible(text))
        elif last or seconds - self._printed_at >= self._plain_every:
            self._printed_at = seconds
            self.print(text)

    def redraw(self, text: str) -> None:
        """Put another text on the line; nothing happens where lines are plain."""
        if self._bar:
            self._bar.update(self._task, description=visible(text))

    def set_total(self, total: int) -> None:
        """Change the total, which was an estimate."""
        if self._bar:
            self._bar.update(self._task, total=total)

    def print(self, text: str, style: str = "") -> None:
        """A line that stays, above the one that is redrawn."""
        with contextlib.suppress(OSError):
            self._console.print(Text(visible(text), style=style))
