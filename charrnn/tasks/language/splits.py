"""Which part of the corpus a text belongs to: train, valid or test.

A continuous text is cut at two positions. Documents are assigned by a hash of their content: no
period of the text can decide what validates, and equal documents are in the same part.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.data import sources
from charrnn.data.chats import reader as chats
from charrnn.data.chats.turns import clean_name
from charrnn.data.conditions import LabelTally, folder_label, labelled, labels_in
from charrnn.data.config import DataConfig
from charrnn.data.reading import BLOCK, CHAT, TUNE, Tally
from charrnn.data.sources import Sources, whole_lines
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language.files import SPLITS, recognized
from charrnn.tasks.language.leaks import Leaks
from charrnn.tasks.language.tune_shelf import TuneShelf
from charrnn.tokenizers.base import count

TUNING = "tuning"
"""The part that only the weights of a mixture are fitted on."""

PARTS = (*SPLITS, TUNING)

TUNING_FRACTION, MOST_TUNING_FRACTION = 0.01, 0.05
"""Share of the text in this part, and the largest, where the text is so short that the fewest
characters are more. The network misses each of them, and the weights that suit most texts are
known (see `mixing`)."""

LEAST_TUNING, MOST_TUNING = 500, 20_000
"""Fewest and most characters of this part."""

TUNING_PIECES, TUNING_PIECE = 10, 100
"""Most pieces of a continuous text that make it up, and the fewest characters of a piece. They are
evenly spread: one in a row may be a chapter with names of its own, which the network would never
see."""

MINIMUM = 100
"""Fewer characters are not worth training on."""


class Texts:
    """The corpus as pairs of a split's name and a block of its text; each iteration reads it."""

    @activity("reading the text")
    def __init__(self, config: DataConfig, folder: Path) -> None:
        config, self.sources, self.recognized = recognized(config, folder)
        self.main = self.sources["train"]
        if config.as_name and config.documents != CHAT:
            raise UsageError(
                f"--as {config.as_name} is for a chat, and the text is not read as one",
                "leave it out, or add --chat",
            )
        self.config = config
        self.reading = config.reading
        self.tally = Tally()
        self.tunes = TuneShelf(config, folder) if config.documents == TUNE else None
        if not self.reading.exact and not self.tunes:
            for source in self.sources.values():
                source.refuse_other_formats(config.encoding)
        # A split that has its own files takes nothing from the main text.
        self.fractions = {
            "valid": 0.0 if config.valid else config.valid_fraction,
            "test": 0.0 if config.test else config.test_fraction,
        }
        self.leaks = Leaks()
        self.labels = LabelTally()
        self.part_labels: dict[str, Counter[str]] = {}
        # In characters, which only decoding can count: the first of the three readings.
        if config.documents:
            hashes, lengths = self._measured()
            self.length = int(lengths.sum())
            if config.conditions:
                self.labels.check()
            if config.documents == CHAT:
                chats.check(self.tally.chat, ", ".join(config.sources))
                self.answers = self._answers()
            if self.tunes:
                self.tunes.check()
        else:
            self.length = sum(map(len, self._blocks(self.main)))
        if self.length < MINIMUM:
            named = ", ".join(config.sources)
            found = count(self.length, "character")
            raise CorpusError(
                f"{named} has {found} and a model needs at least {MINIMUM}",
                "give more text",
            )
        if config.mix != "none":
            self.fractions[TUNING] = tuning_fraction(self.length)
        self.held_out = self._chosen(hashes, lengths) if config.documents else {}

    @activity("comparing the parts of the text")
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the text was read."""
        found = [note for source in self.sources.values() for note in source.notes]
        tally = self.tally
        if self.recognized:
            found.append(self.recognized)
        if self.tunes:
            return (*found, *self.tunes.notes(self.sources), *self._leaks())
        if self.config.documents == CHAT:
            how = "as --as says" if self.config.as_name else "which --as NAME changes"
            found.append(f"in charrnn chat {self.answers} answers, {how}")
        found += self._label_notes()
        return (*found, *tally.notes(self.reading), *tally.doubts(), *self._leaks())

    def _label_notes(self) -> Iterator[str]:
        """What the user should know of labels."""
        if not self.config.conditions:
            return
        known = self.part_labels["train"]
        yield f"{count(len(known), 'label')}: {', '.join(n for n, _ in known.most_common(5))}" + (
            ", ..." if len(known) > 5 else ""
        )
        if self.labels.empty:
            some = count(self.labels.empty, "document")
            verbs = ("has", "is") if self.labels.empty == 1 else ("have", "are")
            yield f"{some} {verbs[0]} a label and no text, and {verbs[1]} left out"
        for name in SPLITS[1:]:
            new = sorted(self.part_labels[name].keys() - known.keys())
            if new:
                some = count(len(new), "label")
                verb, rest = ("is", ": ") if len(new) == 1 else ("are", ", such as ")
                yield f"{some} of the {name} part {verb} not in the training part{rest}{new[0]}"

    def _leaks(self) -> Iterator[str]:
        """Notes on text that is read twice, or is both learned and measured on."""
        # Runs of earlier versions are not read differently now, and this is for new ones.
        if self.config.folders == "names":
            return
        if repeated := self.main.repeated():
            more = f" and {len(repeated) - 1:,} more" if len(repeated) > 1 else ""
            yield f"the same text is read more than once: {repeated[0]}{more}"
        hashes = {sources.file_sha256(path) for path in self.main.files}
        for name, source in list(self.sources.items())[1:]:
            both = [path for path in source.files if sources.file_sha256(path) in hashes]
            if both:
                yield f"{len(both)} of the {name} files are in the training text too: {both[0]}"
        # Short turns, such as thanks, return in every chat; equal conversations are kept together.
        if self.config.documents != CHAT:
            yield from self.leaks.notes()

    def _answers(self) -> str:
        """Who answers in the chat. UsageError if nobody of that name speaks."""
        tally, name = self.tally.chat, self.config.as_name
        if name and clean_name(name) not in tally.speakers:
            most = ", ".join(each for each, _ in tally.speakers.most_common(5))
            raise UsageError(
                f"--as {clean_name(name)}: nobody of that name speaks in the chat",
                f"those who say most are {most}",
            )
        return clean_name(name) if name else tally.answering()

    def conditions(self) -> dict[str, int] | None:
        """What a checkpoint records: the training documents of each label, None without."""
        return dict(self.part_labels["train"]) if self.config.conditions else None

    def chat(self) -> dict[str, Any] | None:
        """What a checkpoint records of a chat; None of other texts."""
        return self.tally.chat.record(self.answers) if self.config.documents == CHAT else None

    def _blocks(self, source: Sources) -> Iterator[str]:
        return self.reading.text(source, self.tally)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        # Counted anew, because each pass over the text comes here.
        self.tally, self.labels = Tally(), LabelTally()
        self.part_labels = {name: Counter[str]() for name in PARTS}
        for name, text in self._parts():
            # What a mixture is fitted on is part of the training, too.
            if not self.tunes:
                self.leaks.take("train" if name == TUNING else name, text)
            if self.config.conditions:
                self.part_labels[name].update(labels_in(text, self.config.documents))
            yield name, text
        self.leaks.end_pass()

    def _parts(self) -> Iterator[tuple[str, str]]:
        yield from (
            self._by_document()
            if self.config.documents
            else (self._by_line() if self.config.lines else self._by_position())
        )
        # The first source is the main text, which has just been read.
        for name, source in list(self.sources.items())[1:]:
            if self.config.documents:
                yield from gathered((name, each) for each in self._documents(source))
                continue
            for text in whole_lines(self._blocks(source), patient=self.config.lines):
                yield name, "".join(self._lines(text)) if self.config.lines else text

    def _by_position(self) -> Iterator[tuple[str, str]]:
        """The training part, then validation, then test, cut at characters."""
        segments = self._segments()
        begin = 0
        # Blocks end with a line where they can, so that hardly a word is cut between two of them.
        for text in whole_lines(self._blocks(self.main)):
            # What a file has more than when it was measured is in no part.
            while text and segments:
                end, name = segments[0]
                part = text[: end - begin]
                begin += len(part)
                text = text[len(part) :]
                if begin == end:
                    del segments[0]
                if part:
                    yield name, part

    def _segments(self) -> list[tuple[int, str]]:
        """Where each segment of a continuous text ends, and the part that it belongs to."""
        # Rounded so that a fraction of 0 gives a part of exactly 0 characters.
        test = self.length - int(self.length * (1.0 - self.fractions["test"]))
        train = int(self.length * (1.0 - self.fractions["valid"] - self.fractions["test"]))
        tuning = int(self.length * self.fractions.get(TUNING, 0.0))
        pieces = min(TUNING_PIECES, max(1, tuning // TUNING_PIECE)) if tuning else 0
        piece = tuning // max(1, pieces)
        found = []
        for number in range(pieces):
            # In the middle of its share of the training part, which begins and ends as without.
            middle = train * (2 * number + 1) // (2 * pieces) + piece // 2
            found += [(middle - piece, "train"), (middle, TUNING)]
        return [*found, (train, "train"), (self.length - test, "valid"), (self.length, "test")]

    def _documents(self, source: Sources) -> Iterator[str]:
        if not self.config.conditions:
            yield from self._unlabelled(source)
        elif self.config.documents != "file":
            yield from labelled(self._unlabelled(source), self.labels)
        else:
            for file in source.files:
                each = self._unlabelled(Sources((file,)))
                yield from labelled(each, self.labels, folder_label(file))

    def _unlabelled(self, source: Sources) -> Iterator[str]:
        if self.tunes:
            return iter(self.tunes.documents(source))
        return self.reading.documents_of(source, self.tally)

    def _hash(self, document: str) -> int:
        """What decides the part of a document."""
        return self.tunes.melody(document) if self.tunes else content_hash(document)

    def _by_document(self) -> Iterator[tuple[str, str]]:
        """Whole documents, by the hash of their content."""
        return gathered(
            (part, version)
            for each in self._documents(self.main)
            for part in (self.held_out.get(self._hash(each), "train"),)
            for version in self._versions(part, each)
        )

    def _versions(self, part: str, document: str) -> Iterable[str]:
        """A document as it is in a part: a tune to learn is in all keys."""
        learned = self.tunes and part == "train"
        return self.tunes.in_all_keys(document) if self.tunes and learned else (document,)

    def _measured(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hash and characters of each document."""
        pairs = [(self._hash(each), len(each)) for each in self._documents(self.main)]
        hashes = np.array([pair[0] for pair in pairs], np.uint64)
        return hashes, np.array([pair[1] for pair in pairs], np.int64)

    def _chosen(self, hashes: NDArray[np.uint64], lengths: NDArray[np.int64]) -> dict[int, str]:
        """The hashes of held-out documents -> their part."""
        # In this order, so that the validation part is the same with a mixture and without.
        wanted = {name: part for name, part in self.fractions.items() if part}
        # Sorted by hash, which is as good as at random, and the same for the same documents.
        each, index = np.unique(hashes, return_inverse=True)
        total = np.bincount(index, lengths).astype(np.int64)
        if len(each) <= len(wanted):
            some = count(len(each), "different tune" if self.tunes else "different document")
            raise CorpusError(
                f"the text has {some}, and each part needs one of its own",
                "give more text, files with --valid, or --valid-fraction 0",
            )
        chosen: dict[int, str] = {}
        free = list(zip(each.tolist(), total.tolist(), strict=True))
        for name, part in wanted.items():
            taken = _take(free, part * int(lengths.sum()))
            chosen |= dict.fromkeys(taken, name)
            free = [pair for pair in free if pair[0] not in chosen]
        return chosen

    def _by_line(self) -> Iterator[tuple[str, str]]:
        """Whole lines; those of validation and test are spread evenly over the text.

        This is how earlier versions split a corpus of lines, and how their runs go on.
        """
        valid, test = self.fractions["valid"], self.fractions["test"]
        number, held_out = 0, 0
        # Patient: half a line would become a document of its own.
        for text in whole_lines(self._blocks(self.main), patient=True):
            parts: dict[str, list[str]] = {name: [] for name in SPLITS}
            for line in self._lines(text):
                number, name = number + 1, "train"
                if _is_taken(number, valid + test):
                    # Never reached with both fractions 0, which would be a division by zero.
                    held_out += 1
                    name = "valid" if _is_taken(held_out, valid / (valid + test)) else "test"
                parts[name].append(line)
            yield from ((name, "".join(lines)) for name, lines in parts.items() if lines)

    def _lines(self, text: str) -> list[str]:
        return self.reading.lines_of(text.replace("\r\n", "\n"), self.tally)


