"""A plan: what to train and how, in numbers of steps, and what carrying it out costs."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from charrnn.config import ModelConfig, TrainConfig, num_parameters


@dataclass(frozen=True)
class Plan:
    """A plan and its cost: seconds for all steps, bytes of memory.

    most_steps: what a text so short is worth, whatever the time; 0 where that was not asked.
    """

    model: ModelConfig
    train: TrainConfig
    tokens_per_second: float
    epochs: float
    seconds: float
    memory: int
    most_steps: int = 0

    def of(self, steps: int) -> "Plan":
        """The same plan with another number of steps, and its cost."""
        part = steps / self.train.steps
        train = replace(self.train, steps=steps)
        epochs, seconds = self.epochs * part, self.seconds * part
        return replace(self, train=train, epochs=epochs, seconds=seconds)

    @property
    def exhausted(self) -> bool:
        """Whether it is the text that ends the training, and not the time."""
        return self.train.steps == self.most_steps

    @property
    def parameters(self) -> int:
        """Numbers that the model learns."""
        return num_parameters(self.model)

    def to_json(self) -> dict[str, Any]:
        """All fields, nested, and the number of parameters."""
        return asdict(self) | {"parameters": self.parameters}
