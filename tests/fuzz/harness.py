"""What every fuzz target shares: what counts as a fault, sealed inputs, and simple damages.

A fault is an exception that is no CharRNNError, an input that computes for above SECONDS, or one
for which memory grows by more than twice its size and ALLOWANCE.
"""

import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from charrnn.errors import CharRNNError
from tests.support import forge

Read = Callable[[bytes], None]

SECONDS = 5.0
"""Of the processor, so that a busy machine raises no alarm; what waits is for libFuzzer's clock."""

ALLOWANCE = 64 << 20
"""Bytes that reading may take besides twice the size of what is read."""

TOKENS = (
    "null", "true", "false", "NaN", "Infinity", "-1", "0", "1e308", "1e999", "9" * 19, "9" * 30,
    "[]", "{}", '""', "[[", "]]", '\\"', "\\u0000", "\\ud800", "\\uffff", "F64", "4294967296",
)  # fmt: skip
"""What a reader of JSON might stumble over: the fuzzer's dictionary."""

_FOLDER = tempfile.TemporaryDirectory(prefix="charrnn-fuzz-")

FOLDER = Path(_FOLDER.name)
"""Where targets put the file to be read; it goes when the process ends."""


class Fault(Exception):  # noqa: N818 - an input that took too long or too much memory is no error
    """An input that took too long or too much memory, or whose error says too little."""


def check(read: Read, data: bytes) -> None:
    """Read one input; whatever is a fault is raised."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    began = time.process_time()
    try:
        read(data)
    except CharRNNError as error:
        if not error.problem or not error.remedy:
            raise Fault(f"a poor message: {error!r}") from None
    seconds = time.process_time() - began
    if seconds > SECONDS:
        raise Fault(f"{len(data):,} bytes took {seconds:.1f} s")
    taken = _memory("VmHWM") - before
    if taken > 2 * len(data) + ALLOWANCE:
        raise Fault(f"{len(data):,} bytes took {taken / 2**20:.0f} MiB of memory")


def _memory(name: str) -> int:
    """A figure of this process in bytes: VmRSS is what it has now, VmHWM the most it had."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def unsealed(raw: bytes) -> bytes:
    """A sealed file as fuzz input: tensor table, metadata, data, where a change needs no seal."""
    path = FOLDER / "unsealed"
    path.write_bytes(raw)
    draft = forge.draft(path)
    lines = (json.dumps(part, separators=(",", ":")) for part in (draft.table, draft.info))
    return "\n".join(lines).encode() + b"\n" + draft.data


def resealed(data: bytes) -> bytes:
    """The file that an input stands for: put together under a valid seal, or taken as it is."""
    parts = data.split(b"\n", 2)
    if not data.startswith(b"{") or len(parts) < 3:
        return data
    table, facts = (part.decode("utf-8", "replace") for part in parts[:2])
    inner = facts.removesuffix("}") + f',"seal":"{forge.BLANK}"}}'
    header = f'{{"__metadata__":{{"charrnn":{json.dumps(inner)}}},{table[1:]}'
    return forge.seal(header, parts[2])


def spelled(token: str) -> str:
    """A token as libFuzzer's dictionaries quote it."""
    return token.replace("\\", "\\\\").replace('"', '\\"')


def mutants(seed: bytes, count: int) -> Iterable[bytes]:
    """Simple damages of a seed, the same each time, for where no fuzzer is at hand."""
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
