"""Text files -> token arrays on disk with their splits. It knows files and ids, not models.

The text is read in blocks three times: to measure it, to learn the tokenizer from the training
part, and to encode it. Splits are cut at characters and not at tokens, so that a model's loss on
the validation part means the same text whatever the tokenizer.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn import sources
from charrnn.errors import CorpusError, StorageError
from charrnn.recipe import Recipe, recipe_from_json
from charrnn.sources import Sources, whole_lines
from charrnn.tokenizer import TOKENIZERS, Tokenizer
from charrnn.tokenizer.base import id_type
from charrnn.tokens import Split, TokenWriter, shuffle_lines

__all__ = [
    "MINIMUM",
    "SPLITS",
    "Corpus",
    "Recipe",
    "current_sha256",
    "prepare",
    "recipe_from_json",
    "reopen",
    "whole_lines",
]

SPLITS = ("train", "valid", "test")

MINIMUM = 100
"""Characters below which there is nothing to learn."""


@dataclass(frozen=True)
class Corpus:
    """The prepared text of a run."""

    tokenizer: Tokenizer
    splits: Mapping[str, Split]
    sha256: str
    bytes: int
    lines: bool
    notes: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        """Characters of all splits together."""
        return sum(split.characters for split in self.splits.values())

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of the text that it learned from, and of how it was parted."""
        parts = {name: split.characters for name, split in self.splits.items()}
        facts = {"sha256": self.sha256, "bytes": self.bytes, "characters": self.characters}
        return facts | {"parts": parts, "lines": self.lines}


def prepare(recipe: Recipe, folder: Path, tokenizer: Tokenizer | None = None) -> Corpus:
    """Read the text, learn its tokenizer where none is given, and write the arrays into `folder`.

    With a tokenizer it is done again, and what came from standard input is read where it was kept.
    CorpusError for text that cannot be used; StorageError when the arrays cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        again = recipe if tokenizer is None else recipe.kept(folder)
        return _prepare(_Texts(again, folder), folder, tokenizer)
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens into {folder}: {error.strerror}",
            "free some space or choose another --runs-dir",
        ) from None


def _prepare(texts: "_Texts", folder: Path, tokenizer: Tokenizer | None) -> Corpus:
    recipe = texts.recipe
    if tokenizer is None:
        tokenizer = TOKENIZERS[recipe.tokenizer].train(
            (text for split, text in texts if split == "train"),
            vocab_size=recipe.vocab_size,
            min_count=recipe.min_count,
            split=recipe.split_words,
        )
    splits = _encode(texts, tokenizer, folder)
    if recipe.lines:
        shuffle_lines(splits["train"].path, tokenizer.newline_id)
    corpus = Corpus(
        tokenizer,
        splits,
        sources.digest(texts.sources),
        texts.main.bytes,
        recipe.lines,
        texts.notes,
    )
    _write_index(corpus, folder)
    return corpus


def reopen(folder: Path, tokenizer: Tokenizer) -> Corpus | None:
    """The corpus that `prepare` left in a folder, or None where it is not all there any more."""
    try:
        data = json.loads((folder / "corpus.json").read_text())
        splits = {
            name: Split(folder / f"{name}.npy", part["tokens"], part["characters"])
            for name, part in data.pop("splits").items()
        }
        known = set(splits) <= set(SPLITS) and isinstance(data["sha256"], str)
        whole = known and all(split.holds(tokenizer.vocab_size) for split in splits.values())
        return Corpus(tokenizer, splits, notes=(), **data) if whole else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def current_sha256(recipe: Recipe, folder: Path) -> str | None:
    """The hash of the recipe's text as it is now, or None where it is not there any more."""
    again = recipe.kept(folder)
    names = (*again.sources, *again.valid, *again.test)
    try:
        gone = any(Path(name).is_fifo() for name in names)  # a pipe brings its text only once
        return None if gone else sources.digest(_found(again, folder))
    except (CorpusError, OSError):
        return None


def _write_index(corpus: Corpus, folder: Path) -> None:
    parts = {
        name: {"tokens": split.tokens, "characters": split.characters}
        for name, split in corpus.splits.items()
    }
    facts = {key: getattr(corpus, key) for key in ("sha256", "bytes", "lines")}
    (folder / "corpus.json").write_text(json.dumps(facts | {"splits": parts}))


