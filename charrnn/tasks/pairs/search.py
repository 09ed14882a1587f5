"""Beam search over a batch of sources: the most likely targets that a few hypotheses find."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

Arrays = list[NDArray[np.float32]]
"""Arrays whose first axis is the rows."""

ATTENTION_AT_ONCE = 20_000_000
"""Numbers of attention that a batch may hold: rows x width x tokens of source and target."""

MOST_ROWS = 160
"""Hypotheses of a batch, of all its sources."""


class Decoder(Protocol):
    """An encoder and one step of a decoder: `PairEngine`, or a torch network during training."""

    def encode(self, sources: Sequence[Ids]) -> tuple[Arrays, Arrays]:
        """Sources -> the memory that attention reads, and the decoder's state, one row each."""

    def step(
        self, ids: Ids, memory: Arrays, state: Arrays
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Arrays]:
        """Ids (R,), memory and state -> logits (R, V), attention (R, S), the state after."""


@dataclass(frozen=True)
class Hypothesis:
    """A target: its ids without the end, and their total log-probability with it.

    attention: (T, S), of each id over the tokens of the source and its end. ended: whether it has
    an end, or was cut at the greatest length.
    """

    ids: tuple[int, ...]
    logprob: float
    attention: NDArray[np.float32]
    ended: bool = True

    @property
    def score(self) -> float:
        """Log-probability per token, which ranks hypotheses (Wu et al. 2016, exponent 1)."""
        return self.logprob / (len(self.ids) + self.ended or 1)


@dataclass
class _Source:
    """What is found for one source: (step, row in the beam, log-probability, ended)."""

    longest: int
    found: list[tuple[int, int, float, bool]]
    is_done: bool = False


@dataclass(frozen=True)
class _Step:
    """One step of a search, of the sources `live`: where each row came from, and its token."""

    live: Ids
    rows: Ids
    chosen: Ids
    attention: NDArray[np.float32]


def search(
    decoder: Decoder,
    sources: Sequence[Ids],
    longest: Sequence[int],
    width: int,
    end_id: int,
    banned: Sequence[Sequence[int]],
) -> list[list[Hypothesis]]:
    """Sources -> up to `width` hypotheses of each, the best first.

    longest: most tokens of each target. banned: ids that each may not have. An end counts only
    among the first `width` candidates of a step: a search that takes it from any place prefers
    targets that are cut short.
    """
    memory, state = decoder.encode(sources)
    memory = [np.repeat(part, width, axis=0) for part in memory]
    state = [np.repeat(part, width, axis=0) for part in state]
    live = np.arange(len(sources))  # the numbers of the sources in the arrays
    logprobs = np.full((len(live), width), -np.inf)
    logprobs[:, 0] = 0.0
    states = [_Source(each, []) for each in longest]
    ids = np.full(len(live) * width, end_id, np.int64)
    history: list[_Step] = []
    for step in range(max(longest)):
        logits, attention, state = decoder.step(ids, memory, state)
        found = _candidates(logits, logprobs, [banned[number] for number in live.tolist()])
        rows, chosen = np.zeros((len(live), width), np.int64), np.full((len(live), width), end_id)
        logprobs = np.full((len(live), width), -np.inf)
        for place, number in enumerate(live.tolist()):
            if not states[number].is_done:
                candidates = [part[place].tolist() for part in found]
                into = (rows[place], chosen[place], logprobs[place])
                _advance(states[number], step, candidates, end_id, into)
        history.append(_Step(live, rows, chosen, attention.reshape(len(live), width, -1)))
        kept = np.array([p for p, n in enumerate(live.tolist()) if not states[n].is_done], np.int64)
        if not len(kept):
            break
        if 2 * len(kept) > len(live):
            kept = np.arange(len(live))
        else:
            # Half of the sources are done: the others go on without them.
            own = (kept[:, None] * width + np.arange(width)).ravel()
            memory = [part[own] for part in memory]
        state = [part[(rows[kept] + kept[:, None] * width).ravel()] for part in state]
        live, logprobs, ids = live[kept], logprobs[kept], chosen[kept].ravel()
    return [
        sorted(
            (_trace(history, number, each, len(sources[number])) for each in one.found),
            key=lambda found: (not found.ended, -found.score),
        )[:width]
        for number, one in enumerate(states)
    ]


