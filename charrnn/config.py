"""Model and training configurations: frozen dataclasses with defaults, bounds and help.

Standard library only. Every field has its bounds and one line of help, from which the command line
makes an option. A ModelConfig alone determines the shapes of all parameters, so a checkpoint can be
validated before anything is allocated.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from charrnn.errors import UsageError

Config = TypeVar("Config", "ModelConfig", "TrainConfig")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class CellSpec:
    """What determines the shapes of a recurrent cell's parameters and state.

    gates: blocks of H rows in its weight matrices. state: the tensors (B, H) of its hidden state,
    its output first. two_biases: False if the second bias is only added to the first.
    """

    gates: int
    state: tuple[str, ...] = ("h",)
    two_biases: bool = False


CELLS: dict[str, CellSpec] = {
    "lstm": CellSpec(4, ("h", "c")),
    "gru": CellSpec(3, two_biases=True),  # its reset gate acts between the two biases
    "rnn": CellSpec(1),
}
"""Cells by name. Each has a class in models/cells.py and a node builder in inference/nodes.py."""


def _number(default: float, low: float, high: float, text: str, added: bool = False) -> Any:
    """A field with bounds. added: whether files of version 0.1 do not have it."""
    # The bounds also limit what an untrusted checkpoint can make the program allocate.
    bounds = {"low": low, "high": high}
    return field(default=default, metadata=bounds | {"help": text, "added": added})


def _choice(choices: Collection[str], text: str, added: bool = False) -> Any:
    # The first choice is the default.
    default = next(iter(choices))
    return field(default=default, metadata={"choices": choices, "help": text, "added": added})


def _switch(text: str, added: bool = False) -> Any:
    return field(default=False, metadata={"help": text, "added": added})


number, choice = _number, _choice
"""For the fields that a task adds to ModelConfig in its own package."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and dropout of a network; equal configs have equal parameter shapes."""

    vocab_size: int = _number(256, 1, 2_000_000, "Vocabulary size.")
    cell: str = _choice(CELLS, "Recurrent cell.")
    num_layers: int = _number(1, 1, 32, "Number of recurrent layers.")
    hidden_size: int = _number(256, 1, 16_384, "Units of each layer.")
    embedding_size: int = _number(128, 1, 16_384, "Embedding dimension.")
    input_dropout: float = _number(0.0, 0.0, 0.95, "Dropout of the embedded inputs.")
    dropout: float = _number(0.0, 0.0, 0.95, "Dropout between recurrent layers.")
    output_dropout: float = _number(0.0, 0.0, 0.95, "Dropout before the output layer.")
    residual: bool = _switch("Add each upper layer's input to its output.")
    tie_weights: bool = _switch("Use the embedding matrix as the output layer's weights.")
    variational: bool = _switch("Use the same dropout mask at all steps of a window.")
    embedding_dropout: float = _number(
        0.0, 0.0, 0.95, "Dropout of whole tokens from the embedding."
    )
    weight_dropout: float = _number(0.0, 0.0, 0.95, "Dropout of recurrent weights.")
    # Not an option: it follows from the documents of the text.
    reset_id: int = _number(
        -1, -1, 2_000_000, "Id before which the state starts anew; -1 for none.", added=True
    )

    def __post_init__(self) -> None:
        _check_fields(self)
        # Tied weights make the top layer as wide as the embedding. If it is the only layer,
        # hidden_size would be ignored silently.
        if self.tie_weights and self.num_layers == 1 and self.embedding_size != self.hidden_size:
            raise UsageError(
                f"tied weights of one layer need equal sizes, but embedding_size is "
                f"{self.embedding_size} and hidden_size {self.hidden_size}",
                "give both the same value, add a second layer, or leave --tie-weights out",
            )


