"""`charrnn write` on a terminal: keys, interruptions, and what is kept of the text."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from tests.cli.test_write import kept
from tests.support.shell import PATIENCE, Shell

READY = "\x1b[?2004h"
"""What the terminal is sent when a line begins: pasted text is to be marked as such."""


REDRAWN = "\x1b[?25h"
"""What it is sent when the line has been drawn: the cursor is back."""


class Typist:
    """A person at a terminal of 80 columns in which a session runs."""

    def __init__(self, controller: int, child: subprocess.Popen[bytes]) -> None:
        self.controller, self.child, self.seen, self._place = controller, child, "", 0

    def sees(self, *texts: str) -> None:
        """Wait until the terminal has shown these texts, in this order, after those before."""
        deadline = time.monotonic() + PATIENCE / 3
        for text in texts:
            while (found := self.seen.find(text, self._place)) < 0:
                assert time.monotonic() < deadline, self.seen[self._place :]
                if select.select([self.controller], [], [], 1.0)[0]:
                    self.seen += os.read(self.controller, 65_536).decode("utf-8", "replace")
            self._place = found + len(text)

    def begins_a_line(self) -> None:
        """Wait until a line can be typed: it is drawn, and the cursor is back."""
        self.sees(READY, ">", REDRAWN)

    def types(self, keys: str) -> None:
        """Press keys."""
        os.write(self.controller, keys.encode())

    def leaves(self) -> int:
        """Wait for the end of the program -> its exit code."""
        with contextlib.suppress(OSError):  # raised when no program is on the terminal any more
            while part := os.read(self.controller, 65_536):
                self.seen += part.decode("utf-8", "replace")
        return self.child.wait(PATIENCE)


LEFT, UP, ENTER, ALT_ENTER, CTRL_C, CTRL_D, CTRL_UNDERSCORE = (
    "\x1b[D", "\x1b[A", "\r", "\x1b\r", "\x03", "\x04", "\x1f",
)  # fmt: skip


@contextlib.contextmanager
def typist(shell: Shell, *options: str) -> Iterator[Typist]:
    """A session on a terminal, ready for its first line."""
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [*shell.command("write", "--seed", "1", "--length", "5"), *options]
    # A session of its own, so that the terminal's Ctrl-C and hang-up are for this program alone.
    child = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=shell.folder,
        env=shell.environment({"TERM": "xterm"}), start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    try:
        person = Typist(controller, child)
        person.begins_a_line()
        yield person
    finally:
        child.kill()
        child.wait()
        os.close(controller)


def test_lines_are_edited_with_the_keys_of_a_line_editor(copied: Shell) -> None:
    with typist(copied) as person:
        person.types("teh" + LEFT + LEFT + "\x04\x04he" + ENTER)
        person.begins_a_line()
        person.types(" cat" + ALT_ENTER + "\tsat, not" + "!" + CTRL_UNDERSCORE + ENTER)
        person.begins_a_line()
        # A line given up is not lost: the Up key brings it back.
        person.types(" and so")
        person.sees("so", REDRAWN)
        person.types(CTRL_C)
        person.sees(REDRAWN)
        person.types(UP + " on" + ENTER)
        person.begins_a_line()
        person.types("/edit" + ENTER)
        person.sees("and so on")
        person.types(", now" + ENTER)
        person.begins_a_line()
        person.types(CTRL_D)
        assert person.leaves() == 0
    assert kept(copied) == ["the cat\n\tsat, not and so on, now\n"]
    # No question where the cursor is, which some terminals leave unanswered.
    assert "\x1b[6n" not in person.seen
    assert "CPR" not in person.seen


def test_ctrl_c_on_an_empty_line_leaves_and_keeps_the_text(copied: Shell) -> None:
    with typist(copied) as person:
        person.types("the cat" + ENTER)
        person.begins_a_line()
        person.types(CTRL_C)
        assert person.leaves() == 0
    assert kept(copied) == ["the cat\n"]
    assert "the unsaved text is in" in person.seen


def test_a_mistyped_command_stays_in_the_line(copied: Shell) -> None:
    with typist(copied) as person:
        person.types("/and so on" + ENTER)
        person.sees("/and is not a command")
        person.sees("/and so on")
        # The beginning of the line, where a second slash makes it text.
        person.types("\x01/" + ENTER)
        person.begins_a_line()
        person.types("/quit" + ENTER)
        assert person.leaves() == 0
    assert kept(copied) == ["/and so on\n"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_is_ended_by_a_signal_keeps_the_text(copied: Shell, number: int) -> None:
    with typist(copied) as person:
        person.types("the cat" + ENTER)
        person.begins_a_line()
        person.types(" half a line")
        person.sees("half a line")
        person.child.send_signal(number)
        assert person.leaves() == 128 + number
    assert kept(copied) == ["the cat\n"]
    assert f"ended by {signal.Signals(number).name}; unsaved text is kept" in person.seen
