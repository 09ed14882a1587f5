"""Files -> pairs of texts, split into train, valid and test by a hash of the source.

The forms: `source<TAB>target`, two parallel files, CSV, JSON lines. What is left out is counted and
said. Equal pairs, and pairs of one source, are in the same part: a source that was trained on says
nothing in an evaluation.
"""

import tempfile
from collections.abc import Mapping, Sequence
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
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.tables import find_columns
from charrnn.tokenizers.base import count

MOST_CHARACTERS = 4_000
"""A pair with a longer side is left out: attention looks at all of a source for each token."""

LEAST_PAIRS = 10
"""Fewer pairs are not worth training on."""


class Pair(NamedTuple):
    """A source and its target."""

    source: str
    target: str


@dataclass
class Found(example_files.Found):
    """Pairs, and what was met while they were read."""

    pairs: list[Pair] = field(default_factory=list)

    def add(self, source: str, target: str) -> None:
        """Take a pair, or count why it is left out."""
        source, target = source.strip(), target.strip()
        if not source or not target:
            self.left_out["with an empty side"] += 1
        elif max(len(source), len(target)) > MOST_CHARACTERS:
            self.left_out[f"with a side of more than {MOST_CHARACTERS:,} characters"] += 1
        else:
            # A newline in a cell would end the text: it is what begins and ends a side.
            pair = (
                " ".join(side.split("\n")) if "\n" in side else side for side in (source, target)
            )
            self.pairs.append(Pair(*pair))


@dataclass(frozen=True)
class Texts:
    """The pairs of each split, the hash of their files, and notes."""

    splits: Mapping[str, Sequence[Pair]]
    sha256: str
    notes: tuple[str, ...]


@activity("reading the pairs")
def read(config: PairsDataConfig, folder: Path) -> Texts:
    """The files of a config -> their pairs. CorpusError if they are none, or too few."""
    files = find(config, folder)
    notes: list[str] = []
    splits: dict[str, list[Pair]] = {}
    for name, source in files.items():
        found = _read(source, config)
        prefix = f"{name}: " if name != "train" else ""
        notes += [*source.notes, *(prefix + note for note in found.all_notes())]
        splits[name] = found.pairs
        if not found.pairs:
            raise CorpusError(
                f"{source.files[0]} has no pair of two texts{found.why()}",
                "give lines of source, a tab and target, two files of equally many lines, or CSV",
            )
    pairs = splits["train"]
    fractions = {
        "valid": 0.0 if config.valid else config.valid_fraction,
        "test": 0.0 if config.test else config.test_fraction,
    }
    if len(pairs) < LEAST_PAIRS:
        raise CorpusError(
            f"{', '.join(config.sources)} has {count(len(pairs), 'pair')} and a model needs at "
            f"least {LEAST_PAIRS}",
            "give more pairs",
        )
    held_out = choose(pairs, fractions)
    parts: dict[str, list[Pair]] = {"train": []}
    for pair in pairs:
        parts.setdefault(held_out.get(content_hash(pair.source), "train"), []).append(pair)
    splits |= parts
    notes += leaks(splits, files, "pairs")
    ordered = {name: splits[name] for name in SPLITS if name in splits}
    return Texts(ordered, sources.digest(files), tuple(notes))


def read_pairs(config: PairsDataConfig) -> list[Pair]:
    """The pairs of a file to measure on. CorpusError if it has none."""
    with tempfile.TemporaryDirectory() as folder:
        (source,) = find(config, Path(folder)).values()
        found = _read(source, config)
    if not found.pairs:
        raise CorpusError(f"{config.sources[0]} has no pair of two texts", "give another file")
    return found.pairs


def choose(pairs: Sequence[Pair], fractions: Mapping[str, float]) -> dict[int, str]:
    """Pairs -> the hashes of the sources that are held out, and their part; as `held_out`."""
    return held_out([pair.source for pair in pairs], fractions, "sources", "pairs")


