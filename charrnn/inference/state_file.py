"""The end of a sample in a file, so that another one continues it exactly.

A checksummed safetensors file like a checkpoint, and validated like one. It holds the hidden state,
the last ids and the number of random draws, and belongs to the weights that wrote it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints import container
from charrnn.checkpoints.atomic import write_durably
from charrnn.checkpoints.checkpoint import Checkpoint, digest
from charrnn.config import state_shapes
from charrnn.errors import CheckpointError
from charrnn.inference.generation import HISTORY, GenerationState

FORMAT = 1

MAX_IDS = 1 << 20
"""Ids that may wait to be read."""


def save(path: Path, end: GenerationState, seed: int, model: Checkpoint) -> None:
    """Write the end of a sample. StorageError if it cannot be written."""
    metadata = {
        "format": FORMAT,
        "kind": "state",
        # The digest is of the weights only, so that an exported model can continue the text too.
        "weights": digest(model.weights),
        "ids": end.ids.tolist(),
        "history": end.history.tolist(),
        # The number of draws and the seed give the position in the random stream.
        "drawn": end.drawn,
        "seed": seed,
    }
    names = state_shapes(model.config, 1)
    state = end.state or [np.zeros(shape, np.float32) for shape in names.values()]
    tensors = {f"state.{name}": part for name, part in zip(names, state, strict=True)}
    write_durably(path, container.serialize(metadata, tensors))


def load(path: Path, model: Checkpoint) -> tuple[GenerationState, int]:
    """A state file -> the end of a sample, and its seed.

    CheckpointError unless the file is intact and of this model.
    """
    file = container.read(path, wanted=("",), check=lambda data: _check(data, model))
    data = file.metadata
    # The arrays are views, which would keep the buffer of the whole file in memory.
    state = [file.arrays[f"state.{name}"].copy() for name in state_shapes(model.config, 1)]
    ids, history = np.array(data["ids"], np.int64), np.array(data["history"], np.int64)
    return GenerationState(ids, state, history, data["drawn"]), data["seed"]


def _check(data: dict[str, Any], model: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Metadata -> the tensors that must follow, by name and shape."""
    if data.get("kind") != "state":
        raise CheckpointError("it is not a state file", "give one written by --save-state")
    if data.get("format") != FORMAT:
        raise CheckpointError(
            f"its format number is {data.get('format')!r} and this program reads {FORMAT}",
            "use the version of charrnn that wrote it",
        )
    if data.get("weights") != digest(model.weights):
        raise CheckpointError(
            "it is the state of another model", "load it with the model that wrote it"
        )
    size = model.config.vocab_size
    valid = (
        set(data) == {"format", "kind", "weights", "ids", "history", "drawn", "seed"}
        and _are_ids(data["ids"], size, MAX_IDS)
        # A start without ids has no logits to draw the next token from.
        and len(data["ids"]) > 0
        and _are_ids(data["history"], size, HISTORY)
        and type(data["drawn"]) is int
        and 0 <= data["drawn"] <= 10**12
        and type(data["seed"]) is int
        and 0 <= data["seed"] < 2**63
    )
    if not valid:
        raise CheckpointError("its fields are not those of a state", "use another state file")
    return {f"state.{name}": shape for name, shape in state_shapes(model.config, 1).items()}


def _are_ids(value: Any, vocab_size: int, longest: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= longest
        # isinstance would accept True, which is an int in Python.
        and all(type(i) is int and 0 <= i < vocab_size for i in value)
    )
