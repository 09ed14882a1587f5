"""Budget: how much training the user asks for."""

from dataclasses import dataclass

from charrnn.errors import UsageError
from charrnn.tasks.base import Dataset, Task
from charrnn.training.planner import heuristics


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes, epochs, steps, or none of them; and how large a model may be."""

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    max_parameters: int | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.minutes, self.epochs, self.steps)) > 1:
            raise UsageError(
                "--minutes, --epochs and --steps contradict each other", "give only one of them"
            )
        for name in ("minutes", "epochs", "steps", "max_parameters"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            # Written so that NaN fails too.
            if value is not None and not (is_number and value > 0):
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} is {value!r}", "give a number above 0")


def minutes(task: Task, dataset: Dataset, budget: Budget) -> float:
    """The minutes of a budget; those that suit the data where none are given."""
    if not budget.minutes and task.rules and task.rules.minutes:
        return task.rules.minutes(dataset)
    length = sum(map(dataset.length, ("train", "valid", "test")))
    return budget.minutes or heuristics.default_minutes(length)


def completing_seconds(task: Task, dataset: Dataset, minutes: float) -> float:
    """How much of a training's time is left for what is fitted last: what it takes, at most half.

    Half a minute with the n-grams of a very long text ends late, rather than after one step.
    """
    return min(task.completing_seconds(dataset), 60 * minutes / 2)
