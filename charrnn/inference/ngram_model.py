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
from dataclasses import dataclass
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

COUNTED_NUMBERS = 2**20
"""Counts of one length of context, or followers to be counted, that are in memory at once: 8 MB."""

LONG_SLICE = 2_000
"""Followers of a context that are counted once and kept: indentation, columns of a table."""

COUNTED_SINGLY = 12
"""Up to so many followers are counted one by one, which takes fewer calls."""


class NGramModel:
    """The n-grams of a text; `followers` (N,) is what `sorted_followers` made.

    orders: those of the models, the lowest first. reset_id: the id that begins a document, before
    which nothing counts; -1 for none.

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
        assert list(orders) == sorted(orders)
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
        for block in self._blocks(len(intervals)):
            for place, logs in enumerate(self._logs(intervals[block])):
                found[block, place] = logs
        return found

    def weighted(self, intervals: Intervals, weights: Sequence[float]) -> NDArray[np.float32]:
        """The sum over all orders of weight times log-probability, (B, V)."""
        found = np.empty((len(intervals), self._size), np.float32)
        for block in self._blocks(len(intervals)):
            total: Any = 0.0
            for weight, logs in zip(weights, self._logs(intervals[block]), strict=True):
                total = total + weight * logs
            found[block] = total
        return found

    def _blocks(self, rows: int) -> Iterator[slice]:
        """Rows that are computed at once, because each needs several times its result's memory."""
        most = max(1, COUNTED_NUMBERS // max(self._size, LONG_SLICE))
        for begin in range(0, rows, most):
            yield slice(begin, begin + most)

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
        bounds = [order - cached - 1 for order in self.orders]
        found = _slices(begins[cached + 1 :], ends[cached + 1 :], bounds)
        counts = self._counts_of(found.begins, found.ends)
        sizes = found.ends - found.begins
        shares = _shares(sizes, np.count_nonzero(counts, axis=1), found.repeats)[:, :, None]
        for model in range(len(bounds)):
            # A row's slices one after the other, those of different rows together.
            for chosen in found.chosen(model):
                of = found.rows[chosen]
                p[of] = shares[0, chosen] * p[of] + counts[chosen] * shares[1, chosen]
            yield np.log(p)

    def _logs_of_row(self, numbers: list[int], cached: int) -> Iterator[Probabilities]:
        """The same of one row with fewer calls, by the same operations: equal to the last bit."""
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
            share, rest = _shares_of_one(size, len(followers), repeats)
            found: Probabilities = share * p
            for each in followers:
                found[each] += ids.count(each) * rest
        else:
            counts = self._counted(begin, end)
            share, rest = _shares_of_one(size, int(np.count_nonzero(counts)), repeats)
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

    def _counts_of(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """M slices -> how often each token is in each of them, (M, V)."""
        sizes = ends - begins
        listed = np.where(sizes < LONG_SLICE, sizes, 0)
        # The places of all short slices one after the other, with the slice that each belongs to.
        starts = np.cumsum(listed) - listed
        offsets = np.arange(int(listed.sum())) - np.repeat(starts - begins, listed)
        places = self._followers[offsets].astype(np.int64)
        places += np.repeat(np.arange(len(begins)) * self._size, listed)
        counts = np.bincount(places, minlength=len(begins) * self._size)
        counts = counts.reshape(len(begins), self._size)
        for each in np.flatnonzero(sizes >= LONG_SLICE).tolist():
            counts[each] = self._counted(int(begins[each]), int(ends[each]))
        return counts


@dataclass(frozen=True)
class _Slices:
    """The M different slices of contexts of some rows, row by row, the shortest context first.

    repeats: how many contexts, each a token longer than the one before, have the slice. models:
    the first n-gram model that counts it. places: how many slices of its row and model come first.
    """

    rows: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    repeats: NDArray[np.int64]
    models: NDArray[np.int64]
    places: NDArray[np.int64]

    def chosen(self, model: int) -> Iterator[NDArray[np.int64]]:
        """A model -> the first slice that it counts of each row, then the second and so on."""
        own = np.flatnonzero(self.models == model)
        places = self.places[own]
        for place in range(int(places.max(initial=-1)) + 1):
            yield own[places == place]


def _slices(begins: NDArray[np.int64], ends: NDArray[np.int64], bounds: Sequence[int]) -> _Slices:
    """Slices of L contexts, each a token longer, of B rows, (L, B) -> those that differ.

    bounds: how many of the L contexts each n-gram model counts. No slice reaches across a bound.

    >>> found = _slices(*np.array([[[4], [4], [5]], [[9], [9], [6]]]), bounds=[3])
    >>> found.begins.tolist(), found.ends.tolist(), found.repeats.tolist()
    ([4, 5], [9, 6], [2, 1])
    """
    # Intervals from a file that may be untrusted may end before they begin, and begin again.
    known = np.logical_and.accumulate(begins < ends, axis=0)
    fresh = known.copy()
    fresh[1:] &= (begins[1:] != begins[:-1]) | (ends[1:] != ends[:-1])
    for bound in bounds[:-1]:
        fresh[bound : bound + 1] = known[bound : bound + 1]
    rows, lengths = np.nonzero(fresh.T)
    # One ends where the next of its row begins, the last where its row is not known any more.
    is_last = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    following = np.where(is_last, known.sum(0)[rows], np.append(lengths[1:], 0)[: len(rows)])
    models = np.searchsorted(bounds, lengths, side="right")
    groups = rows * len(bounds) + models
    places = np.arange(len(rows)) - np.searchsorted(groups, groups)
    found = (begins[lengths, rows], ends[lengths, rows], following - lengths)
    return _Slices(rows, *found, models, places)


def _shares(
    sizes: NDArray[np.int64], different: NDArray[np.int64], repeats: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of M slices: what the shorter contexts' probabilities count, and each follower, (2, M)."""
    base = different / (sizes + different)
    share = np.ones(len(base))
    # The powers by squaring, the same operations as for one: equal to the last bit.
    for bit in range(int(repeats.max(initial=0)).bit_length()):
        share = np.where(repeats >> bit & 1, share * base, share)
        base = base * base
    return np.stack([share, (1 - share) / sizes])


def _shares_of_one(size: int, different: int, repeats: int) -> tuple[float, float]:
    """The same of one slice.

    >>> _shares_of_one(3, 1, 1), _shares_of_one(3, 1, 2)
    ((0.25, 0.25), (0.0625, 0.3125))
    """
    base, share = different / (size + different), 1.0
    while repeats:
        share = share * base if repeats & 1 else share
        base, repeats = base * base, repeats >> 1
    return share, (1 - share) / size


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
