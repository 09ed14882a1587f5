"""The planner's rules: what is known of data, size and time -> the numbers of a plan.

Pure functions of numbers. They come from the trials in benchmarks/trials.md.
"""

import math

from charrnn.config import ModelConfig, TrainConfig

SIZES = ((1, 64), (1, 128), (1, 192), (2, 192), (2, 256), (2, 384), (2, 512), (2, 768), (2, 1024))
"""Layers and units that the planner chooses from, smallest first."""

GPU_UNITS = 128
"""On a GPU, units are a multiple of this, for which cuDNN has its fastest kernels."""

LARGE_VOCABULARY = 1000
"""From this size on, embedding and output layer share a matrix: most parameters are there."""

TOKENS_PER_PARAMETER = 3.5
"""A budget is best spent on about so many training tokens per parameter."""

PARAMETERS_PER_TOKEN = 12
"""A model with more parameters per token of its data only memorizes it."""

EVALUATION_SHARE = 0.06
"""Largest fraction of the time for evaluations."""

EVALUATION_TOKENS = 50_000
"""Fewest tokens of an evaluation, if there are as many: the score of fewer is too noisy."""

SECONDS_BETWEEN_EVALUATIONS = 6
"""Fewest seconds between evaluations, because a person reads each of them."""


def sizes(device: str) -> tuple[tuple[int, int], ...]:
    """Device type -> the (layers, units) to choose from."""
    return tuple(s for s in SIZES if device != "cuda" or s[1] % GPU_UNITS == 0)


def default_minutes(length: int) -> float:
    """Characters of the data -> minutes to train: one for a list of names, ten for a library.

    >>> default_minutes(72_000), default_minutes(1_500_000)
    (1.0, 5.0)
    """
    return min(10.0, max(1.0, length / 300_000))


def most_epochs(tokens: int) -> float:
    """Tokens of the training part -> epochs that still improve the model; more would overfit.

    Twice as many for fourteen times the tokens. From trials with 1, 19 and 65 thousand tokens.
    """
    # 0.26 is log 2 / log 14.
    return float(16.0 * max(1.0, tokens / 1000) ** 0.26)


def dropout(epochs: float, parameters: int, tokens: int) -> float:
    """Epochs, parameters, training tokens -> dropout: none for few epochs, more for many.

    What matters is how much of the data the model could memorize, so its size counts too.
    """
    # In the trials dropout lowered the loss from about six epochs on.
    pressure = math.log2(max(1.0, epochs / 6)) * min(1.0, parameters / tokens) ** 0.25
    return float(round(min(0.5, 0.22 * pressure), 2))


def input_dropout(dropout: float, vocab_size: int) -> float:
    """Dropout of the layers above -> of the embedded inputs: more for words than for characters.

    Words as in Zaremba et al. 2014, characters by trial.
    """
    return dropout * 0.75 if vocab_size >= LARGE_VOCABULARY else dropout / 4


def learning_rate(hidden_size: int) -> float:
    """Units -> AdamW's peak learning rate: the wider the layers, the lower."""
    # 0.008 was the best of 0.0045 to 0.011 for 256 units.
    return round(8e-3 * math.sqrt(256 / hidden_size), 5)


def seq_length(tokens: int) -> int:
    """Tokens of the training part -> tokens of each stream read per step."""
    # 96 was worse than 64 in the trials; a stream of a short text still has several windows.
    return min(64, max(8, tokens // 64))


def batch_size(tokens: int, length: int, device: str = "cpu") -> int:
    """Tokens of the training part, window -> parallel streams, each with several windows.

    A CPU learns most from many small steps; a GPU reads eight times as many streams in one.
    """
    # Exponents of two. On a CPU, 8 streams were better than 16 in equal time, and 4 no better.
    most = 6 if device == "cuda" else 3
    return int(2 ** max(2, min(most, int(math.log2(tokens / length / 8 + 1)))))


def memory(model: ModelConfig, train: TrainConfig, parameters: int) -> int:
    """Bytes of a training: weights, gradients, moments, activations, and torch itself."""
    per_token = model.num_layers * model.hidden_size * 14 + model.embedding_size * 4
    per_token += 3 * model.vocab_size
    batch = train.batch_size * train.seq_length
    # Four bytes a float; the 350 MiB are torch and Python without a model.
    return 4 * (5 * parameters + batch * per_token) + 350 * 2**20


def evaluations(tokens: int, speed: float, seconds: float) -> tuple[int, int]:
    """Validation tokens, training speed, seconds -> number of evaluations, tokens of each.

    tokens: 0 if there is no validation part. The second result is 0 for all tokens. Evaluations
    take at most EVALUATION_SHARE of the time, at twice the speed of training.
    """
    if not tokens:
        # There is nothing to evaluate, but the first number also decides how often to save.
        return 20, 0
    # Tokens that fit: an evaluation has no backward pass.
    allowed = seconds * EVALUATION_SHARE * 2 * speed
    often = min(20, 1 + int(seconds / SECONDS_BETWEEN_EVALUATIONS))
    # Complete evaluations as long as four of them fit, because the score of a part is noisier.
    few = min(4, often)
    if allowed >= few * tokens:
        return min(often, int(allowed / tokens)), 0
    part = max(EVALUATION_TOKENS, int(allowed / few))
    return few, part if part < tokens else 0
