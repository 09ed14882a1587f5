"""What all fuzz targets share: the definition of a fault, files as inputs, simple mutations.

A fault is an exception other than CharRNNError, an input that takes more than SECONDS of CPU time,
or one for which memory grows by more than twice its size plus ALLOWANCE.
"""

import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from charrnn.errors import CharRNNError
from tests.support import forge

Read = Callable[[bytes], None]

SECONDS = 5.0
"""CPU time, so that a busy machine causes no false alarm; libFuzzer's clock detects waiting."""

ALLOWANCE = 64 << 20
"""Bytes that reading may take in addition to twice the size of what is read."""

TOKENS = (
    "null", "true", "false", "NaN", "Infinity", "-1", "0", "1e308", "1e999", "9" * 19, "9" * 30,
    "[]", "{}", '""', "[[", "]]", '\\"', "\\u0000", "\\ud800", "\\uffff", "F64", "4294967296",
)  # fmt: skip
"""What a JSON parser might fail on: the fuzzer's dictionary."""

_FOLDER = tempfile.TemporaryDirectory(prefix="charrnn-fuzz-")

FOLDER = Path(_FOLDER.name)
"""Where targets put the file to be read; removed when the process ends."""


class Fault(Exception):  # noqa: N818 - a finding of the fuzzer, not an error of the program
    """An input that took too long or too much memory, or whose error message is incomplete."""


class FromJson(Protocol):
    """What is recorded as a JSON object and read from it."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """A parsed object -> the same again; CharRNNError if it is none of these."""

    def to_json(self) -> dict[str, Any]:
        """The inverse."""


Recorded = TypeVar("Recorded", bound=FromJson)


def from_json(raw: bytes, kind: type[Recorded]) -> Recorded | None:
    """Bytes -> the object that their JSON records, which is recorded equally; None if not JSON."""
    try:
        found: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    made = kind.from_json(found)
    again = kind.from_json(json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()
    return made


def check(read: Read, data: bytes) -> None:
    """Read one input; raise its fault, if it has one."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    began = time.process_time()
    try:
        read(data)
    except CharRNNError as error:
        if not error.problem or not error.remedy:
            raise Fault(f"an incomplete message: {error!r}") from None
    seconds = time.process_time() - began
    if seconds > SECONDS:
        raise Fault(f"{len(data):,} bytes took {seconds:.1f} s")
    taken = _memory("VmHWM") - before
    if taken > 2 * len(data) + ALLOWANCE:
        raise Fault(f"{len(data):,} bytes took {taken / 2**20:.0f} MiB of memory")


def _memory(name: str) -> int:
    """The memory of this process in bytes: VmRSS is the current value, VmHWM the maximum."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def to_input(raw: bytes) -> bytes:
    """A file as fuzz input: table of tensors, metadata, data, without the checksum."""
    path = FOLDER / "input"
    path.write_bytes(raw)
    draft = forge.draft(path)
    lines = (json.dumps(part, separators=(",", ":")) for part in (draft.table, draft.info))
    return "\n".join(lines).encode() + b"\n" + draft.data


def to_file(data: bytes) -> bytes:
    """A fuzz input -> its file with a valid checksum, or the input itself if it is not one."""
    parts = data.split(b"\n", 2)
    if not data.startswith(b"{") or len(parts) < 3:
        return data
    table, metadata = (part.decode("utf-8", "replace") for part in parts[:2])
    inner = metadata.removesuffix("}") + f',"seal":"{forge.BLANK}"}}'
    header = f'{{"__metadata__":{{"charrnn":{json.dumps(inner)}}},{table[1:]}'
    return forge.seal(header, parts[2])


def quoted(token: str) -> str:
    """A token as it is quoted in a libFuzzer dictionary."""
    return token.replace("\\", "\\\\").replace('"', '\\"')


def mutants(seed: bytes, count: int) -> Iterable[bytes]:
    """Simple mutations of a seed, the same each time, where no fuzzer is installed."""
    draw = random.Random(0)
    for _ in range(count):
        data = bytearray(seed)
        for _ in range(draw.choice((1, 1, 2, 8))):
            place = draw.randrange(len(data) + 1)
            kind = draw.randrange(4)
            if kind == 0:
                del data[place : place + draw.choice((1, 4, 1000))]
            elif kind == 1:
                data[place:place] = draw.choice(TOKENS).encode()
            elif kind == 2:
                data[place:place] = data[place : place + draw.choice((1, 16, 300))]
            elif place < len(data):
                data[place] ^= 1 << draw.randrange(8)
        yield bytes(data)
