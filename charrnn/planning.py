"""Corpus, machine and budget -> a plan: configurations, and what carrying them out will cost.

What a person gives is kept; the rest is filled in by `rules`, at the speed of a few real steps.
"""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn import rules
from charrnn.batches import share, steps_for
from charrnn.calibration import best_precision, calibrate, default_threads
from charrnn.config import ModelConfig, TrainConfig, num_parameters
from charrnn.corpus import Corpus
from charrnn.distributed import Group
from charrnn.errors import CorpusError, UsageError
from charrnn.plan import Plan
from charrnn.presets import Preset

MOST_STEPS: int = TrainConfig.__dataclass_fields__["steps"].metadata["high"]
"""However fast the machine and long the time."""

ENDING = 1.0
"""Seconds that go by after the last step."""


@dataclass(frozen=True)
class Budget:
    """How long to train: one of the three, or none for the planner's own choice; and how large."""

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    max_parameters: int | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.minutes, self.epochs, self.steps)) > 1:
            raise UsageError(
                "--minutes, --epochs and --steps contradict each other", "give only one of them"
            )


@dataclass(frozen=True)
class _Task:
    """What a plan is made from; `train` holds the settled fields of TrainConfig."""

    corpus: Corpus
    given: Mapping[str, Any]
    train: dict[str, Any]
    budget: Budget
    group: Group
    began: float

    @property
    def tokens(self) -> int:
        return self.corpus.splits["train"].tokens

    @property
    def per_step(self) -> int:
        """Tokens of one step."""
        return int(self.train["batch_size"] * self.train["seq_length"])

    @property
    def most_steps(self) -> int:
        """Those that the text is worth."""
        return max(10, int(rules.most_epochs(self.tokens) * self.tokens / self.per_step))

    @property
    def minutes(self) -> float:
        return self.budget.minutes or rules.default_minutes(self.corpus.characters)

    @property
    def evaluating(self) -> float:
        """The share of the time that evaluations take."""
        return rules.EVALUATION_SHARE if "valid" in self.corpus.splits else 0.0

    def left(self) -> float:
        """Seconds for training; every rank has to call it, and rank 0's clock counts."""
        spent = time.perf_counter() - self.began
        shared = self.group.share(repr(spent) if self.group.leads else "")
        return max(0.0, self.minutes * 60 - ENDING - float(shared))


def make_plan(
    corpus: Corpus,
    given: Mapping[str, Any],
    budget: Budget,
    group: Group,
    preset: Preset | None = None,
    began: float | None = None,
) -> Plan:
    """Fill in what is not given, in this order: batch and window, model, speed, steps, cadence.

    `given` maps fields of ModelConfig and TrainConfig to values, which come before the preset's. A
    time counts from `began`, of time.perf_counter, or from now. UsageError or CorpusError says what
    cannot be had together.
    """
    task = _task(corpus, given, budget, group, preset, began or time.perf_counter())
    model, speed = _choose(task)
    steps = _steps(task, speed)
    most = 0 if task.budget.steps or task.budget.epochs else task.most_steps
    epochs = steps * task.per_step / task.tokens
    if not any("dropout" in name for name in task.given):
        part = rules.dropout(epochs, num_parameters(model), task.tokens)
        below = round(rules.input_dropout(part, model.vocab_size), 2)
        model = dataclasses.replace(model, input_dropout=below, dropout=part, output_dropout=part)
    train = _train_config(task, model, steps, speed)
    seconds = steps * task.per_step / speed / (1 - task.evaluating)
    return Plan(model, train, speed, epochs, seconds, rules.memory(model, train), most)


def _task(
    corpus: Corpus,
    given: Mapping[str, Any],
    budget: Budget,
    group: Group,
    preset: Preset | None,
    began: float,
) -> _Task:
    """What is settled before any size: all that is given, and what the speed hangs on."""
    tokens = corpus.splits["train"].tokens
    whole = dict(preset.given if preset else {}) | dict(given)
    shape = _batch(tokens, whole, group)
    names = {item.name for item in dataclasses.fields(TrainConfig)}
    own = {name: value for name, value in whole.items() if name in names}
    if preset:
        own = preset.settled(tokens / (shape["batch_size"] * shape["seq_length"])) | own
        if not (budget.minutes or budget.epochs or budget.steps):
            budget = dataclasses.replace(budget, epochs=preset.epochs)
    train = {"threads": default_threads(), **shape, **own}
    return _Task(corpus, whole, train, budget, group, began)


def _batch(tokens: int, given: Mapping[str, Any], group: Group) -> dict[str, int]:
    """Batch size and window that fit the text: each stream holds at least a window and a token."""
    length = given.get("seq_length") or rules.window(tokens)
    batch = given.get("batch_size") or rules.streams(tokens, length, group.device.type)
    if "batch_size" not in given:
        batch = math.ceil(batch / group.world_size) * group.world_size
    share(batch, group.world_size)
    if batch * (length + 1) > tokens:
        raise CorpusError(
            f"the training part has {tokens:,} tokens and --batch-size {batch} with "
            f"--seq-length {length} needs {batch * (length + 1):,}",
            "make them smaller or give more text",
        )
    return {"batch_size": batch, "seq_length": length}


