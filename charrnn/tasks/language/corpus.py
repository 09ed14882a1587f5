"""Text files -> token arrays on disk, split into train, valid and test.

The text is read in blocks three times: to measure it, to learn the tokenizer from the training
part, and to encode it. Splits are cut at characters or documents and not at tokens, so the
validation part is the same text whatever the tokenizer.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn.activity import activity, track
from charrnn.data import sources
from charrnn.data.batches import Batches, DocumentBatches
from charrnn.data.config import DataConfig
from charrnn.data.reading import CHAT
from charrnn.data.token_arrays import Split, TokenWriter, ends_of, shuffle_lines
from charrnn.errors import CorpusError, StorageError, is_forbidden
from charrnn.evaluation.scores import Pricing
from charrnn.tasks.base import Dataset
from charrnn.tasks.language import transfer
from charrnn.tasks.language.files import SPLITS, found_sources, recorded_files
from charrnn.tasks.language.splits import MINIMUM, PARTS, TUNING, Texts
from charrnn.tasks.language.unknown import UnknownWords, pricing
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.base import id_type
from charrnn.tokenizers.documents import END, DocumentTokenizer

__all__ = ["MINIMUM", "SPLITS", "Corpus", "current_sha256", "prepare", "reopen"]


LEARNING = "learning the tokenizer"
"""What is shown while it is."""


@dataclass(frozen=True)
class Corpus(Dataset):
    """The prepared text of a run: its tokenizer, and a token array for each split.

    lines: whether the text is documents, which sampling ends at. documents: which ones; empty in
    runs of earlier versions, whose lines were shuffled once. chat: of conversations, the speakers
    with their turns and who answers. conditions: of labelled documents, the training documents of
    each label. config: how the files were read, where they just have been.
    """

    unit = "characters"

    encoder: Tokenizer
    splits: Mapping[str, Split]
    sha256: str
    bytes: int
    lines: bool
    notes: tuple[str, ...] = ()
    documents: str = ""
    encoding: str = "utf-8"
    chat: Any = None
    conditions: Any = None
    config: DataConfig | None = field(default=None, compare=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder of a text."""
        return self.encoder

    @property
    def next_command(self) -> str:
        """A model of a chat is talked with."""
        return "charrnn chat" if self.documents == CHAT else ""

    @property
    def reset_id(self) -> int:
        """The id that begins a document, before which the state starts anew; -1 for none."""
        return self.tokenizer.start_id if self.documents else -1

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

    def batches(
        self, batch_size: int, seq_length: int, rank: int, world_size: int
    ) -> Batches | DocumentBatches:
        """The training part as streams of windows; documents are in another order each epoch."""
        tokens = self.splits["train"].load()
        if not self.documents:
            return Batches(tokens, batch_size, seq_length, rank, world_size)
        ends = ends_of(tokens, self.tokenizer.start_id)
        return DocumentBatches(tokens, batch_size, seq_length, rank, world_size, ends)

    def train_metrics(self, loss: float) -> dict[str, float]:
        """Nats per token -> bits per character."""
        part = self.splits["train"]
        # Per character of the whole training part: a batch's own characters are not counted.
        nats = loss * part.tokens + part.unknown_nats
        return {"bits_per_char": nats / part.characters / math.log(2)}

    def pricing(self, split: str) -> Pricing:
        """What corrects the nats of a split's rare ids and unknown words."""
        return pricing(self.tokenizer, self.splits[split])

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its text, and of how it was split."""
        parts = {name: split.characters for name, split in self.splits.items()}
        sizes = {"sha256": self.sha256, "bytes": self.bytes, "characters": self.characters}
        return sizes | {"parts": parts, "lines": self.lines} | self._added() | self._unknown()

    def _added(self) -> dict[str, Any]:
        """What files of earlier versions do not have, absent where nothing differs from them."""
        own = {"documents": self.documents, "encoding": self.encoding, "chat": self.chat}
        own["conditions"] = self.conditions
        return {k: v for k, v in own.items() if v != getattr(type(self), k)}

    def _unknown(self) -> dict[str, Any]:
        """Words without an id in each part, absent where there are none: their price was paid."""
        found = {name: split.unknown for name, split in self.splits.items() if split.unknown}
        return {"unknown": found} if found else {}

    def recipe(self, config: DataConfig) -> dict[str, Any]:
        """How the files were read, with those that folders and globs stood for."""
        return (self.config or config).to_json()


def prepare(
    config: DataConfig,
    folder: Path,
    tokenizer: Tokenizer | None = None,
    begun_with: Tokenizer | None = None,
) -> Corpus:
    """Read the text, learn its tokenizer if none is given, and write the arrays into `folder`.

    A tokenizer is given when the arrays are made again; standard input is then read from where it
    was saved. begun_with: the tokenizer of another model, to which what the text needs is added
    instead of learning one. CorpusError for text that cannot be used, StorageError if the arrays
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved = config if tokenizer is None else config.with_saved_stdin(folder)
        if begun_with is not None:
            saved = transfer.as_tokenized(saved, begun_with)
        return _prepare(Texts(saved, folder), folder, tokenizer, begun_with)
    except OSError as error:
        raise StorageError(
            f"cannot write the tokens to {folder}: {error.strerror}",
            "choose a --runs-dir that can be written to"
            if is_forbidden(error)
            else "free some space or choose another --runs-dir",
        ) from None


