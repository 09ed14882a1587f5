"""Texts with labels as arrays on disk, split into train, valid and test."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.activity import activity, track
from charrnn.checkpoints.header import Encoder
from charrnn.data import sources
from charrnn.data.config import DataConfig
from charrnn.data.examples import Ids, Rows
from charrnn.errors import CorpusError, StorageError
from charrnn.tasks.base import Dataset
from charrnn.tasks.labels.batches import LabelBatches, Part
from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.encoder import Forms, LabelEncoder, learn
from charrnn.tasks.labels.reading import SPLITS, Example, find, read

INDEX = "labels.json"

ROWS = ("tokens", "grams", "labels")
"""The arrays of each text: forms of its tokens, buckets of its n-grams, numbers of its labels."""


@dataclass(frozen=True)
class Split:
    """One part of the texts on disk. tokens: of all texts."""

    folder: Path
    name: str
    count: int
    tokens: int

    @cached_property
    def examples(self) -> list[Example]:
        """The texts and their labels."""
        lines = self._file(".jsonl").read_text(encoding="utf-8").splitlines()
        return [Example(text, tuple(labels)) for text, labels in map(json.loads, lines)]

    def rows(self, kind: str) -> Rows:
        """One of ROWS, memory-mapped."""
        ids = np.lib.format.open_memmap(self._file(f".{kind}.npy"), mode="r")
        return Rows(ids, np.load(self._file(f".{kind}.ends.npy"), allow_pickle=False))

    def _file(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def is_intact(self, sizes: Mapping[str, int]) -> bool:
        """Whether the files are there and hold only numbers below those sizes."""
        if type(self.count) is not int or type(self.tokens) is not int:
            return False
        for kind, size in sizes.items():
            rows = self.rows(kind)
            if len(rows.ends) != self.count or rows.ends.dtype != np.int64:
                return False
            if int(rows.ends[-1]) != len(rows.ids) or int(rows.lengths.min()) < 0:
                return False
            if rows.ids.dtype.kind != "u" or int(rows.ids.max(initial=0)) >= size:
                return False
        whole = len(self.rows("tokens").ids) == self.tokens
        return whole and self._file(".jsonl").is_file()


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
    config = as_labels(config)
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
        index = {n: {"count": s.count, "tokens": s.tokens} for n, s in splits.items()}
        # Last of all: a folder with an index is complete.
        (folder / INDEX).write_text(
            json.dumps({"sha256": texts.sha256, "splits": index}), encoding="utf-8"
        )
        return LabelledTexts(encoder, splits, arrays, texts.sha256, tuple(notes))
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def as_labels(config: DataConfig) -> LabelsDataConfig:
    """A config of any kind -> one of labels: a caller of the seam may have a plain one."""
    if isinstance(config, LabelsDataConfig):
        return config
    kept = ("sources", "valid", "test", "valid_fraction", "test_fraction", "encoding", "errors")
    return LabelsDataConfig(**{name: getattr(config, name) for name in kept})


def reopen(folder: Path, encoder: Encoder) -> LabelledTexts | None:
    """What `prepare` left in a folder; None if it is not complete any more."""
    try:
        data = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        splits = {name: Split(folder, name, **part) for name, part in data["splits"].items()}
        ids, parts = (
            np.load(folder / f"forms.{name}.npy", allow_pickle=False).astype(np.int64)
            for name in ("ids", "parts")
        )
        sizes = {
            "tokens": len(ids), "grams": 1 << encoder.bayes.bits, "labels": len(encoder.labels) + 1
        }  # fmt: skip
        # The names are parts of paths: no other one is opened.
        known = set(splits) <= set(SPLITS) and "train" in splits and isinstance(data["sha256"], str)
        known = known and len(ids) == len(parts) and int(ids.max()) < encoder.vocab_size
        known = known and int(parts.max(initial=0)) <= encoder.part_buckets
        intact = known and all(split.is_intact(sizes) for split in splits.values())
        forms = (ids, parts)
        return LabelledTexts(encoder, splits, forms, data["sha256"]) if intact else None
    # Whatever JSON it may be: any of these means that the texts have to be prepared again.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def current_sha256(config: DataConfig, folder: Path) -> str | None:
    """The hash of the files as they are now; None if they cannot be read any more."""
    saved = as_labels(config).with_saved_stdin(folder)
    assert isinstance(saved, LabelsDataConfig)
    names = (*saved.sources, *saved.valid, *saved.test)
    try:
        gone = any(Path(name).is_fifo() for name in names)  # a pipe can be read only once
        return None if gone else sources.digest(find(saved, folder))
    except (CorpusError, OSError):
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
    for kind, each in rows.items():
        np.save(folder / f"{name}.{kind}.npy", np.concatenate(each).astype(np.uint32))
        np.save(folder / f"{name}.{kind}.ends.npy", np.cumsum([len(row) for row in each]))
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        # ASCII, so that a lone surrogate, or a line end of Unicode, is no obstacle.
        file.writelines(json.dumps([each.text, list(each.labels)]) + "\n" for each in examples)
    return Split(folder, name, len(examples), sum(map(len, rows["tokens"])))


def label_counts(examples: Sequence[Example]) -> Counter[str]:
    """Texts -> how many have each label."""
    return Counter(label for example in examples for label in example.labels)
