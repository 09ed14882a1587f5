"""The planner's rules: what is known of data, size and time -> the numbers of a plan.

Pure functions of numbers. They come from the trials in benchmarks/trials.md.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

from charrnn.checkpoints.header import ROTATION, optimizer_shapes
from charrnn.config import ModelConfig, TrainConfig, recurrent_shapes
from charrnn.tasks.base import Dataset, Task

SIZES = ((1, 64), (1, 128), (1, 192), (2, 192), (2, 256), (2, 384), (2, 512), (2, 768), (2, 1024))
"""Layers and units that the planner chooses from, smallest first."""

GPU_UNITS = 128
"""On a GPU, units are a multiple of this, for which cuDNN has its fastest kernels."""

LARGE_VOCABULARY = 1000
"""From this size on, embedding and output layer share a matrix: most parameters are there."""

TOKENS_PER_PARAMETER, SOAP_TOKENS_PER_PARAMETER = 3.5, 2.4
"""A budget is best spent on about so many training tokens per parameter."""

SOAP_ENOUGH_EPOCHS = 8.0
"""Or on so many epochs, where these are fewer."""

PARAMETERS_PER_TOKEN = 12
"""A model with more parameters per token of its data only memorizes it."""

SOAP_EPOCHS = 0.5
"""Epochs that are worth having with SOAP, over those with AdamW."""

LONG_TEXT, SOAP_MOST_EPOCHS = 500_000, 8.0
"""Of a text of so many training tokens SOAP is better than AdamW if it is read less often."""

STEPS_ENOUGH, LONGEST_STEP, FEW_EPOCHS = 1_300, 2048, 5.0
"""With SOAP, a long text is read by larger steps, up to so many tokens, as long as there are enough
of them and they are few epochs: an update costs more than AdamW's and is worth more."""

SAMPLED_VOCABULARY, SAMPLED_TOKENS, SAMPLED_SHARE = 4096, 2000, 0.05
"""From this vocabulary on, the loss of a step is of so many tokens or, if it is more, of this share
of them: the output layer is most of the work."""

MOST_STREAMS = 8
"""Of a CPU, with AdamW."""

USUAL_SPEED = 28_000
"""Tokens a second that are expected before a speed is measured, of two cores."""

EPOCHS_WITHOUT, SOAP_EPOCHS_WITHOUT = 6.0, 4.0
"""Epochs from which on dropout lowers the loss."""

EARLY_DROPOUT = 0.4
"""The highest rate that an earlier beginning brings: more is that of EPOCHS_WITHOUT."""

MOST_DROPOUT, MOST_WORD_DROPOUT = 0.5, 0.35
"""More was worse in every trial. From SAMPLED_VOCABULARY on more was not tried: a small model of
words was worse with 0.34 than with 0.23."""

EVALUATION_SHARE = 0.06
"""Largest fraction of the time for evaluations."""

EVALUATION_TOKENS = 50_000
"""Fewest tokens of an evaluation, if there are as many: the score of fewer is too noisy."""

SLOW_SHARE, SLOW_TOKENS = 0.1, 2048
"""Where so few take more than this fraction of the time, fewer are read, down to so many."""

SECONDS_BETWEEN_SAMPLES = 6.0
"""Fewest seconds between the samples that are shown, because a person reads each of them."""

MOST_EVALUATIONS, FEW_EVALUATIONS = 100, 4
"""Evaluations of a run: at most, and those below which a part of the text is read instead."""

SECONDS_BETWEEN_EVALUATIONS = 3.0
"""In a run whose plan may still change; a shorter one has ten evaluations at most."""

SAVE_SECONDS, SAVE_SECONDS_PER_PARAMETER = 0.03, 6e-8
"""What two saves take, before and after an evaluation: 24 bytes a parameter at 400 MB/s."""

FINAL_SHARE = 0.25
"""Largest fraction of the time for scoring the best and the last checkpoint on the whole."""


