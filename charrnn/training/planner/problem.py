"""What a plan is made from: the task, its data, what the user gave, and what follows from these."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.models.device import available_threads
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.planner import finetuning, heuristics
from charrnn.training.planner.batch_shape import batch_shape, read_in_larger_steps, tokens_read
from charrnn.training.planner.budget import Budget, completing_seconds, minutes
from charrnn.training.planner.finetuning import Advice
from charrnn.training.planner.presets import Preset
from charrnn.training.planner.threads import choices

ENDING_SECONDS = 1.0
"""Time that is kept free for what comes after the last step."""


@dataclass(frozen=True)
class Problem:
    """What a plan is made from. given: the user's values; train: fields of TrainConfig so far.

    advice: the rules of texts, those of fine-tuning where the run begins with another model.
    vocab_size: of a text that is planned by these rules, else 0.
    """

    task: Task
    dataset: Dataset
    given: Mapping[str, Any]
    train: dict[str, Any]
    budget: Budget
    group: Group
    began: float
    counts: tuple[int, ...]
    advice: Advice
    vocab_size: int

    @property
    def tokens(self) -> int:
        """Of the training part."""
        return self.dataset.size("train")

    @property
    def tokens_per_step(self) -> int:
        """Of all streams."""
        return int(self.train["batch_size"] * self.train["seq_length"])

    @property
    def most_steps(self) -> int:
        """Steps after which more would overfit."""
        if self.task.rules:
            return self.task.rules.most_steps(self.dataset)
        epochs = self.advice.most_epochs(self.tokens, self.optimizer)
        return max(10, int(epochs * self.tokens / self.tokens_per_step))

    def tokens_for(self, model: ModelConfig) -> float:
        """Training tokens from which on a model's size is worth its time."""
        parameters, rules = self.task.num_parameters(model), self.task.rules
        if rules:
            return parameters * rules.tokens_per_parameter
        return heuristics.enough_tokens(parameters, self.tokens, self.optimizer)

    @property
    def optimizer(self) -> str:
        """The user's, or the planned one."""
        return str(self.train["optimizer"])

    @property
    def minutes(self) -> float:
        """The user's, or those that suit the data."""
        return minutes(self.task, self.dataset, self.budget)

    @property
    def evaluation_share(self) -> float:
        """The fraction of the time that evaluations take."""
        return heuristics.EVALUATION_SHARE if self.dataset.size("valid") else 0.0

    def evaluation_speed(self, speed: float) -> float:
        """Tokens a second of training -> half of those of evaluations, which compute all logits."""
        return speed / 2 if self.train["sampled_softmax"] else speed

    def seconds_left(self) -> float:
        """Seconds for training; every rank has to call it, and rank 0's clock counts."""
        spent = time.perf_counter() - self.began
        # Clocks differ, and ranks whose plans differ by a step would wait for each other for ever.
        shared = self.group.broadcast(repr(spent) if self.group.is_main else "")
        ending = ENDING_SECONDS + completing_seconds(self.task, self.dataset, self.minutes)
        return max(0.0, self.minutes * 60 - ending - float(shared))

    def at_speed(self, speed: float, optimizer: str | None = None) -> "Problem":
        """With the step that suits what is read at a speed (tokens/s), and with the optimizer.

        optimizer: None for the one that suits it too. What the user gave stays.
        """
        expected = tokens_read(self.task, self.dataset, self.budget, speed)
        rules, size = self.task.rules, self.vocab_size
        planned = rules.optimizer if rules else self.advice.optimizer(self.tokens, expected, size)
        optimizer = self.given.get("optimizer", optimizer or planned)
        read = read_in_larger_steps(self.task, self.dataset, self.budget, optimizer, speed)
        shape = batch_shape(self.task, self.dataset, self.given, self.group, read)
        return replace(self, train=self.train | {"optimizer": optimizer, **shape})


def problem_of(
    task: Task,
    dataset: Dataset,
    given: Mapping[str, Any],
    budget: Budget,
    group: Group,
    preset: Preset | None,
    began: float,
    model: Checkpoint | None = None,
) -> Problem:
    """What is known before any speed is measured: what is given, and what suits a usual speed."""
    values = dict(preset.given if preset else {}) | dict(given)
    values |= task.sizes_from(model) if model else {}
    advice = finetuning.advice(task, dataset, model, group) if model else heuristics
    # Presets are as published, and tasks with rules of their own have small outputs.
    size = 0 if preset or task.rules else task.model_config(dataset, {}).vocab_size
    names = {item.name for item in dataclasses.fields(TrainConfig)}
    own = {name: value for name, value in values.items() if name in names}
    threads = available_threads()
    counts = choices(own.get("threads", threads), "threads" in own, group)
    sampled = heuristics.sampled_softmax(size, group.device.type)
    train = {"threads": threads, "sampled_softmax": sampled}
    known = Problem(task, dataset, values, train, budget, group, began, counts, advice, size)
    known = known.at_speed(heuristics.USUAL_SPEED)
    if preset:
        # The preset's lengths in steps follow from its batch; fields in `own` override them.
        own = preset.in_steps(known.tokens / known.tokens_per_step) | own
        if not (budget.minutes or budget.epochs or budget.steps):
            budget = replace(budget, epochs=preset.epochs)
    return replace(known, train=known.train | own, budget=budget)
