"""Lines that a person types, with editing and history by prompt_toolkit; or lines of a pipe.

The one module that imports prompt_toolkit. `charrnn write` reads its lines here.
"""

import codecs
import sys
from typing import TYPE_CHECKING, Protocol

from charrnn.errors import UsageError

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings


class LineReader(Protocol):
    """Where lines come from: a terminal or a pipe. editable: whether `begin` has an effect."""

    editable: bool

    def read(self, begin: str = "") -> str | None:
        """The next line without its end, None at the end of input.

        begin: what the line starts with in a terminal, where it can be changed.
        """

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` from `read`; called by a signal handler."""


def line_reader() -> LineReader:
    """A reader of stdin: with editing if a person types there and sees stderr."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        return TerminalLines()
    return PipedLines()


class PipedLines:
    """The lines of stdin as they are, in UTF-8 in any locale."""

    editable = False

    def __init__(self) -> None:
        self._first = True

    def read(self, begin: str = "") -> str | None:
        """The next line. UsageError if it is not UTF-8; the one after it can be read."""
        try:
            # The buffer and not sys.stdin, whose encoding is the locale's.
            raw = sys.stdin.buffer.readline()
        except KeyboardInterrupt:
            return None
        if self._first:
            raw = raw.removeprefix(codecs.BOM_UTF8)
            self._first = False
        if not raw:
            return None
        try:
            # No other strip: blanks at either end are part of what was typed.
            return raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise UsageError("a line is not valid UTF-8", "give it in UTF-8") from None

    def interrupt(self, error: BaseException) -> None:
        """Raise the error."""
        raise error


class TerminalLines:
    """Lines edited in the terminal: arrow keys, history, undo; Alt-Enter begins a new line.

    Ctrl-C clears a line, which the Up key brings back, and ends the input on an empty one.
    """

    editable = True

    def __init__(self) -> None:
        # Imported here: a pipe and the other commands do without it.
        from prompt_toolkit import PromptSession
        from prompt_toolkit.input import create_input
        from prompt_toolkit.layout.processors import TabsProcessor
        from prompt_toolkit.output import create_output

        output = create_output(stdout=sys.stderr)
        # Some terminals do not answer the question where the cursor is, and prompt_toolkit prints
        # a warning about it. The answer would only serve menus, of which there are none.
        output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[str] = PromptSession(
            "> ",
            key_bindings=_bindings(),
            enable_suspend=True,
            # Otherwise rows below the line are kept free for a menu.
            reserve_space_for_menu=0,
            # A tab is shown as blanks, not as ^I.
            input_processors=[TabsProcessor(tabstop=8, char1=" ", char2=" ")],
            input=create_input(sys.stdin),
            output=output,
        )

    def read(self, begin: str = "") -> str | None:
        """A line typed by a person; None for Ctrl-D or Ctrl-C on an empty line."""
        try:
            return self._session.prompt(default=begin)
        except (EOFError, KeyboardInterrupt):
            return None

    def interrupt(self, error: BaseException) -> None:
        """Raise the error from `read` if a line is being typed, at once otherwise."""
        app = self._session.app
        if not app.is_running or app.loop is None:
            raise error
        # Raised inside of the event loop it would be logged and forgotten, or leave the terminal
        # in raw mode.
        app.loop.call_soon_threadsafe(lambda: app.is_done or app.exit(exception=error))


def _bindings() -> "KeyBindings":
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("c-c")
    @keys.add("<sigint>")
    def clear_or_leave(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.text:
            buffer.append_to_history()
            buffer.reset()
        else:
            event.app.exit(exception=EOFError())

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("tab")
    def tab(event: KeyPressEvent) -> None:
        # Without this, the key asks for a completion, and what was typed would be lost.
        event.current_buffer.insert_text("\t")

    return keys