def sizes(device: str) -> tuple[tuple[int, int], ...]:
    """Device type -> the (layers, units) to choose from."""
    return tuple(s for s in SIZES if device != "cuda" or s[1] % GPU_UNITS == 0)


def default_minutes(length: int) -> float:
    """Characters of the data -> minutes to train: one for a list of names, ten for a library.

    >>> default_minutes(72_000), default_minutes(1_500_000)
    (1.0, 5.0)
    """
    return min(10.0, max(1.0, length / 300_000))


def most_epochs(tokens: int, optimizer: str = "adamw") -> float:
    """Tokens of the training part -> epochs that still improve the model; more would overfit.

    Twice as many for fourteen times the tokens. From trials with 1, 19 and 65 thousand tokens.
    With SOAP half as many: each learns more.
    """
    # 0.26 is log 2 / log 14.
    epochs = float(16.0 * max(1.0, tokens / 1000) ** 0.26)
    return epochs * SOAP_EPOCHS if optimizer == "soap" else epochs


class Overfitting(NamedTuple):
    """epochs: from which on dropout lowers the loss. most: the highest rate that lowers it."""

    epochs: float = EPOCHS_WITHOUT
    most: float = MOST_DROPOUT


ADAMW = Overfitting()


def overfitting(tokens: int, optimizer: str) -> Overfitting:
    """Training tokens and an optimizer -> when dropout begins to help: sooner with SOAP.

    >>> overfitting(65_000, "soap").epochs, overfitting(65_000, "adamw").epochs
    (4.0, 6.0)
    """
    return Overfitting(SOAP_EPOCHS_WITHOUT if optimizer == "soap" else EPOCHS_WITHOUT)


def dropout(epochs: float, parameters: int, tokens: int, found: Overfitting = ADAMW) -> float:
    """Epochs, parameters, training tokens -> dropout: none for few epochs, more for many.

    What matters is how much of the data the model could memorize, so its size counts too.

    >>> dropout(14, 100_000, 65_000), dropout(14, 100_000, 65_000, Overfitting(4.0))
    (0.27, 0.4)
    """
    share = min(1.0, parameters / tokens) ** 0.25

    def rate(without: float) -> float:
        return float(0.22 * math.log2(max(1.0, epochs / without)) * share)

    sooner = min(rate(found.epochs), max(EARLY_DROPOUT, rate(EPOCHS_WITHOUT)))
    return round(min(found.most, sooner), 2)


def dropouts(
    task: Task,
    dataset: Dataset,
    model: ModelConfig,
    given: Collection[str],
    epochs: float,
    found: Overfitting = ADAMW,
) -> dict[str, Any]:
    """A task, its data and model, what is given -> the fields of dropout that are planned.

    Where user or preset set one kind of it, the others stay at 0.
    """
    if any("dropout" in name for name in given):
        return {}
    if task.rules:
        return dict(task.rules.dropouts(dataset, model, epochs))
    layers = dropout(epochs, task.num_parameters(model), dataset.size("train"), found)
    if model.vocab_size >= SAMPLED_VOCABULARY:
        layers = min(layers, MOST_WORD_DROPOUT)
    inputs = round(input_dropout(layers, model.vocab_size), 2)
    return {"input_dropout": inputs, "dropout": layers, "output_dropout": layers}


def input_dropout(dropout: float, vocab_size: int) -> float:
    """Dropout of the layers above -> of the embedded inputs: more for words than for characters.

    Words as in Zaremba et al. 2014, characters by trial.
    """
    return dropout * 0.75 if vocab_size >= LARGE_VOCABULARY else dropout / 4


