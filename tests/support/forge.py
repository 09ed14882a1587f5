"""Forged checkpoint files: taken apart, changed, and put together again with a valid checksum.

The checksum's key in the metadata is "seal".
"""

import contextlib
import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from charrnn.checkpoints import header
from charrnn.checkpoints.header import LANGUAGE

BLANK = "0" * 64

OTHER_TASK = "other"
"""A task whose checkpoints are those of language models, in format 2."""


@dataclass
class Draft:
    """The parts of a file, free to be changed: table of tensors, metadata (`info`), data."""

    table: dict[str, Any]
    info: dict[str, Any]
    data: bytes

    def inner(self) -> str:
        """The metadata as JSON, with a blank checksum."""
        return json.dumps(self.info | {"seal": BLANK}, sort_keys=True, separators=(",", ":"))

    def header(self) -> str:
        """The header as JSON, with a blank checksum."""
        return json.dumps(
            {"__metadata__": {"charrnn": self.inner()}, **self.table}, separators=(",", ":")
        )

    def sealed(self) -> bytes:
        """The complete file, with a valid checksum."""
        return seal(self.header(), self.data)


def draft(path: Path) -> Draft:
    """A file taken apart."""
    raw = path.read_bytes()
    length = struct.unpack_from("<Q", raw)[0]
    table = json.loads(raw[8 : 8 + length])
    info = json.loads(table.pop("__metadata__")["charrnn"])
    del info["seal"]
    return Draft(table, info, raw[8 + length :])


def as_format_2(language_model: Draft) -> Draft:
    """A checkpoint of format 1 -> the same weights as a checkpoint of OTHER_TASK, in format 2."""
    old = language_model.info
    info = dict(old["facts"])
    value, rollbacks = info.pop("valid_nats_per_char"), info.pop("setbacks")
    score = None if value is None else {"metric": "nats_per_char", "value": value}
    metadata = {
        "format": 2,
        "task": OTHER_TASK,
        "model": old["model"],
        "encoder": old["tokenizer"],
        "info": info | {"valid": score, "rollbacks": rollbacks},
        "training": old["training"],
    }
    return Draft(language_model.table, metadata, language_model.data)


def other_task() -> contextlib.AbstractContextManager[Any]:
    """While this lasts, the program knows OTHER_TASK."""
    return mock.patch.dict(header.SCHEMAS, {OTHER_TASK: header.SCHEMAS[LANGUAGE]})


def seal(text: str | bytes, data: bytes) -> bytes:
    """A header with a blank checksum, and data -> a file with a valid checksum."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    blank = struct.pack("<Q", len(raw)) + raw + data
    digest = hashlib.sha256(blank).hexdigest()
    return blank.replace(field(BLANK), field(digest), 1)


def field(digest: str) -> bytes:
    """The checksum as it is written in a header."""
    return f'\\"seal\\":\\"{digest}\\"'.encode()
