"""Text files -> token arrays on disk, split into train, valid and test.

The text is read in blocks three times: to measure it, to learn the tokenizer from the training
part, and to encode it. Splits are cut at characters and not at tokens, so the validation part is
the same text whatever the tokenizer.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.data import sources
from charrnn.data.batches import Batches
from charrnn.data.config import DataConfig
from charrnn.data.sources import Sources, whole_lines
from charrnn.data.token_arrays import Split, TokenWriter, shuffle_lines
from charrnn.errors import CorpusError, StorageError
from charrnn.tasks.base import Dataset
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.base import id_type

SPLITS = ("train", "valid", "test")

MINIMUM = 100
"""Fewer characters are not worth training on."""


@dataclass(frozen=True)
class Corpus(Dataset):
    """The prepared text of a run: its tokenizer, and a token array for each split."""

    unit = "characters"

    encoder: Tokenizer
    splits: Mapping[str, Split]
    sha256: str
    bytes: int
    lines: bool
    notes: tuple[str, ...] = ()

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder of a text."""
        return self.encoder

    @property
    def characters(self) -> int:
        """Characters of all splits together."""
        return sum(split.characters for split in self.splits.values())

    def size(self, split: str) -> int:
        """Tokens of a split; 0 if there is no such split."""
        return self.splits[split].tokens if split in self.splits else 0

    def length(self, split: str) -> int:
        """Characters of a split."""
        return self.splits[split].characters if split in self.splits else 0

    def vocabulary(self) -> str:
        """The tokenizer in a few words: 76 char tokens."""
        return f"{self.encoder.vocab_size:,} {self.encoder.name} tokens"

    def batches(self, batch_size: int, seq_length: int, rank: int, world_size: int) -> Batches:
        """The training part as streams of windows."""
        return Batches(self.splits["train"].load(), batch_size, seq_length, rank, world_size)

    def train_metrics(self, loss: float) -> dict[str, float]:
        """Nats per token -> bits per character."""
        part = self.splits["train"]
        # Per character of the whole training part: a batch's own characters are not counted.
        return {"bits_per_char": loss * part.tokens / part.characters / math.log(2)}

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its text, and of how it was split."""
        parts = {name: split.characters for name, split in self.splits.items()}
        sizes = {"sha256": self.sha256, "bytes": self.bytes, "characters": self.characters}
        return sizes | {"parts": parts, "lines": self.lines}


def prepare(config: DataConfig, folder: Path, tokenizer: Tokenizer | None = None) -> Corpus:
    """Read the text, learn its tokenizer if none is given, and write the arrays into `folder`.

    A tokenizer is given when the arrays are made again; standard input is then read from where it
    was saved. CorpusError for text that cannot be used, StorageError if the arrays cannot be
    written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved = config if tokenizer is None else config.with_saved_stdin(folder)
        return _prepare(_Texts(saved, folder), folder, tokenizer)
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def _prepare(texts: "_Texts", folder: Path, tokenizer: Tokenizer | None) -> Corpus:
    config = texts.config
    if tokenizer is None:
        tokenizer = TOKENIZERS[config.tokenizer].train(
            # From the training part alone: held-out text must not shape the vocabulary.
            (text for split, text in texts if split == "train"),
            vocab_size=config.vocab_size,
            min_count=config.min_count,
            split=config.split_words,
        )
    splits = _encode(texts, tokenizer, folder)
    if config.lines:
        shuffle_lines(splits["train"].path, tokenizer.newline_id)
    corpus = Corpus(
        tokenizer,
        splits,
        sources.digest(texts.sources),
        texts.main.bytes,
        config.lines,
        texts.notes,
    )
    # Last of all: a folder with an index is complete.
    _write_index(corpus, folder)
    return corpus


def reopen(folder: Path, tokenizer: Tokenizer) -> Corpus | None:
    """The corpus that `prepare` left in a folder; None if it is not complete any more."""
    try:
        # The file may be damaged or from an untrusted source, so everything in it is checked.
        data = json.loads((folder / "corpus.json").read_text())
        splits = {
            name: Split(folder / f"{name}.npy", part["tokens"], part["characters"])
            for name, part in data.pop("splits").items()
        }
        # The names are parts of paths: no other one is opened, in this folder or elsewhere.
        known = set(splits) <= set(SPLITS) and isinstance(data["sha256"], str)
        intact = known and all(s.is_intact(tokenizer.vocab_size) for s in splits.values())
        return Corpus(tokenizer, splits, notes=(), **data) if intact else None
    # Whatever JSON it may be: any of these means that the corpus has to be prepared again.
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def current_sha256(config: DataConfig, folder: Path) -> str | None:
    """The hash of the text as it is now; None if it cannot be read any more."""
    saved = config.with_saved_stdin(folder)
    names = (*saved.sources, *saved.valid, *saved.test)
    try:
        gone = any(Path(name).is_fifo() for name in names)  # a pipe can be read only once
        return None if gone else sources.digest(_found(saved, folder))
    except (CorpusError, OSError):
        return None


def _write_index(corpus: Corpus, folder: Path) -> None:
    parts = {
        name: {"tokens": split.tokens, "characters": split.characters}
        for name, split in corpus.splits.items()
    }
    fields = {"sha256": corpus.sha256, "bytes": corpus.bytes, "lines": corpus.lines}
    (folder / "corpus.json").write_text(json.dumps(fields | {"splits": parts}))


