"""Corpus, machine and budget -> a plan: configurations, and what carrying them out will cost.

What a person gives is kept; the rest is filled in. A short calibration runs a few real steps, and
from then on the plan is fixed: it holds numbers of steps, not a clock.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.batches import share
from charrnn.calibration import CALIBRATION_SECONDS, calibrate, default_threads
from charrnn.config import ModelConfig, TrainConfig, num_parameters
from charrnn.corpus import Corpus
from charrnn.distributed import Group
from charrnn.errors import CorpusError, UsageError

SIZES = ((1, 64), (1, 128), (1, 192), (2, 192), (2, 256), (2, 384), (2, 512), (2, 768), (2, 1024))
"""Layers and units that the planner chooses from, smallest first."""

TOKENS_PER_PARAMETER = 3.5
"""A budget is best spent on about so many training tokens for each parameter."""

PARAMETERS_PER_TOKEN = 12
"""A model larger than this share of its corpus only learns it by heart."""

EVALUATION_SHARE = 0.06
"""Of the time, at most, for evaluating."""

EVALUATION_TOKENS = 50_000
"""At least so many are read, if there are, because fewer would not tell two models apart."""

SECONDS_BETWEEN_EVALUATIONS = 6
"""At least, because a person reads each of them."""

MOST_STEPS: int = TrainConfig.__dataclass_fields__["steps"].metadata["high"]
"""However fast the machine and long the time."""


@dataclass(frozen=True)
class Budget:
    """How long to train: one of the three, or none for the planner's own choice."""

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.minutes, self.epochs, self.steps)) > 1:
            raise UsageError(
                "--minutes, --epochs and --steps contradict each other", "give only one of them"
            )


@dataclass(frozen=True)
class Plan:
    """A fixed plan, and its cost: seconds for all steps, bytes of memory."""

    model: ModelConfig
    train: TrainConfig
    tokens_per_second: float
    epochs: float
    seconds: float
    memory: int

    @property
    def parameters(self) -> int:
        """Numbers that the model learns."""
        return num_parameters(self.model)

    def to_json(self) -> dict[str, Any]:
        """All fields, nested, and the number of parameters."""
        return asdict(self) | {"parameters": self.parameters}


def make_plan(corpus: Corpus, given: Mapping[str, Any], budget: Budget, group: Group) -> Plan:
    """Fill in what is not given, in this order: batch and window, model, speed, steps, cadence.

    `given` maps fields of ModelConfig and TrainConfig to values. UsageError or CorpusError says
    which of them cannot be had together.
    """
    tokens = corpus.splits["train"].tokens
    shape = _batch(tokens, given, group)
    minutes = budget.minutes or default_minutes(corpus.characters)
    model, speed = _choose(corpus, given, shape, minutes, budget, group)
    per_step = shape["batch_size"] * shape["seq_length"]
    steps = _steps(tokens, per_step, speed, minutes, budget)
    epochs = steps * per_step / tokens
    if not any("dropout" in name for name in given):
        part = dropout(epochs, num_parameters(model), tokens)
        model = dataclasses.replace(
            model, input_dropout=round(part / 4, 2), dropout=part, output_dropout=part
        )
    train = _train_config(corpus, given, shape, model, steps, speed)
    seconds = steps * per_step / speed / (1 - EVALUATION_SHARE)
    return Plan(model, train, speed, epochs, seconds, memory(model, train))


def default_minutes(characters: int) -> float:
    """How long to train when nothing is said: from one minute for a list to ten for a library."""
    return min(10.0, max(1.0, characters / 300_000))


def dropout(epochs: float, parameters: int, tokens: int) -> float:
    """Dropout of a run that reads its text `epochs` times: none for few, more the more it repeats.

    What counts is how much of the text the model could store, so size goes in as well.
    """
    pressure = math.log2(max(1.0, epochs / 6)) * min(1.0, parameters / tokens) ** 0.25
    return float(round(min(0.5, 0.22 * pressure), 2))


def memory(model: ModelConfig, train: TrainConfig) -> int:
    """Bytes of a training: weights, gradients, moments and activations, and torch itself."""
    per_token = model.num_layers * model.hidden_size * 14 + model.embedding_size * 4
    per_token += 3 * model.vocab_size
    batch = train.batch_size * train.seq_length
    return 4 * (5 * num_parameters(model) + batch * per_token) + 350 * 2**20


