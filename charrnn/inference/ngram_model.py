"""An n-gram model of a whole text in one array, read token by token and for many rows at once.

Every place of the text is sorted by what comes before it, the nearest token first, and the tokens
at these places, in that order, are all that is kept: as many ids as the text has. (Of reversed text
this is the transform of Burrows & Wheeler 1994.) All places after one context lie next to each
other, so what follows it is a slice; and the slice after one more token follows from the number of
times that this token occurs before the slice (the backward search of Ferragina & Manzini 2000).

Smoothing is that of the baselines, interpolated Witten-Bell: after a context seen n times with d
different followers a token's probability is (count + d * its probability after the shorter
context) / (n + d); before any context it is 1 / V.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Intervals = NDArray[np.float32]
"""The slice after each context of a row, (B, 2 * order): all begins, then all ends."""

Probabilities = NDArray[np.float64]

CACHED = 3
"""Contexts of up to so many tokens return all the time: what follows them is kept."""

CACHED_NUMBERS = 2**22
"""Probabilities that are kept at most: 34 MB."""

COUNTED_SINGLY = 12
"""Up to so many followers are counted one by one, which takes fewer calls."""

LONGEST = 2**24
"""Tokens of a text at most: the largest whole numbers that float32 counts without a gap."""


class NGramModel:
    """The n-grams of a text, of several orders; `followers` (N,) is what `sorted_followers` made.

    reset_id: the id that begins a document, before which nothing counts; -1 for none.

    >>> model = NGramModel(sorted_followers(np.array([0, 1] * 4, np.uint8), 2), 2, (1, 2))
    >>> after_0 = model.step(np.array([0]), model.begin(1))
    >>> np.exp(model.log_probabilities(after_0)).astype(float).round(2).tolist()
    [[[0.5, 0.5], [0.1, 0.9]]]
    """

    def __init__(
        self,
        followers: NDArray[np.unsignedinteger],
        vocab_size: int,
        orders: Sequence[int],
        reset_id: int = -1,
    ) -> None:
        self._followers, self._size, self._reset_id = followers, vocab_size, reset_id
        self.orders, self.order = tuple(orders), max(orders)
        # The places of each id, id by id: a bisection counts an id before any place.
        self._places = np.argsort(followers, kind="stable").astype(np.int32)
        counts = np.bincount(followers, minlength=vocab_size)
        self._starts = [0, *np.cumsum(counts).tolist()]
        self._cache: dict[tuple[int, int, int], Probabilities] = {}
        self._most_cached = max(64, CACHED_NUMBERS // vocab_size)

    def begin(self, rows: int) -> Intervals:
        """The intervals of `rows` texts of which nothing was read."""
        found = np.zeros((rows, 2, self.order), np.float32)
        found[:, 1, 0] = len(self._followers)
        return found.reshape(rows, -1)

    def step(self, ids: NDArray[np.integer], intervals: Intervals) -> Intervals:
        """One more token of each of B rows, (B,) -> the intervals after it."""
        begins = ids == self._reset_id
        if self._reset_id >= 0 and begins.any():
            intervals = np.where(begins[:, None], self.begin(len(ids)), intervals)
        after = self.begin(len(ids)).reshape(-1, 2, self.order)
        before = intervals.reshape(after.shape)[:, :, :-1]
        # Those of a file that may be untrusted could be any numbers.
        before = np.minimum(np.maximum(before, 0), len(self._followers)).astype(np.int32)
        # One by one: the places of one id are few, and often in the processor's cache.
        for row, each in enumerate(ids.tolist()):
            start = self._starts[each]
            places = self._places[start : self._starts[each + 1]]
            after[row, :, 1:] = places.searchsorted(before[row]) + start
        return after.reshape(len(ids), -1)

    def read(self, ids: NDArray[np.integer], intervals: Intervals) -> tuple[Intervals, Intervals]:
        """(T, B) tokens -> the intervals after each (T * B, 2 * order), and after the last."""
        found = []
        for row in ids:
            intervals = self.step(row, intervals)
            found.append(intervals)
        return np.concatenate(found), intervals

    def log_probabilities(self, intervals: Intervals) -> NDArray[np.float32]:
        """Intervals of B rows -> natural log-probabilities of the next token, (B, orders, V)."""
        found = np.empty((len(intervals), len(self.orders), self._size), np.float32)
        for place, logs in enumerate(self._logs(intervals)):
            found[:, place] = logs
        return found

    def weighted(self, intervals: Intervals, weights: Sequence[float]) -> NDArray[np.float32]:
        """The sum over all orders of weight times log-probability, (B, V)."""
        found: Any = 0.0
        for weight, logs in zip(weights, self._logs(intervals), strict=True):
            found = found + weight * logs
        result: NDArray[np.float32] = found.astype(np.float32)
        return result

    def _logs(self, intervals: Intervals) -> Iterator[Probabilities]:
        """The log-probabilities (B, V) of each order in turn."""
        rows = len(intervals)
        cached = min(CACHED, min(self.orders) - 1)
        if rows == 1:
            yield from self._logs_of_row(intervals[0].astype(np.int64).tolist(), cached)
            return
        begins, ends = intervals.reshape(rows, 2, self.order).astype(np.int64).transpose(1, 2, 0)
        first, last = begins[: cached + 1].T.tolist(), ends[: cached + 1].T.tolist()
        p = np.stack([self._short(b, e, cached) for b, e in zip(first, last, strict=True)])
        for length in range(cached, self.order):
            if length > cached:
                p = self._refined(p, begins[length], ends[length])
            if length + 1 in self.orders:
                yield np.log(p)

    def _logs_of_row(self, numbers: list[int], cached: int) -> Iterator[Probabilities]:
        """The same of one row, number by number as in `_refined`, with fewer calls."""
        begins, ends = numbers[: self.order], numbers[self.order :]
        p = self._short(begins, ends, cached)
        logs = None
        for length in range(cached, self.order):
            # A context that does not occur does not occur with more before it either.
            if length > cached and begins[length] < ends[length]:
                p, logs = self._refined_row(p, begins[length], ends[length]), None
            if length + 1 in self.orders:
                logs = np.log(p) if logs is None else logs
                yield logs[None]

    def _short(self, begins: list[int], ends: list[int], longest: int) -> Probabilities:
        """One row's contexts up to a length -> the probabilities (V,) after the longest known."""
        while longest and begins[longest] >= ends[longest]:
            longest -= 1
        # Contexts of one length with one interval are one context.
        key = (longest, begins[longest], ends[longest])
        found = self._cache.get(key)
        if found is None:
            if longest:
                shorter = self._short(begins, ends, longest - 1)
            else:
                shorter = np.full(self._size, 1 / self._size)
            found = self._refined_row(shorter, begins[longest], ends[longest])
            if len(self._cache) >= self._most_cached:
                self._cache.clear()
            self._cache[key] = found
        return found

    def _refined_row(self, p: Probabilities, begin: int, end: int) -> Probabilities:
        """Probabilities (V,) after a shorter context -> those after the one with this slice."""
        size = end - begin
        if size <= COUNTED_SINGLY:
            ids = self._followers[begin:end].tolist()
            different = len(set(ids))
            found: Probabilities = different * p
            for each in set(ids):
                found[each] += ids.count(each)
        else:
            counts = np.bincount(self._followers[begin:end], minlength=self._size)
            different = int(np.count_nonzero(counts))
            found = counts + different * p
        found *= 1 / (size + different)
        return found

    def _refined(
        self, p: Probabilities, begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Probabilities:
        """Probabilities (B, V) after shorter contexts -> those after contexts with these slices."""
        # Of intervals from a file that may be untrusted, where they may end before they begin.
        sizes = np.maximum(ends - begins, 0)
        known = np.flatnonzero(sizes)
        if not len(known):
            return p
        sizes = sizes[known]
        # The places of all slices one after the other, with the row that each belongs to.
        starts = np.cumsum(sizes) - sizes
        offsets = np.arange(int(sizes.sum())) - np.repeat(starts - begins[known], sizes)
        places = self._followers[offsets].astype(np.int64)
        places += np.repeat(np.arange(len(known)) * self._size, sizes)
        counts = np.bincount(places, minlength=len(known) * self._size)
        counts = counts.reshape(len(known), self._size)
        different = np.count_nonzero(counts, axis=1)[:, None]
        found = p.copy()
        found[known] = (counts + different * p[known]) * (1 / (sizes[:, None] + different))
        return found


def sorted_followers(
    tokens: NDArray[np.unsignedinteger], order: int
) -> NDArray[np.unsignedinteger]:
    """A text (N,) -> its tokens, sorted by the `order` tokens before them, the nearest first.

    The text is read as a circle, so that every token has a context.

    >>> sorted_followers(np.array([2, 0, 1, 0], np.uint8), 2).tolist()
    [2, 1, 0, 0]
    """
    # The last key is the first to be sorted by.
    keys = [np.roll(tokens, distance) for distance in range(order, 0, -1)]
    return tokens[np.lexsort(keys)]