def _found(config: DataConfig, folder: Path) -> dict[str, Sources]:
    """The main text, as "train", and the files of splits that have their own."""
    named = {"train": config.sources, "valid": config.valid, "test": config.test}
    return {
        name: sources.find(names, folder, config.binary)
        for name, names in named.items()
        if names or name == "train"
    }


class _Texts:
    """The corpus as pairs of a split's name and a block of its text; each iteration reads it."""

    def __init__(self, config: DataConfig, folder: Path) -> None:
        self.config = config
        self.sources = _found(config, folder)
        self.main = self.sources["train"]
        # A split that has its own files takes nothing from the main text.
        self.fractions = {
            "valid": 0.0 if config.valid else config.valid_fraction,
            "test": 0.0 if config.test else config.test_fraction,
        }
        self.blank_lines = 0
        # In characters, which only decoding can count: the first of the three readings.
        self.length = sum(len(text) for text in self._blocks(self.main))
        if self.length < MINIMUM:
            named = ", ".join(config.sources)
            raise CorpusError(
                f"{named} has {self.length} characters and a model needs at least {MINIMUM}",
                "give more text",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the text was read."""
        count = self.blank_lines
        blank = "1 blank line is" if count == 1 else f"{count:,} blank lines are"
        return self.main.notes + ((f"{blank} left out",) if count else ())

    def _blocks(self, source: Sources) -> Iterator[str]:
        return source.texts(self.config.encoding, exact=self.config.tokenizer == "byte")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._by_line() if self.config.lines else self._by_position()
        # The first source is the main text, which has just been read.
        for name, source in list(self.sources.items())[1:]:
            for text in whole_lines(self._blocks(source), patient=self.config.lines):
                yield name, "".join(self._documents(text)) if self.config.lines else text

    def _by_position(self) -> Iterator[tuple[str, str]]:
        """The training part, then validation, then test, cut at characters."""
        # Rounded so that a fraction of 0 gives a part of exactly 0 characters.
        test = self.length - int(self.length * (1.0 - self.fractions["test"]))
        train = int(self.length * (1.0 - self.fractions["valid"] - self.fractions["test"]))
        bounds = {"train": train, "valid": self.length - test, "test": self.length}
        begin = 0
        # Blocks end with a line where they can, so that hardly a word is cut between two of them.
        for text in whole_lines(self._blocks(self.main)):
            for name in SPLITS:
                part = text[: max(0, bounds[name] - begin)]
                begin += len(part)
                text = text[len(part) :]
                if part:
                    yield name, part

    def _by_line(self) -> Iterator[tuple[str, str]]:
        """Whole lines; those of validation and test are spread evenly over the text."""
        valid, test = self.fractions["valid"], self.fractions["test"]
        # Counted anew, because each pass over the text comes here.
        self.blank_lines, number, held_out = 0, 0, 0
        # Patient: half a line would become a document of its own.
        for text in whole_lines(self._blocks(self.main), patient=True):
            parts: dict[str, list[str]] = {name: [] for name in SPLITS}
            for line in self._documents(text):
                number, name = number + 1, "train"
                # Evenly spread and without random numbers: of a sorted list, each part gets some of
                # every kind, and a text that is read again is split the same.
                if _is_taken(number, valid + test):
                    # Never reached with both fractions 0, which would be a division by zero.
                    held_out += 1
                    name = "valid" if _is_taken(held_out, valid / (valid + test)) else "test"
                parts[name].append(line)
            yield from ((name, "".join(lines)) for name, lines in parts.items() if lines)

    def _documents(self, text: str) -> list[str]:
        """The lines of a text, each with one newline at its end; blank lines are left out.

        Spaces before a newline are removed, because they would hide it from the word tokenizer.
        """
        # Not splitlines(), which also cuts at characters like U+2028, which may be part of a line.
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        kept = [line.rstrip(" ") + "\n" for line in lines if line.strip()]
        self.blank_lines += len(lines) - len(kept)
        return kept


def _is_taken(number: int, fraction: float) -> bool:
    """Whether line `number`, from 1, is one of those that make up a fraction of all lines."""
    # A line is taken where the whole part of the running total grows.
    return int(number * fraction) > int((number - 1) * fraction)


def _encode(texts: _Texts, tokenizer: Tokenizer, folder: Path) -> dict[str, Split]:
    kind = id_type(tokenizer.vocab_size)
    held_out = {
        name for name in ("valid", "test") if texts.fractions[name] or name in texts.sources
    }
    names = [name for name in SPLITS if name == "train" or name in held_out]
    # All parts are written in one pass, and an error closes every file.
    with contextlib.ExitStack() as stack:
        writers = {
            name: stack.enter_context(TokenWriter(folder / f"{name}.npy", kind)) for name in names
        }
        for name, text in texts:
            writers[name].append(tokenizer.encode(text), len(text))
        splits = {name: writer.finish() for name, writer in writers.items()}
    for name, split in splits.items():
        # An input and its target.
        if split.tokens < 2:
            raise CorpusError(
                f"the {name} part of the text would be empty",
                "give more text, or change --valid-fraction and --test-fraction",
            )
    return splits
