"""Fits a mixture: how much the network and each n-gram model count, on text that neither has read.

The weights maximize the probability of the tuning part. It is taken out of the training part: the
network is not trained on it and the n-gram models do not count it. This is a concave problem of a
few numbers, solved by Newton's method. Then the n-gram models count the tuning part too. The
validation part decides nothing.

The longest n-grams know phrases. Where a text repeats long ones, a higher order predicts more, and
elsewhere it mostly copies more: the tuning part decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.checkpoints.header import MOST_COUNTED
from charrnn.checkpoints.mixture import LARGEST_WEIGHT, Mixture
from charrnn.inference.engine import Engine
from charrnn.inference.ngram_model import NGramModel, sorted_followers
from charrnn.inference.sampling import log_softmax
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.splits import TUNING


@dataclass(frozen=True)
class Choice:
    """Orders of n-gram models, and the weights of the network and of each that suit most texts.

    longer: the order that takes the place of the longest where it helps enough (LONGER_NATS).
    Found by trials (benchmarks/trials.md).
    """

    orders: tuple[int, ...]
    usual: tuple[float, ...]
    longer: int


CHARACTERS = Choice((4, 6, 10), (0.65, 0.0, 0.05, 0.12), longer=20)
"""Of characters and bytes."""

LISTS = Choice((4, 6, 10), (0.73, 0.05, 0.3, -0.1), longer=20)
"""Of characters and bytes in documents that are short, as names and single words are."""

SHORT = 30
"""Tokens of a short document at most, on average."""

WORDS = Choice((2, 3, 5), (0.75, -0.2, 0.1, 0.25), longer=8)
"""Of words and pieces of words."""

LONGER_NATS = 50.0
"""Nats of the tuning part that a longer order must gain: far more than chance gives."""

MOST_TOKENS, LEAST_TOKENS, MOST_NUMBERS = 20_000, 800, 2**24
"""Tokens that are read of the tuning part, fewer where the vocabulary is large."""

BLOCK = 256

SECONDS, SECONDS_PER_TOKEN, SECONDS_PER_COUNTED = 0.5, 2.5e-4, 2e-6
"""What fitting takes on a slow machine: to read the tuning part by a large model, and to sort the
text twice."""

PRIOR = 100.0
"""Nats that a weight pays for being 1 away from what suits most texts: a text of 70,000 characters
can spare some 700, and alone they would decide badly."""

STEPS = 20

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """A mixture, and the nats per token of the tuning part without it and with it."""

    mixture: Mixture
    before: float
    after: float

    def summary(self) -> str:
        """One line for the user."""
        *orders, last = map(str, self.mixture.orders)
        return (
            f"mixed with n-gram models of the orders {', '.join(orders)} and {last}: "
            f"{self.before:.4f} -> {self.after:.4f} nats per token on the tuning part; "
            "--mix none leaves them out"
        )


def seconds(tuning: int, training: int) -> float:
    """Tokens of the tuning part and of the training part -> about how long fitting takes."""
    if not tuning:
        return 0.0
    reading = SECONDS_PER_TOKEN * min(tuning, MOST_TOKENS)
    return SECONDS + reading + SECONDS_PER_COUNTED * min(training, MOST_COUNTED)


@activity("fitting the n-gram models")
def fitted(engine: Engine, corpus: Corpus, choice: Choice | None = None) -> Fitted:
    """A network without a mixture, and its corpus with a tuning part -> the mixture.

    choice: instead of that for the kind of text.
    """
    tokenizer = corpus.tokenizer
    counted = np.asarray(corpus.splits["train"].load()[:MOST_COUNTED])
    choice = choice or choice_for(tokenizer.name, counted, engine.config.reset_id)
    apart = np.asarray(corpus.splits[TUNING].load())
    orders = (*choice.orders, choice.longer)
    followers = sorted_followers(counted, choice.longer - 1)
    ngrams = NGramModel(followers, tokenizer.vocab_size, orders, engine.config.reset_id)
    most = min(
        MOST_TOKENS, max(LEAST_TOKENS, MOST_NUMBERS // (tokenizer.vocab_size * (len(orders) + 1)))
    )
    tokens = apart[:most].astype(np.int64)
    features = np.concatenate(list(_features(engine, ngrams, tokens, tokenizer.start_id)))
    orders, weights, after = best_orders(features, tokens, choice)
    # The weights are found: what they were found on is text like any other.
    counted = np.concatenate([apart, counted])[:MOST_COUNTED]
    followers = sorted_followers(counted, max(orders) - 1)
    mixture = Mixture(followers, orders, tuple(float(np.float32(each)) for each in weights))
    before = _likelihood(features[:, :1], tokens, np.ones(1))
    return Fitted(mixture, -before / len(tokens), -after / len(tokens))


def choice_for(tokenizer: str, tokens: NDArray[np.unsignedinteger], reset_id: int) -> Choice:
    """A tokenizer's name, the training part and the id that begins its documents, -1 for none.

    >>> choice_for("char", np.array([0, 1, 2, 0, 3, 4], np.uint8), reset_id=0) is LISTS
    True
    """
    if tokenizer not in ("char", "byte"):
        return WORDS
    documents = np.count_nonzero(tokens == reset_id) if reset_id >= 0 else 0
    return LISTS if documents * SHORT > len(tokens) else CHARACTERS


def best_orders(
    features: Features, targets: NDArray[np.int64], choice: Choice
) -> tuple[tuple[int, ...], NDArray[np.float64], float]:
    """Log-probabilities (T, K, V), tokens (T,) -> orders, their weights (K - 1,), log-likelihood.

    features: by the network, by a model of each of the choice's orders, and by the longer one.
    They are overwritten.
    """
    orders = choice.orders
    weights = fit(features[:, :-1], targets, choice.usual)
    found = _likelihood(features[:, :-1], targets, weights)
    # The longer order in the place of the longest of the others, without a copy of the rest.
    features[:, -2] = features[:, -1]
    others = fit(features[:, :-1], targets, choice.usual)
    other = _likelihood(features[:, :-1], targets, others)
    if other - found < LONGER_NATS:
        return orders, weights, found
    return (*orders[:-1], choice.longer), others, other


def _features(
    engine: Engine, ngrams: NGramModel, tokens: NDArray[np.int64], start_id: int
) -> Iterator[Features]:
    """Tokens (T,) -> log-probabilities of all tokens by each model, (T, K, V) in blocks."""
    state, intervals, last = engine.zero_state(1), ngrams.begin(1), start_id
    for begin in range(0, len(tokens), BLOCK):
        targets = tokens[begin : begin + BLOCK]
        inputs = np.concatenate([[last], targets[:-1]])
        logits, state = engine.read(inputs[:, None], state)
        places, intervals = ngrams.read(inputs[:, None], intervals)
        own = log_softmax(logits[:, 0])[:, None].astype(np.float32)
        yield np.concatenate([own, ngrams.log_probabilities(places)], axis=1)
        last = int(targets[-1])


def fit(
    features: Features, targets: NDArray[np.int64], usual: Sequence[float]
) -> NDArray[np.float64]:
    """Log-probabilities (T, K, V), tokens (T,), usual weights (K,) -> those of the best mixture.

    The best is likely, and not far from the usual where the tokens are few (PRIOR).

    >>> logs = np.log(np.array([[[0.9, 0.1], [0.5, 0.5]]], np.float32)).repeat(999, 0)
    >>> fit(logs, np.zeros(999, int), [1.0, 0.0]).round(1).tolist()
    [1.4, 0.0]
    """
    prior = np.array(usual, np.float64)
    count, weights = len(prior), prior.copy()
    best = _objective(features, targets, weights, prior)
    for _ in range(STEPS):
        gradient, curvature = _derivatives(features, targets, weights)
        gradient -= 2 * PRIOR * (weights - prior)
        step = np.linalg.solve(curvature + 2 * PRIOR * np.eye(count), gradient)
        # Halved until it helps: far from the best weights the curvature says too little.
        for _ in range(10):
            tried = np.clip(weights + step, -LARGEST_WEIGHT, LARGEST_WEIGHT)
            value = _objective(features, targets, tried, prior)
            if value > best:
                break
            step = step / 2
        else:
            break
        gained, best, weights = value - best, value, tried
        if gained < 1e-3:
            break
    return weights


def _objective(
    features: Features,
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    prior: NDArray[np.float64],
) -> float:
    """Log-likelihood of the targets under a mixture, less what its weights pay."""
    paid = PRIOR * float(((weights - prior) ** 2).sum())
    return _likelihood(features, targets, weights) - paid


def _likelihood(
    features: Features, targets: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Log-likelihood of the targets under a mixture."""
    total = 0.0
    # In blocks, because float64 of all features would take twice their memory.
    for begin in range(0, len(targets), BLOCK):
        logs = log_softmax(_mixed(features[begin : begin + BLOCK], weights))
        wanted = targets[begin : begin + BLOCK]
        total += float(logs[np.arange(len(wanted)), wanted].sum())
    return total


def _derivatives(
    features: Features, targets: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient (K,) of the log-likelihood, and the negative of its second derivative (K, K)."""
    count = len(weights)
    gradient, curvature = np.zeros(count), np.zeros((count, count))
    # In blocks, because the products would take as much memory again as the features.
    for begin in range(0, len(targets), BLOCK):
        block, wanted = features[begin : begin + BLOCK], targets[begin : begin + BLOCK]
        p = np.exp(log_softmax(_mixed(block, weights))).astype(np.float32)
        expected = np.matmul(block, p[:, :, None])[:, :, 0]
        given = block[np.arange(len(wanted)), :, wanted]
        gradient += (given - expected).sum(0, dtype=np.float64)
        centred = block - expected[:, :, None]
        products = np.matmul(centred * p[:, None, :], centred.transpose(0, 2, 1))
        curvature += products.sum(0, dtype=np.float64)
    return gradient, curvature


def _mixed(features: Features, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = weights.astype(np.float32) @ features
    return mixed
