"""The end of a sample in a file, so that another one continues it exactly.

A checksummed safetensors file like a checkpoint, and validated like one. It holds the hidden state,
the last ids and the number of random draws, and belongs to the weights that wrote it. Format 2 adds
what a text cut anywhere needs besides: text that is held back, what filters remember, and as much
history as they look at. It is written only where there is something of it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints import container
from charrnn.checkpoints.atomic import write_durably
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError
from charrnn.inference.generation import HISTORY, GenerationState

FORMATS = (1, 2)

MAX_INCOMPLETE = 1 << 10
"""Ids of a character that is incomplete: at most eight half-bytes, and ids without any text."""

MAX_IDS = 1 << 20
"""Ids that may wait to be read, and ids that filters look at."""

ADDED = ("held", "incomplete", "filters")
"""Fields of format 2; each is absent where it is empty."""


def save(path: Path, end: GenerationState, seed: int, model: Checkpoint) -> None:
    """Write the end of a sample. StorageError if it cannot be written."""
    more = {
        "held": end.held,
        "incomplete": list(end.incomplete),
        "filters": dict(end.filters),
    }
    added = {name: value for name, value in more.items() if value}
    history = end.history.tolist()[-MAX_IDS:]
    metadata = added | {
        "format": 2 if added or len(history) > HISTORY else 1,
        "kind": "state",
        # The digest is of the weights only, so that an exported model can continue the text too.
        "weights": model.digest(),
        "ids": end.ids.tolist(),
        "history": history,
        # The number of draws and the seed give the position in the random stream.
        "drawn": end.drawn,
        "seed": seed,
    }
    names = model.state_shapes()
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
    state = [file.arrays[f"state.{name}"].copy() for name in model.state_shapes()]
    ids, history = np.array(data["ids"], np.int64), np.array(data["history"], np.int64)
    start = GenerationState(
        ids, state, history, data["drawn"], data.get("held", ""),
        tuple(data.get("incomplete", ())), data.get("filters", {}),
    )  # fmt: skip
    return start, data["seed"]


def _check(data: dict[str, Any], model: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Metadata -> the tensors that must follow, by name and shape."""
    if data.get("kind") != "state":
        raise CheckpointError("it is not a state file", "give one written by --save-state")
    if data.get("format") not in FORMATS or type(data["format"]) is not int:
        raise CheckpointError(
            f"its format number is {data.get('format')!r} and this program reads 1 and 2",
            "use the version of charrnn that wrote it",
        )
    if data.get("weights") != model.digest():
        raise CheckpointError(
            "it is the state of another model", "load it with the model that wrote it"
        )
    size = model.config.vocab_size
    added = set(ADDED) if data["format"] == 2 else set()
    valid = (
        set(data) - added == {"format", "kind", "weights", "ids", "history", "drawn", "seed"}
        and _is_text(data.get("held", ""))
        and _are_ids(data.get("incomplete", []), size, MAX_INCOMPLETE)
        and _are_filters(data.get("filters", {}), size)
        and _are_ids(data["ids"], size, MAX_IDS)
        # A start without ids has no logits to draw the next token from.
        and len(data["ids"]) > 0
        and _are_ids(data["history"], size, HISTORY if data["format"] == 1 else MAX_IDS)
        and type(data["drawn"]) is int
        and 0 <= data["drawn"] <= 10**12
        and type(data["seed"]) is int
        and 0 <= data["seed"] < 2**63
    )
    if not valid:
        raise CheckpointError("its fields are not those of a state", "use another state file")
    return {f"state.{name}": shape for name, shape in model.state_shapes().items()}


def _are_filters(value: Any, vocab_size: int) -> bool:
    """Whether these are numbers and pairs of text and ids, by name, as `StatefulFilter.state`."""
    return isinstance(value, dict) and all(
        (isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each))
        or (
            isinstance(each, list)
            and len(each) == 2
            and _is_text(each[0])
            and _are_ids(each[1], vocab_size, MAX_INCOMPLETE)
        )
        for each in value.values()
    )


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    # Lone surrogates have no UTF-8, in which constraints compare.
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _are_ids(value: Any, vocab_size: int, longest: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= longest
        # isinstance would accept True, which is an int in Python.
        and all(type(i) is int and 0 <= i < vocab_size for i in value)
    )
