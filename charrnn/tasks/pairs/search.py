"""Beam search over a batch of sources: the most likely targets that a few hypotheses find."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.inference.sampling import log_softmax

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
    count = len(sources)
    memory = [np.repeat(part, width, axis=0) for part in memory]
    state = [np.repeat(part, width, axis=0) for part in state]
    logprobs = np.full((count, width), -np.inf)
    logprobs[:, 0] = 0.0
    states = [_Source(each, []) for each in longest]
    ids = np.full(count * width, end_id, np.int64)
    history: list[tuple[Ids, Ids, NDArray[np.float32]]] = []
    for step in range(max(longest)):
        logits, attention, state = decoder.step(ids, memory, state)
        scores = log_softmax(logits.astype(np.float64)).reshape(count, width, -1)
        for scored, out in zip(scores, banned, strict=True):
            scored[:, list(out)] = -np.inf
        scores += logprobs[..., None]
        places, values = _best(scores.reshape(count, -1), 2 * width)
        parents, tokens = np.divmod(places, scores.shape[-1])
        rows, chosen = np.zeros((count, width), np.int64), np.full((count, width), end_id)
        logprobs = np.full((count, width), -np.inf)
        for number, one in enumerate(states):
            if not one.is_done:
                _advance(
                    one, step, parents[number], tokens[number], values[number], end_id,
                    rows[number], chosen[number], logprobs[number],
                )  # fmt: skip
        history.append((rows, chosen, attention.reshape(count, width, -1)))
        if all(one.is_done for one in states):
            break
        ids = chosen.ravel()
        flat = (rows + np.arange(count)[:, None] * width).ravel()
        state = [part[flat] for part in state]
    return [
        sorted(
            (_trace(history, number, width, each, len(sources[number])) for each in one.found),
            key=lambda found: (not found.ended, -found.score),
        )[:width]
        for number, one in enumerate(states)
    ]


def _best(scores: NDArray[np.float64], most: int) -> tuple[Ids, NDArray[np.float64]]:
    """(B, N) -> the places of the largest of each row, the largest first, and their values."""
    most = min(most, scores.shape[1])
    places = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    # By place among equals, so that a tie does not hang on how numpy partitions.
    places.sort(axis=1)
    values = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(places, order, 1), np.take_along_axis(values, order, 1)


def _advance(
    one: _Source,
    step: int,
    parents: Ids,
    tokens: Ids,
    values: NDArray[np.float64],
    end_id: int,
    rows: Ids,
    chosen: Ids,
    logprobs: NDArray[np.float64],
) -> None:
    """Put the candidates of a source into its next beam (rows, chosen, logprobs), ends aside."""
    width, place = len(rows), 0
    for rank, (parent, token, value) in enumerate(
        zip(parents.tolist(), tokens.tolist(), values.tolist(), strict=True)
    ):
        if not np.isfinite(value) or place == width:
            break
        if token == end_id:
            if rank < width:
                one.found.append((step, parent, value, True))
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
    history: Sequence[tuple[Ids, Ids, NDArray[np.float32]]],
    number: int,
    width: int,
    end: tuple[int, int, float, bool],
    length: int,
) -> Hypothesis:
    """The last row of a hypothesis -> all of it, from its end to its beginning."""
    step, row, logprob, ended = end
    ids: list[int] = []
    attention: list[NDArray[np.float32]] = []
    for rows, chosen, seen in reversed(history[:step]):
        ids.append(int(chosen[number, row]))
        # The attention of a token is that of the row it grew from.
        row = int(rows[number, row])
        attention.append(seen[number, row, :length])
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
