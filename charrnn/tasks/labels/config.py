"""What is asked of the data of labels, and the configuration of their network."""

from dataclasses import dataclass
from typing import Any

from charrnn.config import CELLS, ModelConfig, Shape, choice, number
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError

AUTO = "auto"
"""The tokenizer that the texts decide: characters, or words with their parts."""

MOST_LABELS = 10_000
"""More different labels than this are rather texts, and every text has a score of each."""

POOLED = 3
"""Vectors that a text becomes: the maximum, the mean and the last of its outputs."""


@dataclass(frozen=True)
class LabelsDataConfig(DataConfig):
    """Which columns of a table are text and label: names, or numbers from 1; empty to find them.

    A split is of texts: valid_fraction is a part of them.
    """

    tokenizer: str = AUTO
    text: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lines", "documents"):
            if getattr(self, name):
                raise UsageError(f"--{name} has no effect on texts with labels", "leave it out")

    def for_new_run(self) -> "LabelsDataConfig":
        """The same: no run of labels is older than the rules that DataConfig changes here."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The fields of DataConfig, and the columns if they were given."""
        own = {"text": self.text, "label": self.label}
        return super().to_json() | {name: value for name, value in own.items() if value}

    @classmethod
    def is_valid(cls, name: str, value: Any) -> bool:
        """Whether a parsed value has the type of a field."""
        if name in ("text", "label"):
            return isinstance(value, str)
        return super().is_valid(name, value)


@dataclass(frozen=True)
class LabelsConfig(ModelConfig):
    """The sizes of a network of labels.

    vocab_size: tokens, and one for what has no id. hidden_size: units of both directions of a layer
    together. outputs: softmax for one label a text, sigmoid for several. part_buckets: rows of the
    table of parts of words, 0 for none.
    """

    num_labels: int = number(2, 1, MOST_LABELS, "Number of labels.")
    outputs: str = choice(("softmax", "sigmoid"), "One label a text, or several.")
    part_buckets: int = number(0, 0, 1 << 20, "Rows of the table of parts of words; 0 for none.")
    members: int = number(1, 1, 64, "Networks that are trained side by side and averaged.")
    word_dropout: float = number(0.1, 0.0, 0.9, "Dropout of whole words of a text.")
    label_smoothing: float = number(0.0, 0.0, 0.9, "Probability that is spread over all labels.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tie_weights:
            raise UsageError(
                "the output layer of a network of labels has no embedding to share",
                "leave --tie-weights out",
            )


def direction_units(config: ModelConfig) -> int:
    """Units of one direction of a layer."""
    return (config.hidden_size + 1) // 2


def width(config: ModelConfig) -> int:
    """Units of both directions of a layer."""
    return 2 * direction_units(config)


def member_shapes(config: LabelsConfig) -> dict[str, Shape]:
    """Parameter name -> shape of one member."""
    units, shapes = direction_units(config), dict[str, Shape]()
    inputs = [config.embedding_size, *[width(config)] * (config.num_layers - 1)]
    rows = CELLS[config.cell].gates * units
    for direction in ("forward", "backward"):
        for layer, each in enumerate(inputs):
            name = f"{direction}.{layer}"
            shapes[f"{name}.weight_ih_l0"] = (rows, each)
            shapes[f"{name}.weight_hh_l0"] = (rows, units)
            shapes[f"{name}.bias_ih_l0"] = shapes[f"{name}.bias_hh_l0"] = (rows,)
    return shapes | {
        "output.weight": (config.num_labels, POOLED * width(config)),
        "output.bias": (config.num_labels,),
    }


def parameter_shapes(config: LabelsConfig) -> dict[str, Shape]:
    """Parameter name -> shape, in the network's order.

    scale: of the naive Bayes scores, one for each member.
    """
    size = config.embedding_size
    shapes: dict[str, Shape] = {
        "scale": (config.members,),
        "embedding.weight": (config.vocab_size, size),
    }
    if config.part_buckets:
        # The last row is that of no part.
        shapes["parts.weight"] = (config.part_buckets + 1, size)
    own = member_shapes(config)
    return shapes | {
        f"members.{n}.{name}": s for n in range(config.members) for name, s in own.items()
    }
