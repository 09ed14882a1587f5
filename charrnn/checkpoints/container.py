"""A safetensors file with a checksum over all of it, read without trusting a byte.

The metadata is strict JSON. What it means is up to the caller's `check`, which takes the metadata
and returns exactly the tensors that the file must contain.
"""

import contextlib
import hashlib
import json
import math
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

from charrnn.checkpoints.atomic import PLAIN, flags
from charrnn.errors import CheckpointError, UsageError

Arrays = dict[str, NDArray[np.float32]]
Check = Callable[[dict[str, Any]], dict[str, tuple[int, ...]]]
Places = dict[str, tuple[tuple[int, ...], int, int]]
"""Tensor name -> its shape, and where its bytes begin and end; a name with BYTES is of uint8."""

BYTES = "bytes."
"""The beginning of the names of tensors of bytes."""

KEY = "charrnn"
CHECKSUM = re.compile(r"[0-9a-f]{64}")
BLANK = "0" * 64
# A header is read whole before anything in it is verified, so its declared length needs a bound.
HEADER_LIMIT = 32 << 20
# Each pair of brackets can be two bytes of text, and becomes an object of 56 bytes or more.
NESTING_LIMIT = 200_000
BLOCK = 1 << 20

PICKLE_SUFFIXES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}
# These are pickles of protocols 2 to 5, and zip archives, which torch.save writes.
PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True)
class ContainerFile:
    """Parsed metadata, the place of every tensor, and the arrays that were asked for."""

    metadata: dict[str, Any]
    places: Places
    arrays: Arrays


def serialize(metadata: dict[str, Any], tensors: Arrays) -> list[bytes | memoryview]:
    """Metadata and tensors -> the parts of a file, in order; equal contents give equal bytes."""
    from safetensors.numpy import save

    # Keys are sorted, so that equal contents give equal bytes; `read` refuses NaN.
    text = json.dumps(
        metadata | {"seal": BLANK}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    # safetensors copies the memory of an array as it lies, whatever the strides are.
    blank = save({name: np.ascontiguousarray(a) for name, a in tensors.items()}, {KEY: text})
    size = 8 + struct.unpack_from("<Q", blank)[0]
    head, data = blank[:size], memoryview(blank)[size:]
    check_size(size - 8, _brackets(head))
    # The checksum's field is the only run of 64 zeros between escaped quotes in the header.
    checksum = hashlib.sha256(blank).hexdigest()
    return [head.replace(_field(BLANK), _field(checksum), 1), data]


def check_size(size: int, brackets: int) -> None:
    """UsageError if a header has more bytes or brackets than `read` accepts."""
    if size > HEADER_LIMIT or brackets > NESTING_LIMIT:
        raise UsageError(
            f"a vocabulary that takes {size:,} bytes is too large for a checkpoint",
            "give a smaller --vocab-size, or a larger --min-count",
        )


def read(path: Path, wanted: tuple[str, ...], check: Check) -> ContainerFile:
    """Read a whole file, keeping the tensors whose names begin with one of `wanted`.

    CheckpointError, with the file's name, for anything that `serialize` could not have written.
    """
    with naming(path), _open(path) as file:
        return _read(file, wanted, check)


def read_header(path: Path, check: Check) -> ContainerFile:
    """The metadata and the places of the tensors, validated except for the checksum."""
    with naming(path), _open(path) as file:
        metadata, places, _ = _read_header(file, check)
        return ContainerFile(metadata, places, {})


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to every error about it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"cannot use {path}: {error.problem}", error.remedy) from None
    except OSError as error:
        detail = error.strerror or str(error)
        raise CheckpointError(
            f"cannot use {path}: {detail}",
            "use another: charrnn checkpoints verify finds an intact one",
        ) from None


def _open(path: Path) -> BinaryIO:
    """Open a regular file; a link, pipe or device could hang the reader or never end."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise _pickled()
    # This gives a better message; O_NOFOLLOW also refuses a link that is made after this line.
    if path.is_symlink():
        raise CheckpointError("it is a link", "name the file that it points to")
    # Without O_NONBLOCK, opening a pipe would wait until another process writes to it.
    descriptor = os.open(path, os.O_RDONLY | flags("O_NOFOLLOW", "O_NONBLOCK", *PLAIN))
    # This asks about the open file, because its name may belong to another file by now.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError("it is not a regular file", "name a checkpoint file")
    return os.fdopen(descriptor, "rb")


def _read_header(file: BinaryIO, check: Check) -> tuple[dict[str, Any], Places, bytes]:
    """Metadata with its checksum, places, and the header's bytes with the checksum blanked."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8) or b""  # None if a non-blocking file has nothing to read yet
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= min(HEADER_LIMIT, size - 8):
        # Only now: a length of 640 bytes begins like a pickle, but no pickle reads as a length.
        if start.startswith(PICKLE_MAGIC):
            raise _pickled()
        raise broken("it is truncated or not a checkpoint")
    raw = file.read(length) or b""
    if _brackets(raw) > NESTING_LIMIT:
        raise broken("its header is nested too deep")
    table = _json_object(raw)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {KEY}:
        raise CheckpointError("it was not written by charrnn", "name a checkpoint of a run")
    # The text may hold a lone surrogate from an escape; passed on, it fails as wrong UTF-8.
    fields = _json_object(str(metadata[KEY]).encode("utf-8", "surrogatepass"))
    checksum = fields.pop("seal", None)
    # A second occurrence would leave open which digits are the ones to read as zeros.
    is_checksum = isinstance(checksum, str) and CHECKSUM.fullmatch(checksum)
    if not is_checksum or raw.count(_field(checksum)) != 1:
        raise broken("its checksum is missing")
    places = _places(table, check(fields), size - 8 - length)
    return fields | {"seal": checksum}, places, start + raw.replace(_field(checksum), _field(BLANK))


