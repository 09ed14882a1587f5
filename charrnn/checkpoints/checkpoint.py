"""A model in one safetensors file: validated before anything is allocated, saved durably.

    metadata "charrnn"    canonical JSON: format, checksum, configs, encoder, step, corpus
    model.*               weights: all that inference needs
    optimizer.*, state.*  moments and hidden state: all that resuming needs; absent after export
    raw.*                 the last weights, if the model is an average of several steps'
    bytes.ngram           the text of the n-gram models that a language model is mixed with

The checksum (key "seal") is the sha256 of the whole file with the checksum's own 64 digits read as
zeros, so no bit of header or data can change unnoticed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints import container, header, mixture
from charrnn.checkpoints.atomic import DISK, Disk, write_durably
from charrnn.checkpoints.header import LANGUAGE, Encoder
from charrnn.checkpoints.mixture import Mixture
from charrnn.config import (
    ModelConfig,
    Shape,
    TrainConfig,
    config_to_json,
    read_config,
    state_shapes,
)
from charrnn.errors import CheckpointError, UsageError
from charrnn.tokenizers import Tokenizer

Arrays = dict[str, NDArray[np.float32]]

SUFFIX = ".safetensors"

ORIGINS = "origins"
"""The key of a fingerprint under which the models are recorded that a run was begun with."""

HEADER_ROOM = 1 << 16
"""Bytes of a header that suffice for everything but the encoder."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself: progress, data, validation score, versions.

    valid: the score of exactly these weights on the validation part, None if they were not
    evaluated on it; valid_pieces: on evenly spread pieces of it, where the training reads no more,
    else None; metric: the name of both. corpus: the fingerprint of the data. rollbacks: how often
    the training diverged and went back to a checkpoint with a lower learning rate. origins: the
    models that this one was begun with, the nearest first; see `checkpoints.origin`.
    """

    step: int
    epoch: float
    corpus: dict[str, Any]
    lines: bool = False
    valid: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    rollbacks: int = 0
    metric: str = "nats_per_char"
    lower_is_better: bool = True
    valid_pieces: float | None = None
    origins: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object "facts" of format 1, with its keys in their order."""
        # The old names of `valid` and `rollbacks` are part of the format, which version 0.1 reads.
        return {
            "step": self.step,
            "epoch": self.epoch,
            "corpus": self._corpus(),
            "lines": self.lines,
            "valid_nats_per_char": self.valid,
            "versions": self.versions,
            "setbacks": self.rollbacks,
        } | self._added()

    def to_json_2(self) -> dict[str, Any]:
        """The object "info" of format 2."""
        score = None if self.valid is None else {"metric": self.metric, "value": self.valid}
        data = {key: getattr(self, key) for key in ("step", "epoch", "corpus", "lines", "versions")}
        own = {"corpus": self._corpus(), "valid": score, "rollbacks": self.rollbacks}
        return data | own | self._added()

    def _corpus(self) -> dict[str, Any]:
        """The fingerprint, and where the model came from."""
        # Within the fingerprint, of which older versions compare the keys that they know: they read
        # a model that was begun with another one as any other.
        return self.corpus | ({ORIGINS: list(self.origins)} if self.origins else {})

    def _added(self) -> dict[str, Any]:
        """The keys that files of version 0.1 do not have; absent where they say nothing."""
        return {} if self.valid_pieces is None else {"valid_pieces": self.valid_pieces}


