"""What a loss is compared with: a uniform guess, an n-gram model, gzip and xz.

The n-gram model has interpolated Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999,
section 2.3): after a context seen n times with d different followers, a token's probability is
(count + d * its probability after the shorter context) / (n + d); before any context it is 1 / V.
"""

import gzip
import lzma
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.tasks.language.corpus import Corpus

Keys = NDArray[np.uint64]


class NGram:
    """Counts of all sequences of up to `order` tokens in an array (N,) of ids.

    >>> model = NGram(np.array([0, 1] * 4, np.uint8), vocab_size=2, order=2)
    >>> model.probabilities(np.array([0, 1], np.uint8)).round(2).tolist()
    [0.5, 0.9]
    """

    def __init__(
        self, tokens: NDArray[np.unsignedinteger], vocab_size: int, order: int = 5
    ) -> None:
        self._vocab_size, self._order = vocab_size, order
        self._counts: list[tuple[Keys, NDArray[np.int64]]] = []
        self._contexts: list[tuple[Keys, NDArray[np.int64], NDArray[np.int64]]] = []
        for size in range(1, order + 1):
            keys = self._keys(tokens, size)
            # Sorted arrays, which are looked up by bisection, take less memory than dictionaries.
            found, first, counts = np.unique(keys, return_index=True, return_counts=True)
            self._counts.append((found, counts))
            # The tokens before each n-gram's last one have a key of their own.
            contexts = self._context_keys(tokens, size)
            before, place = np.unique(contexts[first], return_inverse=True)
            total = np.bincount(place, weights=counts).astype(np.int64)
            self._contexts.append((before, total, np.bincount(place)))

    def _keys(self, tokens: NDArray[np.unsignedinteger], size: int) -> Keys:
        """A hash of each run of `size` tokens, (N - size + 1,)."""
        count = max(0, len(tokens) - size + 1)
        keys = np.zeros(count, np.uint64)
        # Odd 64-bit constants, whose products overflow on purpose: this mixes the bits of all
        # tokens. A collision of two n-grams would only make one count of a baseline wrong.
        factor = np.uint64(0x9E3779B97F4A7C15)
        for offset in range(size):
            # Plus 1, so that id 0 changes the key too.
            part = tokens[offset : offset + count].astype(np.uint64) + np.uint64(1)
            keys = (keys ^ (part * factor)) * np.uint64(0xD1B54A32D192ED03)
            keys ^= keys >> np.uint64(29)
        return keys

    def _context_keys(self, tokens: NDArray[np.unsignedinteger], size: int) -> Keys:
        """The hashes of the size - 1 tokens before the last of each run of `size`."""
        keys = self._keys(tokens[: max(0, len(tokens) - 1)], size - 1) if size > 1 else None
        return keys if keys is not None else np.zeros(len(tokens), np.uint64)

    def probabilities(self, tokens: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
        """N tokens -> the probability of each given those before it, (N,)."""
        # Starting at the uniform distribution, each context is interpolated with the shorter one.
        p = np.full(len(tokens), 1.0 / self._vocab_size)
        for size in range(1, min(self._order, len(tokens)) + 1):
            count = _look_up(self._keys(tokens, size), *self._counts[size - 1])
            before, total, different = self._contexts[size - 1]
            contexts = self._context_keys(tokens, size)
            seen = _look_up(contexts, before, total)
            followers = _look_up(contexts, before, different)
            # A view: the first size - 1 tokens have no context of this length and keep their value.
            mine = p[size - 1 :]
            # An unseen context says nothing, and would divide by zero.
            known = seen > 0
            mine[known] = (count[known] + followers[known] * mine[known]) / (
                seen[known] + followers[known]
            )
        return p


def _look_up(keys: Keys, known: Keys, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of each key, 0 for an unknown one."""
    # A key above all known ones has a place past the end; the comparison below rejects its entry.
    place = np.minimum(np.searchsorted(known, keys), max(0, len(known) - 1))
    if not len(known):
        return np.zeros(len(keys), np.int64)
    found: NDArray[np.int64] = np.where(known[place] == keys, values[place], 0)
    return found


MAX_COUNTED = 20_000_000
"""Most tokens of the training part that the n-gram model counts, which bounds its memory."""


def baselines(
    corpus: Corpus | None,
    tokens: NDArray[np.unsignedinteger],
    text: str,
    limit: int | None = None,
    unknown_nats: float = 0.0,
) -> Iterator[tuple[str, float]]:
    """A text and its tokens -> name and bits per character of each baseline.

    Of one character repeated there are none: a guess of it costs nothing, and what compression
    costs is the header of its format. Without a corpus only those that need none. The n-gram model
    counts the first `limit` tokens of the training part, at most MAX_COUNTED. unknown_nats: what
    the characters of words without an id cost, which a baseline over ids pays as the model does.
    """
    unknown_bits = unknown_nats / math.log(2)
    if text.count(text[0]) == len(text):
        return
    if corpus is not None:
        # Ids that do not occur are no part of the guess, as they are not sampled either.
        size = corpus.tokenizer.vocab_size - len(corpus.tokenizer.unsampled)
        # Of a training part of one character it would be no guess but a claim.
        if size > 1:
            yield "uniform", (math.log2(size) * len(tokens) + unknown_bits) / len(text)
        model = NGram(
            corpus.splits["train"].load()[: limit or MAX_COUNTED], corpus.tokenizer.vocab_size
        )
        bits = -float(np.log2(model.probabilities(tokens)).sum())
        yield "5-gram", (bits + unknown_bits) / len(text)
    # Undecodable bytes, which the byte tokenizer reads, are compressed as they were in the file.
    raw = text.encode("utf-8", "surrogateescape")
    # mtime=0, because the header holds the time in 32 bits: a clock beyond 2106 would be an error.
    yield "gzip", 8 * len(gzip.compress(raw, 9, mtime=0)) / len(text)
    yield "xz", 8 * len(lzma.compress(raw, preset=9)) / len(text)
