"""Filters that look back: they push down what has been said, and rule tokens out or in by name.

Those that push are the one kind that may change the order of tokens, which is their purpose.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.sampling.base import OUT, Context, Filter, Logits


def penalties(repetition: float, presence: float, frequency: float, last_n: float) -> Filter:
    """Push down the tokens among the `last_n` latest (-1: all that are remembered).

    repetition: positive logits are divided by it, others multiplied (Keskar et al. 2019, section
    4.1). presence: subtracted once. frequency: subtracted once for each time a token occurred.
    """

    def apply(logits: Logits, context: Context) -> Logits:
        recent = context.history if last_n < 0 else context.history[:, -int(last_n) :]
        if last_n == 0 or not recent.shape[1]:
            return logits
        # The id -1, before the beginning, counts in a last column that is dropped.
        counts = np.zeros((len(logits), logits.shape[1] + 1), np.float32)
        np.add.at(counts, (np.arange(len(logits))[:, None], recent), 1)
        counts = counts[:, :-1]
        with np.errstate(over="ignore"):
            pushed = np.where(logits > 0, logits / repetition, logits * repetition)
        pushed = pushed - counts * frequency - presence
        left: Logits = np.where(counts > 0, pushed, logits).astype(np.float32)
        return left

    return apply


def dry(multiplier: float, base: float, allowed_length: float, last_n: float) -> Filter:
    """Push down a token that would make the text's end repeat a sequence from further back.

    A repeat of n >= allowed_length tokens that the token would lengthen costs
    multiplier * base ** (n - allowed_length). Repeats are not counted across the context's
    breakers. Source: the "don't repeat yourself" sampler of text-generation-webui (2024).
    """

    def apply(logits: Logits, context: Context) -> Logits:
        left = logits.copy()
        for row, history in enumerate(context.history):
            recent = history if last_n < 0 else history[-int(last_n) :] if last_n else history[:0]
            known = recent[recent >= 0].tolist()
            for token, length in _repeats(known, context.breakers).items():
                if length >= allowed_length:
                    # Past 1e30 a larger penalty says nothing more, and a power would overflow.
                    exponent = min(length - allowed_length, 30 / np.log10(max(base, 1.0001)))
                    left[row, token] -= np.float32(multiplier * base**exponent)
        return left

    return apply


def _repeats(ids: list[int], breakers: frozenset[int]) -> dict[int, int]:
    """For each token, the longest sequence before it that the end of the text repeats."""
    longest: dict[int, int] = {}
    if not ids or ids[-1] in breakers:
        return longest
    for end in range(len(ids) - 1):
        if ids[end] != ids[-1]:
            continue
        length = 0
        while length <= end and ids[end - length] == ids[-1 - length]:
            if ids[end - length] in breakers:
                break
            length += 1
        following = ids[end + 1]
        longest[following] = max(length, longest.get(following, 0))
    return longest


def exclude(ids: list[int]) -> Filter:
    """Rule out these tokens, unless nothing else would be left."""
    places = np.array(ids, np.intp)  # a list would be converted at every token

    def apply(logits: Logits, context: Context) -> Logits:
        if not 0 < len(ids) < logits.shape[1]:
            return logits
        left = logits.copy()
        left[:, places] = OUT
        return left

    return apply


def bias(amounts: Mapping[int, float], vocab_size: int) -> Filter:
    """Add an amount to the logits of some tokens; -inf rules one out."""
    added = np.zeros(vocab_size, np.float32)
    for token, amount in amounts.items():
        added[token] = amount

    def apply(logits: Logits, context: Context) -> Logits:
        left: Logits = logits + added
        return left if np.isfinite(left).any(axis=1).all() else logits

    return apply
