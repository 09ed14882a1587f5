"""What a checkpoint's header has to say before anything of the file is believed or allocated.

Standard library only: it looks at parsed JSON and says which tensors have to follow.
"""

from collections.abc import Callable
from typing import Any

from charrnn.config import (
    ModelConfig,
    TrainConfig,
    averages,
    parameter_shapes,
    read_config,
    state_shapes,
)
from charrnn.errors import CheckpointError, UsageError

FORMAT = 1
"""Raised whenever an older program could misread a newer file."""

MOMENTS = {"adamw": ("exp_avg", "exp_avg_sq"), "sgd": ()}
"""What each optimizer remembers of each parameter, as torch spells it."""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


FACTS: dict[str, Callable[[Any], bool]] = {
    "step": lambda value: type(value) is int and 0 <= value <= 10**9,
    "epoch": _number,
    "corpus": lambda value: isinstance(value, dict),
    "lines": lambda value: isinstance(value, bool),
    "valid_nats_per_char": lambda value: value is None or _number(value),
    "versions": _texts,
    "setbacks": lambda value: type(value) is int,
}
"""Each field of `checkpoint.Facts`, and whether a value can be its."""


def broken(detail: str) -> CheckpointError:
    """The error of a file whose inside does not fit together."""
    return CheckpointError(detail, "use another: charrnn checkpoints verify finds a whole one")


def check(data: dict[str, Any]) -> dict[str, tuple[int, ...]]:
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
        raise broken("its metadata has not the expected fields")
    _check_facts(data["facts"])
    try:
        model = read_config(ModelConfig, data["model"])
        shapes = {f"model.{n}": shape for n, shape in parameter_shapes(model).items()}
        if data["training"] is not None:
            shapes |= _training_shapes(model, data["training"], data["facts"]["step"])
    except UsageError as error:
        raise broken(f"its configuration is wrong ({error.problem})") from None
    return shapes


def _training_shapes(model: ModelConfig, data: Any, step: int) -> dict[str, tuple[int, ...]]:
    if not isinstance(data, dict) or set(data) != {"config", "loss_sum", "loss_count"}:
        raise broken("its training state has not the expected fields")
    if not isinstance(data["config"], dict):
        raise broken("its training configuration is missing")
    if not _number(data["loss_sum"]) or type(data["loss_count"]) is not int:
        raise broken("its training loss is no number")
    train = read_config(TrainConfig, data["config"])
    shapes = {
        f"optimizer.{moment}.{name}": shape
        for moment in MOMENTS[train.optimizer]
        for name, shape in parameter_shapes(model).items()
    }
    if averages(train, step):
        shapes |= {f"raw.{name}": shape for name, shape in parameter_shapes(model).items()}
    state = state_shapes(model, train.batch_size)
    return shapes | {f"state.{name}": shape for name, shape in state.items()}


def _check_facts(data: dict[str, Any]) -> None:
    if set(data) != set(FACTS) or not all(good(data[name]) for name, good in FACTS.items()):
        raise broken("its facts have the wrong types")
