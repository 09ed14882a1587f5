"""A safetensors file with a seal over all of it: written, and read without trusting a byte.

It knows names, shapes and hashes; what they mean is the caller's `check`, which is handed the
metadata and answers with the exact tensors that the file has to hold.
"""

import contextlib
import hashlib
import json
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn import strict_json
from charrnn.errors import CheckpointError, UsageError

Arrays = dict[str, NDArray[np.float32]]
Check = Callable[[dict[str, Any]], dict[str, tuple[int, ...]]]

KEY = "charrnn"
SEAL = re.compile(r"[0-9a-f]{64}")
BLANK = "0" * 64
HEADER_LIMIT = 32 << 20
NESTING_LIMIT = 200_000
BLOCK = 1 << 20

FOREIGN = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}
FOREIGN_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True)
class SealedFile:
    """Parsed metadata, the place of every tensor, and the arrays that were asked for."""

    metadata: dict[str, Any]
    places: dict[str, tuple[tuple[int, ...], int, int]]
    arrays: Arrays


def serialize(metadata: dict[str, Any], tensors: Arrays) -> list[bytes | memoryview]:
    """The parts of a sealed file, in order; equal contents give equal bytes."""
    from safetensors.numpy import save

    text = json.dumps(
        metadata | {"seal": BLANK}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    blank = save({name: np.ascontiguousarray(a) for name, a in tensors.items()}, {KEY: text})
    size = 8 + struct.unpack_from("<Q", blank)[0]
    head, data = blank[:size], memoryview(blank)[size:]
    check_size(size - 8, _brackets(head))
    # The seal's field is the only run of 64 zeros between escaped quotes in the header.
    seal = hashlib.sha256(blank).hexdigest()
    return [head.replace(_field(BLANK), _field(seal), 1), data]


def check_size(size: int, brackets: int) -> None:
    """UsageError when a header of so many bytes and brackets would be refused by `read`."""
    if size > HEADER_LIMIT or brackets > NESTING_LIMIT:
        raise UsageError(
            f"a vocabulary that takes {size:,} bytes is too large for a checkpoint",
            "give a smaller --vocab-size, or a larger --min-count",
        )


def read(path: Path, wanted: tuple[str, ...], check: Check) -> SealedFile:
    """Read a whole file, keeping the tensors whose names begin with one of `wanted`.

    CheckpointError, naming the file, for anything that is not exactly what `serialize` writes.
    """
    with naming(path), _open(path) as file:
        return _read(file, wanted, check)


def read_header(path: Path, check: Check) -> SealedFile:
    """The metadata and the places of the tensors, checked except for the seal."""
    with naming(path), _open(path) as file:
        metadata, places, _ = _read_header(file, check)
        return SealedFile(metadata, places, {})


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file is said with its name."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"cannot use {path}: {error.problem}", error.remedy) from None
    except OSError as error:
        detail = error.strerror or str(error)
        raise CheckpointError(
            f"cannot use {path}: {detail}",
            "use another: charrnn checkpoints verify finds a whole one",
        ) from None


def _open(path: Path) -> BinaryIO:
    """Open a regular file; a link, pipe or device could hang the reader or feed it for ever."""
    if path.suffix.lower() in FOREIGN:
        raise _pickled()
    if path.is_symlink():
        raise CheckpointError("it is a link", "name the file that it points to")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError("it is not a regular file", "name a checkpoint file")
    return os.fdopen(descriptor, "rb")


def _read_header(
    file: BinaryIO, check: Check
) -> tuple[dict[str, Any], dict[str, tuple[tuple[int, ...], int, int]], bytes]:
    """Metadata without its seal, places, and the header's bytes with the seal blanked."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8) or b""  # nothing where there is nothing to read yet
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= min(HEADER_LIMIT, size - 8):
        # Only now: a length of 640 bytes begins like a pickle, but no pickle reads as a length.
        if start.startswith(FOREIGN_MAGIC):
            raise _pickled()
        raise _broken("it is cut short or not a checkpoint")
    raw = file.read(length) or b""
    if _brackets(raw) > NESTING_LIMIT:
        raise _broken("its header is nested beyond reason")
    table = _strict_json(raw)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {KEY}:
        raise CheckpointError("it was not written by charrnn", "name a checkpoint of a run")
    facts = _strict_json(str(metadata[KEY]).encode("utf-8", "surrogatepass"))
    seal = facts.pop("seal", None)
    if not isinstance(seal, str) or not SEAL.fullmatch(seal) or raw.count(_field(seal)) != 1:
        raise _broken("its seal is missing")
    places = _places(table, check(facts), size - 8 - length)
    return facts | {"seal": seal}, places, start + raw.replace(_field(seal), _field(BLANK))


def _read(file: BinaryIO, wanted: tuple[str, ...], check: Check) -> SealedFile:
    metadata, places, header = _read_header(file, check)
    total = hashlib.sha256(header)
    kept = {name: place for name, place in places.items() if name.startswith(wanted)}
    buffer = bytearray(max((end for _, _, end in kept.values()), default=0))
    if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
        raise _broken("it is cut short")
    total.update(buffer)
    while block := file.read(BLOCK):
        total.update(block)
    if total.hexdigest() != metadata.pop("seal"):
        raise _broken("its seal does not match: the file has been damaged or changed")
    arrays = {
        name: np.frombuffer(buffer, "<f4", (end - begin) // 4, begin).reshape(shape)
        for name, (shape, begin, end) in kept.items()
    }
    odd = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if odd:
        raise _broken(f"its tensor {odd} holds values that are not finite numbers")
    return SealedFile(metadata, places, arrays)


def _places(
    table: dict[str, Any], shapes: dict[str, tuple[int, ...]], size: int
) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """Where each expected tensor lies; together they fill the data exactly, without overlap."""
    if set(table) != set(shapes):
        odd = sorted(set(table) ^ set(shapes))[0]
        raise _broken(f"its tensors do not match its configuration, see {odd!r}")
    places = {}
    for name, shape in shapes.items():
        entry = table[name]
        count = int(np.prod([int(n) for n in shape], dtype=object))
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise _broken(f"its tensor {name!r} is not described")
        offsets = entry["data_offsets"]
        if (
            entry["dtype"] != "F32"
            or not (_counts(entry["shape"], len(shape)) and _counts(offsets, 2))
            or entry["shape"] != list(shape)
        ):
            raise _broken(f"its tensor {name!r} has the wrong type, shape or place")
        if offsets[1] - offsets[0] != 4 * count:
            raise _broken(f"its tensor {name!r} has the wrong number of bytes")
        places[name] = (shape, offsets[0], offsets[1])
    end = 0
    for _, begin, after in sorted(places.values(), key=lambda place: place[1]):
        if begin != end:
            raise _broken("its tensors overlap or leave gaps")
        end = after
    if end != size:
        raise _broken(f"it holds {size:,} bytes of data where its header calls for {end:,}")
    return places


def _counts(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(type(n) is int for n in value)


def _brackets(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _strict_json(raw: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(raw)
    except ValueError:
        raise _broken("its header is not strict JSON") from None
    if not isinstance(value, dict):
        raise _broken("its header is not a JSON object")
    return value


def _field(seal: str) -> bytes:
    """The seal as it stands in the header, where the metadata's quotes are escaped."""
    return f'\\"seal\\":\\"{seal}\\"'.encode()


def _pickled() -> CheckpointError:
    return CheckpointError(
        "it looks like a pickle or archive, which can run any code when opened",
        "charrnn opens only the safetensors files that it wrote",
    )


def _broken(detail: str) -> CheckpointError:
    return CheckpointError(detail, "use another: charrnn checkpoints verify finds a whole one")
