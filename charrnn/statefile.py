"""The end of a text in a file, from which another goes on: hidden state, last ids, draws used up.

A sealed safetensors file like a checkpoint, and checked like one; it belongs to the weights that
made it and to no others.
"""

from pathlib import Path
from typing import Any

import numpy as np

from charrnn import checkpoint, sealed
from charrnn.checkpoint import Checkpoint
from charrnn.config import state_shapes
from charrnn.errors import CheckpointError
from charrnn.storage import write_durably
from charrnn.texts import HISTORY, Start

FORMAT = 1


def save(path: Path, start: Start, seed: int, model: Checkpoint) -> None:
    """Write the end of a text; StorageError when it cannot be written."""
    metadata = {
        "format": FORMAT,
        "kind": "state",
        "weights": checkpoint.digest(model.weights),
        "ids": start.ids.tolist(),
        "history": start.history.tolist(),
        "drawn": start.drawn,
        "seed": seed,
    }
    names = state_shapes(model.model, 1)
    state = start.state or [np.zeros(shape, np.float32) for shape in names.values()]
    tensors = {f"state.{name}": part for name, part in zip(names, state, strict=True)}
    write_durably(path, sealed.serialize(metadata, tensors))


def load(path: Path, model: Checkpoint) -> tuple[Start, int]:
    """The end of a text and its seed; CheckpointError unless it is whole and of this model."""
    file = sealed.read(path, wanted=("",), check=lambda data: _check(data, model))
    data = file.metadata
    state = [file.arrays[f"state.{name}"].copy() for name in state_shapes(model.model, 1)]
    ids, history = np.array(data["ids"], np.int64), np.array(data["history"], np.int64)
    return Start(ids, state, history, data["drawn"]), data["seed"]


def _check(data: dict[str, Any], model: Checkpoint) -> dict[str, tuple[int, ...]]:
    if data.get("kind") != "state":
        raise CheckpointError("it is not a state file", "give one written by --save-state")
    if data.get("format") != FORMAT:
        raise CheckpointError(
            f"its format number is {data.get('format')!r} and this program reads {FORMAT}",
            "use the version of charrnn that wrote it",
        )
    if data.get("weights") != checkpoint.digest(model.weights):
        raise CheckpointError(
            "it is the state of another model", "load it with the model that wrote it"
        )
    size = model.model.vocab_size
    good = (
        set(data) == {"format", "kind", "weights", "ids", "history", "drawn", "seed"}
        and _ids(data["ids"], size, 1 << 20)
        and len(data["ids"]) > 0
        and _ids(data["history"], size, HISTORY)
        and type(data["drawn"]) is int
        and 0 <= data["drawn"] <= 10**12
        and type(data["seed"]) is int
        and 0 <= data["seed"] < 2**63
    )
    if not good:
        raise CheckpointError("its fields are not those of a state", "use another state file")
    return {f"state.{name}": shape for name, shape in state_shapes(model.model, 1).items()}


def _ids(value: Any, vocab_size: int, longest: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= longest
        and all(type(i) is int and 0 <= i < vocab_size for i in value)
    )
