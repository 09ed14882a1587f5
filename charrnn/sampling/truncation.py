"""Filters that leave only some tokens: by count, share, likelihood, typicality, spread, chance."""

import numpy as np

from charrnn.sampling.base import Context, Filter, Logits, keep_first, keep_where, probabilities


def top_k(count: float) -> Filter:
    """Leave the `count` likeliest tokens (Fan et al. 2018, section 5.1); 0 leaves all."""

    def apply(logits: Logits, context: Context) -> Logits:
        if not 0 < count < logits.shape[1]:
            return logits
        return keep_first(logits, np.full(len(logits), int(count)))

    return apply


def top_p(share: float) -> Filter:
    """Leave the fewest likeliest tokens that hold `share` of the whole (Holtzman et al. 2020)."""

    def apply(logits: Logits, context: Context) -> Logits:
        ordered = -np.sort(-probabilities(logits), axis=1)
        before = np.cumsum(ordered, axis=1) - ordered
        return keep_first(logits, np.maximum(1, (before < share).sum(axis=1)))

    return apply


def min_p(share: float) -> Filter:
    """Leave the tokens at least `share` times as likely as the likeliest (Nguyen et al. 2024)."""
    with np.errstate(divide="ignore"):
        distance = np.float32(np.log(share))

    def apply(logits: Logits, context: Context) -> Logits:
        return keep_where(logits >= logits.max(axis=1, keepdims=True) + distance, logits)

    return apply


def typical_p(share: float) -> Filter:
    """Leave the tokens whose surprise is nearest to the expected one, up to `share` of the whole.

    Source: Meister et al. 2022, equation 8.
    """

    def apply(logits: Logits, context: Context) -> Logits:
        p = probabilities(logits)
        surprise = -np.log(np.maximum(p, 1e-300))
        entropy = (p * surprise).sum(axis=1, keepdims=True)
        # A token that an earlier filter ruled out comes last whatever its distance.
        oddness = np.where(p > 0, np.abs(surprise - entropy), np.inf)
        order = np.argsort(oddness, axis=1, kind="stable")
        ordered = np.take_along_axis(p, order, axis=1)
        kept = np.empty(p.shape, bool)
        np.put_along_axis(kept, order, np.cumsum(ordered, axis=1) - ordered < share, axis=1)
        return keep_where(kept & (p > 0), logits)

    return apply


def top_n_sigma(count: float) -> Filter:
    """Leave the tokens within `count` standard deviations of the highest logit (Tang et al. 2024).

    The deviation is taken over the tokens that earlier filters left; a negative count leaves all.
    """

    def apply(logits: Logits, context: Context) -> Logits:
        alive = np.isfinite(logits)
        sigma = logits.astype(np.float64).std(axis=1, keepdims=True, where=alive)
        return keep_where(logits >= logits.max(axis=1, keepdims=True) - count * sigma, logits)

    return apply


def xtc(probability: float, threshold: float) -> Filter:
    """By chance, rule out all tokens of at least `threshold` probability but the least of them.

    Excludes the top choices where several would do, so that a text leaves the beaten track. It
    acts in a share `probability` of the steps (as in llama.cpp, after its proposal of 2024).
    """

    def apply(logits: Logits, context: Context) -> Logits:
        p = probabilities(logits)
        high = p >= threshold
        acts = (context.uniform[:, 0] < probability) & (high.sum(axis=1) >= 2)
        if not acts.any():
            return logits
        least = np.where(high, p, np.inf).argmin(axis=1)
        high[np.arange(len(p)), least] = False
        return keep_where(~(high & acts[:, None]), logits)

    return apply
