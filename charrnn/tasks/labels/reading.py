"""Files -> texts with their labels, split into train, valid and test by a hash of the text.

The forms: `text<TAB>label` or the other way round, CSV, JSON lines, fastText's `__label__x`, and a
folder with a folder, or a file, for each label. What is left out is counted and said. Equal texts
are in the same part: one that was trained on says nothing in an evaluation.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from charrnn.activity import activity
from charrnn.data import example_files, sources
from charrnn.data.example_files import SPLITS, find, leaks, texts_of
from charrnn.data.examples import content_hash, held_out
from charrnn.data.sources import Sources
from charrnn.data.tables import JSON_SUFFIXES, csv_rows, json_rows
from charrnn.errors import CorpusError
from charrnn.tasks.labels.columns import FASTTEXT, find_columns, labels_of, tagged
from charrnn.tasks.labels.config import MOST_LABELS, LabelsDataConfig
from charrnn.tokenizers.base import count

LONGEST_LABEL = 200
"""Characters of a label."""

LEAST_TEXTS = 10
"""Fewer texts are not worth training on."""

MANY_LINES = 3
"""From so many lines on the one file of a label holds a text in each."""


class Example(NamedTuple):
    """A text and its labels: one, or of several labels any number."""

    text: str
    labels: tuple[str, ...]


@dataclass
class Found(example_files.Found):
    """Examples, and what was met while they were read."""

    examples: list[Example] = field(default_factory=list)

    def add(self, text: str, labels: Sequence[str], where: str) -> None:
        """Take an example, or count why it is left out. CorpusError for what is no label."""
        text = " ".join(text.split("\n")).strip() if "\n" in text else text.strip()
        names = tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))
        for name in names:
            _check_label(name, where)
        if not text:
            self.left_out["without a text"] += 1
        elif not names:
            self.left_out["without a label"] += 1
        else:
            self.examples.append(Example(text, names))


def _check_label(name: str, where: str) -> None:
    if len(name) > LONGEST_LABEL:
        raise CorpusError(
            f"{where} has a label of {len(name):,} characters: {name[:30]!a}...",
            "say which column is the label, with --label",
        )
    # They would break the lines that `classify` prints.
    if not name.isprintable():
        raise CorpusError(
            f"{where} has a label with control characters: {name[:30]!a}",
            "give labels of printable characters, or say which column is the label, with --label",
        )


@dataclass(frozen=True)
class Texts:
    """The examples of each split, the hash of their files, and notes."""

    splits: Mapping[str, Sequence[Example]]
    sha256: str
    notes: tuple[str, ...]


@activity("reading the texts")
def read(config: LabelsDataConfig, folder: Path) -> Texts:
    """The files of a config -> their texts and labels. CorpusError if they are none, or too few."""
    files = find(config, folder)
    notes: list[str] = []
    splits: dict[str, list[Example]] = {}
    named = {"train": config.sources, "valid": config.valid, "test": config.test}
    known: Collection[str] = ()
    for name, source in files.items():
        found = _read(source, named[name], config, known)
        known = known or {label for each in found.examples for label in each.labels}
        prefix = f"{name}: " if name != "train" else ""
        notes += [*source.notes, *(prefix + note for note in found.all_notes())]
        splits[name] = found.examples
        if not found.examples:
            raise CorpusError(
                f"{source.files[0]} has no text with a label{found.why()}",
                "give lines of text, a tab and label, CSV, JSON, or a folder for each label",
            )
    examples = splits["train"]
    _check_enough(examples, config)
    fractions = {
        "valid": 0.0 if config.valid else config.valid_fraction,
        "test": 0.0 if config.test else config.test_fraction,
    }
    chosen = held_out([example.text for example in examples], fractions)
    own: dict[str, list[Example]] = {"train": []}
    for example in examples:
        own.setdefault(chosen.get(content_hash(example.text), "train"), []).append(example)
    splits |= own
    texts = {name: [example.text for example in each] for name, each in splits.items()}
    notes += [*_contradictions(examples), *leaks(texts, files, "texts"), *_unseen(splits)]
    ordered = {name: splits[name] for name in SPLITS if name in splits}
    return Texts(ordered, sources.digest(files), tuple(notes))


def _check_enough(examples: Sequence[Example], config: LabelsDataConfig) -> None:
    names = ", ".join(config.sources)
    if len(examples) < LEAST_TEXTS:
        raise CorpusError(
            f"{names} has {count(len(examples), 'text')} and a model needs at least {LEAST_TEXTS}",
            "give more texts",
        )
    labels = {label for example in examples for label in example.labels}
    if len(labels) < 2:
        raise CorpusError(
            f"every text of {names} has the same label, {next(iter(labels))!r}",
            "give texts with two labels or more, or say which column is the label, with --label",
        )
    if len(labels) > MOST_LABELS:
        raise CorpusError(
            f"{names} has {len(labels):,} different labels and a model at most {MOST_LABELS:,}",
            "say which column is the label, with --label; "
            "if these are texts, --task pairs turns one into another",
        )


def read_examples(config: LabelsDataConfig, known: Collection[str]) -> list[Example]:
    """The examples of a file to measure a model of these labels on. CorpusError if it has none."""
    with tempfile.TemporaryDirectory() as folder:
        (source,) = find(config, Path(folder)).values()
        found = _read(source, config.sources, config, known)
    if not found.examples:
        raise CorpusError(f"{config.sources[0]} has no text with a label", "give another file")
    return found.examples


def _contradictions(examples: Sequence[Example]) -> list[str]:
    """A note on equal texts with different labels, of which a model can get only one right."""
    labels: dict[str, set[tuple[str, ...]]] = {}
    for example in examples:
        labels.setdefault(example.text, set()).add(example.labels)
    found = sum(len(each) > 1 for each in labels.values())
    verb = "occurs" if found == 1 else "occur"
    return [f"{count(found, 'text')} {verb} with different labels"] if found else []


def _unseen(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """Notes on labels that are measured on and not learned: each such text counts as an error."""
    known = {label for example in splits["train"] for label in example.labels}
    found = []
    for name in splits.keys() - {"train"}:
        labels = {label for example in splits[name] for label in example.labels} - known
        if labels:
            shown = ", ".join(sorted(labels)[:3]) + (", ..." if len(labels) > 3 else "")
            found.append(f"labels of the {name} part that the training part lacks: {shown}")
    return found


def _read(
    files: Sources, named: Sequence[str], config: LabelsDataConfig, known: Collection[str]
) -> Found:
    """The examples of some files; those of a folder may have their label in their path."""
    found = Found()
    texts = texts_of(files, config, found.notes)
    folders = [name for name in named if os.path.isdir(name)]
    if folders and _labels_are_paths(files.files, texts, folders):
        _read_folders(files.files, texts, folders, found)
        return found
    for path, text in zip(files.files, texts, strict=True):
        _read_file(path, text, config, known, found)
    return found


def _labels_are_paths(files: Sequence[Path], texts: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether a folder has a folder or a file for each label, and not tables."""
    if any(path.suffix.lower() in (".csv", ".tsv", *JSON_SUFFIXES) for path in files):
        return False
    is_table = [
        2 * text.count("\t") > text.count("\n") + 1 or FASTTEXT in text[:80] for text in texts
    ]
    return not all(is_table) and len({_label_of(path, folders) for path in files}) > 1


