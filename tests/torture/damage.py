"""Group B, damage: truncation, flipped bits, malformed files, each refused, for its own reason."""

import json
import random
import re
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.errors import CharRNNError, CheckpointError
from tests.support import forge, test_checkpoint, test_sealed
from tests.support.tiny import smallest_checkpoint
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

READERS = (checkpoint.load, checkpoint.read_info)


def original(folder: Path) -> Path:
    """A small checkpoint with everything in it."""
    path = folder / "model.safetensors"
    checkpoint.save(smallest_checkpoint(valid=1.5), path)
    return path


def truncated(trials: int, seed: int, folder: Path) -> Outcomes:
    """B1: every length but the whole."""
    path = original(folder)
    raw = path.read_bytes()
    for length in some(range(len(raw)), trials, seed):
        path.write_bytes(raw[:length])
        accepted = [reader.__name__ for reader in READERS if not refused(reader, path)]
        yield verdict(f"cut to {length} bytes it passes {accepted}" if accepted else "")


def refused(reader: Callable[[Path], object], path: Path) -> bool:
    """Whether a reader will have none of a file."""
    try:
        reader(path)
    except CheckpointError:
        return True
    return False


def flipped(trials: int, seed: int, folder: Path) -> Outcomes:
    """B2: every bit of the header and of the length first, then bits of the data, then pairs."""
    path, draw = original(folder), random.Random(seed)
    raw = path.read_bytes()
    header = 8 * (8 + struct.unpack_from("<Q", raw)[0])
    for number in range(trials):
        bits = [number] if trials > header and number < header else [draw.randrange(8 * len(raw))]
        if number % 10 == 9 and number >= header:
            bits.append(draw.randrange(8 * len(raw)))
        changed = bytearray(raw)
        for bit in bits:
            changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        good = bytes(changed) == raw or refused(checkpoint.load, path)
        yield verdict("" if good else f"with bits {bits} turned over it is accepted")


def many_tensors(draft: forge.Draft) -> bytes:
    """A table of 100,000 tensors."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    draft.table |= {f"model.{n}": entry for n in range(100_000)}
    return draft.sealed()


def spaces(size: int) -> Callable[[forge.Draft], bytes]:
    """A header padded by spaces."""
    return lambda draft: forge.seal(draft.header() + " " * size, draft.data)


def long_text(draft: forge.Draft) -> bytes:
    """A field of the metadata of 20 MB."""
    draft.info["facts"]["versions"]["torch"] = "x" * 20_000_000
    draft.info["format"] = 2
    return draft.sealed()


LARGE: dict[str, tuple[Callable[[forge.Draft], bytes], str]] = {
    "100,000 tensors": (many_tensors, "nested beyond reason|do not match its configuration"),
    "a header of 33 MB": (spaces(33 << 20), "cut short or not a checkpoint"),
    "31 MB of brackets": (
        lambda draft: forge.seal(draft.header() + "[" * (31 << 20), draft.data),
        "nested beyond reason",
    ),
    "a version of 20 MB": (long_text, "its format number is 2"),
    "a number of 20 MB": (
        lambda draft: forge.seal(draft.header().replace('"F32"', "9" * 20_000_000, 1), draft.data),
        "not strict JSON",
    ),
    "a million keys": (
        lambda draft: forge.seal(json.dumps({str(n): 0 for n in range(10**6)}), draft.data),
        "not written by charrnn",
    ),
}

SECONDS = 2.0
"""Within which each malformed file must be refused; most take a millisecond."""


def malformed(trials: int, seed: int, folder: Path) -> Outcomes:
    """B4: each kind of malformed file, refused with the words of its own reason."""
    small = test_sealed.write(folder / "small", test_sealed.METADATA, test_sealed.TENSORS)
    whole = original(folder)
    cases: list[tuple[str, Callable[[Path], object], Callable[[], bytes], str]] = [
        *((kind, test_sealed.read, partial(forged, forger, small), reason)
          for kind, (forger, reason) in test_sealed.MALFORMED.items()),
        *((kind, resumed, partial(changed, change, whole), reason)
          for kind, (change, reason) in test_checkpoint.MALFORMED.items()),
        *((kind, checkpoint.load, partial(forged, forger, whole), reason)
          for kind, (forger, reason) in LARGE.items()),
    ]  # fmt: skip
    path = folder / "malformed.safetensors"
    for kind, reader, make, reason in some(cases, trials, seed):
        path.write_bytes(make())
        began, told = time.perf_counter(), "it was accepted"
        try:
            reader(path)
        except CharRNNError as error:
            told = "" if re.search(reason, str(error)) else f"it was refused for another: {error}"
        seconds = time.perf_counter() - began
        if seconds > SECONDS:
            told = f"it took {seconds:.2f} s"
        yield Outcome(f"{kind}: {told}") if told else GOOD


def resumed(path: Path) -> object:
    """Load with everything that resuming needs."""
    return checkpoint.load(path, training=True)


def forged(forger: Callable[[forge.Draft], bytes], path: Path) -> bytes:
    """A file made of the parts of another."""
    return forger(forge.draft(path))


def changed(change: Callable[[forge.Draft], None], path: Path) -> bytes:
    """A file changed and sealed again."""
    draft = forge.draft(path)
    change(draft)
    return draft.sealed()


ROWS = (
    Row("B1", "truncation", "in process: every length of a small checkpoint, two readers",
        "lengths", 300, 10**6, truncated),
    Row("B2", "flipped bits",
        "in process: every bit of the header, bits of all the file drawn, every tenth time two",
        "flips", 500, 150_000, flipped),
    Row("B4", "handcrafted malformed files",
        "in process: duplicate keys, 2^63 shapes, holes, overlaps, 100,000 tensors, huge and deep "
        "JSON, NaN, wrong fields, each refused in the words of its own reason, within 2 s",
        "kinds", 40, 10**6, malformed),
)  # fmt: skip
