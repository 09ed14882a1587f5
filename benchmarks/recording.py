"""Record a terminal session as an animated SVG: docs/recording.svg.

    python benchmarks/recording.py

The commands run in an empty folder, each in a pseudo-terminal. Their output is kept with the time
at which it appeared, so the picture shows what a person sees, including lines of progress that are
redrawn. Long commands are played faster. The SVG needs no script and no font of its own; where
animations are not supported, it shows the end of the session.
"""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent

COMMANDS = (
    "charrnn train corpora/fables.txt --minutes 0.5",
    'charrnn sample --prompt "The miller" --temperature 0.7 --length 300 --seed 7',
)

COLUMNS, LINES = 104, 60

LONGEST = 10.0
"""Maximum seconds of a command in the recording; longer ones are played faster."""

TYPING, PAUSE = 0.03, 0.7
"""Seconds per typed character, and between commands."""

FRAME = 0.1
"""Seconds: versions of a line that follow each other faster are merged."""

FONT_SIZE, WIDTH, HEIGHT = 14, 8.43, 19
"""In pixels: the font size, and the cell of a character."""

MARGIN, TITLE = 18, 34
"""In pixels: the margin around the text, and the height of the title bar."""

FOREGROUND, BACKGROUND, BAR, PROMPT = "#d8dee9", "#1b2130", "#262e40", "#8fd19e"

ANSI = ("#1b2130", "#f07178", "#8fd19e", "#ffcb6b", "#82aaff", "#c792ea", "#89ddff", "#d8dee9")
"""The first eight colours of the terminal palette."""

TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")

UNFINISHED = re.compile(r"\x1b(?:\[[?0-9;]*)?$")
"""The beginning of a control sequence at the end of a read."""


@dataclass(frozen=True)
class Style:
    """Colour and weight of characters."""

    colour: str = FOREGROUND
    bold: bool = False
    dim: bool = False

    def attributes(self) -> str:
        """As attributes of a tspan."""
        bold = ' font-weight="bold"' if self.bold else ""
        return f'fill="{self.colour}"{bold}' + (' opacity="0.65"' if self.dim else "")


Cells = list[tuple[str, Style]]
"""The characters of a line."""


