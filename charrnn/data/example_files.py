"""The files of tasks whose data is many short texts: what of them is read, noted and recorded."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from charrnn.data import sources
from charrnn.data.config import DataConfig, data_config_from_json
from charrnn.data.examples import plain_lines
from charrnn.data.folders import Selection
from charrnn.data.reading import Tally
from charrnn.data.sources import Sources
from charrnn.errors import CorpusError, UsageError

SPLITS = ("train", "valid", "test")

PLAIN = ("sources", "valid", "test", "valid_fraction", "test_fraction", "encoding", "errors")
"""Fields of DataConfig that have the same meaning for every task."""

Config = TypeVar("Config", bound=DataConfig)


@dataclass
class Found:
    """What was met while examples were read: counts of what is left out, and notes."""

    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def why(self) -> str:
        """What was left out, in parentheses; empty if nothing was.

        >>> Found(Counter({"without a tab": 2, "blank": 0})).why()
        ' (left out: 2 without a tab)'
        """
        said = [f"{count:,} {what}" for what, count in self.left_out.items() if count]
        return f" (left out: {', '.join(said)})" if said else ""

    def all_notes(self) -> list[str]:
        """What the user should know of how the examples were read."""
        why = self.why()
        return [*self.notes, *([why.strip(" ()")] if why else [])]


def as_kind(kind: type[Config], config: DataConfig) -> Config:
    """A config of any kind -> one of this kind: a caller of a task may have a plain one."""
    if isinstance(config, kind):
        return config
    return kind(**{name: getattr(config, name) for name in PLAIN})


def find(config: DataConfig, folder: Path) -> dict[str, Sources]:
    """The files of each split that has its own, and of "train"."""
    named = {"train": config.sources, "valid": config.valid, "test": config.test}
    selection = Selection(config.encoding, config.errors == "strict", config.binary, frozenset())
    return {
        name: sources.find(given, folder, selection=selection)
        for name, given in named.items()
        if given
    }


def texts_of(files: Sources, config: DataConfig, notes: list[str]) -> list[str]:
    """Files -> the text of each; what was met in reading them is added to the notes."""
    tally = Tally()
    files.refuse_other_formats(config.encoding)
    texts = [
        plain_lines("".join(blocks))
        for blocks in files.by_file(config.encoding, False, config.errors, tally)
    ]
    notes += tally.notes(config.reading)
    return texts


def leaks(
    splits: Mapping[str, Sequence[Hashable]], with_files: Iterable[str], what: str
) -> list[str]:
    """Notes on examples that are learned and measured on, which files of their own can have."""
    known = set(splits["train"])
    found = []
    for name in SPLITS:
        both = sum(key in known for key in splits[name]) if name in with_files else 0
        if both and name != "train":
            found.append(f"{both:,} of the {name} {what} are in the training part too")
    return found


def current_sha256(config: DataConfig, folder: Path) -> str | None:
    """The hash of the files as they are now; None if they cannot be read any more."""
    saved = config.with_saved_stdin(folder)
    names = (*saved.sources, *saved.valid, *saved.test)
    try:
        gone = any(Path(name).is_fifo() for name in names)  # a pipe can be read only once
        return None if gone else sources.digest(find(saved, folder))
    except (CorpusError, OSError):
        return None


def read_as_trained(kind: type[Config], file: Path, run: Path, columns: Sequence[str]) -> Config:
    """The config of a file that is read as those of the run in a folder were.

    columns: fields of the config, besides encoding and errors, that are taken from the run.
    """
    config = kind((str(file),))
    description = run / "run.json"
    if not description.exists():
        return config
    recipe = json.loads(description.read_text(encoding="utf-8")).get("recipe", {})
    try:
        recorded = data_config_from_json(recipe, kind)
    except (ValueError, TypeError, UsageError):
        return config
    return replace(
        config, **{name: getattr(recorded, name) for name in ("encoding", "errors", *columns)}
    )
