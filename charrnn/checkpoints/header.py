"""What a checkpoint's metadata must say before anything of the file is trusted or allocated.

`check` takes parsed JSON and returns the tensors that must follow, by name and shape. There are
three formats. Format 1 holds language models; format 2 names its task, whose Schema says what its
configuration, parameters and encoder are; format 3 is 1 with the n-gram models of a mixture:

    1   format, model, tokenizer, facts, training
    2   format, task, model, encoder, info, training
    3   format, model, tokenizer, facts, training, mixture
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn import tokenizers
from charrnn.checkpoints import mixture
from charrnn.checkpoints.container import broken
from charrnn.config import (
    ModelConfig,
    Shape,
    TrainConfig,
    averaged_steps,
    parameter_shapes,
    read_config,
    state_shapes,
)
from charrnn.errors import CheckpointError, UsageError

FORMAT = 3
"""The newest format; raised whenever an older program could misread a newer file."""

LANGUAGE = "language"
"""The task of formats 1 and 3."""

MOST_COUNTED = 2**24
"""Tokens of a text at most whose n-grams a file holds: as many as float32 counts without a gap."""

MOMENTS = {
    "adamw": ("exp_avg", "exp_avg_sq"),
    "soap": ("exp_avg", "exp_avg_sq"),
    "sgd": (),
}
"""What each optimizer remembers of each parameter, named as in torch."""

ROTATION = ("covariance", "basis")
"""What SOAP remembers of a rotated matrix (N, D) besides its moments: two matrices (D, D)."""

WIDEST_ROTATION = 1024
"""Largest D of a rotated matrix: the work for a basis grows as D cubed."""

Encoder = Any
"""What turns raw input into arrays, and back: it has `to_json`. A language model's tokenizer."""


@dataclass(frozen=True)
class Schema:
    """What the checkpoints of a task contain.

    config: the dataclass of its model configuration. parameter_shapes: config -> name -> shape.
    state_shapes: config and batch size -> name -> shape of the state that training carries from
    step to step; empty if it carries none. encoder_from_json: the inverse of the encoder's
    `to_json`, CheckpointError if it is damaged. fits: whether encoder and config match.
    """

    config: type[ModelConfig]
    parameter_shapes: Callable[[Any], dict[str, Shape]]
    state_shapes: Callable[[Any, int], dict[str, Shape]]
    encoder_from_json: Callable[[Mapping[str, Any]], Encoder]
    fits: Callable[[Encoder, Any], bool] = lambda encoder, config: True
    lower_is_better: bool = True


SCHEMAS: dict[str, Callable[[], Schema]] = {
    LANGUAGE: lambda: Schema(
        ModelConfig,
        parameter_shapes,
        state_shapes,
        tokenizers.from_json,
        fits=lambda encoder, config: (
            encoder.vocab_size == config.vocab_size and config.reset_id in (-1, encoder.start_id)
        ),
    )
}
"""Task name -> its schema, made when it is first needed. `charrnn.tasks` adds its tasks."""


def schema_of(task: Any) -> Schema:
    """Task name -> its schema. CheckpointError if this program does not have the task."""
    if not isinstance(task, str) or task not in SCHEMAS:
        claimed = repr(task)[:40]  # of any length: anybody may have made the file
        raise CheckpointError(
            f"its task is {claimed} and this program knows {', '.join(SCHEMAS)}",
            "use the version of charrnn that wrote it, or a newer one",
        )
    return SCHEMAS[task]()


def is_rotated(name: str, shape: Shape) -> bool:
    """Whether SOAP rotates a parameter: the matrices of recurrent layers, up to a width.

    >>> is_rotated("layers.0.weight_hh_l0", (1024, 256)), is_rotated("output.weight", (81, 256))
    (True, False)
    """
    recurrent = "weight_ih" in name or "weight_hh" in name
    return recurrent and len(shape) == 2 and shape[1] <= WIDEST_ROTATION


def optimizer_shapes(optimizer: str, parameters: Mapping[str, Shape]) -> dict[str, Shape]:
    """An optimizer and the shapes of all parameters -> what it remembers, by name and shape.

    >>> optimizer_shapes("soap", {"layers.0.weight_ih_l0": (8, 3)})["basis.layers.0.weight_ih_l0"]
    (3, 3)
    """
    shapes = {
        f"{m}.{name}": shape for m in MOMENTS[optimizer] for name, shape in parameters.items()
    }
    if optimizer == "soap":
        rotated = {name: shape[1] for name, shape in parameters.items() if is_rotated(name, shape)}
        shapes |= {f"{part}.{name}": (d, d) for part in ROTATION for name, d in rotated.items()}
    return shapes


def task_of(data: Mapping[str, Any]) -> str:
    """Validated metadata -> the name of its task."""
    return str(data.get("task", LANGUAGE))


KNOWN: dict[int, tuple[str, ...]] = {
    1: ("tokenizer", "facts"),
    2: ("task", "encoder", "info"),
    3: ("tokenizer", "facts", "mixture"),
}
"""By format, the fields that it has besides format, model and training."""


