"""The terminal: no text of a user is markup or acts on it; numbers as a person reads them."""

import io
import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli import terminal
from charrnn.errors import UsageError

ODD = [
    "[red]",
    "[/]",
    "[/red]",
    "[bold]b[/bold]",
    "[link=x]y[/link]",
    ":smile:",
    "src/[id].txt",
    "\\[",
]
"""What rich would read as markup or an emoji."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, error: OSError, terminal: bool = False) -> None:
        super().__init__()
        self.error, self.terminal = error, terminal

    def isatty(self) -> bool:
        """Whether it was a terminal."""
        return self.terminal

    def write(self, text: str) -> int:
        """Fail."""
        raise self.error


WRITE_ERRORS = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(5, "Input/output error"),
    OSError(28, "Full"),
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x00\x01\x1b\x7f", "^@^A^[^?"),
        ("\r\n", "^M\n"),
        ("\x80\x9b", "\\u0080\\u009b"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("é€😀 \u00a0", "é€😀 \u00a0"),
        ("", ""),
        # Joiners inside words and emoji, Arabic number signs, the tags of a flag.
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d👩\ufe0f\u200d👧", "👩\u200d👩\ufe0f\u200d👧"),
        ("\u0600١٢", "\u0600١٢"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("soft\u00adhyphen", "soft\u00adhyphen"),
        # Where there is nothing to join they would hide.
        ("\u200dstart, \u200cword", "\\u200dstart, \\u200cword"),
        # What reorders a line is no joiner, wherever it is.
        ("a\u200eb\u200fc\u061cd", "a\\u200eb\\u200fc\\u061cd"),
        ("a\u202ab\u2067c\u2069\u206af", "a\\u202ab\\u2067c\\u2069\\u206af"),
        ("a\u200d\x1b[2J", "a\u200d^[[2J"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert terminal.visible(text) == shown


def test_of_joiners_without_a_letter_each_is_escaped() -> None:
    assert terminal.visible("\ufeff\ufeff\u200d x\u200d\u200d") == (
        "\\ufeff\\ufeff\\u200d x\u200d\u200d"
    )


def test_a_joiner_may_come_in_a_piece_of_its_own() -> None:
    assert terminal.visible("\u200d", before="👩") == "\u200d"
    assert terminal.visible("\u200d", before="👩 ") == "\\u200d"
    assert terminal.shaded("\u200c", 0.0, before="ی") == "\u200c\x1b[0m"


def test_the_characters_that_are_kept_can_be_chosen() -> None:
    assert terminal.visible("a\n\tb", keep="") == "a^J^Ib"


@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_nothing_visible_controls_and_showing_twice_changes_nothing(text: str) -> None:
    shown = terminal.visible(text, keep="")
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown)
    # What is left of the format characters has no direction.
    formats = {unicodedata.bidirectional(c) for c in shown if unicodedata.category(c) == "Cf"}
    assert formats <= {"BN", "AN", "NSM"}
    assert terminal.visible(shown, keep="") == shown
    assert len(shown) >= len(text)


@given(text=st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs"))))
@settings(max_examples=100, deadline=None)
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert terminal.visible(text) == text


@pytest.mark.parametrize("text", ODD)
def test_no_text_is_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(text)
    terminal.note(text)
    terminal.error_line(UsageError(f"{text} is wrong", "fix it"))
    with terminal.ProgressLine(3) as line:
        line.print(text)
        line.update(1, text, 0.0)
    _, err = capsys.readouterr()
    assert err.splitlines() == [
        text, f"charrnn: note: {text}", f"charrnn: error: {text} is wrong; fix it", text, text,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_no_text_is_markup_in_a_terminal(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    terminal.say(text)
    terminal.error_line(UsageError(text, "fix it"))
    with terminal.ProgressLine(3) as line:
        line.print(f"printed {text}")
        line.update(1, f"updated {text}", 0.0)
    shown = stream.getvalue()
    assert shown.startswith(f"{text}\n")
    assert f"{text}; fix it" in shown
    assert f"printed {text}" in shown
    assert f"updated {text}" in shown


def test_say_and_note_are_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("hello")
    terminal.note("look")
    assert capsys.readouterr() == ("", "hello\ncharrnn: note: look\n")


def test_long_lines_are_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "word " * 100 + "end"
    terminal.say(text)
    terminal.error_line(UsageError(text, text))
    _, err = capsys.readouterr()
    assert err == f"{text}\ncharrnn: error: {text}; {text}\n"


def test_an_error_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error_line(UsageError("a\nb\r\x1b[2J", "do\tthis\n"))
    assert capsys.readouterr() == ("", "charrnn: error: a^Jb^M^[[2J; do^Ithis^J\n")


def test_colours_only_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    error = UsageError("it broke", "fix it")
    for stream, coloured in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        terminal.error_line(error)
        assert ("\x1b[" in stream.getvalue()) is coloured
        assert "it broke; fix it" in stream.getvalue()


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_declined(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal.note("look")
    assert "33" not in stream.getvalue()


@pytest.mark.parametrize("error", WRITE_ERRORS, ids=str)
def test_nobody_reading_is_no_failure(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken(error))
    terminal.say("hello")
    terminal.note("look")
    terminal.error_line(UsageError("it broke", "fix it"))
    with terminal.ProgressLine(3) as line:
        line.print("printed")
        line.update(3, "updated", 9.0, last=True)


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
@pytest.mark.parametrize("columns", ["80", "200"])
def test_colours_that_are_asked_for_in_a_file_are_no_motion(
    name: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.ProgressLine(9) as line:
        for step in range(1, 10):
            line.update(step, f"step {step}  0:00 left", float(step), last=step == 9)
        line.print("stays", style="bold")
    terminal.say("done")
    err = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert err.splitlines() == [
        "step 1  0:00 left", "step 6  0:00 left", "step 9  0:00 left", "stays", "done",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (950, "950"), (9_994, "9994"), (9_999, "10.0k"), (10_000, "10.0k"),
     (45_250, "45.2k"), (123_456, "123k"), (999_499, "999k"), (999_700, "1.0M"),
     (1_234_567, "1.2M"), (250e6, "250M"), (999.9e6, "1.0G"), (3.21e9, "3.2G"), (12.6, "13")],
)  # fmt: skip
def test_counts_for_a_person(value: float, text: str) -> None:
    assert terminal.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1550, "1.6 kB"), (999_940, "999.9 kB"),
     (999_990, "1.0 MB"), (12_345_678, "12.3 MB"), (999_990_000, "1.0 GB"), (5e12, "5000.0 GB")],
)  # fmt: skip
def test_bytes_for_a_person(value: float, text: str) -> None:
    assert terminal.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.4, "0:00"), (5, "0:05"), (59.6, "1:00"), (65, "1:05"), (3599, "59:59"),
     (3600, "1:00:00"), (7384, "2:03:04"), (90_061, "25:01:01"), (-3, "0:00"),
     (float("inf"), "0:00"), (float("nan"), "0:00")],
)  # fmt: skip
def test_times_for_a_person(seconds: float, text: str) -> None:
    assert terminal.duration(seconds) == text


@given(value=st.floats(0, 1e12))
@settings(max_examples=200, deadline=None)
def test_counts_and_bytes_are_short_and_within_a_twentieth(value: float) -> None:
    text = terminal.number(value)
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    number = float(text.rstrip("kMG")) * units.get(text[-1], 1)
    assert abs(number - value) <= max(0.5, 0.05 * value)
    assert len(text) <= 6
    assert len(terminal.size(value)) <= 9


def test_plain_progress_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.ProgressLine(9, plain_every=5.0) as line:
        for step, seconds in enumerate((0.0, 1.0, 4.9, 5.0, 6.0, 9.9, 10.1)):
            line.update(step, f"step {step}", seconds)
        line.update(9, "step 9", 10.2, last=True)
        line.print("stays", style="bold")
    assert capsys.readouterr().err.splitlines() == ["step 0", "step 3", "step 6", "step 9", "stays"]


def test_plain_progress_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.ProgressLine(1) as line:
        line.update(1, "a\x1b[2J", 0.0)
        line.print("b\x1b[2J")
    assert capsys.readouterr().err == "a^[[2J\nb^[[2J\n"


def test_a_terminal_has_a_bar_that_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.ProgressLine(10) as line:
        for step in range(1, 11):
            line.update(step, f"step {step}\x07", float(step))
        line.print("stays")
    shown = stream.getvalue()
    assert "━" in shown
    assert "step 10^G" in shown
    assert "stays" in shown
    assert "\x07" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is back
    assert shown.endswith("\x1b[2K")  # the bar's line is blank


@pytest.mark.parametrize("error", WRITE_ERRORS, ids=str)
def test_a_terminal_that_went_away_does_not_end_the_bar_badly(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    line = terminal.ProgressLine(10)
    with line:
        line.update(1, "step 1", 0.0)
        line._console.file = Broken(error, terminal=True)
        line.print("printed")