def _prepare(
    texts: Texts, folder: Path, tokenizer: Tokenizer | None, begun_with: Tokenizer | None = None
) -> Corpus:
    config, is_new = texts.config, tokenizer is None
    if tokenizer is None:
        # From the training part alone: held-out text must not shape the vocabulary. The end of a
        # document is no text; its id is added below.
        blocks = (text.replace(END, "\n") for split, text in texts if split == "train")
        with activity(LEARNING):
            watched = track(blocks, LEARNING, texts.length, size=len)
            tokenizer = _learned(config, watched, begun_with)
    splits = _encode(texts, tokenizer, folder)
    if is_new:
        # From all of the training part: what a sample does not hold may occur elsewhere in it.
        tokenizer.learn_floor(splits["train"].load())
    # Other documents are shuffled anew in each epoch, by `DocumentBatches`.
    if config.lines and not config.documents:
        shuffle_lines(splits["train"].path, tokenizer.newline_id)
    corpus = Corpus(
        tokenizer,
        splits,
        sources.digest(texts.sources),
        texts.main.bytes,
        lines=config.lines or bool(config.documents),
        notes=(*texts.notes(), *(tokenizer.notes if is_new else ())),
        documents=config.documents,
        encoding=config.encoding,
        chat=texts.chat(),
        conditions=texts.conditions(),
        config=_as_done(texts),
    )
    # Last of all: a folder with an index is complete.
    _write_index(corpus, folder)
    return corpus


def _learned(config: DataConfig, blocks: Iterator[str], begun_with: Tokenizer | None) -> Tokenizer:
    """Blocks of the training part -> its tokenizer; another model's, extended, if there is one."""
    if begun_with is not None:
        return transfer.extended(begun_with, blocks, config)
    tokenizer: Tokenizer = TOKENIZERS[config.tokenizer].train(
        blocks,
        vocab_size=config.vocab_size,
        min_count=config.min_count,
        split=config.split_words,
    )
    return DocumentTokenizer(tokenizer) if transfer.needs_end(config) else tokenizer


def _as_done(texts: Texts) -> DataConfig:
    """The request as run.json records it: without what made no difference to this text."""
    config, files = texts.config, recorded_files(texts.config, texts.sources)
    named = (*config.sources, *config.valid, *config.test)
    return replace(
        config,
        newlines=config.newlines if texts.tally.line_ends or config.documents else "",
        folders=config.folders if any(map(sources.is_expanded, named)) else "names",
        files=config.files or (files if config.folders == "text" else ()),
    )


def reopen(folder: Path, tokenizer: Tokenizer) -> Corpus | None:
    """The corpus that `prepare` left in a folder; None if it is not complete any more."""
    try:
        # The file may be damaged or from an untrusted source, so everything in it is checked.
        data = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        splits = {
            name: Split(folder / f"{name}.npy", **part) for name, part in data.pop("splits").items()
        }
        # The names are parts of paths: no other one is opened, in this folder or elsewhere.
        known = set(splits) <= set(PARTS) and isinstance(data["sha256"], str)
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
        return None if gone else sources.digest(found_sources(saved, folder))
    except (CorpusError, OSError):
        return None


def _write_index(corpus: Corpus, folder: Path) -> None:
    parts = {name: split.to_json() for name, split in corpus.splits.items()}
    fields = {"sha256": corpus.sha256, "bytes": corpus.bytes, "lines": corpus.lines}
    fields |= corpus._added()
    (folder / "corpus.json").write_text(json.dumps(fields | {"splits": parts}), encoding="utf-8")


def _encode(texts: Texts, tokenizer: Tokenizer, folder: Path) -> dict[str, Split]:
    kind = id_type(tokenizer.vocab_size)
    held_out = {name for name in PARTS[1:] if texts.fractions.get(name) or name in texts.sources}
    names = [name for name in PARTS if name == "train" or name in held_out]
    words = UnknownWords(tokenizer)
    # All parts are written in one pass, and an error closes every file.
    with contextlib.ExitStack() as stack:
        writers = {
            name: stack.enter_context(TokenWriter(folder / f"{name}.npy", kind)) for name in names
        }
        for name, text in track(texts, "encoding", texts.length, size=lambda item: len(item[1])):
            writers[name].append(words.encode(name, text), len(text))
        splits = words.add_to({name: writer.finish() for name, writer in writers.items()})
    for name, split in splits.items():
        if split.tokens < 2 and name == TUNING:
            raise CorpusError(
                "the text is too short to keep a part for n-gram models", "leave --mix out"
            )
        # An input and its target. Long words make few tokens of a text that is long enough.
        if split.tokens < 2 and split.characters >= MINIMUM / 10:
            raise CorpusError(
                f"the {name} part of the text is a single {tokenizer.name} token of "
                f"{split.characters:,} characters",
                "choose another --tokenizer, such as char",
            )
        if split.tokens < 2:
            raise CorpusError(
                f"the {name} part of the text would be empty",
                "give more text, or change --valid-fraction and --test-fraction",
            )
    return splits
