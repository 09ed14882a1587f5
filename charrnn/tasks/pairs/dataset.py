"""Pairs as arrays on disk, split into train, valid and test."""

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
from charrnn.data.examples import Rows
from charrnn.errors import CorpusError, StorageError
from charrnn.tasks.base import Dataset
from charrnn.tasks.pairs.batches import PairBatches
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.encoder import PairEncoder, learn
from charrnn.tasks.pairs.reading import SPLITS, Pair, find, read
from charrnn.tokenizers.base import id_type

MOST_TOKENS = 400
"""A pair with a longer side, in tokens, is left out of training: few such would fill the memory."""

INDEX = "pairs.json"


@dataclass(frozen=True)
class Split:
    """One part of the pairs on disk: texts and ids. tokens: of both sides, with ends."""

    folder: Path
    name: str
    count: int
    tokens: int

    @cached_property
    def pairs(self) -> list[Pair]:
        """The texts."""
        lines = self._file(".jsonl").read_text(encoding="utf-8").splitlines()
        return [Pair(*json.loads(line)) for line in lines]

    def rows(self, side: str) -> Rows:
        """The ids of one side, memory-mapped."""
        ids = np.lib.format.open_memmap(self._file(f".{side}.npy"), mode="r")
        return Rows(ids, np.load(self._file(f".{side}.ends.npy"), allow_pickle=False))

    def _file(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def is_intact(self, sizes: Mapping[str, int]) -> bool:
        """Whether the files are there and hold only ids below those sizes."""
        if type(self.count) is not int or type(self.tokens) is not int:
            return False
        total = 0
        for side, size in sizes.items():
            rows = self.rows(side)
            lengths = rows.lengths
            whole = len(rows.ends) and int(rows.ends[-1]) == len(rows.ids)
            if not whole or rows.ends.dtype != np.int64 or int(lengths.min()) < 1:
                return False
            if rows.ids.dtype.kind != "u" or int(rows.ids.max(initial=0)) >= size:
                return False
            total += len(rows.ids)
        return total == self.tokens and self._file(".jsonl").is_file()


class Pairs(Dataset):
    """The prepared pairs of a run."""

    unit = "pairs"

    def __init__(
        self,
        encoder: PairEncoder,
        splits: Mapping[str, Split],
        sha256: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.encoder: PairEncoder = encoder
        self.splits, self.sha256, self.notes = dict(splits), sha256, notes

    def size(self, split: str) -> int:
        """Tokens of both sides of a split."""
        return self.splits[split].tokens if split in self.splits else 0

    def length(self, split: str) -> int:
        """Pairs of a split."""
        return self.splits[split].count if split in self.splits else 0

    def vocabulary(self) -> str:
        """The tokenizers in a few words."""
        return self.encoder.words()

    def batches(self, batch_size: int, seq_length: int, rank: int, world_size: int) -> PairBatches:
        """The training part in batches of pairs of about equal length."""
        train, encoder = self.splits["train"], self.encoder
        return PairBatches(
            train.rows("source"), train.rows("target"), batch_size, seq_length, rank, world_size,
            encoder.source.copy_id if encoder.shared else -1, encoder.target.end_id,
        )  # fmt: skip

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its data."""
        return {"sha256": self.sha256, "parts": {n: s.count for n, s in self.splits.items()}}

    @cached_property
    def most_frequent(self) -> str:
        """The target that most pairs of the training part have; of equals the first by letters."""
        counts = Counter(pair.target for pair in self.splits["train"].pairs)
        return min(counts, key=lambda target: (-counts[target], target))


def prepare(config: DataConfig, folder: Path, encoder: Encoder | None = None) -> Pairs:
    """Read the pairs, learn the encoder if none is given, write the arrays into `folder`."""
    config = as_pairs(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved = config if encoder is None else config.with_saved_stdin(folder)
        assert isinstance(saved, PairsDataConfig)
        texts = read(saved, folder)
        is_new = encoder is None
        if encoder is None:
            with activity("learning the tokenizer"):
                encoder = learn(config, texts.splits["train"])
        notes = list(texts.notes)
        splits = {
            name: _write(folder, name, pairs, encoder, notes)
            for name, pairs in texts.splits.items()
        }
        if is_new:
            encoder.ratio = _ratio(splits["train"])
        index = {n: {"count": s.count, "tokens": s.tokens} for n, s in splits.items()}
        # Last of all: a folder with an index is complete.
        (folder / INDEX).write_text(
            json.dumps({"sha256": texts.sha256, "splits": index}), encoding="utf-8"
        )
        return Pairs(encoder, splits, texts.sha256, (*notes, *encoder.notes))
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def as_pairs(config: DataConfig) -> PairsDataConfig:
    """A config of any kind -> one of pairs: a caller of the seam may have a plain one."""
    if isinstance(config, PairsDataConfig):
        return config
    kept = ("sources", "valid", "test", "valid_fraction", "test_fraction", "encoding", "errors")
    return PairsDataConfig(**{name: getattr(config, name) for name in kept})


def reopen(folder: Path, encoder: Encoder) -> Pairs | None:
    """What `prepare` left in a folder; None if it is not complete any more."""
    try:
        data = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        splits = {name: Split(folder, name, **part) for name, part in data["splits"].items()}
        sizes = {
            "source": encoder.source_vocab_size or encoder.vocab_size,
            "target": encoder.vocab_size,
        }
        # The names are parts of paths: no other one is opened.
        known = set(splits) <= set(SPLITS) and "train" in splits and isinstance(data["sha256"], str)
        intact = known and all(split.is_intact(sizes) for split in splits.values())
        return Pairs(encoder, splits, data["sha256"]) if intact else None
    # Whatever JSON it may be: any of these means that the pairs have to be prepared again.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def current_sha256(config: DataConfig, folder: Path) -> str | None:
    """The hash of the files as they are now; None if they cannot be read any more."""
    saved = as_pairs(config).with_saved_stdin(folder)
    assert isinstance(saved, PairsDataConfig)
    names = (*saved.sources, *saved.valid, *saved.test)
    try:
        gone = any(Path(name).is_fifo() for name in names)  # a pipe can be read only once
        return None if gone else sources.digest(find(saved, folder))
    except (CorpusError, OSError):
        return None


def _write(
    folder: Path, name: str, pairs: Sequence[Pair], encoder: PairEncoder, notes: list[str]
) -> Split:
    """Encode the pairs of a split; training leaves out those of too many tokens."""
    kept: list[Pair] = []
    sides: dict[str, list[Any]] = {"source": [], "target": []}
    for pair in track(pairs, "encoding", len(pairs)):
        source, _, cut = encoder.encode_source(pair.source)
        target = encoder.encode_target(pair.target, pair.source)
        if name == "train" and (cut or max(len(source), len(target)) > MOST_TOKENS):
            continue
        kept.append(pair)
        sides["source"].append(source)
        sides["target"].append(target)
    if len(kept) < len(pairs):
        left = len(pairs) - len(kept)
        notes.append(f"left out: {left:,} with a side of more than {MOST_TOKENS} tokens")
    if not kept:
        raise CorpusError(
            f"no pair of the {name} part has sides of {MOST_TOKENS} tokens or fewer",
            "cut them into sentences, or choose --tokenizer subword",
        )
    sizes = {
        "source": encoder.source_vocab_size or encoder.vocab_size,
        "target": encoder.vocab_size,
    }
    tokens = 0
    for side, rows in sides.items():
        ids = np.concatenate(rows)
        tokens += len(ids)
        np.save(folder / f"{name}.{side}.npy", ids.astype(id_type(sizes[side])))
        np.save(folder / f"{name}.{side}.ends.npy", np.cumsum([len(row) for row in rows]))
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        # ASCII, so that a lone surrogate, or a line end of Unicode, is no obstacle.
        file.writelines(json.dumps(pair) + "\n" for pair in kept)
    return Split(folder, name, len(kept), tokens)


def _ratio(split: Split) -> float:
    """Tokens of a target for each of its source, which hardly a pair is above."""
    source, target = split.rows("source").lengths, split.rows("target").lengths
    return round(float(min(1000.0, max(1.0, np.quantile(target / source, 0.999)))), 3)
