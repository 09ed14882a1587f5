"""Corpora of one short text, and what their splits contain."""

from collections import Counter
from pathlib import Path
from typing import Any

from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import Corpus, prepare

LINES = "".join(f"line {number} of the names\n" for number in range(1, 41))


def texts_of(made: Corpus) -> dict[str, str]:
    """The text of every part, read back from its tokens."""
    return {name: made.tokenizer.decode(part.load()) for name, part in made.splits.items()}


def made_of(folder: Path, text: str | bytes, name: str = "text.txt", **fields: Any) -> Corpus:
    """A corpus of one file with this text, by characters by default."""
    source = folder / name
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return prepare(DataConfig((str(source),), **fields), folder / "corpus")


def lines_of(made: Corpus) -> dict[str, list[str]]:
    return {name: text.splitlines() for name, text in texts_of(made).items()}


def all_lines(made: Corpus) -> Counter[str]:
    """The lines of all parts, counted."""
    return Counter(line for lines in lines_of(made).values() for line in lines)
