"""Filters that look back and penalize what was generated; bias and exclusion by token.

The penalties are the only filters that may change the order of tokens, which is their purpose.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from charrnn.inference.sampling.base import (
    RULED_OUT,
    Context,
    Filter,
    Logits,
    Parameter,
    parameters,
)


@parameters(
    repetition_penalty=Parameter(1.0, 1e-3, 1e3, "Above 1, discourage recent tokens."),
    presence_penalty=Parameter(0.0, -1e3, 1e3, "Subtract from the logits of recent tokens, once."),
    frequency_penalty=Parameter(0.0, -1e3, 1e3, "Subtract for each occurrence of a recent token."),
    penalty_last_n=Parameter(
        64, -1, 2**20, "Tokens that count as recent; -1 for all.", False, window=True
    ),
)
def penalties(repetition: float, presence: float, frequency: float, last_n: float) -> Filter:
    """Penalize the tokens among the `last_n` latest (-1: all, the prompt's included).

    repetition: positive logits are divided by it, others multiplied (Keskar et al. 2019, section
    4.1). presence: subtracted once. frequency: subtracted once per occurrence.

    >>> context = Context(np.array([[-1, 1, 1]]))
    >>> penalties(1, 0.5, 1, 64)(np.array([[1, 3, 2]], np.float32), context).tolist()
    [[1.0, 0.5, 2.0]]
    """

    def apply(logits: Logits, context: Context) -> Logits:
        recent = context.history if last_n < 0 else context.history[:, -int(last_n) :]
        if last_n == 0 or not recent.shape[1]:
            return logits
        # The id -1, before the beginning, is counted in a last column that is dropped.
        counts = np.zeros((len(logits), logits.shape[1] + 1), np.float32)
        # += would count an id only once, however often it occurs.
        np.add.at(counts, (np.arange(len(logits))[:, None], recent), 1)
        counts = counts[:, :-1]
        with np.errstate(over="ignore"):
            # Dividing a negative logit would make its token more likely.
            penalized = np.where(logits > 0, logits / repetition, logits * repetition)
        penalized = penalized - counts * frequency - presence
        left: Logits = np.where(counts > 0, penalized, logits).astype(np.float32)
        return left

    return apply


@parameters(
    dry_multiplier=Parameter(0.0, 0, 1e3, "Strength of the penalty on repeated sequences."),
    dry_base=Parameter(1.75, 1, 1e3, "Growth of that penalty per repeated token.", False),
    dry_allowed_length=Parameter(
        2, 1, 2**20, "Tokens that may be repeated freely.", False, per_character=12
    ),
    dry_penalty_last_n=Parameter(
        -1, -1, 2**20, "Tokens to search for repeats; -1 for all.", False, window=True
    ),
)
def dry(multiplier: float, base: float, allowed_length: float, last_n: float) -> Filter:
    """Penalize a token that would make the end of the text repeat an earlier sequence.

    A repeat of n >= allowed_length tokens that the token would extend costs
    multiplier * base ** (n - allowed_length). Repeats are not counted across the context's
    breakers. Source: the "don't repeat yourself" sampler of text-generation-webui (2024).

    >>> context = Context(np.array([[0, 1, 2, 0, 1]]))  # after 0 1, a 2 would repeat 0 1 2
    >>> dry(1, 2, 1, -1)(np.zeros((1, 3), np.float32), context).tolist()
    [[0.0, 0.0, -2.0]]
    """
    # Beyond 1e30 a larger penalty changes nothing, and the power would overflow.
    largest = 30 / np.log10(max(base, 1.0001))

    def apply(logits: Logits, context: Context) -> Logits:
        left = logits.copy()
        for row, history in enumerate(context.history):
            recent = history if last_n < 0 else history[-int(last_n) :] if last_n else history[:0]
            known = recent[recent >= 0]
            # A longer repeat costs no more, so it is not measured to its end.
            most = int(allowed_length + (largest if base > 1 else 0)) + 1
            for token, length in _repeats(known, context.breakers, most).items():
                if length >= allowed_length:
                    exponent = min(length - allowed_length, largest)
                    left[row, token] -= np.float32(multiplier * base**exponent)
        return left

    return apply


def _repeats(ids: NDArray[np.integer], breakers: frozenset[int], most: int) -> dict[int, int]:
    """Ids -> for each token, the longest sequence before it that the end of the text repeats.

    Sequences are measured up to `most` tokens.
    """
    longest: dict[int, int] = {}
    if not len(ids):
        return longest
    # Where the sequences end that go on like the end of the text, tried from the end backwards.
    ends, length = np.arange(len(ids) - 1), 0
    while len(ends) and length < min(most, len(ids)) and int(ids[-1 - length]) not in breakers:
        ends = ends[ends >= length]
        ends = ends[ids[ends - length] == ids[-1 - length]]
        length += 1
        longest |= dict.fromkeys(ids[ends + 1].tolist(), length)
    return longest


def exclude(ids: list[int]) -> Filter:
    """Rule out these tokens, unless no others would be left."""
    places = np.array(ids, np.intp)  # a list would be converted at every token

    def apply(logits: Logits, context: Context) -> Logits:
        # If nothing of the vocabulary occurred in the training text, all of it remains.
        if not 0 < len(ids) < logits.shape[1]:
            return logits
        left = logits.copy()
        left[:, places] = RULED_OUT
        return left

    return apply


def bias(amounts: Mapping[int, float], vocab_size: int) -> Filter:
    """Add an amount to the logits of some tokens; -inf rules one out.

    >>> context = Context(np.zeros((1, 0), int))
    >>> bias({0: 2.0, 1: -np.inf}, 3)(np.zeros((1, 3), np.float32), context).tolist()
    [[2.0, -inf, 0.0]]
    """
    added = np.zeros(vocab_size, np.float32)
    for token, amount in amounts.items():
        added[token] = amount

    def apply(logits: Logits, context: Context) -> Logits:
        left: Logits = logits + added
        # A row of only -inf cannot be drawn from; then no biases at all are better than an error.
        return left if np.isfinite(left).any(axis=1).all() else logits

    return apply
