"""The golden files, and whether something is the same as they are.

Bit for bit on the machine that made them; nearly so on others, where sums are added in another
order.
"""

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.golden.make import FILES, machine


def golden(name: str) -> Any:
    """A JSON file of the golden files."""
    return json.loads((FILES / name).read_text())


EXACT = golden("about.json")["machine"] == machine()
"""Whether the same operations give the same bits here as where the golden files were made."""

CLOSE = 1e-5
"""Relative difference that two machines may make. Products that add in another order made 6e-7."""

CLOCK = ("seconds", "seconds_left", "tokens_per_second")
"""Fields that hang on the clock."""


def differences(
    got: Any, wanted: Any, but: tuple[str, ...] = (), close: float = CLOSE, at: str = ""
) -> Iterator[str]:
    """Where two JSON values differ, in the order of their keys, too.

    Floats may differ by the proportion `close`; of the fields `but` only the type is compared.
    """
    if type(got) is not type(wanted):
        yield f"{at}: {got!r} is of another type than {wanted!r}"
    elif isinstance(wanted, dict):
        # What a sample was made with has grown by names, each after those that were there.
        known = [key for key in got if key in wanted] if at.endswith(".settings") else list(got)
        if known != list(wanted):
            yield f"{at}: the keys are {list(got)} and were {list(wanted)}"
        for key in got.keys() & wanted.keys():
            if key not in but:
                yield from differences(got[key], wanted[key], but, close, f"{at}.{key}")
            elif type(got[key]) is not type(wanted[key]):
                yield f"{at}.{key}: {got[key]!r} is of another type than {wanted[key]!r}"
    elif isinstance(wanted, list):
        if len(got) != len(wanted):
            yield f"{at}: there are {len(got)} items and were {len(wanted)}"
        for index, (one, other) in enumerate(zip(got, wanted, strict=False)):
            yield from differences(one, other, but, close, f"{at}[{index}]")
    elif isinstance(wanted, float) and math.isfinite(wanted):
        if not math.isclose(got, wanted, rel_tol=close, abs_tol=close * 1e-2 if close else 0):
            yield f"{at}: {got!r} was {wanted!r}"
    elif got != wanted and not (wanted != wanted and got != got):
        yield f"{at}: {got!r} was {wanted!r}"


def same(got: Any, wanted: Any, but: tuple[str, ...] = (), close: float = CLOSE) -> None:
    """Fail with all differences of two JSON values, if there are any."""
    found = list(differences(got, wanted, but, close))
    assert not found, "\n".join(found)


def events(path: Path) -> list[Any]:
    """The lines of a metrics.jsonl, each of which has to be spelled as `json` spells it."""
    lines = path.read_text().splitlines(keepends=True)
    assert lines == [json.dumps(json.loads(line)) + "\n" for line in lines]
    return [json.loads(line) for line in lines]


def same_events(got: Path, wanted: Path) -> None:
    """Two trainings told the same, but for the time that it took."""
    same(events(got), events(wanted), CLOCK, 0.0 if EXACT else CLOSE)


def same_trainings(got: list[Any], wanted: list[Any]) -> None:
    """Two new trainings went the same way, whatever figures their evaluations came to.

    A new run prices rare ids and unknown words, and takes neither for a choice of its baselines and
    samples; that changes no step of the training.
    """
    assert [(e["event"], e["step"]) for e in got] == [(e["event"], e["step"]) for e in wanted]
    for one, other in zip(got, wanted, strict=True):
        if one["event"] == "progress":
            same(one, other, CLOCK, 0.0 if EXACT else CLOSE)
        if one["event"] == "evaluated":
            # A price of what is rare, not another measure.
            assert one["nats_per_char"] == pytest.approx(other["nats_per_char"], rel=0.05)


def same_weights(got: Path, wanted: Path) -> None:
    """Two checkpoints hold the same arrays and configurations."""
    got_metadata, got_arrays = parts(got)[1:]
    metadata, arrays = parts(wanted)[1:]
    assert {k: got_metadata[k] for k in ("model", "format")} == {
        k: metadata[k] for k in ("model", "format")
    }
    assert list(got_arrays) == list(arrays)
    same_arrays(got_arrays, arrays)


def same_arrays(
    got: dict[str, NDArray[np.float32]], wanted: dict[str, NDArray[np.float32]]
) -> None:
    """Arrays of the same names have the same bits, or nearly the same numbers elsewhere."""
    for name, array in wanted.items():
        if EXACT:
            assert got[name].tobytes() == array.tobytes(), name
        else:
            # The last bits of sums differ by the largest number that is added, also where the sum
            # is small. Two processors made 2e-6 of it.
            largest = float(np.abs(array).max())
            assert np.abs(got[name] - array).max() <= CLOSE / 2 * largest, name


def parts(path: Path) -> tuple[list[Any], dict[str, Any], dict[str, NDArray[np.float32]]]:
    """A safetensors file: names, types, shapes and places in their order; metadata; arrays."""
    raw = path.read_bytes()
    begin = 8 + struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8:begin])
    metadata = json.loads(header.pop("__metadata__")["charrnn"])
    places = {name: begin + each["data_offsets"][0] for name, each in header.items()}
    arrays = {
        name: np.frombuffer(raw, np.float32, math.prod(each["shape"]), places[name])
        for name, each in header.items()
    }
    return list(header.items()), metadata, arrays


def same_file(got: Path, wanted: Path) -> None:
    """Two sealed files hold the same, whatever versions of what wrote them.

    Bit for bit where operations give the same bits, else as closely as those differ. The seal is a
    hash of all the rest, so it tells nothing where the versions differ.
    """
    got_header, got_metadata, got_arrays = parts(got)
    header, metadata, arrays = parts(wanted)
    assert got_header == header
    assert len(got_metadata.pop("seal")) == len(metadata.pop("seal"))
    for each in (got_metadata, metadata):
        if "facts" in each:
            each["facts"]["versions"] = dict.fromkeys(each["facts"]["versions"], "")
    # A digest of the weights cannot be nearly the same; weights that are read are the same.
    same(got_metadata, metadata, close=0.0 if EXACT else CLOSE)
    same_arrays(got_arrays, arrays)