def _read(file: BinaryIO, wanted: tuple[str, ...], check: Check) -> ContainerFile:
    metadata, places, header = _read_header(file, check)
    total = hashlib.sha256(header)
    kept = {name: place for name, place in places.items() if name.startswith(wanted)}
    # safetensors sorts tensors by type and name, so of floats model.* come first, and only they are
    # held in memory, unless bytes are wanted.
    buffer = bytearray(max((end for _, _, end in kept.values()), default=0))
    if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
        raise broken("it is truncated")
    total.update(buffer)
    while block := file.read(BLOCK):
        total.update(block)
    if total.hexdigest() != metadata.pop("seal"):
        raise broken("its checksum does not match: the file has been damaged or changed")
    # The arrays share the buffer's memory; safetensors is little-endian on every machine.
    arrays = {
        name: np.frombuffer(
            buffer, _kind(name), (end - begin) // _kind(name).itemsize, begin
        ).reshape(shape)
        for name, (shape, begin, end) in kept.items()
    }
    # A forged file has a correct checksum, and one NaN would spread to every later state.
    infinite = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if infinite:
        raise broken(f"its tensor {infinite} contains values that are not finite numbers")
    return ContainerFile(metadata, places, arrays)


def _places(table: dict[str, Any], shapes: dict[str, tuple[int, ...]], size: int) -> Places:
    """Where each expected tensor is; together they fill the data exactly, without overlap."""
    if set(table) != set(shapes):
        wrong = sorted(set(table) ^ set(shapes))[0]
        raise broken(f"its tensors do not match its configuration, see {wrong!r}")
    places = {}
    for name, shape in shapes.items():
        entry = table[name]
        # In Python integers: numpy's would overflow for the shapes that a forged file can declare.
        count = int(np.prod([int(n) for n in shape], dtype=object))
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise broken(f"its tensor {name!r} is not described")
        offsets = entry["data_offsets"]
        if (
            entry["dtype"] != ("U8" if name.startswith(BYTES) else "F32")
            # The types are compared first, because in Python [1.0] and [True] equal [1].
            or not (_are_counts(entry["shape"], len(shape)) and _are_counts(offsets, 2))
            or entry["shape"] != list(shape)
        ):
            raise broken(f"its tensor {name!r} has the wrong type, shape or offsets")
        if offsets[1] - offsets[0] != _kind(name).itemsize * count:
            raise broken(f"its tensor {name!r} has the wrong number of bytes")
        places[name] = (shape, offsets[0], offsets[1])
    # Bytes that belong to no tensor, or to two, could hide data in a file that looks valid.
    end = 0
    for _, begin, after in sorted(places.values(), key=lambda place: place[1]):
        if begin != end:
            raise broken("its tensors overlap or leave gaps")
        end = after
    if end != size:
        raise broken(f"it has {size:,} bytes of data and its header requires {end:,}")
    return places


def _kind(name: str) -> "np.dtype[Any]":
    """A tensor's name -> the type of its numbers."""
    return np.dtype(np.uint8 if name.startswith(BYTES) else "<f4")


def _are_counts(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(type(n) is int for n in value)


def _brackets(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = parse_strict_json(raw)
    except ValueError:
        raise broken("its header is not strict JSON") from None
    if not isinstance(value, dict):
        raise broken("its header is not a JSON object")
    return value


def _field(checksum: str) -> bytes:
    """The checksum as it appears in the header, where the metadata's quotes are escaped."""
    return f'\\"seal\\":\\"{checksum}\\"'.encode()


def _pickled() -> CheckpointError:
    return CheckpointError(
        "it looks like a pickle or archive, which can run any code when opened",
        "charrnn opens only the safetensors files that it wrote",
    )


def broken(detail: str) -> CheckpointError:
    """The error of a file whose contents do not fit together."""
    return CheckpointError(detail, "use another: charrnn checkpoints verify finds an intact one")


def parse_strict_json(raw: bytes) -> Any:
    """JSON -> its value. ValueError for duplicate keys, NaN, huge numbers or endless nesting.

    >>> parse_strict_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_small_int,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of equal keys json keeps the last; another reader may keep the first and see another model.
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _finite_float(text: str) -> float:
    # A literal like 1e999 is valid JSON, and float turns it into infinity.
    if not math.isfinite(float(text)):
        raise ValueError("huge number")
    return float(text)


def _small_int(text: str) -> int:
    # int takes quadratic time in the digits; 20 characters suffice for every 64-bit integer.
    if len(text) > 20:
        raise ValueError("huge integer")
    return int(text)
