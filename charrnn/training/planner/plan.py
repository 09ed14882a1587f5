"""Data, machine and budget -> a plan: what to train, how, and what it costs.

What the user gives is kept. The rest is filled in by `heuristics`, at the speed of a few real
steps.
"""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import LANGUAGE
from charrnn.config import ModelConfig, TrainConfig, config_to_json
from charrnn.data.batches import steps_for
from charrnn.errors import UsageError
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.planner import heuristics
from charrnn.training.planner.budget import Budget
from charrnn.training.planner.calibration import Speed, best_precision, calibrate
from charrnn.training.planner.presets import Preset
from charrnn.training.planner.problem import Problem, problem_of

MOST_STEPS: int = TrainConfig.__dataclass_fields__["steps"].metadata["high"]
"""Most steps of a run, however fast the machine and long the time."""

PLANNING_SHARE = 0.2
"""The fraction of the time after which no other model is measured."""


@dataclass(frozen=True)
class Plan:
    """What to train and how; and what it costs: seconds for all steps, bytes of memory.

    most_steps: the steps after which more training would overfit, whatever the time; 0 if the user
    chose the number of steps. adaptive: whether the number of threads was measured, and may change
    with the load. busy: whether other work slowed the measurement down. minutes: what the user
    gave.
    """

    model_config: ModelConfig
    train_config: TrainConfig
    tokens_per_second: float
    epochs: float
    seconds: float
    memory: int
    most_steps: int = 0
    task: str = LANGUAGE
    adaptive: bool = False
    busy: bool = False
    minutes: float | None = None

    def with_steps(self, steps: int) -> "Plan":
        """The same plan with another number of steps, and its cost."""
        part = steps / self.train_config.steps
        train = replace(self.train_config, steps=steps)
        epochs, seconds = self.epochs * part, self.seconds * part
        return replace(self, train_config=train, epochs=epochs, seconds=seconds)

    @property
    def exhausted(self) -> bool:
        """Whether the data ends the training, and not the time."""
        return self.train_config.steps == self.most_steps

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return get_task(self.task).num_parameters(self.model_config)

    def to_json(self) -> dict[str, Any]:
        """The entry `plan` of run.json, of the event `planned` and of `plan --json`."""
        return {
            "model": config_to_json(self.model_config),
            "train": config_to_json(self.train_config),
            "tokens_per_second": self.tokens_per_second,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "memory": self.memory,
            "most_steps": self.most_steps,
            "parameters": self.parameters,
            # Absent where false, as in the files of earlier versions.
            **{key: True for key in ("adaptive", "busy") if getattr(self, key)},
        }


def make_plan(
    task: Task,
    dataset: Dataset,
    given: Mapping[str, Any],
    budget: Budget,
    group: Group,
    preset: Preset | None = None,
    began: float | None = None,
    model: Checkpoint | None = None,
) -> Plan:
    """Fill in what is not given, in this order: batch and window, model, speed, steps, cadence.

    given: fields of ModelConfig and TrainConfig -> values, which override the preset's. began:
    when the time started, on the clock of time.perf_counter; None for now. model: what the run
    begins with, whose sizes are kept. UsageError or CorpusError if the values cannot be combined.
    """
    began = time.perf_counter() if began is None else began
    problem = problem_of(task, dataset, given, budget, group, preset, began, model)
    # This order, because batch and window decide the speed, and the speed how large a model can be.
    chosen, measured = _choose(problem)
    other = problem.at_speed(measured.tokens_per_second)
    if other.optimizer != problem.optimizer:
        # This machine reads the text more often, or less, than the usual one.
        problem = other
        chosen, measured = _choose(problem, near=chosen)
    speed = measured.tokens_per_second
    # On a slow machine a step is smaller: it is the number of steps that counts.
    problem = problem.at_speed(speed, problem.optimizer)
    problem = replace(problem, train=problem.train | {"threads": measured.threads})
    steps = _steps(problem, speed)
    # A number that the user chose is obeyed, however much it overfits.
    most = 0 if problem.budget.steps or problem.budget.epochs else problem.most_steps
    epochs = steps * problem.tokens_per_step / problem.tokens
    parameters = task.num_parameters(chosen)
    # It depends on the number of epochs, so the speed was measured without it.
    found = problem.advice.overfitting(problem.tokens, problem.optimizer)
    dropouts = heuristics.dropouts(task, dataset, chosen, problem.given, epochs, found)
    chosen = replace(chosen, **dropouts)
    train = _train_config(problem, chosen, steps, speed)
    seconds = steps * problem.tokens_per_step / speed / (1 - problem.evaluation_share)
    memory = heuristics.memory(chosen, train, parameters, dataset.size("valid") > 0)
    adaptive = len(problem.counts) > 1
    return Plan(
        chosen, train, speed, epochs, seconds, memory, most, task.name, adaptive, measured.busy,
        budget.minutes,
    )  # fmt: skip


