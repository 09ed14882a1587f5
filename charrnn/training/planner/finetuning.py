"""The planner's rules for a run that begins with another model, from trials.

Its weights are near a good solution already: what it needs is a lower rate that does not destroy
them, and what it risks is to memorize a short text sooner. See benchmarks/trials.md.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.tasks.base import Dataset, Task
from charrnn.training.planner import heuristics

RATE = 0.2
"""The peak learning rate, over that of a new model of the same width."""

EPOCHS = 1 / 3
"""Epochs that still improve the model, over those of a new one."""

MOST_DROPOUT = 0.22
"""Weights that were learned without more of it lose more by it than a short text gains."""


class Advice(Protocol):
    """The rules of texts that differ for a run that begins with another model."""

    def most_epochs(self, tokens: int) -> float:
        """As in `heuristics`."""

    def optimizer(self) -> str:
        """As in `heuristics`."""

    def learning_rate(self, hidden_size: int) -> float:
        """As in `heuristics`."""

    def dropouts(
        self,
        task: Task,
        dataset: Dataset,
        model: ModelConfig,
        given: Collection[str],
        epochs: float,
    ) -> dict[str, Any]:
        """As in `heuristics`."""


@dataclass(frozen=True)
class FineTuning:
    """Advice for fine-tuning."""

    def most_epochs(self, tokens: int) -> float:
        """Tokens of the training part -> epochs that still improve the model."""
        return EPOCHS * heuristics.most_epochs(tokens)

    def optimizer(self) -> str:
        """AdamW, with which the rate and the epochs were found."""
        return "adamw"

    def learning_rate(self, hidden_size: int) -> float:
        """Units -> AdamW's peak learning rate."""
        return round(RATE * heuristics.learning_rate(hidden_size), 5)

    def dropouts(
        self,
        task: Task,
        dataset: Dataset,
        model: ModelConfig,
        given: Collection[str],
        epochs: float,
    ) -> dict[str, Any]:
        """As in `heuristics`, but less than `MOST_DROPOUT`."""
        found = heuristics.dropouts(task, dataset, model, given, epochs)
        if task.rules or not found:
            return found
        part = min(1.0, MOST_DROPOUT / max(MOST_DROPOUT, found["dropout"]))
        return {name: round(part * value, 2) for name, value in found.items()}


def advice(model: Checkpoint) -> Advice:
    """A model to begin with -> the rules for it."""
    return FineTuning()
