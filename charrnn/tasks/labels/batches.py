"""Step k -> its texts: a function of k alone.

Each epoch reads all texts in an order of its own, sorted by about their length and cut into batches
of about equally many padded tokens, which are then read in a random order. The numbers of rows are
those of a fixed cut, so each epoch has equally many steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.examples import Ids, Rows
from charrnn.tasks.labels.encoder import LabelEncoder, arranged
from charrnn.tasks.labels.naive_bayes import NaiveBayes, marked

NOISE = 0.2
"""Part of a length by which the order varies from epoch to epoch."""

MULTIPLE = 2
"""Rows of a larger batch are a multiple of it, so that processes have equally many."""


@dataclass(frozen=True)
class Part:
    """One part of the texts as arrays: tokens, n-grams, labels; and the forms of all tokens.

    rows: forms of each text. grams: buckets of its n-grams. labels: of each text, -1 for one that
    the training part lacks. ids, parts: of each form.
    """

    rows: Rows
    grams: Rows
    labels: Rows
    ids: Ids
    parts: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.rows.ends)

    def own(self, texts: Sequence[int]) -> list[list[int]]:
        """The labels of some texts."""
        return [[label - 1 for label in self.labels[text].tolist()] for text in texts]

    def inputs(self, texts: Sequence[int], encoder: LabelEncoder) -> tuple[NDArray[Any], ...]:
        """Texts -> ids (B, T), parts (B, T, P), lengths (B,), scores (B, L), linear (B, L)."""
        linear = encoder.linear_scores([self.grams[text] for text in texts])
        return *self._arrays(texts, encoder.bayes, None), linear

    def training_inputs(self, texts: Sequence[int], bayes: NaiveBayes) -> tuple[NDArray[Any], ...]:
        """Texts -> ids, parts, lengths and scores that leave the texts' own counts out."""
        return self._arrays(texts, bayes, marked(self.own(texts), len(bayes.of_label)))

    def _arrays(
        self, texts: Sequence[int], bayes: NaiveBayes, own: NDArray[np.bool_] | None
    ) -> tuple[NDArray[Any], ...]:
        scores = bayes.scores([self.grams[text] for text in texts], own)
        return *arranged([self.rows[text] for text in texts], self.ids, self.parts), scores


@dataclass(frozen=True)
class LabelBatches:
    """The training part as batches of about `batch_size` * `seq_length` padded tokens."""

    part: Part
    bayes: NaiveBayes
    batch_size: int
    seq_length: int
    rank: int = 0
    world_size: int = 1

    @property
    def steps_per_epoch(self) -> float:
        """Steps until every text was read once."""
        return len(self._counts)

    @property
    def rows(self) -> range:
        """No state is carried in rows from step to step."""
        return range(0)

    @cached_property
    def _lengths(self) -> Ids:
        return self.part.rows.lengths

    @cached_property
    def _counts(self) -> list[int]:
        """Texts of each batch, from the shortest to the longest."""
        budget = self.batch_size * self.seq_length
        counts, count = [], 0
        for length in np.sort(self._lengths).tolist():
            if count and (count + 1) * length > budget:
                # What is over a multiple begins the next batch.
                kept = count - count % MULTIPLE if count > MULTIPLE else count
                counts.append(kept)
                count -= kept
            count += 1
        return [*counts, count]

    @cached_property
    def _begins(self) -> Ids:
        return np.concatenate([[0], np.cumsum(self._counts)])

    @cached_property
    def _orders(self) -> dict[int, tuple[Ids, Ids]]:
        return {}

    def _order(self, epoch: int) -> tuple[Ids, Ids]:
        """The texts of an epoch, sorted by about their length, and the order of its batches."""
        if epoch not in self._orders:
            random = np.random.default_rng((epoch, 0x6C616265))
            noise = 1 + NOISE * (random.random(len(self._lengths)) - 0.5)
            texts = np.argsort(self._lengths * noise, kind="stable")
            self._orders.clear()  # one epoch at a time
            self._orders[epoch] = (texts, random.permutation(len(self._counts)))
        return self._orders[epoch]

    def __getitem__(self, step: int) -> tuple[NDArray[Any], ...]:
        """Step -> those of `Part.training_inputs`, and the targets (B, L)."""
        epoch, place = divmod(step, len(self._counts))
        texts, batches = self._order(epoch)
        batch = int(batches[place])
        chosen = texts[self._begins[batch] : self._begins[batch + 1]].tolist()
        targets = marked(self.part.own(chosen), len(self.bayes.of_label)).astype(np.float32)
        arrays = *self.part.training_inputs(chosen, self.bayes), targets
        # A process of many may have none of a few rows; it reads the last one again.
        count = len(chosen)
        begin = min(self.rank * count // self.world_size, count - 1)
        end = max(begin + 1, (self.rank + 1) * count // self.world_size)
        return tuple(array[begin:end] for array in arrays)