@dataclass
class Screen:
    """A minimal terminal emulator: colours, carriage return, erased lines, cursor up.

    versions: for each row its contents over time, as (seconds, cells), oldest first.
    """

    rows: list[Cells] = field(default_factory=lambda: [[]])
    versions: list[list[tuple[float, Cells]]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: Style = field(default_factory=Style)
    pending: str = ""

    def feed(self, text: str, now: float) -> None:
        """Process output that appears at the second `now`."""
        changed = set()
        text = self.pending + text
        unfinished = UNFINISHED.search(text)
        self.pending = unfinished[0] if unfinished else ""
        for token in TOKEN.finditer(text.removesuffix(self.pending)):
            if token[0] == "\r":
                self.column = 0
            elif token[0] == "\n":
                self._down()
            elif token[2]:
                changed |= self._control(token[2], token[1])
            else:
                for character in token[0]:
                    changed.add(self._put(character))
        for row in sorted(changed):
            versions = self.versions[row]
            if versions and now - versions[-1][0] < FRAME:
                versions[-1] = (versions[-1][0], list(self.rows[row]))
            elif not versions or versions[-1][1] != self.rows[row]:
                versions.append((now, list(self.rows[row])))

    def _down(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.rows):
            self.rows.append([])
            self.versions.append([])

    def _put(self, character: str) -> int:
        """Write a character at the cursor; returns its row."""
        if self.column == COLUMNS:
            self._down()
        cells = self.rows[self.row]
        cells += [(" ", Style())] * (self.column - len(cells))
        cells[self.column : self.column + 1] = [(character, self.style)]
        self.column += 1
        return self.row

    def _control(self, letter: str, numbers: str) -> set[int]:
        """Execute a control sequence; returns the rows that it changed."""
        if letter == "m":
            self.style = styled(self.style, [int(n or 0) for n in numbers.split(";")])
        elif letter == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif letter == "K":
            self.rows[self.row] = [] if numbers == "2" else self.rows[self.row][: self.column]
            return {self.row}
        return set()


def styled(style: Style, numbers: list[int]) -> Style:
    """Apply SGR parameters to a style."""
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            style = Style()
        elif number == 1:
            style = Style(style.colour, True, style.dim)
        elif number == 2:
            style = Style(style.colour, style.bold, True)
        elif 30 <= number <= 37:
            style = Style(ANSI[number - 30], style.bold, style.dim)
        elif number == 38 and numbers[:1] == [5]:
            style = Style(indexed(numbers[1]), style.bold, style.dim)
            del numbers[:2]
    return style


def indexed(number: int) -> str:
    """A colour of the 256-colour palette."""
    if number < 16:
        return ANSI[number % 8]
    if number >= 232:
        # The darkest greys of the palette are invisible on this background.
        level = max(72, 8 + 10 * (number - 232))
        return f"#{level:02x}{level:02x}{level:02x}"
    steps = (0, 95, 135, 175, 215, 255)
    red, rest = divmod(number - 16, 36)
    return "#" + "".join(f"{steps[i]:02x}" for i in (red, *divmod(rest, 6)))


def output(command: str, folder: str) -> Iterator[tuple[float, str]]:
    """Run a command in a pseudo-terminal: (seconds since its start, text) as it is printed."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    began = time.perf_counter()
    with subprocess.Popen(
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        decoder = codecs.getincrementaldecoder("utf-8")()
        with contextlib.suppress(OSError):  # Linux reports EIO when the last writer has gone.
            while data := os.read(leader, 65536):
                yield time.perf_counter() - began, decoder.decode(data)
    os.close(leader)
    if process.returncode:
        raise SystemExit(f"{command} ended with code {process.returncode}")


def record() -> tuple[Screen, float]:
    """Run the commands; returns the screen and the length of the recording in seconds."""
    screen, now = Screen(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "corpora").symlink_to(ROOT / "corpora")
        for command in COMMANDS:
            screen.style = Style(PROMPT, bold=True)
            screen.feed("$ ", now)
            screen.style = Style(bold=True)
            now += PAUSE
            for character in command:
                now += TYPING
                screen.feed(character, now)
            screen.style = Style()
            screen.feed("\n", now)
            pieces = list(output(command, folder))
            speed = max(1.0, pieces[-1][0] / LONGEST)
            for seconds, text in pieces:
                screen.feed(text, now + seconds / speed)
            now += pieces[-1][0] / speed + PAUSE
    return screen, now


def spans(cells: Cells) -> Iterator[tuple[int, str, Style]]:
    """Split a line into runs of the same style: (first column, text, style)."""
    start = 0
    for column in range(1, len(cells) + 1):
        if column == len(cells) or cells[column][1] != cells[start][1]:
            yield start, "".join(character for character, _ in cells[start:column]), cells[start][1]
            start = column


def line(cells: Cells, row: int, shown: float, hidden: float | None) -> str:
    """One version of a row as SVG, visible from second `shown` to `hidden`, or to the end."""
    parts = []
    for column, text, style in spans(cells):
        if text.strip():
            x, width = MARGIN + column * WIDTH, len(text) * WIDTH
            parts.append(
                f'<tspan x="{x:.1f}" textLength="{width:.1f}" {style.attributes()}>'
                f"{escape(text, quote=False)}</tspan>"
            )
    if not parts:
        return ""
    y = TITLE + MARGIN + row * HEIGHT + FONT_SIZE
    if hidden is None:
        kind, times = "on", f"animation-delay:{shown:.2f}s"
    else:
        kind = "off"
        times = f"animation-delay:{shown:.2f}s;animation-duration:{hidden - shown:.2f}s"
    return f'<text class="{kind}" y="{y}" style="{times}">{"".join(parts)}</text>'


def drawing(screen: Screen) -> str:
    """The recording as an SVG document."""
    last = max(i for i, versions in enumerate(screen.versions) if versions and versions[-1][1])
    lines = []
    for row, versions in enumerate(screen.versions[: last + 1]):
        for i, (began, cells) in enumerate(versions):
            ended = versions[i + 1][0] if i + 1 < len(versions) else None
            lines.append(line(cells, row, began, ended))
    width = round(2 * MARGIN + COLUMNS * WIDTH)
    height = TITLE + 2 * MARGIN + (last + 1) * HEIGHT
    dots = "".join(
        f'<circle cx="{20 + 20 * i}" cy="{TITLE / 2}" r="6" fill="{colour}"/>'
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return HEAD.format(
        width=width,
        height=height,
        title=TITLE,
        background=BACKGROUND,
        bar=BAR,
        size=FONT_SIZE,
        dots=dots,
        lines="\n".join(filter(None, lines)),
        label=escape("; ".join(COMMANDS)),
    )


HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>{label}</title>
<style>
text {{ font: {size}px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre; }}
.on {{ animation: on 1ms both; }}
.off {{ visibility: hidden; animation: off 1s; }}
@keyframes on {{ from {{ visibility: hidden; }} to {{ visibility: visible; }} }}
@keyframes off {{ from, to {{ visibility: visible; }} }}
@media (prefers-reduced-motion: reduce) {{ .on, .off {{ animation: none; }} }}
</style>
<rect width="{width}" height="{height}" rx="9" fill="{background}"/>
<clipPath id="window"><rect width="{width}" height="{height}" rx="9"/></clipPath>
<rect width="{width}" height="{title}" fill="{bar}" clip-path="url(#window)"/>
{dots}
{lines}
</svg>
"""


def main() -> None:
    """Record the session and write docs/recording.svg."""
    screen, seconds = record()
    path = ROOT / "docs" / "recording.svg"
    path.write_text(drawing(screen))
    print(f"{path.relative_to(ROOT)}: {seconds:.0f} s, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
