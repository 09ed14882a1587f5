"""What is asked of a series' data, and the configuration of its network."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from charrnn.config import ModelConfig, Shape, choice, layer_sizes, number, recurrent_shapes
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError

DISTRIBUTIONS = ("student-t", "negative-binomial")


@dataclass(frozen=True)
class SeriesDataConfig(DataConfig):
    """Which columns are the series, and how far ahead they are forecast.

    target, covariate: names of columns, or their numbers from 1 on. horizon: steps ahead, season:
    steps of a season; None to find them.
    """

    target: tuple[str, ...] = ()
    date: str = ""
    covariate: tuple[str, ...] = ()
    horizon: int | None = None
    season: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, most in (("horizon", 10_000), ("season", 100_000)):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 1 <= value <= most):
                raise UsageError(
                    f"--{name} is {value!r}", f"give a whole number from 1 to {most:,}"
                )

    def to_json(self) -> dict[str, Any]:
        """The fields of DataConfig, and those of series that are not at their defaults."""
        own = {item.name for item in dataclasses.fields(self)} - {
            item.name for item in dataclasses.fields(DataConfig)
        }
        values = {name: getattr(self, name) for name in sorted(own)}
        return super().to_json() | {k: v for k, v in values.items() if v not in (None, (), "")}

    @classmethod
    def is_valid(cls, name: str, value: Any) -> bool:
        """Whether a parsed value has the type of a field."""
        if name in ("target", "covariate"):
            return isinstance(value, list) and all(isinstance(text, str) for text in value)
        if name == "date":
            return isinstance(value, str)
        if name in ("horizon", "season"):
            return type(value) is int
        return super().is_valid(name, value)


@dataclass(frozen=True)
class SeriesConfig(ModelConfig):
    """The network of series: embedding_size is the number of its inputs.

    num_lags: earlier values that go straight to the output. members: networks that are averaged.
    """

    num_lags: int = number(5, 1, 64, "Earlier values that go straight to the output.")
    members: int = number(1, 1, 64, "Networks that are trained side by side and averaged.")
    distribution: str = choice(DISTRIBUTIONS, "Distribution of the next value.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_size < 2 * self.num_lags or self.tie_weights:
            raise UsageError(
                f"a network of {self.num_lags} lags cannot have {self.embedding_size} inputs",
                "leave its sizes to the planner",
            )


def outputs(config: SeriesConfig) -> int:
    """Numbers that the output layer computes: a weight a lag, place, scale, degrees of freedom."""
    return config.num_lags + 3


def parameter_shapes(config: SeriesConfig) -> dict[str, Shape]:
    """Parameter name -> shape: the members one after the other."""
    width = layer_sizes(config)[-1][1]
    shapes: dict[str, Shape] = {}
    for member in range(config.members):
        prefix = f"members.{member}."
        shapes |= {prefix + name: shape for name, shape in recurrent_shapes(config).items()}
        shapes[prefix + "output.weight"] = (outputs(config), width)
        shapes[prefix + "output.bias"] = (outputs(config),)
    return shapes
