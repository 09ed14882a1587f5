"""Classifier: a trained model of labels, ready to classify and to be evaluated. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.example_files import SPLITS, read_as_trained
from charrnn.data.examples import Rows
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.base import Predictor
from charrnn.tasks.labels import evaluate as evaluation
from charrnn.tasks.labels.batches import Part
from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.dataset import LabelledTexts, reopen
from charrnn.tasks.labels.encoder import Forms, LabelEncoder
from charrnn.tasks.labels.engine import LabelEngine
from charrnn.tasks.labels.metrics import THRESHOLD, LabelsScore
from charrnn.tasks.labels.reading import Example, read_examples


@dataclass(frozen=True)
class Classification:
    """A text and all labels with their probabilities, the most likely first.

    labels: those that are predicted: the best one, or with several labels a text all from the
    threshold on.
    """

    text: str
    labels: tuple[str, ...]
    ranked: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most likely label."""
        return self.ranked[0][0]

    @property
    def probability(self) -> float:
        """The probability of the most likely label."""
        return self.ranked[0][1]


class Classifier(Predictor):
    """An encoder of labels and an engine in one object, with the run's texts if there are any."""

    encoder: LabelEncoder
    engine: LabelEngine
    engine_class = LabelEngine
    reads_files = True
    has_confusion = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels."""
        return self.encoder.labels

    @cached_property
    def texts(self) -> LabelledTexts | None:
        """The run's texts; None if the checkpoint is not in its run folder."""
        return reopen(self.path.parent / "corpus", self.encoder)

    def classify(self, text: str) -> str:
        """A text -> its most likely label."""
        return self.classify_all([text])[0]

    def classify_all(self, texts: Iterable[str]) -> list[str]:
        """Texts -> the most likely label of each, in order."""
        return [found.label for found in self.classifications(list(texts))]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Texts -> the probability of each label (B, L), in the order of `labels`."""
        part = self._part([Example(text.strip(), ()) for text in texts])
        found = np.zeros((len(texts), len(self.labels)))
        for batch in evaluation.batches_of(part.rows.lengths.tolist(), len(self.labels)):
            found[batch] = self.engine.run(part.inputs(batch, self.encoder))[1]
        return found

    def classifications(
        self, texts: Sequence[str], threshold: float | None = None
    ) -> list[Classification]:
        """Texts -> all labels of each with their probabilities.

        threshold: the probability from which on a label is predicted; None for the most likely one,
        and for 0.5 with several labels a text. UsageError if it is no probability.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"threshold is {threshold!r}", "give a probability from 0 to 1")
        if not texts:
            return []
        multiple = self.encoder.multiple
        least = threshold if threshold is not None else (THRESHOLD if multiple else 0.0)
        found = []
        for text, row in zip(texts, self.probabilities(texts), strict=True):
            order = np.argsort(-row, kind="stable")
            ranked = tuple((self.labels[n], float(row[n])) for n in order)
            taken = ranked if multiple else ranked[:1]
            labels = tuple(label for label, probability in taken if probability >= least)
            found.append(Classification(text, labels, ranked))
        return found

    def evaluate(self, split: str = "valid", *, file: str | Path | None = None) -> LabelsScore:
        """The score over a split of the run's texts, or over those of `file`.

        The scores of baselines are in `others`. CorpusError if the split is not there.
        """
        if split not in SPLITS:
            raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
        if file is not None:
            part = self._part(self._examples_of(Path(file)))
        elif self.texts is None or not self.texts.size(split):
            raise CorpusError(
                f"there is no {split} part next to {self.path}", "give texts with --file"
            )
        else:
            part = self.texts.part(split)
        score = evaluation.evaluate(lambda batch: self.engine.run(batch)[0], part, self.encoder)
        return replace(score, others=evaluation.baselines(part, self.encoder))

    def _part(self, examples: Sequence[Example]) -> Part:
        """Texts as arrays."""
        forms, index = Forms(self.encoder), {n: i for i, n in enumerate(self.labels, 1)}
        rows = [forms.row(example.text) for example in examples]
        grams = [self.encoder.grams(example.text) for example in examples]
        own = [np.array([index.get(n, 0) for n in e.labels], np.int64) for e in examples]
        return Part(_ragged(rows), _ragged(grams), _ragged(own), *forms.arrays())

    def _examples_of(self, path: Path) -> list[Example]:
        """The texts of a file, read as those of the training were."""
        config = read_as_trained(LabelsDataConfig, path, self.path.parent, ("text", "label"))
        return read_examples(config, self.labels)

    def baseline_lines(self, score: Any) -> list[str]:
        """What `evaluate` prints after a score: of each label, confusion, the baselines."""
        from charrnn.tasks.labels.tables import lines_of

        return lines_of(score, self.encoder.multiple)

    def export_onnx(self, path: Path) -> None:
        """Write the model as an ONNX file."""
        from charrnn.tasks.labels.exporting import export

        export(self.checkpoint.without_training_state(), path)


def _ragged(rows: Sequence[NDArray[np.int64]]) -> Rows:
    return Rows(np.concatenate(rows).astype(np.uint32), np.cumsum([len(row) for row in rows]))