def enough_tokens(parameters: int, tokens: int, optimizer: str) -> float:
    """Parameters, tokens of the text -> training tokens that are worth a model of this size.

    With SOAP some epochs are enough: a short text cannot give a model more.

    >>> enough_tokens(500_000, 60_000, "soap"), enough_tokens(500_000, 60_000, "adamw")
    (480000.0, 1750000.0)
    """
    if optimizer != "soap":
        return TOKENS_PER_PARAMETER * parameters
    return min(SOAP_TOKENS_PER_PARAMETER * parameters, SOAP_ENOUGH_EPOCHS * tokens)


def optimizer(tokens: int, read: float, vocab_size: int) -> str:
    """Tokens of the training part and of the whole training -> the optimizer of a language model.

    SOAP learns more from a text that is read a few times. Of a long text that is read many times it
    learns what does not hold of other text: AdamW was better, though not for words.

    >>> optimizer(1_000_000, 3e6, 65), optimizer(1_000_000, 16e6, 65), optimizer(60_000, 2e6, 65)
    ('soap', 'adamw', 'soap')
    >>> optimizer(1_000_000, 16e6, 10_000)
    'soap'
    """
    if tokens < LONG_TEXT or vocab_size >= SAMPLED_VOCABULARY:
        return "soap"
    return "adamw" if read > SOAP_MOST_EPOCHS * tokens else "soap"


def sampled_softmax(vocab_size: int, device: str) -> int:
    """Vocabulary size -> tokens in the loss of a step, 0 for all. On a GPU it was not tried.

    >>> sampled_softmax(96, "cpu"), sampled_softmax(10_000, "cpu"), sampled_softmax(85_000, "cpu")
    (0, 2000, 4250)
    """
    if vocab_size < SAMPLED_VOCABULARY or device != "cpu":
        return 0
    return max(SAMPLED_TOKENS, int(SAMPLED_SHARE * vocab_size))


def learning_rate(hidden_size: int) -> float:
    """Units -> the peak learning rate: the wider the layers, the lower."""
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
    most = 8 * MOST_STREAMS if device == "cuda" else MOST_STREAMS
    return min(most, int(2 ** max(2, int(math.log2(tokens / length / 8 + 1)))))


def larger_step(
    batch: int, length: int, tokens: int, read: float, vocab_size: int
) -> tuple[int, int]:
    """Streams and window, tokens of the training part and of the whole training -> both for SOAP.

    Twice the streams first, then twice the window. A text that is short, or read often, keeps its
    steps: many small ones fit it less closely. Of words twice the streams are better however often
    they are read.

    >>> larger_step(8, 64, 1_000_000, 3e6, 65), larger_step(8, 64, 60_000, 3e6, 65)
    ((16, 128), (8, 64))
    >>> larger_step(8, 64, 1_000_000, 20e6, 65), larger_step(8, 64, 1_000_000, 20e6, 10_000)
    ((8, 64), (16, 64))
    """
    words = vocab_size >= SAMPLED_VOCABULARY
    if tokens < LONG_TEXT or (read > FEW_EPOCHS * tokens and not words):
        return batch, length
    streams = (2 * batch, length)
    for shape in (streams,) if words else ((2 * batch, 2 * length), streams):
        step = math.prod(shape)
        if step <= LONGEST_STEP and read >= STEPS_ENOUGH * step:
            return shape
    return batch, length


def memory(model: ModelConfig, train: TrainConfig, parameters: int, evaluates: bool = True) -> int:
    """Bytes of a training: weights, gradients, moments, activations, and torch itself."""
    per_token = model.num_layers * model.hidden_size * 14 + model.embedding_size * 4
    per_token += 3 * min(train.sampled_softmax or model.vocab_size, model.vocab_size)
    training = train.batch_size * train.seq_length * per_token
    # What training has freed before an evaluation stays with the process, for the next step.
    activations = training + (evaluation_floats(model) if evaluates else 0)
    # Weights, gradients and two moments; while a checkpoint is written, a copy of three of them.
    # SOAP's matrices, the copy of them, and what a new basis takes.
    # Four bytes a float; the 350 MiB are torch and Python without a model.
    return 4 * (7 * parameters + 3 * rotation_floats(model, train) + activations) + 350 * 2**20