def tuning_fraction(length: int) -> float:
    """Characters of the text -> the share of it that the weights of a mixture are fitted on.

    >>> tuning_fraction(2_000), tuning_fraction(72_000), tuning_fraction(4_000_000)
    (0.05, 0.01, 0.005)
    """
    wanted = max(LEAST_TUNING, min(MOST_TUNING, TUNING_FRACTION * length))
    return min(MOST_TUNING_FRACTION, wanted / length)


def content_hash(document: str) -> int:
    """A document -> a 64-bit hash of its text, the same on every machine."""
    raw = document.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")


def _take(documents: list[tuple[int, int]], wanted: float) -> list[int]:
    """Documents (hash, characters) -> the hashes of the first that have so many characters."""
    taken, characters = [], 0
    for each, length in documents:
        if characters >= wanted:
            break
        # One long document would be most of a part, or all of the text.
        if characters + length <= 1.2 * wanted:
            taken.append(each)
            characters += length
    # All of them are long: the shortest takes the least from training.
    return taken or [min(documents, key=lambda pair: pair[1])[0]]


def gathered(documents: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of a part and a document -> the same, many documents of a part at a time."""
    waiting: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    # Encoding each of a million lines by itself would take a hundred times as long.
    for name, document in documents:
        waiting.setdefault(name, []).append(document)
        sizes[name] = sizes.get(name, 0) + len(document)
        if sizes[name] >= BLOCK:
            yield name, "".join(waiting.pop(name))
            sizes[name] = 0
    yield from ((name, "".join(waiting[name])) for name in PARTS if name in waiting)


def _is_taken(number: int, fraction: float) -> bool:
    """Whether line `number`, from 1, is one of those that make up a fraction of all lines."""
    # A line is taken where the whole part of the running total grows.
    return int(number * fraction) > int((number - 1) * fraction)
