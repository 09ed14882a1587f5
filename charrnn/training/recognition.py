"""Data that plainly is another task's: a line that says what could be typed instead."""

import contextlib
from os.path import isfile

from charrnn.data.config import DataConfig
from charrnn.tasks import TASKS, get_task

LOOK = 1 << 16
"""Bytes of the first file that are looked at."""


def other_task(task: str, config: DataConfig) -> list[str]:
    """A task and its data -> a note if another task recognizes the first file, else none."""
    source = config.sources[0]
    # With --conditions the tabs of a text are what was asked for.
    if task != next(iter(TASKS)) or config.conditions or not isfile(source):
        return []
    text = ""
    with contextlib.suppress(OSError, LookupError), open(source, "rb") as file:
        text = file.read(LOOK).decode(config.encoding, "ignore")
    # The last line may have been cut.
    text = text[: text.rfind("\n") + 1]
    for name in list(TASKS)[1:]:
        if text and (what := get_task(name).recognizes(text)):
            return [f"{source} looks like {what}: charrnn train {source} --task {name}"]
    return []