@dataclass(frozen=True)
class TrainingState:
    """What resuming needs besides the weights.

    moments: `<moment>.<parameter>` -> array. state: `<layer>.<part>` -> (B, H). loss_sum and
    loss_count: of the steps since the last progress line. raw: `<parameter>` -> the last weights,
    if the model's are an average of several steps'; else empty.
    """

    config: TrainConfig
    moments: Arrays
    state: Arrays
    loss_sum: float
    loss_count: int
    raw: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A model after some step: configuration, encoder, weights, and how it was trained.

    mixture: the n-gram models that a language model writes and scores with, None without.
    """

    config: ModelConfig
    encoder: Encoder
    weights: Arrays
    info: CheckpointInfo
    training: TrainingState | None = None
    task: str = LANGUAGE
    mixture: Mixture | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder of a language model."""
        assert isinstance(self.encoder, Tokenizer)
        return self.encoder

    def state_shapes(self) -> dict[str, Shape]:
        """Name of each part of the hidden state of one text -> its shape, as in a state file."""
        shapes = state_shapes(self.config, 1)
        if self.mixture is not None:
            shapes["ngram"] = (1, 2 * max(self.mixture.orders))
        return shapes

    @property
    def identity(self) -> Arrays:
        """All numbers that decide what the model writes, by name."""
        if self.mixture is None:
            return self.weights
        return self.weights | {"mixture": np.array(self.mixture.weights, np.float32)}

    def digest(self) -> str:
        """What a state file records of the model that it belongs to."""
        return digest(self.identity)

    def with_mix(self, mix: str | None) -> "Checkpoint":
        """The same model, mixed as is asked for: "ngram", "none", or None for as it was trained.

        UsageError if it has no n-gram models to be mixed with.
        """
        if mix not in (None, "ngram", "none"):
            raise UsageError(f"there is no mix {mix!r}", "choose ngram or none")
        if mix is not None and self.task != LANGUAGE:
            raise UsageError(
                f"--mix has no effect on a model of the task {self.task}", "leave it out"
            )
        if mix == "ngram" and self.mixture is None:
            raise UsageError(
                "this model has no n-gram models to be mixed with",
                "leave --mix out, or train with --mix ngram to the end",
            )
        return replace(self, mixture=None) if mix == "none" else self

    def without_training_state(self) -> "Checkpoint":
        """The same model without what only resuming needs."""
        return replace(self, training=None)


def save(checkpoint: Checkpoint, path: Path, disk: Disk = DISK) -> None:
    """Write a checkpoint durably. After a StorageError the previous file is still there."""
    write_durably(path, container.serialize(_metadata(checkpoint), _tensors(checkpoint)), disk)


def check_vocabulary(encoder: Encoder) -> None:
    """UsageError if an encoder is too large for a checkpoint; called before training starts."""
    # The metadata is a JSON text within the JSON of the header, which escapes its quotes again.
    text = json.dumps(json.dumps(encoder.to_json()))
    container.check_size(
        len(text) + HEADER_ROOM, text.count("[") + text.count("{") + HEADER_ROOM // 10
    )


def load(path: Path, training: bool | None = False) -> Checkpoint:
    """Read and validate a checkpoint. CheckpointError says why a file cannot be used.

    training: whether to read moments and hidden state; None reads them if there are any. Memory: at
    most the file's size.
    """
    # Inference needs only the weights; AdamW's moments take twice their memory.
    file = container.read(
        path,
        wanted=("model.", mixture.TENSOR) if training is False else ("",),
        check=header.check,
    )
    data, arrays = file.metadata, file.arrays
    task = header.task_of(data)
    schema = header.schema_of(task)
    # `header.check` has validated these fields, so only the encoder can still fail.
    config = read_config(schema.config, data["model"])
    wants_training = data["training"] is not None if training is None else training
    with container.naming(path):
        encoder = schema.encoder_from_json(data["tokenizer" if task == LANGUAGE else "encoder"])
        if not schema.fits(encoder, config):
            size = getattr(encoder, "vocab_size", "other")
            if size == config.vocab_size:
                raise container.broken(
                    "its model begins documents at another id than its tokenizer"
                )
            raise container.broken(
                f"its tokenizer has {size} ids and its model {config.vocab_size}"
            )
        return Checkpoint(
            config,
            encoder,
            weights=_with_prefix("model.", arrays),
            info=_info(data),
            training=_training_state(data, arrays) if wants_training else None,
            task=task,
            mixture=_mixture(data, arrays, config),
        )


