"""DataConfig: which files a run reads, how it tokenizes and splits them."""

import codecs
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.data import sources
from charrnn.data.reading import CHAT, DOCUMENTS, TUNE, Reading
from charrnn.errors import UsageError

ADDED = (
    "errors",
    "newlines",
    "documents",
    "folders",
    "files",
    "chat",
    "tunes",
    "as_name",
    "conditions",
    "mix",
)
"""Fields that run.json of earlier versions does not have."""

AUTO = "auto"
"""Documents of a new run: tunes or conversations where the files plainly are such, else none."""

CHOICES = {
    "errors": ("strict", "replace", "skip"),
    "newlines": ("", "convert", "keep"),
    "documents": ("", *DOCUMENTS, AUTO),
    "folders": ("names", "text"),
    "mix": ("none", "ngram"),
}
"""The values of fields that have a few."""

UNUSABLE_ENCODINGS = ("idna", "punycode")
"""Encodings of host names, which cannot be decoded block by block."""


@dataclass(frozen=True)
class DataConfig:
    """Which files to read and how; together with their contents it determines every array.

    sources, valid, test: files, folders, globs or "-" for standard input. errors, newlines and
    documents are those of `Reading`. folders: "names" as earlier versions read them, "text" in
    natural order and without what is no text in the encoding. files: what folders and globs stood
    for when the run began, by part. chat, tunes: ask for documents "chat" and "tune", or not for
    them; None leaves it to the text. as_name: who answers in a chat, "" for who usually does.
    conditions: whether each document has a label, as in `data.conditions`. mix: "ngram" keeps
    pieces of the training part apart, for the weights of n-gram models. UsageError if the values
    contradict each other.

    The defaults are what runs of earlier versions did; `for_new_run` gives what new runs do.

    >>> DataConfig(("corpus.txt",), valid_fraction=0.05).tokenizer
    'char'
    """

    sources: tuple[str, ...]
    tokenizer: str = "char"
    vocab_size: int | None = None
    min_count: int | None = None
    split_words: str = "punctuation"
    lines: bool = False
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    valid_fraction: float = 0.1
    test_fraction: float = 0.0
    encoding: str = "utf-8"
    errors: str = "strict"
    newlines: str = ""
    documents: str = ""
    folders: str = "names"
    files: tuple[tuple[str, tuple[str, ...]], ...] = ()
    chat: bool | None = None
    tunes: bool | None = None
    as_name: str = ""
    conditions: bool = False
    mix: str = "none"

    def __post_init__(self) -> None:
        if self.valid_fraction + self.test_fraction > 0.9:
            raise UsageError(
                "the validation and test fractions leave less than a tenth of the text to train on",
                "make --valid-fraction or --test-fraction smaller",
            )
        try:
            # Unlike `codecs.lookup`, this refuses codecs that are not of text, such as base64.
            "".encode(self.encoding)
            # By the codec's own name, because an encoding may be given by an alias.
            if codecs.lookup(self.encoding).name in UNUSABLE_ENCODINGS:
                raise LookupError
        except (LookupError, ValueError):
            raise UsageError(
                f"there is no encoding {self.encoding!r}", "give one like utf-8, utf-16 or latin-1"
            ) from None
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise UsageError(
                    f"--{name} is {value!r}", f"choose one of {', '.join(filter(None, known))}"
                )
        if self.lines and self.documents not in ("", "line"):
            raise UsageError(
                f"--lines and --documents {self.documents} contradict each other", "give one"
            )
        self._refuse_contradictions()
        if (*self.sources, *self.valid, *self.test).count(sources.STDIN) > 1:
            raise UsageError("standard input can be read only once", "save it to a file first")

    def _refuse_contradictions(self) -> None:
        """UsageError where what is asked of a chat or of tunes cannot be together."""
        for name, asked, kind in (("chat", self.chat, CHAT), ("tunes", self.tunes, TUNE)):
            if asked and (self.lines or self.documents not in ("", kind)):
                other = "--lines" if self.lines else f"--documents {self.documents}"
                raise UsageError(f"--{name} and {other} contradict each other", "give one")
            if self.conditions and (asked or self.documents == kind):
                raise UsageError(f"--conditions and --{name} contradict each other", "give one")
        if self.chat is False and (self.documents == CHAT or self.as_name):
            other = "--as" if self.as_name else "--documents chat"
            raise UsageError(f"--no-chat and {other} contradict each other", "give one")
        if self.tunes is False and self.documents == TUNE:
            raise UsageError("--no-tunes and --documents tune contradict each other", "give one")
        if self.chat and self.tunes:
            raise UsageError("--chat and --tunes contradict each other", "give one")
        if self.newlines == "keep" and (self.tunes or self.documents == TUNE):
            raise UsageError("--newlines keep has no effect on tunes", "leave it out")

    def for_new_run(self) -> "DataConfig":
        """The same request, carried out as today and not as by earlier versions.

        What a run must repeat when it is resumed is a field, so an improvement is a new value of
        one, and the default stays what old runs did.
        """
        documents = self.documents or ("line" if self.lines else "")
        if self.conditions and not documents:
            # Each folder of a folder is a label; a file has one in each line.
            documents = "file" if all(map(os.path.isdir, self.sources)) else "line"
        # Only texts may be chats; the data of other tasks has a class of its own.
        if not documents and type(self) is DataConfig:
            documents = CHAT if self.chat else TUNE if self.tunes else AUTO
            if self.chat is False and self.tunes is False:
                documents = ""
        return dataclasses.replace(
            self,
            documents=documents,
            # What they forbid is asked where the files are looked at.
            chat=self.chat if documents == AUTO else None,
            tunes=self.tunes if documents == AUTO else None,
            lines=documents == "line",
            newlines=self.newlines or "convert",
            folders="text",
        )

    @property
    def reading(self) -> Reading:
        """How the files become text."""
        exact = self.tokenizer == "byte"
        return Reading(self.encoding, self.errors, self.newlines, self.documents, exact)

    @property
    def binary(self) -> bool:
        """Whether files of a folder that contain NUL bytes are read too."""
        # In utf-16 and the like, ASCII characters contain NUL: every text would look binary.
        return self.tokenizer == "byte" or b"\0" in "a".encode(self.encoding)

    def with_saved_stdin(self, folder: Path) -> "DataConfig":
        """The same config, reading the copy of standard input that is saved in `folder`."""

        def replaced(names: tuple[str, ...]) -> tuple[str, ...]:
            file = str(folder / sources.STDIN_FILE)
            return tuple(file if name == sources.STDIN else name for name in names)

        return dataclasses.replace(
            self,
            sources=replaced(self.sources),
            valid=replaced(self.valid),
            test=replaced(self.test),
        )

    def to_json(self) -> dict[str, Any]:
        """The entry `recipe` of run.json: every field under its own name."""
        added = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            # Absent at the default, as in runs of earlier versions.
            if item.name in ADDED and getattr(self, item.name) != item.default
        }
        return added | {
            "sources": self.sources,
            "tokenizer": self.tokenizer,
            "vocab_size": self.vocab_size,
            "min_count": self.min_count,
            "split_words": self.split_words,
            "lines": self.lines,
            "valid": self.valid,
            "test": self.test,
            "valid_fraction": self.valid_fraction,
            "test_fraction": self.test_fraction,
            "encoding": self.encoding,
        }

    @classmethod
    def is_valid(cls, name: str, value: Any) -> bool:
        """Whether a parsed value has the type of a field; a task's own fields are checked there."""
        return _is_valid(name, value)