def _batch(tokens: int, given: Mapping[str, Any], group: Group) -> dict[str, int]:
    """Batch size and window that fit the text: each stream holds at least a window and a token."""
    length = given.get("seq_length") or min(64, max(8, tokens // 64))
    batch = given.get("batch_size") or 2 ** max(2, min(4, int(math.log2(tokens / length / 8 + 1))))
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


def _choose(
    corpus: Corpus,
    given: Mapping[str, Any],
    shape: Mapping[str, int],
    minutes: float,
    budget: Budget,
    group: Group,
) -> tuple[ModelConfig, float]:
    """The largest size that corpus and budget can teach, and its measured tokens per second."""
    tokens = corpus.splits["train"].tokens
    configs = list(dict.fromkeys(_model(corpus, given, size) for size in SIZES))
    fitting = [c for c in configs if num_parameters(c) <= PARAMETERS_PER_TOKEN * tokens]
    fitting = fitting or configs[:1]
    if budget.steps or budget.epochs:
        total = (budget.steps or 0) * shape["batch_size"] * shape["seq_length"]
        total = total or int((budget.epochs or 1.0) * tokens)
        enough = [c for c in fitting if num_parameters(c) * TOKENS_PER_PARAMETER <= total]
        chosen = (enough or fitting[:1])[-1]
        return chosen, calibrate(corpus, chosen, given, shape, group)
    return _by_time(corpus, given, shape, minutes, group, fitting)


def _by_time(
    corpus: Corpus,
    given: Mapping[str, Any],
    shape: Mapping[str, int],
    minutes: float,
    group: Group,
    fitting: list[ModelConfig],
) -> tuple[ModelConfig, float]:
    """Measure one size, guess the best from its speed, and measure on until the guess holds."""
    index = len(fitting) // 2
    speeds: dict[int, float] = {}
    while True:
        if index not in speeds:
            speeds[index] = calibrate(corpus, fitting[index], given, shape, group)
        total = speeds[index] * minutes * 60
        enough = total >= num_parameters(fitting[index]) * TOKENS_PER_PARAMETER
        step = 1 if enough else -1
        beyond = not 0 <= index + step < len(fitting)
        if beyond or (enough and index + 1 in speeds):
            return fitting[index], speeds[index]
        index += step


def _model(corpus: Corpus, given: Mapping[str, Any], size: tuple[int, int]) -> ModelConfig:
    layers, hidden = size
    names = {item.name for item in dataclasses.fields(ModelConfig)} - {"vocab_size"}
    chosen: dict[str, Any] = {"num_layers": layers, "hidden_size": hidden, "residual": True}
    if given.get("tie_weights"):
        width = given.get("hidden_size") or given.get("embedding_size") or hidden
        chosen |= {"hidden_size": width, "embedding_size": width}
    chosen |= {name: value for name, value in given.items() if name in names}
    return ModelConfig(vocab_size=corpus.tokenizer.vocab_size, **chosen)


def _steps(tokens: int, per_step: int, speed: float, minutes: float, budget: Budget) -> int:
    if budget.steps:
        return budget.steps
    if budget.epochs:
        return max(1, round(budget.epochs * tokens / per_step))
    seconds = minutes * 60 * (1 - EVALUATION_SHARE) - 2 * CALIBRATION_SECONDS - 3
    return min(MOST_STEPS, max(10, int(seconds * speed / per_step)))


def _train_config(
    corpus: Corpus,
    given: Mapping[str, Any],
    shape: Mapping[str, int],
    model: ModelConfig,
    steps: int,
    speed: float,
) -> TrainConfig:
    """The whole TrainConfig: given values, else those that suit size, speed and number of steps."""
    names = {item.name for item in dataclasses.fields(TrainConfig)}
    seconds_per_step = shape["batch_size"] * shape["seq_length"] / speed
    evaluations, eval_tokens = _evaluations(corpus, speed, steps * seconds_per_step)
    eval_every = given.get("eval_every") or max(1, math.ceil(steps / evaluations))
    five_minutes = max(1, int(300 / seconds_per_step))
    chosen: dict[str, Any] = {
        "steps": steps,
        "learning_rate": round(6e-3 * math.sqrt(256 / model.hidden_size), 5),
        "weight_decay": 0.1,
        "warmup_steps": steps // 20,
        "threads": default_threads(),
        "eval_every": eval_every,
        "eval_tokens": eval_tokens,
        "save_every": min(eval_every, five_minutes),
        "log_every": max(1, min(steps // 20, int(2 / seconds_per_step))),
    }
    chosen |= shape
    chosen |= {name: value for name, value in given.items() if name in names}
    return TrainConfig(**chosen)


def _evaluations(corpus: Corpus, speed: float, seconds: float) -> tuple[int, int]:
    """How often to evaluate, and on how many tokens (0: all), within EVALUATION_SHARE of the time.

    Reading takes about a third of the time of learning.
    """
    if "valid" not in corpus.splits:
        return 20, 0
    tokens = corpus.splits["valid"].tokens
    allowed = seconds * EVALUATION_SHARE * 3 * speed
    often = min(20, 1 + int(seconds / SECONDS_BETWEEN_EVALUATIONS))
    few = min(4, often)
    if allowed >= few * tokens:
        return min(often, int(allowed / tokens)), 0
    part = max(EVALUATION_TOKENS, int(allowed / few))
    return few, part if part < tokens else 0
