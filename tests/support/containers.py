"""A small file with a checksum, written and read."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints import container

METADATA: dict[str, Any] = {"note": "tiny", "number": 1}

TENSORS = {
    "model.a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "state.b": np.array([7.5], np.float32),
}

SHAPES = {name: array.shape for name, array in TENSORS.items()}


def check(metadata: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Expect TENSORS, whatever the metadata says."""
    return SHAPES


def write(path: Path, metadata: dict[str, Any], tensors: container.Arrays) -> Path:
    path.write_bytes(b"".join(container.serialize(metadata, tensors)))
    return path


def read(path: Path) -> container.ContainerFile:
    return container.read(path, ("",), check)


def metadata_of(raw: bytes) -> str:
    """The metadata of a file, as it is written there."""
    length = struct.unpack_from("<Q", raw)[0]
    text: str = json.loads(raw[8 : 8 + length])["__metadata__"]["charrnn"]
    return text