def data_config_from_json(
    data: Mapping[str, Any], kind: type[DataConfig] = DataConfig
) -> DataConfig:
    """The inverse of `to_json` of a kind of DataConfig. ValueError or TypeError if not valid."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if item.name in data:
            value = data[item.name]
            if not kind.is_valid(item.name, value):
                raise ValueError(f"{item.name} is {value!r}")
            # JSON has no tuples; with lists, this config would not equal the one that was written.
            values[item.name] = _tuples(value)
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _is_valid(name: str, value: Any) -> bool:
    """Whether a parsed value has the type of a field."""
    if name in ("sources", "valid", "test"):
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if name in ("chat", "tunes"):
        return value is None or type(value) is bool
    if name == "files":
        return isinstance(value, list) and all(
            isinstance(entry, list)
            and len(entry) == 2
            and isinstance(entry[0], str)
            and isinstance(entry[1], list)
            and all(isinstance(text, str) for text in entry[1])
            for entry in value
        )
    if name in ("vocab_size", "min_count"):
        return value is None or type(value) is int
    if name in ("valid_fraction", "test_fraction"):
        return type(value) in (int, float) and 0 <= value <= 1
    # The exact type: True is an instance of int, and would pass for a min_count of 1.
    return type(value) is type(DataConfig.__dataclass_fields__[name].default)
