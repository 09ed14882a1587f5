"""A model in one safetensors file: checked before anything is allocated, loaded, saved durably.

    metadata "charrnn"    canonical JSON: format, seal, configs, tokenizer, step, corpus
    model.*               weights: all that sampling needs
    optimizer.*, state.*  moments and hidden state: all that resuming needs, absent in a slim file
    raw.*                 the last weights, where the model is a mean of several

The seal is the sha256 of the whole file with the seal's own 64 digits read as zeros, so no bit of
header or data can change unseen. Nothing in a file is ever executed, imported or followed.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn import metadata, sealed, tokenizer
from charrnn.config import ModelConfig, TrainConfig, read_config
from charrnn.errors import CheckpointError
from charrnn.storage import DISK, Disk, write_durably
from charrnn.tokenizer import Tokenizer

Arrays = dict[str, NDArray[np.float32]]

SUFFIX = ".safetensors"

HEADER_ROOM = 1 << 16
"""Bytes of a header that are enough for all but the tokenizer."""


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says of itself besides its numbers.

    `valid_nats_per_char` belongs to exactly these weights; None where they were not evaluated.
    """

    step: int
    epoch: float
    corpus: dict[str, Any]
    lines: bool = False
    valid_nats_per_char: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    setbacks: int = 0
    """How often the training has diverged and gone on with a lower rate."""


@dataclass(frozen=True)
class Training:
    """What resuming needs besides the weights.

    moments: `<moment>.<parameter>` -> array; state: `<layer>.<part>` -> (B, H);
    loss_sum and loss_count: of the steps since the last line of progress. raw: where the model's
    weights are a mean of those of many steps, the last ones, `<parameter>` -> array; else empty.
    """

    config: TrainConfig
    moments: Arrays
    state: Arrays
    loss_sum: float
    loss_count: int
    raw: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was after a step: configuration, tokenizer, weights, and how it came about."""

    model: ModelConfig
    tokenizer: Tokenizer
    weights: Arrays
    facts: Facts
    training: Training | None = None

    def slim(self) -> "Checkpoint":
        """The same model without what only resuming needs."""
        return replace(self, training=None)


def save(checkpoint: Checkpoint, path: Path, disk: Disk = DISK) -> None:
    """Put a checkpoint at `path` durably; StorageError leaves what was there before."""
    write_durably(path, sealed.serialize(_header(checkpoint), _tensors(checkpoint)), disk)


def check_vocabulary(words: Tokenizer) -> None:
    """UsageError when a tokenizer is too large for a checkpoint: to be told before training."""
    text = json.dumps(json.dumps(words.to_json()))
    sealed.check_size(
        len(text) + HEADER_ROOM, text.count("[") + text.count("{") + HEADER_ROOM // 10
    )


def load(path: Path, training: bool | None = False) -> Checkpoint:
    """Read and check a checkpoint; the moments and the hidden state only where asked for.

    With `training` None they are read where there are any. CheckpointError says why a file cannot
    be used. Memory: at most the file's size.
    """
    file = sealed.read(
        path, wanted=("model.",) if training is False else ("",), check=metadata.check
    )
    data, arrays = file.metadata, file.arrays
    config = read_config(ModelConfig, data["model"])
    asked = data["training"] is not None if training is None else training
    with sealed.naming(path):
        return Checkpoint(
            model=config,
            tokenizer=_tokenizer(data["tokenizer"], config),
            weights=_under("model.", arrays),
            facts=Facts(**data["facts"]),
            training=_training(data, arrays) if asked else None,
        )


def read_facts(path: Path) -> Facts:
    """What a file says of itself, from its header alone: for lists, not to be trusted further."""
    return Facts(**sealed.read_header(path, check=metadata.check).metadata["facts"])


def digest(arrays: Arrays) -> str:
    """The sha256 of named arrays: equal for equal weights, whatever file they came from."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + arrays[name].tobytes())
    return total.hexdigest()


def _header(checkpoint: Checkpoint) -> dict[str, Any]:
    training = checkpoint.training
    return {
        "format": metadata.FORMAT,
        "model": asdict(checkpoint.model),
        "tokenizer": checkpoint.tokenizer.to_json(),
        "facts": asdict(checkpoint.facts),
        "training": training
        and {
            "config": asdict(training.config),
            "loss_sum": training.loss_sum,
            "loss_count": training.loss_count,
        },
    }


def _tensors(checkpoint: Checkpoint) -> Arrays:
    tensors = {f"model.{name}": array for name, array in checkpoint.weights.items()}
    if checkpoint.training:
        kinds = ("optimizer", "moments"), ("state", "state"), ("raw", "raw")
        for prefix, kind in kinds:
            arrays = getattr(checkpoint.training, kind)
            tensors |= {f"{prefix}.{name}": array for name, array in arrays.items()}
    return tensors


def _tokenizer(data: dict[str, Any], config: ModelConfig) -> Tokenizer:
    found = tokenizer.from_json(data)
    if found.vocab_size != config.vocab_size:
        raise metadata.broken(
            f"its tokenizer has {found.vocab_size} ids and its model {config.vocab_size}"
        )
    return found


def _training(data: dict[str, Any], arrays: Arrays) -> Training:
    if data["training"] is None:
        raise CheckpointError(
            "it is a slim file for sharing, without the state of its training",
            "resume from a checkpoint of its run folder",
        )
    return Training(
        config=read_config(TrainConfig, data["training"]["config"]),
        moments=_under("optimizer.", arrays),
        state=_under("state.", arrays),
        loss_sum=data["training"]["loss_sum"],
        loss_count=data["training"]["loss_count"],
        raw=_under("raw.", arrays),
    )


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
