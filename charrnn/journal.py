"""A log of one JSON object a line, such as metrics.jsonl: read as far as it is whole."""

import contextlib
import json
from pathlib import Path
from typing import Any


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The objects, and how many lines that are none were left out: cut short, or spoiled.

    A file that is not there has none.
    """
    events: list[dict[str, Any]] = []
    spoiled = 0
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            event = _parsed(line)
            if event is not None:
                events.append(event)
            spoiled += event is None and bool(line.strip())
    return events, spoiled


def _parsed(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) else None
    return None
