"""The planner's rules: from what is known of a text, a size and a time to the numbers of a plan.

Pure functions of numbers. Where they come from: the trials in benchmarks/trials.md.
"""

import math

from charrnn.config import ModelConfig, TrainConfig, num_parameters

SIZES = ((1, 64), (1, 128), (1, 192), (2, 192), (2, 256), (2, 384), (2, 512), (2, 768), (2, 1024))
"""Layers and units that the planner chooses from, smallest first."""

GPU_UNITS = 128
"""On a GPU layers have a multiple of so many units, for which cuDNN has its fastest kernels."""

MANY_TOKENS = 1000
"""With so many different tokens most parameters are in embedding and output, which share them."""

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


def sizes(device: str) -> tuple[tuple[int, int], ...]:
    """The sizes to choose from on this kind of device."""
    return tuple(s for s in SIZES if device != "cuda" or s[1] % GPU_UNITS == 0)


def default_minutes(characters: int) -> float:
    """How long to train when nothing is said: from one minute for a list to ten for a library."""
    return min(10.0, max(1.0, characters / 300_000))


def most_epochs(tokens: int) -> float:
    """How often a text of so many tokens is worth reading; more would only teach it by heart.

    Twice as often where it is fourteen times as long. By trials with 1, 19 and 65 thousand tokens.
    """
    return float(16.0 * max(1.0, tokens / 1000) ** 0.26)


def dropout(epochs: float, parameters: int, tokens: int) -> float:
    """Dropout of a run that reads its text `epochs` times: none for few, more the more it repeats.

    What counts is how much of the text the model could store, so size goes in as well.
    """
    pressure = math.log2(max(1.0, epochs / 6)) * min(1.0, parameters / tokens) ** 0.25
    return float(round(min(0.5, 0.22 * pressure), 2))


def input_dropout(part: float, vocab_size: int) -> float:
    """Dropout of the embedded inputs, where it is `part` above: a word can be spared, a letter not.

    Words as in Zaremba et al. 2014; letters by trial.
    """
    return part * 0.75 if vocab_size >= MANY_TOKENS else part / 4


def learning_rate(hidden_size: int) -> float:
    """AdamW's peak rate: the wider the layers, the lower."""
    return round(8e-3 * math.sqrt(256 / hidden_size), 5)


def window(tokens: int) -> int:
    """Tokens read at a step by each stream of a text of so many tokens."""
    return min(64, max(8, tokens // 64))


def streams(tokens: int, length: int, device: str = "cpu") -> int:
    """Streams side by side, so that each of a text of so many tokens still has a run of windows.

    A processor learns most from many small steps; a GPU takes eight times the streams in one.
    """
    most = 6 if device == "cuda" else 3
    return int(2 ** max(2, min(most, int(math.log2(tokens / length / 8 + 1)))))


def memory(model: ModelConfig, train: TrainConfig) -> int:
    """Bytes of a training: weights, gradients, moments and activations, and torch itself."""
    per_token = model.num_layers * model.hidden_size * 14 + model.embedding_size * 4
    per_token += 3 * model.vocab_size
    batch = train.batch_size * train.seq_length
    return 4 * (5 * num_parameters(model) + batch * per_token) + 350 * 2**20


def evaluations(tokens: int | None, speed: float, seconds: float) -> tuple[int, int]:
    """How often to evaluate in so many seconds, and on how many tokens at most, 0 for all.

    tokens: those of the validation part, None where there is none. Within EVALUATION_SHARE of the
    time; reading takes half of the time of learning where that is done in bfloat16.
    """
    if tokens is None:
        return 20, 0
    allowed = seconds * EVALUATION_SHARE * 2 * speed
    often = min(20, 1 + int(seconds / SECONDS_BETWEEN_EVALUATIONS))
    few = min(4, often)
    if allowed >= few * tokens:
        return min(often, int(allowed / tokens)), 0
    part = max(EVALUATION_TOKENS, int(allowed / few))
    return few, part if part < tokens else 0
