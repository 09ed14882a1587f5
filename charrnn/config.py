"""What a model and a training are: two frozen dataclasses with defaults and bounds.

Standard library only. Every field carries its bounds and one line of help, which the command
line shows; the shapes of every parameter follow from a ModelConfig alone, so a checkpoint can be
checked before anything is allocated.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from charrnn.errors import UsageError

Config = TypeVar("Config", "ModelConfig", "TrainConfig")

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""Cell name -> how many H-row blocks its weight matrices hold."""

STATE_PARTS = {"lstm": ("h", "c"), "gru": ("h",), "rnn": ("h",)}
"""Cell name -> the tensors that make up its hidden state, each (B, H)."""


def _number(default: float, low: float, high: float, text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def _choice(choices: tuple[str, ...], text: str) -> Any:
    return field(default=choices[0], metadata={"choices": choices, "help": text})


def _switch(text: str) -> Any:
    return field(default=False, metadata={"help": text})


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a CharRNN; two models with equal configs have equal parameter shapes."""

    vocab_size: int = _number(256, 1, 2_000_000, "Different tokens the model knows.")
    cell: str = _choice(tuple(GATES), "The recurrent cell.")
    num_layers: int = _number(1, 1, 32, "Recurrent layers, one above the other.")
    hidden_size: int = _number(256, 1, 16_384, "Units of each layer.")
    embedding_size: int = _number(128, 1, 16_384, "Numbers that stand for one token.")
    input_dropout: float = _number(0.0, 0.0, 0.95, "Share of embedded inputs dropped.")
    dropout: float = _number(0.0, 0.0, 0.95, "Share of values dropped between layers.")
    output_dropout: float = _number(0.0, 0.0, 0.95, "Share dropped before the output layer.")
    residual: bool = _switch("Add each upper layer's input to its output.")
    tie_weights: bool = _switch("Use the embedding as the output layer's weights.")
    variational: bool = _switch("Drop the same values at all steps of a window.")
    embedding_dropout: float = _number(0.0, 0.0, 0.95, "Share of tokens whose embedding is zeroed.")
    weight_dropout: float = _number(0.0, 0.0, 0.95, "Share of recurrent weights dropped.")

    def __post_init__(self) -> None:
        _check_fields(self)
        if self.tie_weights and self.num_layers == 1 and self.embedding_size != self.hidden_size:
            raise UsageError(
                f"tied weights of one layer need equal sizes, but embedding_size is "
                f"{self.embedding_size} and hidden_size {self.hidden_size}",
                "give both the same value, a second layer, or leave --tie-weights out",
            )


@dataclass(frozen=True)
class TrainConfig:
    """A training's fixed plan: with the corpus and the seed it determines every step."""

    steps: int = _number(1_000, 1, 10**9, "Optimizer steps of the whole run.")
    batch_size: int = _number(32, 1, 65_536, "Streams of text read side by side.")
    seq_length: int = _number(64, 1, 65_536, "Tokens of each stream read per step.")
    optimizer: str = _choice(("adamw", "sgd"), "AdamW, or plain gradient descent.")
    learning_rate: float = _number(4e-3, 1e-8, 1e3, "Peak learning rate.")
    schedule: str = _choice(("cosine", "steps"), "The rate falls to zero, or by --decay-factor.")
    warmup_steps: int = _number(50, 0, 10**9, "Steps over which the rate rises to its peak.")
    hold_steps: int = _number(0, 0, 10**9, "Steps at the peak before a rate by steps falls.")
    decay_every: int = _number(1, 1, 10**9, "Steps between falls of a rate by steps.")
    decay_factor: float = _number(0.5, 1e-3, 1.0, "What each fall multiplies the rate by.")
    weight_decay: float = _number(0.01, 0.0, 10.0, "Decay of the weight matrices.")
    grad_clip: float = _number(1.0, 1e-6, 1e6, "Largest gradient norm; longer ones are scaled.")
    average_from: int = _number(
        0, 0, 10**9, "Step from which the mean of the weights is the model; 0 for the last."
    )
    output_penalty: float = _number(0.0, 0.0, 1e3, "Weight of the top layer's mean square.")
    change_penalty: float = _number(0.0, 0.0, 1e3, "Weight of its mean square change.")
    init_scale: float = _number(
        0.0, 0.0, 10.0, "Weights start uniform within this; 0 for each kind's own."
    )
    precision: str = _choice(("float32", "bfloat16"), "Of the products while learning.")
    seed: int = _number(0, 0, 2**63 - 1, "Seed of start values and dropout.")
    eval_every: int = _number(500, 1, 10**9, "Steps between evaluations.")
    eval_tokens: int = _number(
        0, 0, 10**12, "Tokens of the validation part read at each evaluation; 0 for all."
    )
    save_every: int = _number(500, 1, 10**9, "Steps between checkpoints.")
    log_every: int = _number(50, 1, 10**9, "Steps between lines of progress.")
    keep: int = _number(3, 1, 10_000, "Newest checkpoints kept, besides the best.")
    threads: int = _number(2, 1, 1024, "Processor threads; part of what makes a run exact.")

    def __post_init__(self) -> None:
        _check_fields(self)


def read_config(kind: type[Config], data: Mapping[str, Any]) -> Config:
    """A config from parsed JSON; UsageError when a field is missing, unknown or out of bounds."""
    names = {item.name for item in dataclasses.fields(kind)}
    odd = sorted(names.symmetric_difference(data))
    if odd:
        raise UsageError(f"{kind.__name__} and the file differ in the field {odd[0]!r}", "check it")
    return kind(**data)


def _check_fields(config: ModelConfig | TrainConfig) -> None:
    for item in dataclasses.fields(config):
        _check_field(item, getattr(config, item.name))


def _check_field(item: dataclasses.Field[Any], value: Any) -> None:
    meta = item.metadata
    option = "--" + item.name.replace("_", "-")
    if "choices" in meta:
        if value not in meta["choices"]:
            raise UsageError(
                f"{option} is {value!r}", f"choose one of {', '.join(meta['choices'])}"
            )
    elif "low" not in meta:
        if type(value) is not bool:
            raise UsageError(f"{option} is {value!r}", "it is either on or off")
    elif not _fits(value, type(item.default), meta["low"], meta["high"]):
        kind = "a whole number" if isinstance(item.default, int) else "a number"
        raise UsageError(
            f"{option} is {value!r}", f"give {kind} from {meta['low']:g} to {meta['high']:g}"
        )


def _fits(value: Any, kind: type[Any], low: float, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (kind is int and not isinstance(value, int)):
        return False
    # False for what is no number or infinite, too; a huge int has no float to ask about.
    return bool(low <= value <= high)


def layer_sizes(config: ModelConfig) -> list[tuple[int, int]]:
    """(D, H) of each layer; with tied weights the top layer has as many units as the embedding."""
    sizes = [config.hidden_size] * config.num_layers
    if config.tie_weights:
        sizes[-1] = config.embedding_size
    return list(zip([config.embedding_size, *sizes], sizes, strict=False))


def residual_at(config: ModelConfig, layer: int) -> bool:
    """Whether this layer's input is added to its output."""
    width, hidden = layer_sizes(config)[layer]
    return config.residual and layer > 0 and width == hidden


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Parameter name -> shape, in the model's own order, as torch's cells name and lay them out."""
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.weight": (config.vocab_size, config.embedding_size)
    }
    for layer, (width, hidden) in enumerate(layer_sizes(config)):
        rows = GATES[config.cell] * hidden
        shapes[f"layers.{layer}.weight_ih_l0"] = (rows, width)
        shapes[f"layers.{layer}.weight_hh_l0"] = (rows, hidden)
        shapes[f"layers.{layer}.bias_ih_l0"] = (rows,)
        shapes[f"layers.{layer}.bias_hh_l0"] = (rows,)
    if not config.tie_weights:
        shapes["output.weight"] = (config.vocab_size, config.hidden_size)
    shapes["output.bias"] = (config.vocab_size,)
    return shapes


def state_shapes(config: ModelConfig, batch_size: int) -> dict[str, tuple[int, ...]]:
    """Name of each part of the hidden state -> its shape (B, H), layer by layer."""
    return {
        f"{layer}.{part}": (batch_size, hidden)
        for layer, (_, hidden) in enumerate(layer_sizes(config))
        for part in STATE_PARTS[config.cell]
    }


def averages(train: TrainConfig, step: int) -> int:
    """How many steps' weights the model after `step` steps is the mean of; 0 where it is not."""
    return max(0, step - train.average_from) if train.average_from else 0


def num_parameters(config: ModelConfig) -> int:
    """How many numbers the model learns."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())