def _read(files: Sources, config: PairsDataConfig) -> Found:
    """The pairs of some files: two of them may be parallel, any other holds pairs itself."""
    found = Found()
    texts = texts_of(files, config, found.notes)
    if len(texts) == 2 and not any(map(_is_table, files.files)) and _parallel(texts, files):
        one, other = (text.split("\n") for text in texts)
        found.notes.append(
            f"{len(one):,} lines of {files.files[0].name} with those of {files.files[1].name}"
        )
        for source, target in zip(one, other, strict=True):
            found.add(source, target)
        return found
    for path, text in zip(files.files, texts, strict=True):
        _read_file(path, text, config, found)
    return found


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", *JSON_SUFFIXES)


def _parallel(texts: Sequence[str], files: Sources) -> bool:
    """Whether two files hold a side each. CorpusError if only their numbers of lines speak against.

    A file of pairs has a tab in most of its lines.
    """
    counts = [text.count("\n") + 1 for text in texts]
    if any(2 * text.count("\t") > count for text, count in zip(texts, counts, strict=True)):
        return False
    if any(text.lstrip().startswith("{") for text in texts):
        return False
    if counts[0] != counts[1]:
        names = " and ".join(str(path) for path in files.files)
        raise CorpusError(
            f"{names} are not parallel: they have {counts[0]:,} and {counts[1]:,} lines",
            "give two files whose lines belong together, or one of source, tab and target",
        )
    return True


def _read_file(path: Path, text: str, config: PairsDataConfig, found: Found) -> None:
    """The pairs of one file, by its suffix or its first character."""
    asked = (config.source_column, config.target_column)
    suffix, first = path.suffix.lower(), text.lstrip()[:1]
    if suffix in JSON_SUFFIXES or first == "{":
        names, rows, unreadable = json_rows(text, path.name)
        found.left_out["that are no JSON object"] += unreadable
        if not rows:
            return
        columns = find_columns(names, path.name, *asked, header=True)
        table = [[cell if isinstance(cell, str) else _said(cell) for cell in row] for row in rows]
    elif suffix == ".csv" or any(asked):
        table = [line.split("\t") for line in text.split("\n")] if suffix != ".csv" else []
        table = table or csv_rows(text)
        if not table:
            return
        columns = find_columns(table[0], path.name, *asked)
        table = table[columns.header :]
    else:
        _read_tabs(path, text, found)
        return
    found.notes.append(columns.said)
    for row in table:
        if len(row) <= max(columns.source, columns.target):
            found.left_out["without both columns"] += 1
        else:
            found.add(row[columns.source], row[columns.target])


def _said(value: object) -> str:
    """A value of JSON that is no text, as text."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) else ""


def _read_tabs(path: Path, text: str, found: Found) -> None:
    """Lines of source, a tab and target; what follows a second tab is left out."""
    more = 0
    for number, line in enumerate(text.split("\n")):
        if not line.strip():
            found.left_out["blank"] += 1
            continue
        source, tab, rest = line.partition("\t")
        if not tab:
            found.left_out["without a tab"] += 1
            continue
        target, second, _ = rest.partition("\t")
        more += bool(second)
        if number == 0 and _is_header(source, target):
            found.notes.append(f"the first line of {path.name} holds names and no pair")
            continue
        found.add(source, target)
    if more:
        found.notes.append(f"what follows a second tab is left out, in {more:,} of the lines")


def _is_header(source: str, target: str) -> bool:
    """Whether a first line names its columns in words that hardly are a pair."""
    return (source.strip().lower(), target.strip().lower()) in HEADERS


HEADERS = {
    (one, other)
    for one, other in (("source", "target"), ("src", "tgt"), ("input", "output"),
                       ("question", "answer"), ("from", "to"), ("original", "corrected"),
                       ("grapheme", "phoneme"), ("word", "pronunciation"))
}  # fmt: skip
