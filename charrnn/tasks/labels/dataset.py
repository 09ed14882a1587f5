"""Texts with labels as arrays on disk, split into train, valid and test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.activity import activity, track
from charrnn.checkpoints.header import Encoder
from charrnn.data import example_arrays
from charrnn.data.config import DataConfig
from charrnn.data.example_arrays import read_index, write_index, write_part
from charrnn.data.example_files import as_kind
from charrnn.data.examples import Ids
from charrnn.errors import StorageError
from charrnn.tasks.base import Dataset
from charrnn.tasks.labels.batches import LabelBatches, Part
from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.encoder import Forms, LabelEncoder, learn
from charrnn.tasks.labels.reading import Example, read

INDEX = "labels.json"

ROWS = ("tokens", "grams", "labels")
"""The arrays of each text: forms of its tokens, buckets of its n-grams, numbers of its labels."""


class Split(example_arrays.Part):
    """One part of the texts on disk. tokens: of all texts."""

    @cached_property
    def examples(self) -> list[Example]:
        """The texts and their labels."""
        return [Example(text, tuple(labels)) for text, labels in self.lines()]


class LabelledTexts(Dataset):
    """The prepared texts of a run. ids, parts: of each form of a token."""

    unit = "texts"

    def __init__(
        self,
        encoder: LabelEncoder,
        splits: Mapping[str, Split],
        forms: tuple[Ids, Ids],
        sha256: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.encoder: LabelEncoder = encoder
        self.splits, self.forms = dict(splits), forms
        self.sha256, self.notes = sha256, notes

    def size(self, split: str) -> int:
        """Tokens of a split."""
        return self.splits[split].tokens if split in self.splits else 0

    def length(self, split: str) -> int:
        """Texts of a split."""
        return self.splits[split].count if split in self.splits else 0

    def vocabulary(self) -> str:
        """Tokenizer and labels in a few words."""
        return self.encoder.words()

    def part(self, split: str) -> Part:
        """The arrays of a split."""
        tokens, grams, labels = (self.splits[split].rows(kind) for kind in ROWS)
        return Part(tokens, grams, labels, *self.forms)

    def batches(self, batch_size: int, seq_length: int, rank: int, world_size: int) -> LabelBatches:
        """The training part in batches of texts of about equal length."""
        part, bayes = self.part("train"), self.encoder.bayes
        return LabelBatches(part, bayes, batch_size, seq_length, rank, world_size)

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its data."""
        return {"sha256": self.sha256, "parts": {n: s.count for n, s in self.splits.items()}}

    @cached_property
    def most_frequent(self) -> int:
        """The number of the label that most texts of the training part have."""
        return int(self.encoder.bayes.of_label.argmax())


def prepare(config: DataConfig, folder: Path, encoder: Encoder | None = None) -> LabelledTexts:
    """Read the texts, learn the encoder if none is given, write the arrays into `folder`."""
    config = as_kind(LabelsDataConfig, config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved = config if encoder is None else config.with_saved_stdin(folder)
        assert isinstance(saved, LabelsDataConfig)
        texts = read(saved, folder)
        notes = list(texts.notes)
        if encoder is None:
            with activity("learning tokens and counting n-grams"):
                encoder, more = learn(config, texts.splits["train"])
            notes += more
        forms = Forms(encoder)
        splits = {
            name: _write(folder, name, examples, encoder, forms)
            for name, examples in texts.splits.items()
        }
        arrays = forms.arrays()
        for name, array in zip(("ids", "parts"), arrays, strict=True):
            np.save(folder / f"forms.{name}.npy", array.astype(np.uint32))
        write_index(folder / INDEX, texts.sha256, splits.values())
        return LabelledTexts(encoder, splits, arrays, texts.sha256, tuple(notes))
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def reopen(folder: Path, encoder: Encoder) -> LabelledTexts | None:
    """What `prepare` left in a folder; None if it is not complete any more."""
    try:
        found = read_index(folder / INDEX, Split)
        ids, parts = (
            np.load(folder / f"forms.{name}.npy", allow_pickle=False).astype(np.int64)
            for name in ("ids", "parts")
        )
        known = len(ids) == len(parts) and int(ids.max()) < encoder.vocab_size
        known = known and int(parts.max(initial=0)) <= encoder.part_buckets
        if not found or not known:
            return None
        sha256, splits = found
        sizes = _sizes(encoder, len(ids))
        intact = all(split.is_intact(sizes, ["tokens"], least=0) for split in splits.values())
        return LabelledTexts(encoder, splits, (ids, parts), sha256) if intact else None
    # Whatever JSON it may be: any of these means that the texts have to be prepared again.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write(
    folder: Path, name: str, examples: Sequence[Example], encoder: LabelEncoder, forms: Forms
) -> Split:
    """Encode the texts of a split."""
    index = {label: number for number, label in enumerate(encoder.labels, 1)}
    rows: dict[str, list[Ids]] = {kind: [] for kind in ROWS}
    for example in track(examples, "encoding", len(examples)):
        rows["tokens"].append(forms.row(example.text))
        rows["grams"].append(encoder.grams(example.text))
        # One more than the label's number; 0 for one that the training part lacks.
        own = [index.get(label, 0) for label in example.labels]
        rows["labels"].append(np.array(sorted(own), np.int64))
    lines = [[each.text, list(each.labels)] for each in examples]
    write_part(folder, name, rows, _sizes(encoder, len(forms.arrays()[0])), lines)
    return Split(folder, name, len(examples), sum(map(len, rows["tokens"])))


def _sizes(encoder: LabelEncoder, forms: int) -> dict[str, int]:
    """What the numbers of each of ROWS are below."""
    return {"tokens": forms, "grams": 1 << encoder.bayes.bits, "labels": len(encoder.labels) + 1}


def label_counts(examples: Sequence[Example]) -> Counter[str]:
    """Texts -> how many have each label."""
    return Counter(label for example in examples for label in example.labels)
