"""Filters that keep only some tokens: by rank, probability, typicality, deviation, or chance."""

import numpy as np

from charrnn.inference.sampling.base import (
    Context,
    Filter,
    Logits,
    Parameter,
    keep_first,
    keep_where,
    parameters,
    probabilities,
)


@parameters(top_k=Parameter(0, 0, 2**31, "Sample from the K most likely tokens."))
def top_k(count: float) -> Filter:
    """Keep the `count` most likely tokens (Fan et al. 2018, section 5.1); 0 keeps all.

    >>> logits = np.log(np.array([[1, 3, 2]], np.float32))
    >>> np.isfinite(top_k(2)(logits, Context(np.zeros((1, 0), int)))).tolist()
    [[False, True, True]]
    """

    def apply(logits: Logits, context: Context) -> Logits:
        if not 0 < count < logits.shape[1]:
            return logits
        return keep_first(logits, np.full(len(logits), int(count)))

    return apply


@parameters(
    top_p=Parameter(1.0, 0, 1, "Sample from the most likely tokens of this total probability.")
)
def top_p(mass: float) -> Filter:
    """Keep the fewest most likely tokens that hold `mass` (Holtzman et al. 2020, section 3.1).

    >>> logits = np.log(np.array([[1, 3, 2]], np.float32))
    >>> np.isfinite(top_p(0.7)(logits, Context(np.zeros((1, 0), int)))).tolist()
    [[False, True, True]]
    """

    def apply(logits: Logits, context: Context) -> Logits:
        ordered = -np.sort(-probabilities(logits), axis=1)
        # Without a token's own probability, the token that reaches `mass` is still kept.
        before = np.cumsum(ordered, axis=1) - ordered
        return keep_first(logits, np.maximum(1, (before < mass).sum(axis=1)))

    return apply


@parameters(
    min_p=Parameter(0.0, 0, 1, "Drop tokens less likely than this times the most likely one.")
)
def min_p(ratio: float) -> Filter:
    """Keep the tokens at least `ratio` times as likely as the top one (Nguyen et al. 2024).

    >>> logits = np.log(np.array([[1, 3, 2]], np.float32))
    >>> np.isfinite(min_p(0.5)(logits, Context(np.zeros((1, 0), int)))).tolist()
    [[False, True, True]]
    """
    # The log of 0 is -inf, and keeps all tokens.
    with np.errstate(divide="ignore"):
        distance = np.float32(np.log(ratio))

    def apply(logits: Logits, context: Context) -> Logits:
        # A ratio of probabilities is a difference of logits, so no softmax is needed.
        return keep_where(logits >= logits.max(axis=1, keepdims=True) + distance, logits)

    return apply


@parameters(
    typical_p=Parameter(1.0, 0, 1, "Sample from the most typical tokens of this total probability.")
)
def typical_p(mass: float) -> Filter:
    """Keep the tokens whose surprise is closest to the expected one, up to `mass` of probability.

    Source: Meister et al. 2022, equation 8.
    """

    def apply(logits: Logits, context: Context) -> Logits:
        p = probabilities(logits)
        # The lower limit makes 0 * log 0 zero and not NaN.
        surprise = -np.log(np.maximum(p, 1e-300))
        entropy = (p * surprise).sum(axis=1, keepdims=True)
        # A token that an earlier filter ruled out comes last, whatever its distance.
        distance = np.where(p > 0, np.abs(surprise - entropy), np.inf)
        order = np.argsort(distance, axis=1, kind="stable")
        ordered = np.take_along_axis(p, order, axis=1)
        kept = np.empty(p.shape, bool)
        np.put_along_axis(kept, order, np.cumsum(ordered, axis=1) - ordered < mass, axis=1)
        return keep_where(kept & (p > 0), logits)

    return apply


@parameters(
    top_n_sigma=Parameter(
        -1.0, -1, 1e3, "Keep tokens within N standard deviations of the top logit."
    )
)
def top_n_sigma(count: float) -> Filter:
    """Keep the tokens within `count` standard deviations of the top logit (Tang et al. 2024).

    The deviation is that of the tokens which earlier filters kept; a negative count keeps all.
    """

    def apply(logits: Logits, context: Context) -> Logits:
        alive = np.isfinite(logits)
        # The square of a large logit overflows float32, and one -inf would make the deviation NaN.
        sigma = logits.astype(np.float64).std(axis=1, keepdims=True, where=alive)
        return keep_where(logits >= logits.max(axis=1, keepdims=True) - count * sigma, logits)

    return apply


@parameters(
    xtc_probability=Parameter(0.0, 0, 1, "Chance to exclude the top choices."),
    xtc_threshold=Parameter(0.1, 0, 1, "Probability that makes a token a top choice.", False),
)
def xtc(probability: float, threshold: float) -> Filter:
    """By chance, rule out all tokens of at least `threshold` probability but the least likely.

    Where several tokens would do, it excludes the top choices, for less predictable text. It acts
    in a fraction `probability` of the steps (as in llama.cpp, after its proposal of 2024).
    """

    def apply(logits: Logits, context: Context) -> Logits:
        p = probabilities(logits)
        # What is ruled out already is not the least likely choice, even at a threshold of 0.
        high = (p >= threshold) & (p > 0)
        # With a single top choice there is nothing to exclude: it is also the least likely one.
        acts = (context.uniform[:, 0] < probability) & (high.sum(axis=1) >= 2)
        if not acts.any():
            return logits
        least = np.where(high, p, np.inf).argmin(axis=1)
        high[np.arange(len(p)), least] = False
        return keep_where(~(high & acts[:, None]), logits)

    return apply