def rotation_floats(model: ModelConfig, train: TrainConfig) -> int:
    """Numbers that SOAP remembers besides AdamW's moments.

    >>> rotation_floats(ModelConfig(hidden_size=256, embedding_size=128), TrainConfig())
    0
    """
    if train.optimizer != "soap":
        return 0
    remembered = optimizer_shapes("soap", recurrent_shapes(model))
    return sum(math.prod(s) for name, s in remembered.items() if name.startswith(ROTATION))


def evaluation_floats(model: ModelConfig) -> int:
    """Numbers that an evaluation holds at a time: a window of 32 rows, and its logits."""
    tokens = 32 * 256
    # The gates of one layer, its input and its output.
    width = 4 * model.hidden_size + 2 * max(model.hidden_size, model.embedding_size)
    # All logits twice for a small vocabulary, a few rows of them for a large one.
    logits = 2 * min(tokens * model.vocab_size, max(2**24, 64 * model.vocab_size))
    return tokens * width + logits


def evaluations(
    tokens: int, speed: float, seconds: float, parameters: int = 0, changeable: bool = False
) -> tuple[int, int]:
    """Validation tokens, training speed, seconds -> number of evaluations, tokens of each.

    tokens: 0 if there is no validation part. parameters: of the model, which is saved with each.
    changeable: whether the time was given and not the steps, so that the plan may change until the
    first evaluation, and no evaluation may take much of the time. The second result is 0 for
    all tokens. There are as many evaluations as fit in EVALUATION_SHARE of the time, at twice the
    speed of training: how many of them a person is shown is another matter.
    """
    if not tokens:
        # There is nothing to evaluate, but the first number also decides how often to save.
        return 20, 0
    save = SAVE_SECONDS + SAVE_SECONDS_PER_PARAMETER * parameters
    allowed, most = seconds * EVALUATION_SHARE, MOST_EVALUATIONS
    if changeable:
        most = min(most, max(10, int(seconds / SECONDS_BETWEEN_EVALUATIONS)))

    def fitting(count: int, most: int) -> int:
        return max(1, min(most, int(allowed / (count / (2 * speed) + save))))

    # Complete evaluations as long as four of them fit, because the score of a part is noisier.
    if fitting(tokens, most) >= FEW_EVALUATIONS:
        return fitting(tokens, most), 0
    least = EVALUATION_TOKENS
    if changeable:
        # Minutes are a promise, and steps are not: a vocabulary of 85,000 reads 900 tokens/s.
        least = max(SLOW_TOKENS, min(least, int(SLOW_SHARE * seconds * 2 * speed)))
    part = max(least, int((allowed / FEW_EVALUATIONS - save) * 2 * speed))
    if part >= tokens:
        return fitting(tokens, FEW_EVALUATIONS), 0
    return fitting(part, FEW_EVALUATIONS), part


def final_seconds(
    tokens: int, speed: float, seconds: float, parameters: int = 0, changeable: bool = False
) -> tuple[float, bool]:
    """As for `evaluations` -> seconds of the end, and whether that is scored on the whole.

    Where evaluations read pieces, the best and the last checkpoint are scored on the whole: at
    twice the speed of training. Only a validation part of hours is never read whole.
    """
    if not evaluations(tokens, speed, seconds, parameters, changeable)[1]:
        return 0.0, True
    needed = tokens / speed
    return (needed, True) if needed <= FINAL_SHARE * seconds else (0.0, False)


def sample_every(eval_every: int, seconds_per_step: float) -> int:
    """Steps between evaluations, seconds of a step -> evaluations from one sample to the next.

    >>> sample_every(100, 0.01), sample_every(2000, 0.01)
    (6, 1)
    """
    return max(1, math.ceil(SECONDS_BETWEEN_SAMPLES / max(1e-9, eval_every * seconds_per_step)))
