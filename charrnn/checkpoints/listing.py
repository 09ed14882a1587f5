"""What a folder of runs holds, by the names of its files.

A shell that completes a line waits for it, so only the standard library is loaded.
"""

import json
import re
from pathlib import Path

STEP_NAME = re.compile(r"step-(\d{9,})\.safetensors")
"""The name of a checkpoint's file in a run's folder; the group is its step."""

HEAD_LIMIT = 32 << 20
"""Bytes of a checkpoint's header that are read; larger ones are refused elsewhere, too."""


def run_folders(root: Path) -> list[Path]:
    """The folders of the runs in a folder, the one trained last at the end."""
    folders = [path.parent for path in root.glob("*/run.json")] if root.is_dir() else []
    return sorted(folders, key=lambda folder: (turn_of(folder), folder.resolve().name))


def turn_of(folder: Path) -> int:
    """A counter that is highest for the run trained last; unlike a clock it never jumps.

    0 for a run without one, or whose description cannot be read.
    """
    try:
        data = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    turn = data.get("turn", 0) if isinstance(data, dict) else 0
    return turn if type(turn) is int else 0


def steps_of(folder: Path) -> list[int]:
    """The steps of a run's checkpoints, by the names of the files, lowest first; [] for none."""
    try:
        return sorted(int(m[1]) for p in folder.iterdir() if (m := STEP_NAME.fullmatch(p.name)))
    except OSError:
        return []


def recorded_labels(path: Path) -> dict[str, int]:
    """A checkpoint's file -> the labels it says it writes in, with the documents of each.

    Only for suggestions: nothing of the file is verified. {} if it has none or cannot be read.
    """
    try:
        # A link or a pipe is no checkpoint, and could keep the reader waiting.
        if path.is_symlink() or not path.is_file():
            return {}
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= HEAD_LIMIT else {}
        found = json.loads(header["__metadata__"]["charrnn"])["facts"]["corpus"]["conditions"]
        return {k: v for k, v in found.items() if type(v) is int}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
