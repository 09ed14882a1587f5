"""Shows the library's long work on stderr: a line that is redrawn on a terminal, plain lines else.

A thread draws it, because what a C library does for seconds, such as compressing or indexing,
reports nothing on its way.
"""

import os
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from charrnn.activity import Work, listen, listen_to_remarks

if TYPE_CHECKING:
    from charrnn.cli.terminal import ProgressLine

FIRST_SECONDS, FIRST_PLAIN_SECONDS = 1.0, 5.0
"""Work of fewer seconds is not shown: on a terminal, and elsewhere."""

REDRAWN_EVERY = 0.2
"""Seconds between two drawings."""

PAUSE = 0.5
"""Work that begins so few seconds after other work continues it."""


def described(work: Work, seconds: float) -> str:
    """Work -> its line.

    >>> described(Work("indexing"), 65), described(Work("reading", 1, 4), 5)
    ('indexing, 1:05', 'reading 25%, 0:05')
    """
    done = "" if work.fraction is None else f" {work.fraction:.0%}"
    return f"{work.what}{done}, {int(seconds) // 60}:{int(seconds) % 60:02d}"


class WorkLine:
    """While this lasts, long work is shown; a context manager around a command."""

    def __init__(self) -> None:
        # Under torchrun every process works, and one of them speaks for all.
        self._is_silent = os.environ.get("RANK", "0") != "0"
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._work: Work | None = None
        self._since = self._ended = float("-inf")
        self._line: ProgressLine | None = None
        self._thread: threading.Thread | None = None
        self._listening = listen(self._hear)
        self._remarks = listen_to_remarks(self._note)

    def __enter__(self) -> "WorkLine":
        self._listening.__enter__()
        self._remarks.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remarks.__exit__(kind, error, trace)
        self._listening.__exit__(kind, error, trace)
        self._hear(None)
        self._is_silent = True

    def _hear(self, work: Work | None) -> None:
        """The listener: it only takes note, so that a report costs next to nothing."""
        if work is None:
            with self._lock:
                self._work, self._ended = None, time.monotonic()
                self._busy.clear()
                self._erase()
            return
        if self._work is None and time.monotonic() - self._ended > PAUSE:
            self._since = time.monotonic()
        self._work = work
        self._busy.set()
        if self._thread is None and not self._is_silent:
            # A daemon: it waits for ever, and must not keep the program from ending.
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()

    def _note(self, text: str) -> None:
        """A remark is a note, above the line of the work."""
        if self._is_silent:
            return
        from charrnn.cli import terminal

        with self._lock:
            self._erase()
            terminal.note(text)

    def _draw(self) -> None:
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        first = FIRST_SECONDS if is_terminal else FIRST_PLAIN_SECONDS
        while True:
            self._busy.wait()
            time.sleep(REDRAWN_EVERY)
            with self._lock:
                now, work = time.monotonic(), self._work
                if work is not None and not self._is_silent and now - self._since >= first:
                    self._update(work, now)

    def _update(self, work: Work, now: float) -> None:
        if self._line is None:
            from charrnn.cli.terminal import ProgressLine

            self._line = ProgressLine(100)
            self._line.__enter__()
        done = int(100 * (work.fraction or 0.0))
        self._line.update(done, described(work, now - self._since), now)

    def _erase(self) -> None:
        if self._line is not None and self._line.is_redrawn:
            self._line.__exit__()
            self._line = None
