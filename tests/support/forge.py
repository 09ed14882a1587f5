"""Forged checkpoint files: taken apart, changed, and put together again under a valid seal."""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLANK = "0" * 64


@dataclass
class Draft:
    """The parts of a sealed file, to be changed at will: tensor entries, metadata, data."""

    table: dict[str, Any]
    facts: dict[str, Any]
    data: bytes

    def inner(self) -> str:
        """The metadata as JSON, with a blank seal."""
        return json.dumps(self.info | {"seal": BLANK}, sort_keys=True, separators=(",", ":"))

    def header(self) -> str:
        """The header as JSON, with a blank seal."""
        return json.dumps(
            {"__metadata__": {"charrnn": self.inner()}, **self.table}, separators=(",", ":")
        )

    def sealed(self) -> bytes:
        """The whole file."""
        return seal(self.header(), self.data)


def draft(path: Path) -> Draft:
    """A file taken apart."""
    raw = path.read_bytes()
    length = struct.unpack_from("<Q", raw)[0]
    table = json.loads(raw[8 : 8 + length])
    facts = json.loads(table.pop("__metadata__")["charrnn"])
    del facts["seal"]
    return Draft(table, facts, raw[8 + length :])


def seal(header: str | bytes, data: bytes) -> bytes:
    """A file of this header, which holds a blank seal, and this data, sealed as `sealed` does."""
    raw = header if isinstance(header, bytes) else header.encode("utf-8", "surrogatepass")
    blank = struct.pack("<Q", len(raw)) + raw + data
    digest = hashlib.sha256(blank).hexdigest()
    return blank.replace(field(BLANK), field(digest), 1)


def field(digest: str) -> bytes:
    """The seal as it stands in a header."""
    return f'\\"seal\\":\\"{digest}\\"'.encode()
