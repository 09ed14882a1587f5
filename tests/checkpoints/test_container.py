"""A file with a checksum: what was written is read back, and damage is refused."""

import hashlib
import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoints import container
from charrnn.errors import CheckpointError, UsageError
from tests.support.containers import METADATA, SHAPES, TENSORS, check, metadata_of, read, write
from tests.support.forge import BLANK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "model.safetensors", METADATA, TENSORS)


def test_what_was_written_comes_back(path: Path) -> None:
    file = read(path)
    assert file.metadata == METADATA
    assert file.places == {"model.a": ((2, 3), 0, 24), "state.b": ((1,), 24, 28)}
    assert list(file.arrays) == list(SHAPES)
    for name, array in TENSORS.items():
        assert file.arrays[name].dtype == np.float32
        assert file.arrays[name].tolist() == array.tolist()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False,
        allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
        max_size=3),
    max_leaves=8,
)  # fmt: skip

FINITE_NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    metadata=st.dictionaries(st.sampled_from(["a", "b", "q\"'\\", "é"]), JSON, max_size=4),
    values=st.lists(FINITE_NUMBERS, min_size=7, max_size=7),
)
@settings(max_examples=80, deadline=None)
def test_any_finite_numbers_and_any_json_come_back(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, Any], values: list[float]
) -> None:
    numbers = np.array(values, np.float32)
    tensors = {"model.a": numbers[:6].reshape(2, 3), "state.b": numbers[6:]}
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    file = read(write(path, metadata, tensors))
    assert file.metadata == metadata
    assert all(file.arrays[n].tobytes() == tensors[n].tobytes() for n in tensors)


def test_equal_contents_give_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    first = write(tmp_path / "a", METADATA, TENSORS)
    metadata = dict(reversed(METADATA.items()))
    second = write(tmp_path / "b", metadata, dict(reversed(TENSORS.items())))
    assert first.read_bytes() == second.read_bytes()


def test_an_array_of_another_memory_layout_is_written_in_row_order(tmp_path: Path) -> None:
    turned = {**TENSORS, "model.a": np.asfortranarray(TENSORS["model.a"])}
    strided = {**TENSORS, "model.a": np.repeat(TENSORS["model.a"], 2, axis=1)[:, ::2]}
    plain = write(tmp_path / "a", METADATA, TENSORS).read_bytes()
    assert write(tmp_path / "b", METADATA, turned).read_bytes() == plain
    assert write(tmp_path / "c", METADATA, strided).read_bytes() == plain


def test_the_checksum_is_the_hash_of_the_file_with_its_digits_blank(path: Path) -> None:
    raw = path.read_bytes()
    checksum = json.loads(metadata_of(raw))["seal"]
    blank = raw.replace(checksum.encode(), BLANK.encode())
    assert raw.count(checksum.encode()) == 1
    assert hashlib.sha256(blank).hexdigest() == checksum


def test_the_safetensors_library_can_read_it(path: Path) -> None:
    arrays = safetensors.numpy.load_file(path)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        name: array.tolist() for name, array in TENSORS.items()
    }


def test_metadata_may_contain_what_looks_like_a_checksum(tmp_path: Path) -> None:
    metadata = {"words": [f'"seal":"{BLANK}"', "seal", BLANK, f'\\"seal\\":\\"{BLANK}\\"']}
    assert read(write(tmp_path / "a", metadata, TENSORS)).metadata == metadata


def test_only_the_wanted_tensors_are_kept(path: Path) -> None:
    file = container.read(path, ("model.",), check)
    assert list(file.arrays) == ["model.a"]
    assert file.places.keys() == SHAPES.keys()
    assert container.read(path, (), check).arrays == {}


def test_damage_in_tensors_that_are_not_wanted_is_detected_too(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum does not match"):
        container.read(path, ("model.",), check)


def test_the_header_alone_is_read_without_the_data(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    file = container.read_header(path, check)
    assert file.metadata.items() >= METADATA.items()
    assert file.arrays == {}
    assert file.places["state.b"] == ((1,), 24, 28)


def test_data_of_many_blocks_is_hashed_completely(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "BLOCK", 3)
    assert list(container.read(path, ("none",), check).arrays) == []
    assert read(path).arrays["state.b"].tolist() == [7.5]


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 640 + 65536])
def test_a_header_whose_length_looks_like_a_pickle_is_not_taken_for_one(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "a.safetensors"
    for size in range(length):
        raw = b"".join(container.serialize({"pad": "x" * (length - 300 + size)}, TENSORS))
        if struct.unpack_from("<Q", raw)[0] == length:
            break
    assert raw[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    path.write_bytes(raw)
    assert read(path).arrays["state.b"].tolist() == [7.5]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_metadata_that_is_not_json_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        container.serialize({"loss": value}, TENSORS)


@pytest.mark.parametrize("limit", ["HEADER_LIMIT", "NESTING_LIMIT"])
def test_what_could_not_be_read_again_is_not_written(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    metadata = {"words": [["a"]] * 100}
    head = bytes(container.serialize(metadata, TENSORS)[0])
    brackets = head.count(b"[") + head.count(b"{")
    exact = {"HEADER_LIMIT": len(head) - 8, "NESTING_LIMIT": brackets}[limit]
    assert brackets > 100
    monkeypatch.setattr(container, limit, exact)
    container.serialize(metadata, TENSORS)
    monkeypatch.setattr(container, limit, exact - 1)
    with pytest.raises(
        UsageError, match=r"too large for a checkpoint; give a smaller --vocab-size"
    ):
        container.serialize(metadata, TENSORS)


def test_every_truncation_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    for length in reversed(range(len(raw))):
        os.truncate(path, length)
        with pytest.raises(CheckpointError, match=r"^cannot use .*model\.safetensors: "):
            read(path)


@pytest.mark.parametrize("more", [b"\0", b"\n", b"x" * 100])
def test_anything_after_the_end_is_refused(path: Path, more: bytes) -> None:
    path.write_bytes(path.read_bytes() + more)
    with pytest.raises(CheckpointError, match=r"bytes of data and its header requires 28;"):
        read(path)


def test_every_flipped_bit_of_header_and_data_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            read(path)


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_refused(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "noise.safetensors"
    for _ in range(60):
        noise = draw.randbytes(draw.randrange(200))
        path.write_bytes(draw.choice([b"", struct.pack("<Q", len(noise) // 2)]) + noise)
        with pytest.raises(CheckpointError):
            read(path)
