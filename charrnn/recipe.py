"""What to make of which text. It knows names of files and shares, and opens no file."""

import codecs
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn import sources
from charrnn.errors import UsageError

NOT_OF_FILES = ("idna", "punycode")
"""Encodings of host names, which cannot be read in blocks."""


@dataclass(frozen=True)
class Recipe:
    """What to make of which text; with the text itself it determines every array."""

    sources: tuple[str, ...]
    tokenizer: str = "char"
    vocab_size: int | None = None
    min_count: int = 1
    split_words: str = "punctuation"
    lines: bool = False
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    valid_fraction: float = 0.1
    test_fraction: float = 0.0
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.valid_fraction + self.test_fraction > 0.9:
            raise UsageError(
                "the validation and test fractions leave less than a tenth of the text to learn",
                "make --valid-fraction or --test-fraction smaller",
            )
        try:
            "".encode(self.encoding)
            if codecs.lookup(self.encoding).name in NOT_OF_FILES:
                raise LookupError
        except (LookupError, ValueError):
            raise UsageError(
                f"there is no encoding {self.encoding!r}", "give one like utf-8, utf-16 or latin-1"
            ) from None
        if (*self.sources, *self.valid, *self.test).count(sources.STDIN) > 1:
            raise UsageError("standard input can be read only once", "save it in a file first")

    @property
    def binary(self) -> bool:
        """Whether files with NUL bytes are meant too."""
        return self.tokenizer == "byte" or b"\0" in "a".encode(self.encoding)

    def kept(self, folder: Path) -> "Recipe":
        """The same recipe, reading what came from standard input where it was kept."""

        def there(names: tuple[str, ...]) -> tuple[str, ...]:
            file = str(folder / sources.STDIN_FILE)
            return tuple(file if name == sources.STDIN else name for name in names)

        return dataclasses.replace(
            self, sources=there(self.sources), valid=there(self.valid), test=there(self.test)
        )


def recipe_from_json(data: Mapping[str, Any]) -> Recipe:
    """A recipe as run.json records it; TypeError or ValueError when a field is none of ours."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(Recipe):
        if item.name in data:
            value = data[item.name]
            if not _fits(item.name, value):
                raise ValueError(f"{item.name} is {value!r}")
            values[item.name] = tuple(value) if isinstance(value, list) else value
    return Recipe(**values)


def _fits(name: str, value: Any) -> bool:
    """Whether a parsed value is of the kind that a field holds."""
    if name in ("sources", "valid", "test"):
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if name == "vocab_size":
        return value is None or type(value) is int
    if name in ("valid_fraction", "test_fraction"):
        return type(value) in (int, float) and 0 <= value <= 1
    return type(value) is type(Recipe.__dataclass_fields__[name].default)
