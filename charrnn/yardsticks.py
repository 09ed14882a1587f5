"""What a loss can be held against: a uniform guess, an n-gram model, gzip and xz."""

import gzip
import lzma
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.corpus import Corpus
from charrnn.ngram import NGram

LIMIT = 20_000_000
"""Tokens of the training part that the n-gram model counts, which keeps it within memory."""


def yardsticks(
    corpus: Corpus | None, tokens: NDArray[np.unsignedinteger], text: str, limit: int | None = None
) -> Iterator[tuple[str, float]]:
    """Names and bits per character of a text; those that need the corpus only where it is there.

    The n-gram model counts the first `limit` tokens of the training part, LIMIT unless given.
    """
    if corpus is not None:
        size = corpus.tokenizer.vocab_size - len(corpus.tokenizer.unsampled)
        yield "uniform", math.log2(size) * len(tokens) / len(text)
        model = NGram(corpus.splits["train"].load()[: limit or LIMIT], corpus.tokenizer.vocab_size)
        bits = -float(np.log2(model.probabilities(tokens)).sum())
        yield "5-gram", bits / len(text)
    raw = text.encode("utf-8", "surrogateescape")
    yield "gzip", 8 * len(gzip.compress(raw, 9, mtime=0)) / len(text)
    yield "xz", 8 * len(lzma.compress(raw, preset=9)) / len(text)
