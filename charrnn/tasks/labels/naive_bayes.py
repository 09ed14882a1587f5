"""Naive Bayes over n-grams: counts of each label, and scores that leave a text's own counts out.

An n-gram is a bucket of a hash of it, and counts once a text. The scores are a baseline, and an
input of the network; the counts are in the checkpoint.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.examples import Ids
from charrnn.tokenizers.base import damaged

KINDS = {"words": 2, "characters": 4}
"""What an n-gram is of, and the longest."""

WORD = re.compile(r"\w+|[^\w\s]")
"""A word of an n-gram: letters, digits and underscores, or one other character that is no space."""

LONGEST = 20_000
"""Characters of a text whose n-grams are counted."""

MOST_BITS, MOST_ENTRIES = 20, 4_000_000

AT_ONCE = 2_000_000
"""Counts that are read at once."""

SMOOTHINGS = (1.0, 0.3, 0.1)
"""Counts added to each n-gram: the one that classifies left-one-out texts best is taken."""

TRIED = 3_000
"""Texts on which they are compared; fewer where they have more than MOST_ENTRIES scores."""

Scores = NDArray[np.float32]

Floats = NDArray[np.float64]


def grams(text: str, kind: str) -> list[str]:
    """A text -> its different n-grams, in the order of their first occurrence.

    >>> grams("Good!", "words")
    ['^', 'good', '!', '$', '^ good', 'good !', '! $']
    >>> grams("ab", "characters")
    ['^', 'a', 'b', '$', '^a', 'ab', 'b$', '^ab', 'ab$', '^ab$']
    """
    text = text[:LONGEST]
    parts: Sequence[str]
    if kind == "words":
        parts, between = ["^", *WORD.findall(text.lower()), "$"], " "
    else:
        parts, between = f"^{text}$", ""
    return list(
        dict.fromkeys(
            between.join(parts[begin : begin + size])
            for size in range(1, KINDS[kind] + 1)
            for begin in range(len(parts) - size + 1)
        )
    )


def buckets_of(text: str, kind: str, bits: int) -> Ids:
    """A text -> the buckets of its n-grams, each once: the low bits of CRC-32."""
    mask = (1 << bits) - 1
    found = {zlib.crc32(g.encode("utf-8", "surrogatepass")) & mask for g in grams(text, kind)}
    return np.array(sorted(found), np.int64)


@dataclass(frozen=True)
class NaiveBayes:
    """Counts of texts: of each label (L,), and of each bucket those of the labels that it has.

    kind, bits: as in `buckets_of`. smoothing: added to each count. odds: whether a label is
    compared with all texts that do not have it, because a text can have several. sizes: entries of
    each bucket; labels, counts: of all entries (N,), in the order of the buckets.
    """

    kind: str
    bits: int
    odds: bool
    texts: int
    smoothing: float
    of_label: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]

    @cached_property
    def _ends(self) -> Ids:
        return np.cumsum(self.sizes)

    @cached_property
    def different(self) -> int:
        """Buckets that have an entry: so many different n-grams were seen."""
        return int(np.count_nonzero(self.sizes))

    @cached_property
    def _grams(self) -> Floats:
        """n-grams of each label (L,), a text's each once."""
        counted = self.counts.astype(np.float64)
        found: Floats = np.bincount(self.labels, counted, len(self.of_label)).astype(np.float64)
        return found

    @cached_property
    def _of_bucket(self) -> Ids:
        """Texts of each bucket, counted for each of their labels."""
        totals = np.concatenate([[0], np.cumsum(self.counts)])
        found: Ids = totals[self._ends] - totals[self._ends - self.sizes]
        return found

    @cached_property
    def rarity(self) -> Floats:
        """The inverse document frequency of each bucket: ln((1 + N) / (1 + df)) + 1."""
        # A text of several labels counts for each of them.
        counted = max(self.texts, int(self.of_label.sum()))
        found: Floats = np.log((1 + counted) / (1 + self._of_bucket)) + 1
        return found

    @cached_property
    def number(self) -> Ids:
        """The number of each bucket among those that have an entry."""
        found: Ids = np.cumsum(self.sizes > 0) - 1
        return found

    def scores(self, rows: Sequence[Ids], own: NDArray[np.bool_] | None = None) -> Scores:
        """Buckets of B texts -> scores (B, L): log-odds, or log-probabilities less their maximum.

        Over the square root of the number of n-grams, so that long texts are not more certain than
        they should be. own: which labels each text has, where it is counted itself: left-one-out.
        """
        count, labels, a = len(rows), len(self.of_label), self.smoothing
        lengths = np.array([len(row) for row in rows], np.int64)
        buckets = np.concatenate(rows) if count else np.zeros(0, np.int64)
        sizes = self.sizes[buckets]
        # Words of every text occur with every label: so many counts are read of each text.
        if count > 1 and int(sizes.sum()) > AT_ONCE:
            cuts = slice(count // 2), slice(count // 2, None)
            parts = [self.scores(rows[c], None if own is None else own[c]) for c in cuts]
            return np.concatenate(parts)
        # The entries of all buckets in a row: each begins where the ones before it end.
        begins = np.repeat(self._ends[buckets] - sizes - (np.cumsum(sizes) - sizes), sizes)
        entries = begins + np.arange(len(begins))
        text = np.repeat(np.repeat(np.arange(count), lengths), sizes)
        label, counted = self.labels[entries], self.counts[entries].astype(np.float64)
        mine = np.zeros((count, labels), np.float64) if own is None else own.astype(np.float64)
        counted -= mine[text, label]
        of_label = self.of_label - mine
        grams = self._grams - mine * lengths[:, None]
        space = a * self.different
        sums = np.bincount(text * labels + label, np.log1p(counted / a), count * labels)
        found: Floats = sums.reshape(count, labels).astype(np.float64)
        found += lengths[:, None] * (np.log(a) - np.log(grams + space))
        if not self.odds:
            found += np.log(of_label + 1)
            found -= found.max(1, keepdims=True)
        else:
            found += self._against(rows, text, label, entries, mine, grams, space, lengths)
            total = self.texts - (own is not None)
            found += np.log(of_label + 1) - np.log(total - of_label + 1)
        return (found / np.sqrt(np.maximum(1, lengths))[:, None]).astype(np.float32)

    def _against(
        self, rows: Sequence[Ids], text: Ids, label: Ids, entries: Ids,
        mine: Floats, grams: Floats, space: float, lengths: Ids,
    ) -> Floats:  # fmt: skip
        """Less the log-probabilities of texts that do not have a label, (B, L)."""
        a, count, labels = self.smoothing, len(rows), len(self.of_label)
        each = mine.sum(1)
        whole = [self._of_bucket[row] - each[n] for n, row in enumerate(rows)]
        base = np.array([np.log(np.maximum(0, row) + a).sum() for row in whole])
        of_entry = np.repeat(np.concatenate(whole), self.sizes[np.concatenate(rows)])
        others = of_entry - (self.counts[entries] - mine[text, label])
        less = np.log(np.maximum(0, others) + a) - np.log(np.maximum(0, of_entry) + a)
        found = base[:, None] + np.bincount(
            text * labels + label, weights=less, minlength=count * labels
        ).reshape(count, labels)
        rest = np.maximum(0, grams.sum(1, keepdims=True) - grams)
        result: Floats = lengths[:, None] * np.log(rest + space) - found
        return result

    def to_json(self) -> dict[str, Any]:
        """Numbers, and the arrays packed."""
        arrays = {n: pack(getattr(self, n)) for n in ("of_label", "sizes", "labels", "counts")}
        numbers = {n: getattr(self, n) for n in ("kind", "bits", "texts", "smoothing")}
        return numbers | arrays

    @classmethod
    def from_json(cls, data: Any, labels: int, odds: bool) -> "NaiveBayes":
        """The inverse of `to_json`. CheckpointError if it is damaged."""
        if not isinstance(data, Mapping) or data.get("kind") not in KINDS:
            raise damaged("it has no counts of n-grams")
        bits, texts, smoothing = data.get("bits"), data.get("texts"), data.get("smoothing")
        if type(bits) is not int or not 1 <= bits <= MOST_BITS or type(texts) is not int:
            raise damaged("the number of its n-grams is wrong")
        if type(smoothing) is not float or not 0 < smoothing <= 100:
            raise damaged("the smoothing of its counts is wrong")
        arrays = {
            "of_label": unpack(data.get("of_label"), labels),
            "sizes": unpack(data.get("sizes"), 1 << bits),
        }
        entries = int(arrays["sizes"].sum())
        if entries > 2 * MOST_ENTRIES:
            raise damaged("it has too many counts of n-grams")
        arrays |= {name: unpack(data.get(name), entries) for name in ("labels", "counts")}
        if entries and int(arrays["labels"].max()) >= labels:
            raise damaged("its counts are of labels that it does not have")
        return cls(data["kind"], bits, odds, texts, smoothing, **arrays)


def learn(
    rows: Sequence[Ids], own: Sequence[Sequence[int]], labels: int, kind: str, bits: int, odds: bool
) -> NaiveBayes:
    """Buckets and labels of the training part -> the counts, with the smoothing that is best."""
    lengths = np.array([len(row) for row in rows], np.int64)
    buckets = np.concatenate(rows)
    text = np.repeat(np.arange(len(rows)), lengths)
    per_text = np.array([len(each) for each in own], np.int64)
    begins = np.cumsum(per_text) - per_text
    flat = np.array([label for each in own for label in each], np.int64)
    times = per_text[text]
    first = np.repeat(begins[text] - (np.cumsum(times) - times), times)
    label = flat[first + np.arange(len(first))]
    keys, counts = np.unique(np.repeat(buckets, times) * labels + label, return_counts=True)
    least = 1
    while np.count_nonzero(counts >= least) > MOST_ENTRIES:
        least += 1
    kept = counts >= least
    keys, counts = keys[kept], counts[kept].astype(np.int64)
    sizes = np.bincount(keys // labels, minlength=1 << bits).astype(np.int64)
    of_label = np.bincount(flat, minlength=labels).astype(np.int64)
    found = [
        NaiveBayes(kind, bits, odds, len(rows), a, of_label, sizes, keys % labels, counts)
        for a in SMOOTHINGS
    ]
    if least > 1:
        return found[0]
    most = max(1, min(TRIED, MOST_ENTRIES // labels))
    chosen = list(range(0, len(rows), -(-len(rows) // most)))
    truth = marked([own[n] for n in chosen], labels)
    tried = [each.scores([rows[n] for n in chosen], truth) for each in found]
    right = [float(_agreement(scores, truth, odds)) for scores in tried]
    return found[int(np.argmax(right))]


def _agreement(scores: Scores, truth: NDArray[np.bool_], odds: bool) -> float:
    """How often scores are right: the best label, or each label's sign."""
    if odds:
        return float(((scores > 0) == truth).mean())
    return float(truth[np.arange(len(truth)), scores.argmax(1)].mean())


def marked(own: Sequence[Sequence[int]], labels: int) -> NDArray[np.bool_]:
    """The labels of B texts -> (B, L), true where a text has a label; -1 is none of them."""
    found = np.zeros((len(own), labels), np.bool_)
    for row, each in zip(found, own, strict=True):
        row[[label for label in each if label >= 0]] = True
    return found


def bits_for(different: int) -> int:
    """Different n-grams -> bits of a hash in which few of them meet.

    >>> bits_for(100), bits_for(86_000), bits_for(10**9)
    (10, 18, 20)
    """
    return min(MOST_BITS, max(10, (2 * max(1, different) - 1).bit_length()))


def pack(array: NDArray[np.integer]) -> str:
    """An array of numbers from 0 on -> text: little-endian uint32, zlib, base64."""
    return base64.b64encode(zlib.compress(array.astype("<u4").tobytes(), 9)).decode("ascii")


def unpack(text: Any, count: int) -> Ids:
    """The inverse of `pack`, for an array of `count` numbers. CheckpointError if it is damaged."""
    try:
        opened = zlib.decompressobj()
        # One byte more than it should have, so that a longer one is noticed and not unpacked.
        raw = opened.decompress(base64.b64decode(text, validate=True), 4 * count + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        raise damaged("its counts cannot be unpacked") from None
    if len(raw) != 4 * count or not opened.eof:
        raise damaged("its counts have another number than they should")
    return np.frombuffer(raw, "<u4").astype(np.int64)


def count_different(rows: Iterable[Iterable[str]]) -> int:
    """The n-grams of many texts -> how many different ones there are."""
    return len({zlib.crc32(g.encode("utf-8", "surrogatepass")) for row in rows for g in row})