def _candidates(
    logits: NDArray[np.float32], logprobs: NDArray[np.float64], banned: Sequence[Sequence[int]]
) -> tuple[Ids, Ids, NDArray[np.float64]]:
    """Logits (B * K, V), log-probabilities (B, K) -> the likeliest 2 K of each source, sorted.

    Their rows in the beam, their tokens, their log-probabilities, (B, 2 K) each.
    """
    count, width = logprobs.shape
    most = min(2 * width, logits.shape[1])
    top = logits.max(axis=1, keepdims=True)
    normalizer = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    for place, out in enumerate(banned):
        logits[place * width : (place + 1) * width, list(out)] = -np.inf
    # Of each row first: all extensions of a beam are a hundred thousand numbers.
    tokens = np.argpartition(logits, logits.shape[1] - most, axis=1)[:, -most:]
    # By id among equals, so that a tie does not hang on how numpy partitions.
    tokens.sort(axis=1)
    scores = (np.take_along_axis(logits, tokens, 1) - normalizer).astype(np.float64)
    scores = scores.reshape(count, width * most) + np.repeat(logprobs, most, axis=1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : 2 * width]
    chosen = np.take_along_axis(tokens.reshape(count, -1), best, 1)
    return best // most, chosen, np.take_along_axis(scores, best, 1)


def _advance(
    one: _Source,
    step: int,
    candidates: Sequence[Sequence[float]],
    end_id: int,
    into: tuple[Ids, Ids, NDArray[np.float64]],
) -> None:
    """Put the candidates of a source into its next beam (rows, tokens, logprobs), ends aside."""
    rows, chosen, logprobs = into
    width, place = len(rows), 0
    for rank, (parent, token, value) in enumerate(zip(*candidates, strict=True)):
        if not np.isfinite(value) or place == width:
            break
        if token == end_id:
            if rank < width:
                one.found.append((step, int(parent), value, True))
            continue
        rows[place], chosen[place], logprobs[place] = parent, token, value
        place += 1
    last = step + 1 == one.longest
    if last:
        # What was cut is ranked after what has ended.
        left = min(place, width - len(one.found))
        one.found += [(step + 1, k, float(logprobs[k]), False) for k in range(left)]
    one.is_done = last or not place or _leads(one, width, float(logprobs[0]) / (step + 1))


def _leads(one: _Source, width: int, score: float) -> bool:
    """Whether enough have ended, and none that goes on leads: its score is `score` so far.

    Where the model is sure, targets cut short are soon among the first candidates, and as many as
    the beam holds: they must not end the search.
    """
    if len(one.found) < width:
        return False
    # Greedy decoding ends with the first end.
    return width == 1 or max(value / (step + 1) for step, _, value, _ in one.found) >= score


def _trace(
    history: Sequence["_Step"], number: int, end: tuple[int, int, float, bool], length: int
) -> Hypothesis:
    """The last row of a hypothesis -> all of it, from its end to its beginning."""
    step, row, logprob, ended = end
    ids: list[int] = []
    attention: list[NDArray[np.float32]] = []
    for each in reversed(history[:step]):
        place = int(np.searchsorted(each.live, number))
        ids.append(int(each.chosen[place, row]))
        # The attention of a token is that of the row it grew from.
        row = int(each.rows[place, row])
        attention.append(each.attention[place, row, :length])
    shown = np.array(attention[::-1], np.float32).reshape(len(ids), length)
    return Hypothesis(tuple(ids[::-1]), logprob, shown, ended)


def rows_at_once(sources: Sequence[Ids], longest: Sequence[int], width: int) -> list[list[int]]:
    """Sources -> their numbers in batches of about equal length that fit in memory."""
    order = sorted(range(len(sources)), key=lambda number: -len(sources[number]))
    batches: list[list[int]] = []
    for number in order:
        # The first of a batch is its longest.
        first = batches[-1][0] if batches else number
        size = len(sources[first]) * max(longest[first], longest[number]) * width
        most = max(1, min(MOST_ROWS // width, ATTENTION_AT_ONCE // size))
        if not batches or len(batches[-1]) >= most:
            batches.append([])
        batches[-1].append(number)
    return batches