def _choose(task: _Task) -> tuple[ModelConfig, float]:
    """The largest size that corpus and budget can teach, and its measured tokens per second."""
    fitting = _fitting(task)
    if task.budget.steps or task.budget.epochs:
        total = (task.budget.steps or 0) * task.per_step
        total = total or int((task.budget.epochs or 1.0) * task.tokens)
        enough = [c for c in fitting if num_parameters(c) * rules.TOKENS_PER_PARAMETER <= total]
        chosen = (enough or fitting[:1])[-1]
        return chosen, _speed(task, chosen)
    return _by_time(task, fitting)


def _fitting(task: _Task) -> list[ModelConfig]:
    """The models to choose from, smallest first: none too large for text or wish, one at least."""
    configs = list(
        dict.fromkeys(
            _model(task.corpus, task.given, size) for size in rules.sizes(task.group.device.type)
        )
    )
    configs.sort(key=num_parameters)
    most = task.budget.max_parameters
    if most and num_parameters(configs[0]) > most:
        raise UsageError(
            f"the smallest model for this text has {num_parameters(configs[0]):,} parameters, "
            f"and --max-parameters is {most:,}",
            "allow more, or make --hidden-size, --embedding-size or --vocab-size smaller",
        )
    bound = min(most or math.inf, rules.PARAMETERS_PER_TOKEN * task.tokens)
    return [c for c in configs if num_parameters(c) <= bound] or configs[:1]


def _by_time(task: _Task, fitting: list[ModelConfig]) -> tuple[ModelConfig, float]:
    """Measure one size, guess the best from its speed, and measure on until the guess holds."""
    index = len(fitting) // 2
    speeds: dict[int, float] = {}
    while True:
        if index not in speeds:
            speeds[index] = _speed(task, fitting[index])
        total = min(speeds[index] * task.left(), task.most_steps * task.per_step)
        enough = total >= num_parameters(fitting[index]) * rules.TOKENS_PER_PARAMETER
        step = 1 if enough else -1
        beyond = not 0 <= index + step < len(fitting)
        if beyond or (enough and index + 1 in speeds):
            return fitting[index], speeds[index]
        index += step


def _speed(task: _Task, model: ModelConfig) -> float:
    """Tokens per second, measured for longer where more hangs on it."""
    times = min(4.0, max(1.0, task.minutes / 4))
    return calibrate(task.corpus, model, _settled(task, model), task.group, times)


def _settled(task: _Task, model: ModelConfig) -> dict[str, Any]:
    """The fields of TrainConfig that are settled once the model is."""
    return {"precision": best_precision(model, task.group), **task.train}


def _model(corpus: Corpus, given: Mapping[str, Any], size: tuple[int, int]) -> ModelConfig:
    layers, hidden = size
    vocabulary = corpus.tokenizer.vocab_size
    names = {item.name for item in dataclasses.fields(ModelConfig)} - {"vocab_size"}
    chosen: dict[str, Any] = {"num_layers": layers, "hidden_size": hidden, "residual": True}
    if given.get("tie_weights", vocabulary >= rules.MANY_TOKENS):
        width = given.get("hidden_size") or given.get("embedding_size") or hidden
        chosen |= {"tie_weights": True, "hidden_size": width, "embedding_size": width}
    chosen |= {name: value for name, value in given.items() if name in names}
    return ModelConfig(vocab_size=vocabulary, **chosen)


def _steps(task: _Task, speed: float) -> int:
    if task.budget.steps:
        return task.budget.steps
    if task.budget.epochs:
        return steps_for(task.budget.epochs, task.tokens, task.per_step, MOST_STEPS)
    seconds = task.left() * (1 - task.evaluating)
    return min(MOST_STEPS, task.most_steps, max(10, int(seconds * speed / task.per_step)))


def _train_config(task: _Task, model: ModelConfig, steps: int, speed: float) -> TrainConfig:
    """The whole TrainConfig: known values, else those that suit size, speed and number of steps."""
    per_step = task.per_step / speed
    validation = task.corpus.splits.get("valid")
    times, eval_tokens = rules.evaluations(
        validation.tokens if validation else None, speed, steps * per_step
    )
    eval_every = task.train.get("eval_every") or max(1, math.ceil(steps / times))
    five_minutes = max(1, int(300 / per_step))
    chosen: dict[str, Any] = {
        "steps": steps,
        "learning_rate": rules.learning_rate(model.hidden_size),
        "weight_decay": 0.1,
        "warmup_steps": steps // 20,
        "eval_every": eval_every,
        "eval_tokens": eval_tokens,
        "save_every": min(eval_every, five_minutes),
        "log_every": max(1, min(steps // 20, int(2 / per_step))),
    }
    return TrainConfig(**(chosen | _settled(task, model)))