@dataclass(frozen=True)
class TrainConfig:
    """The hyperparameters of a training; with data and seed they determine every step."""

    steps: int = _number(1_000, 1, 10**9, "Optimizer steps of the whole run.")
    batch_size: int = _number(32, 1, 65_536, "Streams of text read in parallel.")
    seq_length: int = _number(64, 1, 65_536, "Tokens of each stream read per step.")
    optimizer: str = _choice(
        ("adamw", "soap", "sgd"), "AdamW, SOAP (AdamW in a rotated space), or gradient descent."
    )
    learning_rate: float = _number(4e-3, 1e-8, 1e3, "Peak learning rate.")
    schedule: str = _choice(
        ("cosine", "steps"), "Decay of the learning rate: to zero, or by --decay-factor."
    )
    warmup_steps: int = _number(50, 0, 10**9, "Steps of linear warmup.")
    hold_steps: int = _number(0, 0, 10**9, "Steps before the first decay of --schedule steps.")
    decay_every: int = _number(1, 1, 10**9, "Steps between decays of --schedule steps.")
    decay_factor: float = _number(0.5, 1e-3, 1.0, "Factor of each decay of --schedule steps.")
    weight_decay: float = _number(0.01, 0.0, 10.0, "Weight decay of the matrices.")
    grad_clip: float = _number(1.0, 1e-6, 1e6, "Largest gradient norm; longer ones are scaled.")
    average_from: int = _number(
        0, 0, 10**9, "First step of the weight average that is the model; 0 for none."
    )
    output_penalty: float = _number(0.0, 0.0, 1e3, "Penalty on the top layer's mean square.")
    change_penalty: float = _number(
        0.0, 0.0, 1e3, "Penalty on the mean square of the top layer's change per step."
    )
    init_scale: float = _number(
        0.0, 0.0, 10.0, "Bound of uniform initial weights; 0 for the cell's own initialization."
    )
    precision: str = _choice(("float32", "bfloat16"), "Precision of matrix products in training.")
    seed: int = _number(0, 0, 2**63 - 1, "Seed of initial weights and dropout.")
    eval_every: int = _number(500, 1, 10**9, "Steps between evaluations.")
    eval_tokens: int = _number(
        0, 0, 10**12, "Tokens of the validation part read per evaluation, evenly spread; 0 for all."
    )
    # "beginning" is what runs of version 0.1 do: each evaluation reads the first `eval_tokens`.
    final_eval: str = _choice(
        ("beginning", "whole", "pieces"),
        "Last evaluation where --eval-tokens limits the others: of the whole, or of pieces too.",
        added=True,
    )
    sample_every: int = _number(
        1, 1, 10**9, "Evaluations from one that shows a sample to the next.", added=True
    )
    save_every: int = _number(500, 1, 10**9, "Steps between checkpoints.")
    log_every: int = _number(50, 1, 10**9, "Steps between progress lines.")
    keep: int = _number(3, 1, 10_000, "Newest checkpoints to keep, besides the best.")
    # Sums are divided among the threads, so their rounding depends on how many there are.
    threads: int = _number(2, 1, 1024, "Processor threads; exact resuming depends on them.")
    sampled_softmax: int = _number(
        0, 0, 2_000_000, "Tokens of the vocabulary in the loss of a training step; 0 for all.",
        added=True,
    )  # fmt: skip
    # Not an option: `training.planner.restart` sets it, for a run that is given more time.
    restart_step: int = _number(
        0, 0, 10**9, "Step at which the schedule began anew; 0 for a run's first one.", added=True
    )

    def __post_init__(self) -> None:
        _check_fields(self)


def read_config(kind: type[Config], data: Mapping[str, Any]) -> Config:
    """Parsed JSON -> a config. UsageError if a field is missing, unknown or out of bounds.

    A field that was added later may be missing: it has its default.
    """
    fields = dataclasses.fields(kind)
    required = {item.name for item in fields if not item.metadata.get("added")}
    known = {item.name for item in fields}
    # An unknown field is an error: ignoring a setting of a newer version would give another model.
    wrong = sorted((required - data.keys()) | (data.keys() - known))
    if wrong:
        raise UsageError(
            f"{kind.__name__} and the file differ in the field {wrong[0]!r}", "check it"
        )
    return kind(**data)