def _found(recipe: Recipe, folder: Path) -> dict[str, Sources]:
    """The text, under "train", and the files of parts that have some of their own."""
    named = {"train": recipe.sources, "valid": recipe.valid, "test": recipe.test}
    return {
        name: sources.find(names, folder, recipe.binary)
        for name, names in named.items()
        if names or name == "train"
    }


class _Texts:
    """The corpus as pairs of a split's name and a block of its text; iterated once per reading."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.sources = _found(recipe, folder)
        self.main = self.sources["train"]
        # A part that has files of its own takes nothing from the text.
        self.shares = {
            "valid": 0.0 if recipe.valid else recipe.valid_fraction,
            "test": 0.0 if recipe.test else recipe.test_fraction,
        }
        self.blank_lines = 0
        self.length = sum(len(text) for text in self._blocks(self.main))
        if self.length < MINIMUM:
            named = ", ".join(recipe.sources)
            raise CorpusError(
                f"{named} holds {self.length} characters and a model needs at least {MINIMUM}",
                "give more text",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the text was read."""
        count = self.blank_lines
        blank = "1 blank line is" if count == 1 else f"{count:,} blank lines are"
        return self.main.notes + ((f"{blank} left out",) if count else ())

    def _blocks(self, source: Sources) -> Iterator[str]:
        return source.texts(self.recipe.encoding, exact=self.recipe.tokenizer == "byte")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._by_line() if self.recipe.lines else self._by_position()
        for name, source in list(self.sources.items())[1:]:
            for text in whole_lines(self._blocks(source), patient=self.recipe.lines):
                yield name, "".join(self._documents(text)) if self.recipe.lines else text

    def _by_position(self) -> Iterator[tuple[str, str]]:
        """Training part, then validation, then test, cut at characters."""
        test = self.length - int(self.length * (1.0 - self.shares["test"]))
        train = int(self.length * (1.0 - self.shares["valid"] - self.shares["test"]))
        bounds = {"train": train, "valid": self.length - test, "test": self.length}
        begin = 0
        for text in whole_lines(self._blocks(self.main)):
            for name in SPLITS:
                part = text[: max(0, bounds[name] - begin)]
                begin += len(part)
                text = text[len(part) :]
                if part:
                    yield name, part

    def _by_line(self) -> Iterator[tuple[str, str]]:
        """Whole lines, the validating and testing ones spread evenly over the text."""
        valid, test = self.shares["valid"], self.shares["test"]
        self.blank_lines, number, held = 0, 0, 0
        for text in whole_lines(self._blocks(self.main), patient=True):
            parts: dict[str, list[str]] = {name: [] for name in SPLITS}
            for line in self._documents(text):
                number, name = number + 1, "train"
                if _falls(number, valid + test):
                    held += 1
                    name = "valid" if _falls(held, valid / (valid + test)) else "test"
                parts[name].append(line)
            yield from ((name, "".join(lines)) for name, lines in parts.items() if lines)

    def _documents(self, text: str) -> list[str]:
        """The lines of a text, each with one newline at its end; a blank line is no document.

        Spaces before a newline would hide it from the word tokenizer, so they are left out.
        """
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        kept = [line.rstrip(" ") + "\n" for line in lines if line.strip()]
        self.blank_lines += len(lines) - len(kept)
        return kept


def _falls(number: int, share: float) -> bool:
    """Whether line `number`, from 1, is one of those that make up a share of all lines."""
    return int(number * share) > int((number - 1) * share)


def _encode(texts: _Texts, tokenizer: Tokenizer, folder: Path) -> dict[str, Split]:
    kind = id_type(tokenizer.vocab_size)
    own = {name for name in ("valid", "test") if texts.shares[name] or name in texts.sources}
    names = [name for name in SPLITS if name == "train" or name in own]
    with contextlib.ExitStack() as stack:
        writers = {
            name: stack.enter_context(TokenWriter(folder / f"{name}.npy", kind)) for name in names
        }
        for name, text in texts:
            writers[name].append(tokenizer.encode(text), len(text))
        splits = {name: writer.finish() for name, writer in writers.items()}
    for name, split in splits.items():
        if split.tokens < 2:
            raise CorpusError(
                f"the {name} part of the text would be empty",
                "give more text, or change --valid-fraction and --test-fraction",
            )
    return splits
