"""A model in one safetensors file: checked before anything is allocated, loaded, saved durably.

    metadata "charrnn"    canonical JSON: format, seal, configs, tokenizer, step, corpus
    model.*               weights: all that sampling needs
    optimizer.*, state.*  moments and hidden state: all that resuming needs, absent in a slim file

The seal is the sha256 of the whole file with the seal's own 64 digits read as zeros, so no bit of
header or data can change unseen. Nothing in a file is ever executed, imported or followed.
"""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn import sealed, tokenizer
from charrnn.config import (
    ModelConfig,
    TrainConfig,
    parameter_shapes,
    read_config,
    state_shapes,
)
from charrnn.errors import CheckpointError, UsageError
from charrnn.storage import DISK, Disk, write_durably
from charrnn.tokenizer import Tokenizer

Arrays = dict[str, NDArray[np.float32]]

FORMAT = 1
"""Raised whenever an older program could misread a newer file."""

SUFFIX = ".safetensors"

MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's two moments of each parameter, as torch spells them."""


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


@dataclass(frozen=True)
class Training:
    """What resuming needs besides the weights.

    moments: `<moment>.<parameter>` -> array; state: `<layer>.<part>` -> (B, H);
    loss_sum and loss_count: of the steps since the last line of progress.
    """

    config: TrainConfig
    moments: Arrays
    state: Arrays
    loss_sum: float
    loss_count: int


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
    write_durably(path, sealed.serialize(_metadata(checkpoint), _tensors(checkpoint)), disk)


def load(path: Path, training: bool = False) -> Checkpoint:
    """Read and check a checkpoint; the moments and the hidden state only where asked for.

    CheckpointError says why a file cannot be used. Memory: at most the file's size.
    """
    file = sealed.read(path, wanted=("",) if training else ("model.",), check=_check)
    data, arrays = file.metadata, file.arrays
    config = read_config(ModelConfig, data["model"])
    with sealed.naming(path):
        return Checkpoint(
            model=config,
            tokenizer=_tokenizer(data["tokenizer"], config),
            weights=_under("model.", arrays),
            facts=Facts(**data["facts"]),
            training=_training(data, arrays) if training else None,
        )


def read_facts(path: Path) -> Facts:
    """What a file says of itself, from its header alone: for lists, not to be trusted further."""
    return Facts(**sealed.read_header(path, check=_check).metadata["facts"])


def digest(arrays: Arrays) -> str:
    """The sha256 of named arrays: equal for equal weights, whatever file they came from."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + arrays[name].tobytes())
    return total.hexdigest()


def _metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    training = checkpoint.training
    return {
        "format": FORMAT,
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
        moments, state = checkpoint.training.moments, checkpoint.training.state
        tensors |= {f"optimizer.{name}": array for name, array in moments.items()}
        tensors |= {f"state.{name}": array for name, array in state.items()}
    return tensors


def _check(data: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors this metadata calls for, name -> shape; CheckpointError if it is not ours."""
    number = data.get("format")
    if type(number) is not int or number > FORMAT or number < 1:
        raise CheckpointError(
            f"its format number is {number!r} and this program reads up to {FORMAT}",
            "use the version of charrnn that wrote it, or a newer one",
        )
    keys = {"format", "model", "tokenizer", "facts", "training"}
    if set(data) != keys or not all(
        isinstance(data[k], dict) for k in keys - {"format", "training"}
    ):
        raise _broken("its metadata has not the expected fields")
    _check_facts(data["facts"])
    try:
        model = read_config(ModelConfig, data["model"])
        shapes = {f"model.{n}": shape for n, shape in parameter_shapes(model).items()}
        if data["training"] is not None:
            shapes |= _training_shapes(model, data["training"])
    except UsageError as error:
        raise _broken(f"its configuration is wrong ({error.problem})") from None
    return shapes


def _training_shapes(model: ModelConfig, data: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(data, dict) or set(data) != {"config", "loss_sum", "loss_count"}:
        raise _broken("its training state has not the expected fields")
    if not isinstance(data["config"], dict):
        raise _broken("its training configuration is missing")
    if not _number(data["loss_sum"]) or type(data["loss_count"]) is not int:
        raise _broken("its training loss is no number")
    train = read_config(TrainConfig, data["config"])
    shapes = {
        f"optimizer.{moment}.{name}": shape
        for moment in MOMENTS
        for name, shape in parameter_shapes(model).items()
    }
    state = state_shapes(model, train.batch_size)
    return shapes | {f"state.{name}": shape for name, shape in state.items()}


def _check_facts(data: dict[str, Any]) -> None:
    valid = data.get("valid_nats_per_char")
    good = (
        set(data) == set(Facts.__dataclass_fields__)
        and type(data["step"]) is int
        and 0 <= data["step"] <= 10**9
        and _number(data["epoch"])
        and isinstance(data["corpus"], dict)
        and isinstance(data["lines"], bool)
        and (valid is None or _number(valid))
        and isinstance(data["versions"], dict)
        and all(isinstance(text, str) for text in data["versions"].values())
    )
    if not good:
        raise _broken("its facts have the wrong types")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tokenizer(data: dict[str, Any], config: ModelConfig) -> Tokenizer:
    found = tokenizer.from_json(data)
    if found.vocab_size != config.vocab_size:
        raise _broken(f"its tokenizer has {found.vocab_size} ids and its model {config.vocab_size}")
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
    )


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}


def _broken(detail: str) -> CheckpointError:
    return CheckpointError(detail, "use another checkpoint")
