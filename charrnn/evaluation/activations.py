"""A text as a network reads it: the activation of every unit after each token. torch-free.

A unit's activation is what its layer carries on: tanh(c) of an LSTM's cell, h of any other.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track
from charrnn.config import CELLS, ModelConfig, layer_sizes
from charrnn.errors import CorpusError
from charrnn.inference.engine import LOGITS_AT_ONCE, Engine, State
from charrnn.inference.sampling import log_softmax
from charrnn.inference.steering import Unit
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Decoder
from charrnn.tokenizers.documents import END

Activations = NDArray[np.float16]
"""(N, U): of each token, and each unit of all layers. Half precision has three digits."""

LIMIT = 100_000
"""Tokens that are read: all of a shorter text, evenly spread pieces of a longer one."""

MOST_VALUES = 2**28
"""Activations kept, 512 MB; of a network of many units fewer tokens are read."""

PIECES, LEAST_PIECE = 16, 1024
"""Pieces of a text that are read side by side, which is many times as fast, and their tokens."""

WARM_UP = 256
"""Tokens read before each piece but the first, so that its state is not empty."""

AT_ONCE = 64
"""Tokens of each piece whose activations are converted at once."""

GUESSES = 5
"""Most likely tokens that are kept for each place."""


def units_of(config: ModelConfig) -> list[Unit]:
    """All units of a network, in the order of their activations."""
    sizes = enumerate(layer_sizes(config), 1)
    return [Unit(layer, n) for layer, (_, size) in sizes for n in range(1, size + 1)]


@dataclass(frozen=True)
class Reading:
    """A text as a network read it: N tokens and what it made of them.

    text: their characters. ends: characters of it after each token (N,). activations: (N, U) after
    it. surprise: bits that each token cost (N,), and guesses: the most likely ids before it, with
    their probabilities, (N, 5) each; empty unless asked for. pieces: where each piece of a longer
    text begins, in tokens; of a whole text [0]. total: tokens of the whole text.
    """

    tokens: NDArray[np.int64]
    text: str
    ends: NDArray[np.int64]
    activations: Activations
    surprise: NDArray[np.float32]
    guesses: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    origins: NDArray[np.int64]
    pieces: tuple[int, ...]
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether all of the text was read."""
        return len(self.tokens) == self.total

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The character (N,) that each token ends with, or that it is a part of."""
        begins = np.concatenate([[0], self.ends[:-1]])
        whole = self.ends > begins
        return np.minimum(np.where(whole, self.ends - 1, self.ends), max(0, len(self.text) - 1))


def read(
    engine: Engine,
    tokenizer: Tokenizer,
    tokens: NDArray[np.integer],
    limit: int = LIMIT,
    guesses: bool = False,
) -> Reading:
    """Tokens of a text -> what each unit did after each; all, or `limit` in evenly spread pieces.

    Pieces are read side by side, each after the tokens before it. With `guesses` also what the
    network expected. CorpusError if there is no token.
    """
    if not len(tokens):
        raise CorpusError("the text is empty", "give a text")
    units = sum(size for _, size in layer_sizes(engine.config))
    most = min(len(tokens), limit, max(1, MOST_VALUES // units))
    rows = max(1, min(PIECES, most // LEAST_PIECE))
    length = -(-most // rows)
    is_whole = most == len(tokens)
    last = len(tokens) - length
    begins = np.arange(rows) * length if is_whole else np.linspace(0, last, rows).astype(int)
    ids = tokens.astype(np.int64)
    # The last piece of a whole text may lack a few tokens; what fills it is left out again.
    inside = np.minimum(begins[:, None] + np.arange(length), len(ids) - 1)  # (B, T)
    logits, state = _before(engine, ids, tokenizer.start_id, begins, min(WARM_UP, length))
    steps = _steps(engine, ids[inside].T, logits, state, guesses)
    found = [np.concatenate(blocks, axis=1) for blocks in zip(*steps, strict=True)]
    activations, surprise, best, shares = (
        part.reshape(rows * length, *part.shape[2:])[:most] for part in found
    )
    whole = ids[inside].ravel()[:most]
    text, ends = _text_of(tokenizer, whole)
    starts = (0,) if is_whole else tuple((np.arange(rows) * length).tolist())
    return Reading(
        whole, text, ends, activations, surprise, best, shares, inside.ravel()[:most], starts,
        len(tokens),
    )  # fmt: skip


def _before(
    engine: Engine, ids: NDArray[np.int64], start_id: int, begins: NDArray[np.int64], width: int
) -> tuple[NDArray[np.float32], State]:
    """Logits and state before each piece: after the `width` tokens before it."""
    own_logits, own_state = engine.step(np.array([start_id]), engine.zero_state(1))
    if len(begins) == 1:
        return own_logits, own_state
    state = engine.zero_state(len(begins))
    # The first piece has none before it: what it reads here is of no effect.
    for row in ids[np.maximum(0, begins[:, None] - width + np.arange(width))].T:
        logits, state = engine.step(row, state)
    logits[0], state = own_logits[0], [part.copy() for part in state]
    for part, own in zip(state, own_state, strict=True):
        part[0] = own[0]
    return logits, state


def _steps(
    engine: Engine,
    ids: NDArray[np.int64],
    logits: NDArray[np.float32],
    state: State,
    guesses: bool,
) -> Iterator[tuple[NDArray[Any], ...]]:
    """(T, B) tokens -> blocks of activations (B, T, U), surprise, guesses, probabilities."""
    rows = ids.shape[1]
    at_once = max(1, min(AT_ONCE, LOGITS_AT_ONCE // (rows * engine.vocab_size)))
    blocks = (ids[begin : begin + at_once] for begin in range(0, len(ids), at_once))
    for block in track(blocks, "reading", ids.size, size=lambda each: each.size):
        before, after = [], []
        for row in block:
            if guesses:
                before.append(logits)
            logits, state = engine.step(row, state)
            after.append(activations_of(engine.config, state))
        units = np.stack(after, axis=1).astype(np.float16)
        known = _guesses(np.stack(before, axis=1), block.T) if guesses else _no_guesses(block.T)
        yield units, *known


def activations_of(config: ModelConfig, state: State) -> NDArray[np.float32]:
    """A hidden state -> the activation of each unit (B, U): tanh(c), or h where there is no c."""
    parts = CELLS[config.cell].state
    # What follows the layers is not of the network: the place in the text of n-gram models.
    kept = state[len(parts) - 1 : config.num_layers * len(parts) : len(parts)]
    joined = np.concatenate(kept, axis=1)
    return joined if len(parts) == 1 else np.tanh(joined)


def _guesses(
    logits: NDArray[np.float32], ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Logits (B, T, V) before tokens (B, T) -> bits of each, the likeliest ids, their shares."""
    logprobs = log_softmax(logits.reshape(-1, logits.shape[-1]))
    own = np.take_along_axis(logprobs, ids.reshape(-1, 1), 1)[:, 0]
    most = min(GUESSES, logprobs.shape[1])
    best = np.argpartition(-logprobs, most - 1, axis=1)[:, :most]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(logprobs, best, 1), 1), 1)
    shares = np.exp(np.take_along_axis(logprobs, best, 1))
    return (
        (-own / math.log(2)).astype(np.float32).reshape(ids.shape),
        best.reshape(*ids.shape, most),
        shares.astype(np.float32).reshape(*ids.shape, most),
    )


def _no_guesses(ids: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    empty = np.zeros((*ids.shape, 0), np.float32)
    return np.zeros(ids.shape, np.float32), empty.astype(np.int64), empty


def _text_of(tokenizer: Tokenizer, ids: NDArray[np.int64]) -> tuple[str, NDArray[np.int64]]:
    """Tokens -> their text, and its length after each; the end of a document is a newline."""
    decoder, parts = Decoder(tokenizer), []
    for token in ids.tolist():
        parts.append(decoder.push(token))
    ends = np.cumsum([len(part) for part in parts])
    return "".join(parts).replace(END, "\n"), ends.astype(np.int64)
