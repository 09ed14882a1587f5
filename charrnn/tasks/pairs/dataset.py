"""Pairs as arrays on disk, split into train, valid and test."""

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
from charrnn.errors import CorpusError, StorageError
from charrnn.tasks.base import Dataset
from charrnn.tasks.pairs.batches import PairBatches
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.encoder import PairEncoder, learn
from charrnn.tasks.pairs.reading import Pair, read

MOST_TOKENS = 400
"""A pair with a longer side, in tokens, is left out of training: few such would fill the memory."""

INDEX = "pairs.json"

SIDES = ("source", "target")


class Split(example_arrays.Part):
    """One part of the pairs on disk: texts and ids. tokens: of both sides, with ends."""

    @cached_property
    def pairs(self) -> list[Pair]:
        """The texts."""
        return [Pair(*line) for line in self.lines()]


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
    config = as_kind(PairsDataConfig, config)
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
        write_index(folder / INDEX, texts.sha256, splits.values())
        return Pairs(encoder, splits, texts.sha256, (*notes, *encoder.notes))
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def reopen(folder: Path, encoder: Encoder) -> Pairs | None:
    """What `prepare` left in a folder; None if it is not complete any more."""
    try:
        found = read_index(folder / INDEX, Split)
        if not found:
            return None
        sha256, splits = found
        sizes = _sizes(encoder)
        intact = all(split.is_intact(sizes, SIDES, least=1) for split in splits.values())
        return Pairs(encoder, splits, sha256) if intact else None
    # Whatever JSON it may be: any of these means that the pairs have to be prepared again.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write(
    folder: Path, name: str, pairs: Sequence[Pair], encoder: PairEncoder, notes: list[str]
) -> Split:
    """Encode the pairs of a split; training leaves out those of too many tokens."""
    kept: list[Pair] = []
    sides: dict[str, list[Any]] = {side: [] for side in SIDES}
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
    write_part(folder, name, sides, _sizes(encoder), kept)
    tokens = sum(len(row) for rows in sides.values() for row in rows)
    return Split(folder, name, len(kept), tokens)


def _sizes(encoder: PairEncoder) -> dict[str, int]:
    """What the ids of each side are below."""
    sizes = (encoder.source_vocab_size or encoder.vocab_size, encoder.vocab_size)
    return dict(zip(SIDES, sizes, strict=True))


def _ratio(split: Split) -> float:
    """Tokens of a target for each of its source, which hardly a pair is above."""
    source, target = split.rows("source").lengths, split.rows("target").lengths
    return round(float(min(1000.0, max(1.0, np.quantile(target / source, 0.999)))), 3)
