"""Group B, damage: truncation, flipped bits, malformed files, each refused for the right reason."""

import json
import random
import re
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.header import FORMAT
from charrnn.errors import CharRNNError, CheckpointError
from tests.checkpoints import test_checkpoint
from tests.checkpoints.test_checkpoint import drop, put
from tests.support import containers, forge
from tests.support.malformed import MALFORMED
from tests.support.tiny import smallest_checkpoint
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

READERS = (checkpoint.load, checkpoint.read_info)


def original(folder: Path) -> Path:
    """A small checkpoint with training state and validation score."""
    path = folder / "model.safetensors"
    checkpoint.save(smallest_checkpoint(valid=1.5), path)
    return path


def truncated(trials: int, seed: int, folder: Path) -> Outcomes:
    """B1: every length below the full one."""
    path = original(folder)
    raw = path.read_bytes()
    for length in some(range(len(raw)), trials, seed):
        path.write_bytes(raw[:length])
        accepted = [reader.__name__ for reader in READERS if not refused(reader, path)]
        yield verdict(f"truncated to {length} bytes it passes {accepted}" if accepted else "")


def refused(reader: Callable[[Path], object], path: Path) -> bool:
    """Whether a reader refuses a file."""
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
        yield verdict("" if good else f"with bits {bits} flipped it is accepted")