def config_to_json(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """A config -> its fields by name, as checkpoints and run.json have them.

    A field that was added later is left out at its default, so that files of trainings that do not
    use it stay readable for older versions, byte for byte.
    """
    return {
        item.name: getattr(config, item.name)
        for item in dataclasses.fields(config)
        if not item.metadata.get("added") or getattr(config, item.name) != item.default
    }


def _check_fields(config: ModelConfig | TrainConfig) -> None:
    for item in dataclasses.fields(config):
        _check_field(item, getattr(config, item.name))


def _check_field(item: dataclasses.Field[Any], value: Any) -> None:
    meta = item.metadata
    option = "--" + item.name.replace("_", "-")
    if "choices" in meta:
        if not isinstance(value, str) or value not in meta["choices"]:
            raise UsageError(
                f"{option} is {value!r}", f"choose one of {', '.join(meta['choices'])}"
            )
    elif "low" not in meta:
        # A switch. JSON has its own booleans, so 0 and 1 are not accepted for them.
        if type(value) is not bool:
            raise UsageError(f"{option} is {value!r}", "it is either on or off")
    elif not _fits(value, type(item.default), meta["low"], meta["high"]):
        kind = "a whole number" if isinstance(item.default, int) else "a number"
        raise UsageError(
            f"{option} is {value!r}", f"give {kind} from {meta['low']:g} to {meta['high']:g}"
        )


def _fits(value: Any, kind: type[Any], low: float, high: float) -> bool:
    # bool is a subclass of int, so JSON's true would pass for 1.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (kind is int and not isinstance(value, int)):
        return False
    # False for NaN and infinities too. A huge int must not be converted to float, so no isfinite.
    return bool(low <= value <= high)


def layer_sizes(config: ModelConfig) -> list[tuple[int, int]]:
    """(D, H) of each layer; with tied weights the top layer is as wide as the embedding.

    >>> layer_sizes(ModelConfig(num_layers=2, hidden_size=256, embedding_size=128))
    [(128, 256), (256, 256)]
    """
    sizes = [config.hidden_size] * config.num_layers
    if config.tie_weights:
        sizes[-1] = config.embedding_size
    # Each layer reads what the one before it outputs. Nobody reads the last, so it is left over.
    return list(zip([config.embedding_size, *sizes], sizes, strict=False))


def residual_at(config: ModelConfig, layer: int) -> bool:
    """Whether this layer's input is added to its output."""
    # The first layer's input is the embedding. With tied weights, the top layer may be narrower
    # than its input, and then the two cannot be added.
    width, hidden = layer_sizes(config)[layer]
    return config.residual and layer > 0 and width == hidden


def recurrent_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Parameter name -> shape of the recurrent layers, named and laid out as torch's cells are."""
    shapes: dict[str, Shape] = {}
    for layer, (width, hidden) in enumerate(layer_sizes(config)):
        rows = CELLS[config.cell].gates * hidden
        # Each layer is a torch module of one layer, hence the suffix _l0 in all of them.
        shapes[f"layers.{layer}.weight_ih_l0"] = (rows, width)
        shapes[f"layers.{layer}.weight_hh_l0"] = (rows, hidden)
        shapes[f"layers.{layer}.bias_ih_l0"] = (rows,)
        shapes[f"layers.{layer}.bias_hh_l0"] = (rows,)
    return shapes


def parameter_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Parameter name -> shape of a language model, in the order of the network's own."""
    shapes: dict[str, Shape] = {"embedding.weight": (config.vocab_size, config.embedding_size)}
    shapes |= recurrent_shapes(config)
    # A tied matrix is stored once, as the embedding; the bias of the output layer is its own.
    if not config.tie_weights:
        shapes["output.weight"] = (config.vocab_size, config.hidden_size)
    shapes["output.bias"] = (config.vocab_size,)
    return shapes


def state_shapes(config: ModelConfig, batch_size: int) -> dict[str, Shape]:
    """Name of each part of the hidden state -> its shape (B, H), layer by layer.

    >>> state_shapes(ModelConfig(cell="lstm", hidden_size=256), batch_size=8)
    {'0.h': (8, 256), '0.c': (8, 256)}
    """
    return {
        f"{layer}.{part}": (batch_size, hidden)
        for layer, (_, hidden) in enumerate(layer_sizes(config))
        for part in CELLS[config.cell].state
    }


def averaged_steps(train: TrainConfig, step: int) -> int:
    """The number of steps whose weights are averaged in the model after `step` steps; 0 for none.

    >>> averaged_steps(TrainConfig(average_from=100), step=150)
    50
    """
    return max(0, step - train.average_from) if train.average_from else 0


def num_parameters(config: ModelConfig) -> int:
    """Number of parameters of a language model.

    >>> num_parameters(ModelConfig(vocab_size=81, hidden_size=256, embedding_size=128))
    426449
    """
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())