def _mixture(data: dict[str, Any], arrays: Arrays, config: ModelConfig) -> Mixture | None:
    if "mixture" not in data:
        return None
    tensor: Any = arrays[mixture.TENSOR]
    return mixture.from_file(data["mixture"], tensor, config.vocab_size)


def read_info(path: Path) -> CheckpointInfo:
    """What a file says about itself, from its header alone, without verifying the checksum."""
    return _info(container.read_header(path, check=header.check).metadata)


def digest(arrays: Arrays) -> str:
    """Named arrays -> sha256: equal for equal weights, whatever file they came from."""
    total = hashlib.sha256()
    # Names are hashed too, because two parameters of equal shape may be exchanged.
    for name in sorted(arrays):
        total.update(name.encode() + arrays[name].tobytes())
    return total.hexdigest()


def _info(data: dict[str, Any]) -> CheckpointInfo:
    """Validated metadata -> the info of either format."""
    task = header.task_of(data)
    # Format 1 names no metric and no direction: a language model has one score, lower is better.
    if task == LANGUAGE:
        facts = dict(data["facts"])
        valid, rollbacks = facts.pop("valid_nats_per_char"), facts.pop("setbacks")
        return CheckpointInfo(**_with_origins(facts), valid=valid, rollbacks=rollbacks)
    info = _with_origins(dict(data["info"]))
    score = info.pop("valid") or {"metric": "", "value": None}
    lower = header.schema_of(task).lower_is_better
    return CheckpointInfo(
        **info, valid=score["value"], metric=score["metric"], lower_is_better=lower
    )


def _with_origins(info: dict[str, Any]) -> dict[str, Any]:
    """Validated info -> the same, with the origins apart from the fingerprint."""
    corpus = dict(info["corpus"])
    origins = corpus.pop(ORIGINS, ())
    return info | {"corpus": corpus, "origins": tuple(origins)}


def _metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    training = checkpoint.training
    common = {
        "model": config_to_json(checkpoint.config),
        "training": training
        and {
            "config": config_to_json(training.config),
            "loss_sum": training.loss_sum,
            "loss_count": training.loss_count,
        },
    }
    encoder, info = checkpoint.encoder.to_json(), checkpoint.info
    # Language models stay in format 1, so that version 0.1 can read them.
    if checkpoint.task == LANGUAGE:
        own = {"format": 1, "tokenizer": encoder, "facts": info.to_json()}
        if checkpoint.mixture is not None:
            own |= {"format": 3, "mixture": checkpoint.mixture.to_json()}
        return common | own
    other = {"format": 2, "task": checkpoint.task, "encoder": encoder, "info": info.to_json_2()}
    return common | other


def _tensors(checkpoint: Checkpoint) -> Arrays:
    # The prefixes decide what is read: inference wants model.* only.
    tensors = {f"model.{name}": array for name, array in checkpoint.weights.items()}
    if checkpoint.training:
        state = checkpoint.training
        groups = ("optimizer", state.moments), ("state", state.state), ("raw", state.raw)
        for prefix, arrays in groups:
            tensors |= {f"{prefix}.{name}": array for name, array in arrays.items()}
    if checkpoint.mixture is not None:
        text: Any = checkpoint.mixture.tensor()
        tensors[mixture.TENSOR] = text
    return tensors


def _training_state(data: dict[str, Any], arrays: Arrays) -> TrainingState:
    if data["training"] is None:
        raise CheckpointError(
            "it was exported for sharing, without the state of its training",
            "resume from a checkpoint of its run folder",
        )
    return TrainingState(
        config=read_config(TrainConfig, data["training"]["config"]),
        moments=_with_prefix("optimizer.", arrays),
        state=_with_prefix("state.", arrays),
        # With these the first progress line after a resume equals that of an uninterrupted run.
        loss_sum=data["training"]["loss_sum"],
        loss_count=data["training"]["loss_count"],
        raw=_with_prefix("raw.", arrays),
    )


def _with_prefix(prefix: str, arrays: Arrays) -> Arrays:
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