def many_tensors(draft: forge.Draft) -> bytes:
    """A table of 100,000 tensors."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    draft.table |= {f"model.{n}": entry for n in range(100_000)}
    return draft.sealed()


def spaces(size: int) -> Callable[[forge.Draft], bytes]:
    """A header padded with spaces."""
    return lambda draft: forge.seal(draft.header() + " " * size, draft.data)


def long_text(draft: forge.Draft) -> bytes:
    """A field of the metadata of 20 MB."""
    draft.info["facts"]["versions"]["torch"] = "x" * 20_000_000
    draft.info["format"] = FORMAT + 1
    return draft.sealed()


LARGE: dict[str, tuple[Callable[[forge.Draft], bytes], str]] = {
    "100,000 tensors": (many_tensors, "nested too deep|do not match its configuration"),
    "a header of 33 MB": (spaces(33 << 20), "truncated or not a checkpoint"),
    "31 MB of brackets": (
        lambda draft: forge.seal(draft.header() + "[" * (31 << 20), draft.data),
        "nested too deep",
    ),
    "a version of 20 MB": (long_text, f"its format number is {FORMAT + 1} "),
    "a number of 20 MB": (
        lambda draft: forge.seal(draft.header().replace('"F32"', "9" * 20_000_000, 1), draft.data),
        "not strict JSON",
    ),
    "a million keys": (
        lambda draft: forge.seal(json.dumps({str(n): 0 for n in range(10**6)}), draft.data),
        "not written by charrnn",
    ),
}

Change = Callable[[forge.Draft], None]


def rename(old: str, new: str) -> Change:
    """Rename a field of the metadata."""

    def change(draft: forge.Draft) -> None:
        draft.info[new] = draft.info.pop(old)

    return change


def in_format_2(change: Change, draft: forge.Draft) -> bytes:
    """A checkpoint of format 1 -> a changed checkpoint of format 2."""
    converted = forge.as_format_2(draft)
    change(converted)
    return converted.sealed()


FIELDS, TYPES = "metadata does not have the expected fields", "its info has the wrong types"

FORMAT_2: dict[str, tuple[Change, str]] = {
    "the next format": (
        put("format", value=FORMAT + 1),
        f"its format number is {FORMAT + 1} and this program reads up to {FORMAT}; use the version",
    ),
    "the fields of format 2 in format 1": (put("format", value=1), FIELDS),
    "an unknown task": (
        put("task", value="chess"),
        f"its task is 'chess' and this program knows language, .*{forge.OTHER_TASK}.*; use the ver",
    ),
    "an empty task": (put("task", value=""), "its task is ''"),
    "a task that is a path": (put("task", value="os:system"), "its task is 'os:system'"),
    "a task that is null": (put("task", value=None), "its task is None"),
    "a task that is a number": (put("task", value=1), "its task is 1 "),
    "a task that is a list": (put("task", value=["language"]), r"its task is \['language'\]"),
    "a task that is an object": (put("task", value={}), r"its task is \{\}"),
    "the task 'language'": (
        put("task", value="language"),
        "its format number is not that of a language model",
    ),
    "no task": (drop("task"), FIELDS),
    "no encoder": (drop("encoder"), FIELDS),
    "an encoder that is null": (put("encoder", value=None), FIELDS),
    "an encoder that is a list": (put("encoder", value=[]), FIELDS),
    "a tokenizer instead of an encoder": (rename("encoder", "tokenizer"), FIELDS),
    "a tokenizer in addition to the encoder": (put("tokenizer", value={}), FIELDS),
    "an empty encoder": (put("encoder", value={}), "tokenizer is damaged: its kind is None"),
    "an encoder of another size": (
        put("encoder", value={"name": "byte", "unsampled": []}),
        "its tokenizer has 256 ids and its model ",
    ),
    "no model": (drop("model"), FIELDS),
    "no training key": (drop("training"), FIELDS),
    "no info": (drop("info"), FIELDS),
    "facts instead of info": (rename("info", "facts"), FIELDS),
    "facts in addition to info": (put("facts", value={}), FIELDS),
    "info that is null": (put("info", value=None), FIELDS),
    "info that is a string": (put("info", value="step 3"), FIELDS),
    "empty info": (put("info", value={}), TYPES),
    "info without step": (drop("info", "step"), TYPES),
    "info without rollbacks": (drop("info", "rollbacks"), TYPES),
    "info with setbacks": (put("info", "setbacks", value=0), TYPES),
    "step 0.5": (put("info", "step", value=0.5), TYPES),
    "step -1": (put("info", "step", value=-1), TYPES),
    "step true": (put("info", "step", value=True), TYPES),
    "step too large": (put("info", "step", value=10**9 + 1), TYPES),
    "epoch that is a string": (put("info", "epoch", value="1"), TYPES),
    "epoch true": (put("info", "epoch", value=True), TYPES),
    "corpus that is a list": (put("info", "corpus", value=[]), TYPES),
    "lines 1": (put("info", "lines", value=1), TYPES),
    "versions that are numbers": (put("info", "versions", value={"torch": 2}), TYPES),
    "rollbacks that are a string": (put("info", "rollbacks", value="0"), TYPES),
    "rollbacks true": (put("info", "rollbacks", value=True), TYPES),
    "valid that is a number": (put("info", "valid", value=1.5), TYPES),
    "valid that is empty": (put("info", "valid", value={}), TYPES),
    "valid false": (put("info", "valid", value=False), TYPES),
    "valid without a metric": (drop("info", "valid", "metric"), TYPES),
    "valid without a value": (drop("info", "valid", "value"), TYPES),
    "valid with more": (put("info", "valid", "unit", value="nats"), TYPES),
    "a metric that is null": (put("info", "valid", "metric", value=None), TYPES),
    "a value that is null": (put("info", "valid", "value", value=None), TYPES),
    "a value that is a string": (put("info", "valid", "value", value="1.5"), TYPES),
    "a value true": (put("info", "valid", "value", value=True), TYPES),
    "hidden_size 3, unlike the tensors": (
        put("model", "hidden_size", value=3),
        "wrong type, shape",
    ),
    "hidden_size 0": (put("model", "hidden_size", value=0), "of the task other is wrong "),
    "training that is empty": (put("training", value={}), "its training state does not have the"),
}
"""Forged checkpoints of format 2: kind -> the change, and the reason for which it is refused."""

SECONDS = 2.0
"""Time within which each malformed file must be refused; most take a millisecond."""


def malformed(trials: int, seed: int, folder: Path) -> Outcomes:
    """B4: each kind of malformed file, refused with the message for its own cause."""
    small = containers.write(folder / "small", containers.METADATA, containers.TENSORS)
    good = original(folder)
    cases: list[tuple[str, Callable[[Path], object], Callable[[], bytes], str]] = [
        *((kind, containers.read, partial(forged, forger, small), reason)
          for kind, (forger, reason) in MALFORMED.items()),
        *((kind, resumed, partial(changed, change, good), reason)
          for kind, (change, reason) in test_checkpoint.MALFORMED.items()),
        *((kind, checkpoint.load, partial(forged, forger, good), reason)
          for kind, (forger, reason) in LARGE.items()),
        *((f"format 2: {kind}", resumed, partial(forged, partial(in_format_2, change), good),
           reason) for kind, (change, reason) in FORMAT_2.items()),
    ]  # fmt: skip
    path = folder / "malformed.safetensors"
    for kind, reader, make, reason in some(cases, trials, seed):
        path.write_bytes(make())
        began, problem = time.perf_counter(), "it was accepted"
        try:
            with forge.other_task():
                reader(path)
        except CharRNNError as error:
            problem = "" if re.search(reason, str(error)) else f"it has the wrong message: {error}"
        seconds = time.perf_counter() - began
        if seconds > SECONDS:
            problem = f"it took {seconds:.2f} s"
        yield Outcome(f"{kind}: {problem}") if problem else GOOD


def resumed(path: Path) -> object:
    """Load with the training state."""
    return checkpoint.load(path, training=True)


def forged(forger: Callable[[forge.Draft], bytes], path: Path) -> bytes:
    """A file -> a forged one."""
    return forger(forge.draft(path))


def changed(change: Callable[[forge.Draft], None], path: Path) -> bytes:
    """A file -> the same with a change and a valid checksum."""
    draft = forge.draft(path)
    change(draft)
    return draft.sealed()


ROWS = (
    Row("B1", "truncation",
        "in process: every length of a small checkpoint, two readers",
        "lengths", 300, 10**6, truncated),
    Row("B2", "flipped bits",
        "in process: every bit of the header, randomly drawn bits of the whole file, every tenth "
        "time two bits",
        "flips", 500, 150_000, flipped),
    Row("B4", "handcrafted malformed files",
        "in process: duplicate keys, shapes of 2^63, gaps, overlaps, 100,000 tensors, huge and "
        "deeply nested JSON, NaN, wrong fields; each refused with the message for its own cause, "
        "within 2 s",
        "kinds", 40, 10**6, malformed),
)  # fmt: skip
