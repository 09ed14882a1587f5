"""stdout as a pipe wants it: UTF-8 whatever the locale, nothing but the product, errors noticed.

To a terminal text goes out as it is made, with control characters spelled; into a pipe it goes raw
and in blocks, none of which ends within a character, and never later than a moment.
"""

import json
import os
import sys
import time
from typing import Any

from charrnn.errors import StorageError

BLOCK = 8192
MOMENT = 0.1
"""Seconds that a piece of text may wait in a block."""


class Output:
    """Text to stdout."""

    def __init__(self, escapes: bool = True) -> None:
        """`escapes`: whether control characters are spelled in a terminal."""
        self._escapes = escapes
        self._terminal = os.isatty(1)
        self._held: list[str] = []
        self._size = 0
        self._since = time.monotonic()

    def write(self, text: str) -> None:
        """Add text; it is shown at once in a terminal and within a moment in a pipe."""
        self._held.append(text)
        self._size += len(text)
        now = time.monotonic()
        if self._terminal or self._size >= BLOCK or now - self._since >= MOMENT:
            self.flush()

    def json(self, value: dict[str, Any]) -> None:
        """Add one object on a line of its own, and show it."""
        self._held.append(json.dumps(value, ensure_ascii=False) + "\n")
        self.flush()

    def flush(self) -> None:
        """Hand over what was held; StorageError when stdout cannot take it."""
        text = "".join(self._held)
        self._held, self._size, self._since = [], 0, time.monotonic()
        if self._terminal and self._escapes:
            from charrnn.cli.ui import visible

            text = visible(text)
        data = memoryview(text.encode("utf-8", "replace"))
        try:
            sys.stdout.flush()
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError(
                f"cannot write the output: {error.strerror}", "check where it is sent"
            ) from None