def _choose(problem: Problem, near: ModelConfig | None = None) -> tuple[ModelConfig, Speed]:
    """The largest size that data and budget can train, and its measured speed.

    near: a size that is measured first; None for the middle one.
    """
    candidates = _candidates(problem)
    budget = problem.budget
    if budget.steps or budget.epochs:
        total = (budget.steps or 0) * problem.tokens_per_step
        total = total or int((budget.epochs or 1.0) * problem.tokens)
        enough = [c for c in candidates if problem.tokens_for(c) <= total]
        # The tokens are known without a speed: only the chosen model is measured, for its costs.
        chosen = (enough or candidates[:1])[-1]
        return chosen, _speed(problem, chosen)
    first = len(candidates) // 2 if near is None else candidates.index(near)
    return _choose_by_time(problem, candidates, first)


def _candidates(problem: Problem) -> list[ModelConfig]:
    """The models to choose from, smallest first, none too large for the data; at least one."""
    size_of = problem.task.num_parameters
    rules = problem.task.rules
    all_sizes = rules.sizes if rules else heuristics.sizes(problem.group.device.type)
    # A size that the user gives makes several of them equal; each is measured once.
    configs = sorted(dict.fromkeys(_model(problem, size) for size in all_sizes), key=size_of)
    most = problem.budget.max_parameters
    if most and size_of(configs[0]) > most:
        raise UsageError(
            f"the smallest model for this text has {size_of(configs[0]):,} parameters, "
            f"and --max-parameters is {most:,}",
            "allow more, or make --hidden-size, --embedding-size or --vocab-size smaller",
        )
    per_token = rules.parameters_per_token if rules else heuristics.PARAMETERS_PER_TOKEN
    bound = min(most or math.inf, per_token * problem.tokens)
    return [c for c in configs if size_of(c) <= bound] or configs[:1]


def _choose_by_time(
    problem: Problem, candidates: list[ModelConfig], first: int
) -> tuple[ModelConfig, Speed]:
    """Measure the first size, then go up or down until a size fits its budget of tokens."""
    # Only neighbours, because each measurement takes seconds of the time that is to be planned.
    index = first
    speeds: dict[int, Speed] = {}
    begun = problem.seconds_left()
    while True:
        if index not in speeds:
            speeds[index] = _speed(problem, candidates[index])
        most = problem.most_steps * problem.tokens_per_step
        # Measuring shortens the time that is left; and time does not help where more would overfit.
        left = problem.seconds_left()
        total = min(speeds[index].tokens_per_second * left, most)
        enough = total >= problem.tokens_for(candidates[index])
        step = 1 if enough else -1
        beyond = not 0 <= index + step < len(candidates)
        # The next larger one was measured and did not fit: going up again would never end.
        if beyond or (enough and index + 1 in speeds):
            return candidates[index], speeds[index]
        if begun - left > PLANNING_SHARE * begun:
            # On a busy machine measuring would use up the time that it is to be planned for.
            if enough:
                return candidates[index], speeds[index]
            return _guess(problem, candidates[: index + 1], speeds[index], left)
        index += step


def _guess(
    problem: Problem, candidates: list[ModelConfig], speed: Speed, left: float
) -> tuple[ModelConfig, Speed]:
    """Models up to the one that was measured -> the largest that fits the time by a rough guess."""
    size_of, most = problem.task.num_parameters, problem.most_steps * problem.tokens_per_step
    for model in reversed(candidates[:-1]):
        # Small layers do not compute as many parameters per second as large ones.
        factor = math.sqrt(size_of(candidates[-1]) / size_of(model))
        faster = replace(speed, tokens_per_second=speed.tokens_per_second * factor)
        total = min(faster.tokens_per_second * left, most)
        if total >= problem.tokens_for(model) or model == candidates[0]:
            return model, faster
    return candidates[-1], speed


