"""stdout as a pipe needs it: UTF-8 in any locale, the result and nothing else, errors noticed.

A terminal gets text as it is made, with control characters escaped. A pipe gets it raw and in
blocks, none of which ends inside a character, and at most a moment late.
"""

import json
import os
import signal
import sys
import time
from typing import Any

from charrnn.errors import StorageError

BLOCK = 8192
"""Characters after which a block is written to a pipe."""

MAX_DELAY = 0.1
"""Seconds that a piece of text may wait in a block."""


def broken_pipe(handler: Any) -> None:
    """What a reader that leaves does to this process, where there is a signal for it."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, handler)


def from_system(text: str) -> str:
    """Text that may contain a name from the system -> the same, its UTF-8 bytes as characters.

    In the locale C, Python reads each byte of a name that is not ASCII as a lone surrogate.
    """
    # The common case: only surrogates, which are not printable, need a look.
    if text.isprintable():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:  # a name that is not UTF-8 at all, or half a character of a model
        return text


class Output:
    """Text to stdout."""

    def __init__(self, escapes: bool = True) -> None:
        """`escapes`: whether control characters are escaped in a terminal."""
        self._escapes = escapes
        # Descriptor 1 and not sys.stdout, here and below: its encoding is the locale's, and its
        # buffer would raise a late error at exit.
        self._is_terminal = os.isatty(1)
        self._held: list[str] = []
        self._size = 0
        self._before = ""
        self._since = time.monotonic()

    def write(self, text: str) -> None:
        """Add text; a terminal shows it at once, a pipe gets it within MAX_DELAY."""
        self._held.append(text)
        self._size += len(text)
        now = time.monotonic()
        if self._is_terminal or self._size >= BLOCK or now - self._since >= MAX_DELAY:
            self.flush()

    def json(self, value: dict[str, Any]) -> None:
        """Add one object on a line of its own, and write it out."""
        self._held.append(json.dumps(value, ensure_ascii=False) + "\n")
        self.flush()

    def flush(self) -> None:
        """Write out what is held. StorageError if stdout does not accept it."""
        text = "".join(self._held)
        # Emptied before writing, so that after a failure nothing is written twice.
        self._held, self._size, self._since = [], 0, time.monotonic()
        if self._is_terminal and self._escapes:
            from charrnn.cli.terminal import visible

            # A joiner works in the word that the piece before it ends with.
            text, self._before = visible(text, before=self._before), text[-1:] or self._before
        # A lone surrogate, as in a file name that is not UTF-8, has no encoding and becomes "?".
        data = memoryview(from_system(text).encode("utf-8", "replace"))
        try:
            # What was printed to sys.stdout before this text comes first.
            sys.stdout.flush()
            # A console of Windows takes no bytes in UTF-8; Python's stream of it does.
            if self._is_terminal and os.name == "nt":
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
                return
            # A write may accept only part of the data; the slices of a memoryview copy nothing.
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            # Not a failure of storage: a training saves its work when its reader leaves.
            raise
        except OSError as error:
            raise StorageError(
                f"cannot write the output: {error.strerror}", "check where it is sent"
            ) from None
