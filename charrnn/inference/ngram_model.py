"""An n-gram model of a whole text in one array, read token by token and for many rows at once.

Every place of the text is sorted by what comes before it, the nearest token first, and the tokens
at these places, in that order, are all that is kept: as many ids as the text has. (Of reversed text
this is the transform of Burrows & Wheeler 1994.) All places after one context lie next to each
other, so what follows it is a slice; and the slice after one more token follows from the number of
times that this token occurs before the slice (the backward search of Ferragina & Manzini 2000).

Smoothing is that of the baselines, interpolated Witten-Bell: after a context seen n times with d
different followers a token's probability is (count + d * its probability after the shorter
context) / (n + d); before any context it is 1 / V. Long contexts mostly occur at the same places as
those that are a token shorter: with s = d / (n + d), k such contexts in a row are one, which leaves
the shortest s^k and gives 1 - s^k to the counts.
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
"""Probabilities that are kept at most, and as many counts: 34 MB each."""

LONG_SLICE = 2_000
"""Followers of a context that are counted once and kept: indentation, columns of a table."""

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
        self._counts: dict[tuple[int, int], NDArray[np.int64]] = {}
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
        done = cached
        for order in self.orders:
            for length, repeats in _repeats(begins[done + 1 : order], ends[done + 1 : order]):
                here = done + 1 + length
                p = self._refined(p, begins[here], ends[here], repeats)
            done = order - 1
            yield np.log(p)

    def _logs_of_row(self, numbers: list[int], cached: int) -> Iterator[Probabilities]:
        """The same of one row, number by number as in `_refined`, with fewer calls."""
        begins, ends = numbers[: self.order], numbers[self.order :]
        p = self._short(begins, ends, cached)
        length, logs = cached + 1, None
        for order in self.orders:
            # A context that does not occur does not occur with more before it either.
            while length < order and begins[length] < ends[length]:
                begin, end, repeats = begins[length], ends[length], 1
                while length + repeats < order and (
                    begins[length + repeats] == begin and ends[length + repeats] == end
                ):
                    repeats += 1
                p, logs = self._refined_row(p, begin, end, repeats), None
                length += repeats
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

    def _refined_row(
        self, p: Probabilities, begin: int, end: int, repeats: int = 1
    ) -> Probabilities:
        """Probabilities (V,) after a shorter context -> those after the one with this slice.

        repeats: how many contexts, each a token longer than the one before, have the slice.
        """
        size = end - begin
        if size <= COUNTED_SINGLY:
            ids = self._followers[begin:end].tolist()
            followers = set(ids)
            share, rest = _shares(size, len(followers), repeats)
            found: Probabilities = share * p
            for each in followers:
                found[each] += ids.count(each) * rest
        else:
            counts = self._counted(begin, end)
            share, rest = _shares(size, int(np.count_nonzero(counts)), repeats)
            found = share * p
            found += counts * rest
        return found

    def _counted(self, begin: int, end: int) -> NDArray[np.int64]:
        """A slice -> how often each token is in it, (V,)."""
        found = self._counts.get((begin, end))
        if found is None:
            found = np.bincount(self._followers[begin:end], minlength=self._size)
            if end - begin >= LONG_SLICE:
                if len(self._counts) >= self._most_cached:
                    self._counts.clear()
                self._counts[begin, end] = found
        return found

    def _refined(
        self,
        p: Probabilities,
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        repeats: NDArray[np.int64],
    ) -> Probabilities:
        """Probabilities (B, V) after shorter contexts -> those after contexts with these slices.

        repeats: (B,) as in `_refined_row`; 0 for a row that stays as it is.
        """
        # Of intervals from a file that may be untrusted, where they may end before they begin.
        sizes = np.maximum(ends - begins, 0)
        known = np.flatnonzero((sizes > 0) & (repeats > 0))
        if not len(known):
            return p
        begins, sizes = begins[known], sizes[known]
        long = np.flatnonzero(sizes >= LONG_SLICE)
        listed = np.where(sizes < LONG_SLICE, sizes, 0)
        # The places of all short slices one after the other, with the row that each belongs to.
        starts = np.cumsum(listed) - listed
        offsets = np.arange(int(listed.sum())) - np.repeat(starts - begins, listed)
        places = self._followers[offsets].astype(np.int64)
        places += np.repeat(np.arange(len(known)) * self._size, listed)
        counts = np.bincount(places, minlength=len(known) * self._size)
        counts = counts.reshape(len(known), self._size)
        for row in long.tolist():
            counts[row] = self._counted(int(begins[row]), int(begins[row] + sizes[row]))
        different = np.count_nonzero(counts, axis=1)
        numbers = zip(sizes.tolist(), different.tolist(), repeats[known].tolist(), strict=True)
        shares = np.array([_shares(*each) for each in numbers])
        found = p.copy()
        found[known] = shares[:, :1] * p[known] + counts * shares[:, 1:]
        return found


def _shares(size: int, different: int, repeats: int) -> tuple[float, float]:
    """Of a slice: what the shorter context's probabilities count, and what each follower counts.

    >>> _shares(3, 1, 1), _shares(3, 1, 2)
    ((0.25, 0.25), (0.0625, 0.3125))
    """
    share: float = (different / (size + different)) ** repeats
    return share, (1 - share) / size


def _repeats(
    begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Slices of L contexts, each a token longer, (L, B) -> each length, and how often it counts.

    How often, by row (B,): how many lengths from there on have its slice; 0 where the length before
    has it too.

    >>> [(length, r.tolist()) for length, r in _repeats(*np.array([[[4], [4], [5]]] * 2))]
    [(0, [2]), (1, [0]), (2, [1])]
    """
    count = len(begins)
    # Whether a length's slice is that of the length before it; the first has none before it.
    same = np.zeros(begins.shape, np.int64)
    same[1:] = (begins[1:] == begins[:-1]) & (ends[1:] == ends[:-1])
    lengths = np.ones(begins.shape, np.int64)
    for length in range(count - 2, -1, -1):
        lengths[length] += same[length + 1] * lengths[length + 1]
    yield from enumerate(lengths * (1 - same))


def sorted_followers(
    tokens: NDArray[np.unsignedinteger], order: int
) -> NDArray[np.unsignedinteger]:
    """A text (N,) -> its tokens, sorted by the `order` tokens before them, the nearest first.

    The text is read as a circle, so that every token has a context.

    >>> sorted_followers(np.array([2, 0, 1, 0], np.uint8), 2).tolist()
    [2, 1, 0, 0]
    """
    # Stable sorts from the farthest token to the nearest. np.lexsort does the same with all keys in
    # memory at once, as many copies of the text.
    places = np.arange(len(tokens))
    for distance in range(order, 0, -1):
        places = places[np.roll(tokens, distance)[places].argsort(kind="stable")]
    return tokens[places]
