"""What to make of which text. It knows names of files and shares, and opens no file."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn import sources
from charrnn.errors import UsageError


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
    """A recipe as run.json records it."""
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    names = {item.name for item in dataclasses.fields(Recipe)}
    return Recipe(**{key: value for key, value in (dict(data) | lists).items() if key in names})