def _speed(problem: Problem, model: ModelConfig) -> Speed:
    """A model's speed, measured longer if more time depends on it."""
    # Up to four times as long, for sixteen minutes and more, and a quarter for a few seconds.
    times = min(4.0, max(0.25, min(1.0, problem.minutes), problem.minutes / 4))
    train = _known_train_fields(problem, model)
    return calibrate(
        problem.task, problem.dataset, model, train, problem.group, times, problem.counts
    )


def _known_train_fields(problem: Problem, model: ModelConfig) -> dict[str, Any]:
    """The fields of TrainConfig that are known once the model is."""
    # First, so that a precision that was given replaces it.
    precision = {"precision": best_precision(model, problem.group)}
    return precision | problem.train | {"optimizer": problem.optimizer}


def _model(problem: Problem, size: tuple[int, int]) -> ModelConfig:
    """Layers and units -> a model configuration with the user's values."""
    layers, hidden = size
    given = problem.given
    names = {item.name for item in dataclasses.fields(problem.task.config)} - {"vocab_size"}
    chosen: dict[str, Any] = {"num_layers": layers, "hidden_size": hidden, "residual": True}
    vocabulary = problem.task.model_config(problem.dataset, {}).vocab_size
    large = vocabulary >= heuristics.LARGE_VOCABULARY and problem.task.rules is None
    if given.get("tie_weights", large):
        # Equal widths, so that tied weights fit and every upper layer can be residual.
        width = given.get("hidden_size") or given.get("embedding_size") or hidden
        chosen |= {"tie_weights": True, "hidden_size": width, "embedding_size": width}
    chosen |= {name: value for name, value in given.items() if name in names}
    return problem.task.model_config(problem.dataset, chosen)


def _steps(problem: Problem, speed: float) -> int:
    budget, per_step = problem.budget, problem.tokens_per_step
    if budget.steps:
        return budget.steps
    if budget.epochs:
        return steps_for(budget.epochs, problem.tokens, per_step, MOST_STEPS)
    seconds = problem.seconds_left() * (1 - problem.evaluation_share)
    valid = problem.dataset.size("valid")
    read = problem.evaluation_speed(speed)
    seconds -= heuristics.final_seconds(valid, read, seconds, changeable=True)[0]
    # At least one: where ten do not fit, ten would take many times what was asked for.
    return min(MOST_STEPS, problem.most_steps, max(1, int(seconds * speed / per_step)))


def _train_config(problem: Problem, model: ModelConfig, steps: int, speed: float) -> TrainConfig:
    """The complete TrainConfig: known values, else those that suit size, speed and steps."""
    seconds_per_step = problem.tokens_per_step / speed
    valid, seconds = problem.dataset.size("valid"), steps * seconds_per_step
    parameters = problem.task.num_parameters(model)
    by_time = not (problem.budget.steps or problem.budget.epochs)
    read = problem.evaluation_speed(speed)
    times, eval_tokens = heuristics.evaluations(valid, read, seconds, parameters, by_time)
    # Rounded up, so that the evaluations are not one more than the time allows.
    eval_every = problem.train.get("eval_every") or max(1, math.ceil(steps / times))
    # A crash should cost five minutes at most, even where evaluations are rare.
    five_minutes = max(1, int(300 / seconds_per_step))
    rules = problem.task.rules
    chosen: dict[str, Any] = {
        "steps": steps,
        "learning_rate": (rules or problem.advice).learning_rate(model.hidden_size),
        "weight_decay": rules.weight_decay if rules else 0.1,
        "warmup_steps": steps // 20,
        "eval_every": eval_every,
        "eval_tokens": eval_tokens,
        "save_every": min(eval_every, five_minutes),
        # About every two seconds, and twenty lines at least in a short run.
        "log_every": max(1, min(steps // 20, int(2 / seconds_per_step))),
    }
    # Who asks for evaluations at certain steps is shown each of them.
    if "eval_every" not in problem.train:
        chosen["sample_every"] = heuristics.sample_every(eval_every, seconds_per_step)
    chosen |= _known_train_fields(problem, model)
    if 0 < chosen["eval_tokens"] < valid:
        ends = heuristics.final_seconds(valid, read, seconds, parameters, by_time)
        whole = ends[1] or not by_time
        chosen.setdefault("final_eval", "whole" if whole else "pieces")
    return TrainConfig(**chosen)