def check(data: dict[str, Any]) -> dict[str, Shape]:
    """Metadata -> the tensors it requires, name -> shape. CheckpointError if it is not valid."""
    number = data.get("format")
    # isinstance would accept True, which is an int in Python and equals 1.
    if type(number) is not int or number > FORMAT or number < 1:
        raise CheckpointError(
            f"its format number is {number!r} and this program reads up to {FORMAT}",
            "use the version of charrnn that wrote it, or a newer one",
        )
    known = KNOWN[number]
    objects = {"model", *known} - {"task"}
    # An unknown field is refused, because it may change the meaning of the others.
    if set(data) != {"format", "training", "model", *known} or not all(
        isinstance(data[key], dict) for key in objects
    ):
        raise broken("its metadata does not have the expected fields")
    # A language model has one format only, so that equal models have equal files.
    if number == 2 and data["task"] == LANGUAGE:
        raise broken("its format number is not that of a language model")
    schema = schema_of(data.get("task", LANGUAGE))  # as it is in the file, which may be no string
    info = _checked_info(data["info"] if number == 2 else data["facts"], number)
    try:
        # The bounds in the configs limit all shapes before anything is allocated.
        config = read_config(schema.config, data["model"])
        shapes = {f"model.{n}": shape for n, shape in schema.parameter_shapes(config).items()}
        if data["training"] is not None:
            shapes |= _training_shapes(schema, config, data["training"], info["step"])
        if number == 3:
            shapes[mixture.TENSOR] = (mixture.checked(data["mixture"], MOST_COUNTED),)
    except UsageError as error:
        # A file may claim to be of another task than it is.
        of_task = f" of the task {data['task']}" if number == 2 else ""
        raise broken(f"its configuration{of_task} is wrong ({error.problem})") from None
    return shapes


def _training_shapes(schema: Schema, config: ModelConfig, data: Any, step: int) -> dict[str, Shape]:
    if not isinstance(data, dict) or set(data) != {"config", "loss_sum", "loss_count"}:
        raise broken("its training state does not have the expected fields")
    if not isinstance(data["config"], dict):
        raise broken("its training configuration is missing")
    if not _is_number(data["loss_sum"]) or type(data["loss_count"]) is not int:
        raise broken("its training loss is not a number")
    train = read_config(TrainConfig, data["config"])
    parameters = schema.parameter_shapes(config)
    remembered = optimizer_shapes(train.optimizer, parameters)
    shapes = {f"optimizer.{name}": shape for name, shape in remembered.items()}
    # Before the average begins, the model itself is the last weights.
    if averaged_steps(train, step):
        shapes |= {f"raw.{name}": shape for name, shape in parameters.items()}
    state = schema.state_shapes(config, train.batch_size)
    return shapes | {f"state.{name}": shape for name, shape in state.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_score(value: Any) -> bool:
    """Whether a value can be `valid` of format 2: a metric's name and value, or null."""
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"metric", "value"}
        and isinstance(value["metric"], str)
        and _is_number(value["value"])
    )


def _is_fingerprint(value: Any) -> bool:
    """Whether a value can be `corpus`: an object, whose origins are named where there are any."""
    if not isinstance(value, dict):
        return False
    origins = value.get("origins", [])
    return isinstance(origins, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and all(isinstance(item, str) or type(item) is int for item in each.values())
        for each in origins
    )


COMMON_FIELDS: dict[str, Callable[[Any], bool]] = {
    # The bound is that of TrainConfig.steps.
    "step": lambda value: type(value) is int and 0 <= value <= 10**9,
    "epoch": _is_number,
    "corpus": _is_fingerprint,
    "lines": lambda value: isinstance(value, bool),
    "versions": _are_texts,
}

INFO_FIELDS: dict[int, dict[str, Callable[[Any], bool]]] = {
    1: COMMON_FIELDS
    | {
        "valid_nats_per_char": lambda value: value is None or _is_number(value),
        "setbacks": lambda value: type(value) is int,
    },
    2: COMMON_FIELDS | {"valid": _is_score, "rollbacks": lambda value: type(value) is int},
}
INFO_FIELDS[3] = INFO_FIELDS[1]
"""By format, each field of `checkpoint.CheckpointInfo` in JSON, and whether a value is valid."""

ADDED_FIELDS: dict[str, Callable[[Any], bool]] = {"valid_pieces": _is_number}
"""Fields that may be absent, in either format."""


def _checked_info(data: dict[str, Any], number: int) -> dict[str, Any]:
    fields = INFO_FIELDS[number] | {k: v for k, v in ADDED_FIELDS.items() if k in data}
    if set(data) != set(fields) or not all(valid(data[name]) for name, valid in fields.items()):
        # Each format has its own key, so the message names the one that is in the file.
        one, two = "its facts have the wrong types", "its info has the wrong types"
        raise broken(two if number == 2 else one)
    return data
