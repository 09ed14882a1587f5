"""The model that a run begins with, and what is recorded of it: name, hashes, own origins."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import SUFFIX, Checkpoint
from charrnn.checkpoints.run import load_checkpoint
from charrnn.errors import UsageError

MOST_ORIGINS = 100
"""Models of a chain that a checkpoint records; of what is older it records the number."""

Origins = tuple[Mapping[str, Any], ...]
"""The models that a model goes back to, the nearest first, as in `CheckpointInfo.origins`."""


@dataclass(frozen=True)
class Origin:
    """A model to begin with. path: its file. origins: what a run records of it and of its own."""

    checkpoint: Checkpoint
    path: Path
    origins: Origins

    @property
    def name(self) -> str:
        """The run's name, or the file's if it is not in a run folder."""
        return str(self.origins[0]["name"])


def open_origin(root: Path, name: str) -> Origin:
    """A run's name or folder, or a checkpoint file -> the model, of a run its best checkpoint.

    CheckpointError if the file cannot be used, UsageError if there is none or it is an ONNX file.
    """
    if Path(name).suffix.lower() == ".onnx":
        raise UsageError(
            f"{name} is a model in ONNX, a graph for other programs that cannot be trained further",
            f"give its run, or export it again: charrnn checkpoints export RUN -o MODEL{SUFFIX}",
        )
    path, found = load_checkpoint(root, name)
    # Resolved, because the parent of a bare file name is ".", which has no name.
    folder = path.resolve().parent
    own = {
        "name": folder.name if isfile(folder / "run.json") else path.stem,
        "sha256": _sha256(path),
        "weights_sha256": checkpoint.digest(found.weights),
        "task": found.task,
        "step": found.info.step,
        "corpus": str(found.info.corpus.get("sha256", "")),
    }
    return Origin(found, path, shortened((own, *found.info.origins)))


def shortened(origins: Origins) -> Origins:
    """A chain of any length -> its nearest `MOST_ORIGINS`; the last says how many came before it.

    >>> chain = shortened(tuple({"name": str(n)} for n in range(102)))
    >>> len(chain), chain[-1]
    (100, {'name': '99', 'earlier': 2})
    """
    kept = origins[:MOST_ORIGINS]
    if len(origins) == len(kept):
        return origins
    left_out = len(origins) - len(kept) + int(origins[-1].get("earlier", 0))
    return (*kept[:-1], {**kept[-1], "earlier": left_out})


def _sha256(path: Path) -> str:
    """The hash of a file, as sha256sum prints it; empty if it has been deleted meanwhile."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