def _label_of(path: Path, folders: Sequence[str]) -> str:
    """The name of the folder that a file is in; of a file right in the given folder, its own."""
    return path.stem if path.parent in map(Path, folders) else path.parent.name


def _read_folders(
    files: Sequence[Path], texts: Sequence[str], folders: Sequence[str], found: Found
) -> None:
    """A text for each file, or for each line where a label has one file of several lines."""
    counts = Counter(_label_of(path, folders) for path in files)
    lines = [text.count("\n") + 1 for text in texts]
    by_line = max(counts.values()) == 1 and min(lines) >= MANY_LINES
    kind = "folders" if any(path.parent not in map(Path, folders) for path in files) else "files"
    found.notes.append(
        f"the labels are the names of the {kind}, and each "
        f"{'line' if by_line else 'file'} is a text"
    )
    for path, text in zip(files, texts, strict=True):
        label = _label_of(path, folders)
        for each in text.split("\n") if by_line else [text]:
            if by_line and not each.strip():
                found.left_out["blank"] += 1
                continue
            found.add(each, [label], str(path))


def _read_file(
    path: Path, text: str, config: LabelsDataConfig, known: Collection[str], found: Found
) -> None:
    """The examples of one file, by its suffix or its first characters."""
    suffix, start = path.suffix.lower(), text.lstrip()[:20]
    if suffix in JSON_SUFFIXES or start[:1] == "{":
        names, rows, unreadable = json_rows(text, path.name)
        found.left_out["that are no JSON object"] += unreadable
        if not rows:
            return
        table: list[list[object]] = [list(map(str, names)), *rows]
    elif FASTTEXT in start:
        _read_fasttext(path, text, found)
        return
    elif suffix == ".csv":
        table = [list(row) for row in csv_rows(text)]
    else:
        lines = [line.split("\t") for line in text.split("\n") if line.strip()]
        table = [list(row) for row in lines if len(row) > 1]
        found.left_out["without a tab"] += len(lines) - len(table)
    if not table:
        return
    is_json = suffix in JSON_SUFFIXES or start[:1] == "{"
    columns = find_columns(table, path.name, config.text, config.label, is_json, known)
    found.notes.append(columns.said)
    for row in table[columns.header :]:
        if len(row) <= max(columns.text, columns.label):
            found.left_out["without both columns"] += 1
        else:
            cell, labels = row[columns.text], labels_of(row[columns.label])
            found.add(cell if isinstance(cell, str) else "", labels, path.name)


def _read_fasttext(path: Path, text: str, found: Found) -> None:
    """Lines of `__label__x __label__y text`."""
    for line in text.split("\n"):
        if line.strip():
            labels, rest = tagged(line)
            found.add(rest, labels, path.name)
    found.notes.append(f"the labels of {path.name} are what follows {FASTTEXT}")
