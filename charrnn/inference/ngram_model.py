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

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Intervals = NDArray[np.float32]
"""The slice after each context of a row, (B, 2 * order): all begins, then all ends."""

CACHED = 3
"""Contexts of up to so many tokens return all the time: what follows them is kept."""

CACHED_NUMBERS = 2**22
"""Probabilities that are kept at most: 17 MB."""

FEW = 8
"""Up to so many rows are computed one by one."""

LONGEST = 2**24
"""Tokens of a text at most: the largest whole numbers that float32 counts without a gap."""


class NGramModel:
    """The n-grams of a text, of several orders; `followers` (N,) is what `sorted_followers` made.

    >>> model = NGramModel(sorted_followers(np.array([0, 1] * 4, np.uint8), 2), 2, (1, 2))
    >>> after_0 = model.step(np.array([0]), model.begin(1))
    >>> np.exp(model.log_probabilities(after_0)).astype(float).round(2).tolist()
    [[[0.5, 0.5], [0.1, 0.9]]]
    """

    def __init__(
        self, followers: NDArray[np.unsignedinteger], vocab_size: int, orders: Sequence[int]
    ) -> None:
        self._followers, self._size = followers, vocab_size
        self.orders, self.order = tuple(orders), max(orders)
        # The places of each id, id by id: a bisection counts an id before any place.
        places = np.argsort(followers, kind="stable").astype(np.int64)
        self._places = followers[places].astype(np.int64) * len(followers) + places
        self._cache: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._most_cached = max(64, CACHED_NUMBERS // vocab_size)

    def begin(self, rows: int) -> Intervals:
        """The intervals of `rows` texts of which nothing was read."""
        found = np.zeros((rows, 2, self.order), np.float32)
        found[:, 1, 0] = len(self._followers)
        return found.reshape(rows, -1)

    def step(self, ids: NDArray[np.integer], intervals: Intervals) -> Intervals:
        """One more token of each of B rows, (B,) -> the intervals after it."""
        rows, count = len(ids), len(self._followers)
        after = np.zeros((rows, 2, self.order), np.float32)
        after[:, 1, 0] = count
        before = intervals.reshape(rows, 2, self.order)[:, :, :-1].astype(np.int64)
        keys = ids.astype(np.int64)[:, None, None] * count + before
        after[:, :, 1:] = np.searchsorted(self._places, keys)
        return after.reshape(rows, -1)

    def log_probabilities(self, intervals: Intervals) -> NDArray[np.float32]:
        """Intervals of B rows -> natural log-probabilities of the next token, (B, orders, V)."""
        rows = len(intervals)
        if rows <= FEW:
            return np.stack([self._of_row(row) for row in intervals])
        begins, ends = intervals.reshape(rows, 2, self.order).astype(np.int64).transpose(1, 2, 0)
        cached = min(CACHED, min(self.orders) - 1)
        p = np.stack([self._short(begins[:, r], ends[:, r], cached) for r in range(rows)])
        found = np.empty((rows, len(self.orders), self._size), np.float32)
        for length in range(cached, self.order):
            if length > cached:
                p = self._refined(p, begins[length], ends[length])
            if length + 1 in self.orders:
                # Not with `out`: into an array with gaps numpy takes another way, which rounds
                # otherwise, and a row must not depend on how many there are.
                found[:, self.orders.index(length + 1)] = np.log(p)
        return found

    def _of_row(self, intervals: Intervals) -> NDArray[np.float32]:
        """Intervals of one row -> (orders, V): the same numbers, with fewer calls."""
        numbers = intervals.astype(np.int64)
        begins, ends = numbers[: self.order], numbers[self.order :]
        cached = min(CACHED, min(self.orders) - 1)
        p = self._short(begins, ends, cached)
        found = np.empty((len(self.orders), self._size), np.float32)
        bounds = list(zip(begins.tolist(), ends.tolist(), strict=True))
        for place, order in enumerate(self.orders):
            for begin, end in bounds[
                max(cached + 1, self.orders[place - 1] if place else 0) : order
            ]:
                if begin >= end:
                    break
                counts = np.bincount(self._followers[begin:end], minlength=self._size)
                different = int(np.count_nonzero(counts))
                p = ((counts + different * p) * (1 / (end - begin + different))).astype(np.float32)
            else:
                found[place] = np.log(p)
                continue
            # A context that does not occur does not occur with more before it either.
            found[place:] = np.log(p)
            break
        return found

    def _short(
        self, begins: NDArray[np.int64], ends: NDArray[np.int64], longest: int
    ) -> NDArray[np.float32]:
        """One row's contexts up to a length -> the probabilities (V,) after the longest known."""
        while longest and begins[longest] >= ends[longest]:
            longest -= 1
        # Of two contexts with one interval both predict the same counts, and differ by what shorter
        # ones add; a longer one that has the same interval is the same context and more.
        key = (longest, int(begins[longest]) * LONGEST + int(ends[longest]))
        found = self._cache.get(key)
        if found is None:
            if longest:
                shorter = self._short(begins, ends, longest - 1)
            else:
                shorter = np.full(self._size, 1 / self._size, np.float32)
            found = self._refined(
                shorter[None], begins[longest : longest + 1], ends[longest : longest + 1]
            )[0]
            if len(self._cache) >= self._most_cached:
                self._cache.clear()
            self._cache[key] = found
        return found

    def _refined(
        self, p: NDArray[np.float32], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Probabilities (B, V) after shorter contexts -> those after contexts with these slices."""
        # Of intervals from a file that may be untrusted, where they may end before they begin.
        sizes = np.maximum(ends - begins, 0)
        known = np.flatnonzero(sizes)
        if not len(known):
            return p
        sizes = sizes[known]
        if len(known) == 1:
            places = self._followers[begins[known[0]] : ends[known[0]]]
        else:
            # The places of all slices one after the other, with the row that each belongs to.
            starts = np.cumsum(sizes) - sizes
            offsets = np.arange(int(sizes.sum())) - np.repeat(starts - begins[known], sizes)
            places = self._followers[offsets].astype(np.int64)
            places += np.repeat(np.arange(len(known)) * self._size, sizes)
        counts = np.bincount(places, minlength=len(known) * self._size)
        counts = counts.reshape(len(known), self._size)
        different = np.count_nonzero(counts, axis=1)[:, None].astype(np.float32)
        scale = 1 / (sizes[:, None] + different)
        if len(known) == len(p):
            found: NDArray[np.float32] = (counts + different * p) * scale
            return found.astype(np.float32, copy=False)
        found = p.copy()
        found[known] = (counts + different * p[known]) * scale
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
