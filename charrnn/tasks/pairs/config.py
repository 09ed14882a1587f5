"""What is asked of the data of pairs, and the configuration of their network."""

from dataclasses import dataclass
from typing import Any

from charrnn.config import CELLS, ModelConfig, Shape, number
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError

AUTO = "auto"
"""The tokenizer that the texts decide: characters, symbols between spaces, or subwords."""


@dataclass(frozen=True)
class PairsDataConfig(DataConfig):
    """Which columns of a table are source and target: names, or numbers from 1; empty to find them.

    A split is of pairs: valid_fraction is a part of them.
    """

    tokenizer: str = AUTO
    source_column: str = ""
    target_column: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lines", "documents"):
            if getattr(self, name):
                raise UsageError(f"--{name} has no effect on pairs, one a line", "leave it out")

    def for_new_run(self) -> "PairsDataConfig":
        """The same: no run of pairs is older than the rules that DataConfig changes here."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The fields of DataConfig, and the columns if they were given."""
        own = {"source_column": self.source_column, "target_column": self.target_column}
        return super().to_json() | {name: value for name, value in own.items() if value}

    @classmethod
    def is_valid(cls, name: str, value: Any) -> bool:
        """Whether a parsed value has the type of a field."""
        if name in ("source_column", "target_column"):
            return isinstance(value, str)
        return super().is_valid(name, value)


@dataclass(frozen=True)
class PairsConfig(ModelConfig):
    """The sizes of a network of pairs.

    vocab_size: of the target, and of the source too where source_vocab_size is 0: then one
    embedding serves both. num_layers: of the encoder. hidden_size: units of a decoder's layer, and
    of both directions of an encoder's together.
    """

    source_vocab_size: int = number(0, 0, 2_000_000, "Vocabulary size of the source; 0 if shared.")
    label_smoothing: float = number(0.1, 0.0, 0.9, "Probability that is spread over all tokens.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tie_weights:
            raise UsageError(
                "a network of pairs always shares its embedding with the output layer",
                "leave --tie-weights out",
            )


def encoder_units(config: ModelConfig) -> int:
    """Units of one direction of an encoder's layer."""
    return (config.hidden_size + 1) // 2


def recurrent_sizes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Name of each recurrent layer -> its inputs and units, in the network's order.

    >>> recurrent_sizes(PairsConfig(num_layers=1, hidden_size=8, embedding_size=4))
    {'forward.0': (4, 4), 'backward.0': (4, 4), 'lower': (4, 8), 'upper': (16, 8)}
    """
    each, hidden = encoder_units(config), config.hidden_size
    inputs = [config.embedding_size, *[2 * each] * (config.num_layers - 1)]
    sizes = {
        f"{direction}.{layer}": (width, each)
        for direction in ("forward", "backward")
        for layer, width in enumerate(inputs)
    }
    return sizes | {
        "lower": (config.embedding_size, hidden),
        # It reads the lower layer's output and what attention found.
        "upper": (hidden + 2 * each, hidden),
    }


def parameter_shapes(config: PairsConfig) -> dict[str, Shape]:
    """Parameter name -> shape, in the network's order."""
    width, hidden, context = config.embedding_size, config.hidden_size, 2 * encoder_units(config)
    shapes: dict[str, Shape] = {"embedding.weight": (config.vocab_size, width)}
    if config.source_vocab_size:
        shapes["source_embedding.weight"] = (config.source_vocab_size, width)
    for name, (inputs, units) in recurrent_sizes(config).items():
        rows = CELLS[config.cell].gates * units
        shapes[f"{name}.weight_ih_l0"] = (rows, inputs)
        shapes[f"{name}.weight_hh_l0"] = (rows, units)
        shapes[f"{name}.bias_ih_l0"] = shapes[f"{name}.bias_hh_l0"] = (rows,)
    return shapes | {
        "bridge.weight": (hidden, context),
        "bridge.bias": (hidden,),
        "keys.weight": (hidden, context),
        "projection.weight": (width, hidden + context),
        "projection.bias": (width,),
        "output.bias": (config.vocab_size,),
    }


def source_vocab_size(config: PairsConfig) -> int:
    """Vocabulary size of the source."""
    return config.source_vocab_size or config.vocab_size
