"""A file with a checksum: what was written is read back, and everything else is refused."""

import hashlib
import io
import json
import os
import random
import socket
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoints import container
from charrnn.errors import CheckpointError, UsageError
from tests.support import forge
from tests.support.forge import BLANK, Draft

METADATA: dict[str, Any] = {"note": "tiny", "number": 1}
TENSORS = {
    "model.a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "state.b": np.array([7.5], np.float32),
}
SHAPES = {name: array.shape for name, array in TENSORS.items()}


def check(metadata: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Expect TENSORS, whatever the metadata says."""
    return SHAPES


def write(path: Path, metadata: dict[str, Any], tensors: container.Arrays) -> Path:
    path.write_bytes(b"".join(container.serialize(metadata, tensors)))
    return path


def read(path: Path) -> container.ContainerFile:
    return container.read(path, ("",), check)


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


def metadata_of(raw: bytes) -> str:
    """The metadata of a file, as it is written there."""
    length = struct.unpack_from("<Q", raw)[0]
    text: str = json.loads(raw[8 : 8 + length])["__metadata__"]["charrnn"]
    return text


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


Forger = Callable[[Draft], bytes]


def with_entry(**changes: Any) -> Forger:
    """The file with one tensor described otherwise; None takes a field away."""

    def forger(draft: Draft) -> bytes:
        entry = draft.table["model.a"] | changes
        draft.table["model.a"] = {k: v for k, v in entry.items() if v is not None}
        return draft.sealed()

    return forger


def with_table(change: Callable[[dict[str, Any]], Any]) -> Forger:
    """The file with its table of tensors changed in place."""

    def forger(draft: Draft) -> bytes:
        change(draft.table)
        return draft.sealed()

    return forger


def with_data(change: Callable[[bytes], bytes]) -> Forger:
    """The file with other data."""
    return lambda draft: forge.seal(draft.header(), change(draft.data))


def with_header(old: str, new: str) -> Forger:
    """The file with its header's text changed."""

    def forger(draft: Draft) -> bytes:
        header = draft.header()
        assert old in header
        return forge.seal(header.replace(old, new, 1), draft.data)

    return forger


def with_metadata(text: Any) -> Forger:
    """The file with this in the place of its metadata."""
    return lambda draft: forge.seal(
        json.dumps({"__metadata__": {"charrnn": text}, **draft.table}), draft.data
    )


def with_checksum(checksum: Any) -> Forger:
    """The file with this as its checksum."""
    return lambda draft: with_metadata(
        json.dumps(draft.info | {"seal": checksum}, separators=(",", ":"))
    )(draft)


def made_of(make: Callable[[str, bytes], bytes]) -> Forger:
    """A file made of the header's text and the data."""
    return lambda draft: make(draft.header(), draft.data)


NAN = struct.pack("<f", float("nan"))
INF = struct.pack("<f", float("inf"))

STRICT, LAYOUT = "not strict JSON", "has the wrong type, shape or offsets"
SHORT, GAPS = "is truncated or not a checkpoint", "overlap or leave gaps"
FOREIGN, CHECKSUM = "not written by charrnn", "its checksum is missing"
OTHERS, FINITE = "do not match its configuration", "not finite numbers"
DESCRIBED, COUNT = "is not described", "wrong number of bytes"

NOTE = '\\"note\\":\\"tiny\\"'

MALFORMED: dict[str, tuple[Forger, str]] = {
    "a tensor twice": (with_header('"state.b":', '"model.a":'), STRICT),
    "a tensor's field twice": (with_header('"dtype":"F32"', '"dtype":"F32","dtype":"F32"'), STRICT),
    "metadata twice": (
        with_header('"model.a":', '"__metadata__":{"charrnn":"{}"},"model.a":'),
        STRICT,
    ),
    "a field of the metadata twice": (with_header(NOTE, f"{NOTE},{NOTE}"), STRICT),
    "two checksums": (with_header('\\"seal\\":', f'\\"seal\\":\\"{BLANK}\\",\\"seal\\":'), STRICT),
    "NaN in a shape": (with_entry(shape=[float("nan"), 3]), STRICT),
    "Infinity in the metadata": (with_header(NOTE, '\\"note\\":Infinity'), STRICT),
    "-Infinity in the metadata": (with_header(NOTE, '\\"note\\":-Infinity'), STRICT),
    "NaN in the metadata": (with_header(NOTE, '\\"note\\":NaN'), STRICT),
    "a number too large for a float": (with_header(NOTE, '\\"note\\":1e999'), STRICT),
    "a number too small for a float": (with_header(NOTE, '\\"note\\":-1e999'), STRICT),
    "an integer of 30 digits": (with_entry(shape=[10**30, 3]), STRICT),
    "an integer of 10,000 digits": (with_header(NOTE, '\\"note\\":' + "9" * 10_000), STRICT),
    "a comma too many": (with_header("}}", "},}"), STRICT),
    "a comment": (with_header("{", "{/* */"), STRICT),
    "single quotes": (with_header('"dtype"', "'dtype'"), STRICT),
    "an invalid escape": (with_header('"dtype"', '"\\dtype"'), STRICT),
    "a control character in a name": (with_header('"dtype"', '"dty\npe"'), STRICT),
    "a second value after the header": (made_of(lambda h, d: forge.seal(h + "{}", d)), STRICT),
    "zeros after the header": (made_of(lambda h, d: forge.seal(h + "\0\0", d)), STRICT),
    "a header that is not UTF-8": (
        made_of(lambda h, d: forge.seal(h.encode().replace(b"tiny", b"t\xfFny"), d)),
        STRICT,
    ),
    "a header in UTF-16": (made_of(lambda h, d: forge.seal(h.encode("utf-16"), d)), STRICT),
    "a byte order mark": (
        made_of(lambda h, d: forge.seal(b"\xef\xbb\xbf" + h.encode(), d)),
        STRICT,
    ),
    "a lone surrogate in the metadata": (with_metadata('{"a":"\ud800"}'), STRICT),
    "a header nested 5,000 deep": (with_header(NOTE, "[" * 5_000 + "]" * 5_000), STRICT),
    "a header nested 150,000 deep": (with_header(NOTE, "[" * 150_000 + "]" * 150_000), STRICT),
    "a header nested 300,000 deep": (
        with_header(NOTE, "[" * 300_000 + "]" * 300_000),
        "nested too deep",
    ),
    "a header that is a list": (made_of(lambda h, d: forge.seal(f"[{h}]", d)), "not a JSON object"),
    "metadata that is a list": (with_metadata("[]"), "not a JSON object"),
    "metadata that is a number": (with_metadata(5), "not a JSON object"),
    "metadata that is an object": (with_metadata({"a": 1}), STRICT),
    "metadata that is nothing": (with_metadata(""), STRICT),
    "an empty header": (made_of(lambda h, d: forge.seal("{}", d)), FOREIGN),
    "metadata of another program": (with_header('{"charrnn":', '{"format":'), FOREIGN),
    "metadata of two programs": (with_header('{"charrnn":', '{"format":"pt","charrnn":'), FOREIGN),
    "a tensor called __metadata__": (
        made_of(lambda h, d: forge.seal('{"__metadata__":{"dtype":"F32","shape":[7],'
            '"data_offsets":[0,28]}}', d)),
        FOREIGN,
    ),
    "metadata that is a text": (
        made_of(lambda h, d: forge.seal('{"__metadata__":"charrnn"}', d)),
        FOREIGN,
    ),
    "no checksum": (lambda draft: with_metadata(json.dumps(draft.info))(draft), CHECKSUM),
    "a checksum of 63 digits": (with_checksum("0" * 63), CHECKSUM),
    "a checksum that is a number": (with_checksum(0), CHECKSUM),
    "a checksum that is not a text": (with_checksum(["0"] * 64), CHECKSUM),
    "a checksum in capitals": (with_checksum("A" * 64), CHECKSUM),
    "a checksum of lone surrogates": (with_checksum("\ud800" * 64), CHECKSUM),
    "a checksum of quotes": (with_checksum('"' * 64), CHECKSUM),
    "the checksum of another file": (with_checksum("1" * 64), "damaged or changed"),
    "a blank checksum": (made_of(lambda h, d: forge.seal(h, d).replace(
        json.loads(metadata_of(forge.seal(h, d)))["seal"].encode(), BLANK.encode())),
        "damaged or changed"),
    "a tensor less": (with_table(lambda table: table.pop("state.b")), f"{OTHERS}, see 'state.b'"),
    "a tensor more": (
        with_table(lambda table: table.update(evil=table["state.b"])),
        f"{OTHERS}, see 'evil'",
    ),
    "a tensor of another name": (
        with_table(lambda table: table.update({"model.A": table.pop("model.a")})),
        f"{OTHERS}, see 'model.A'",
    ),
    "a tensor that is a list": (with_table(lambda t: t.update({"model.a": []})), DESCRIBED),
    "a tensor that is nothing": (with_table(lambda t: t.update({"model.a": None})), DESCRIBED),
    "a tensor without a type": (with_entry(dtype=None), DESCRIBED),
    "a tensor without offsets": (with_entry(data_offsets=None), DESCRIBED),
    "a tensor with one field more": (with_entry(strides=[1]), DESCRIBED),
    "half precision": (with_entry(dtype="F16"), LAYOUT),
    "integers of the same size": (with_entry(dtype="I32"), LAYOUT),
    "a type that is a list": (with_entry(dtype=["F32"]), LAYOUT),
    "a shape of 2^63": (with_entry(shape=[2**63, 3]), LAYOUT),
    "a shape whose product is zero": (with_entry(shape=[2**60, 0]), LAYOUT),
    "a shape whose product overflows": (with_entry(shape=[2**32, 2**32]), LAYOUT),
    "a negative shape": (with_entry(shape=[-2, -3]), LAYOUT),
    "a transposed shape": (with_entry(shape=[3, 2]), LAYOUT),
    "a flat shape": (with_entry(shape=[6]), LAYOUT),
    "a shape of one dimension more": (with_entry(shape=[2, 3, 1]), LAYOUT),
    "a shape that is not of integers": (with_entry(shape=[2.0, 3.0]), LAYOUT),
    "a shape that is a number": (with_entry(shape=6), LAYOUT),
    "offsets that are not integers": (with_entry(data_offsets=[0.0, 24.0]), LAYOUT),
    "offsets that are booleans": (with_entry(data_offsets=[False, True]), LAYOUT),
    "three offsets": (with_entry(data_offsets=[0, 24, 28]), LAYOUT),
    "offsets that are a text": (with_entry(data_offsets="0-24"), LAYOUT),
    "offsets in the wrong order": (with_entry(data_offsets=[24, 0]), COUNT),
    "offsets too far apart": (with_entry(data_offsets=[0, 28]), COUNT),
    "offsets too close": (with_entry(data_offsets=[0, 20]), COUNT),
    "offsets 2^62 bytes apart": (with_entry(data_offsets=[0, 2**62]), COUNT),
    "offsets before the data": (with_entry(data_offsets=[-24, 0]), GAPS),
    "offsets beyond the data": (with_entry(data_offsets=[2**40, 2**40 + 24]), GAPS),
    "tensors that overlap": (with_entry(data_offsets=[4, 28]), GAPS),
    "a gap": (
        with_table(lambda table: table["state.b"].update(data_offsets=[28, 32])),
        GAPS,
    ),
    "both tensors at one offset": (
        with_table(lambda table: table["state.b"].update(data_offsets=[0, 4])),
        GAPS,
    ),
    "a byte too much": (with_data(lambda data: data + b"\0"), "29 bytes of data"),
    "a byte too few": (with_data(lambda data: data[:-1]), "27 bytes of data"),
    "no data": (with_data(lambda data: b""), "0 bytes of data"),
    "NaN in a tensor": (with_data(lambda data: NAN + data[4:]), f"model.a contains .* {FINITE}"),
    "Inf in a tensor": (with_data(lambda data: data[:24] + INF), f"state.b contains .* {FINITE}"),
    "a length of nothing": (made_of(lambda h, d: struct.pack("<Q", 0) + d), SHORT),
    "a length of one": (made_of(lambda h, d: struct.pack("<Q", 1) + h.encode() + d), SHORT),
    "a length beyond the end": (made_of(lambda h, d: struct.pack("<Q", 10**6) + h.encode()), SHORT),
    "a length of 2^63": (made_of(lambda h, d: struct.pack("<Q", 2**63) + h.encode() + d), SHORT),
    "a length of 2^64 - 1": (made_of(lambda h, d: b"\xff" * 8 + h.encode() + d), SHORT),
    "nothing at all": (lambda draft: b"", SHORT),
    "seven bytes": (lambda draft: b"\x02\0\0\0\0\0\0", SHORT),
    "a web page": (lambda draft: b"<!DOCTYPE html><html></html>", SHORT),
    "a text": (lambda draft: b"Once upon a time there was no model.\n" * 9, SHORT),
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_refused_for_the_right_reason(path: Path, kind: str) -> None:
    forger, reason = MALFORMED[kind]
    path.write_bytes(forger(forge.draft(path)))
    with pytest.raises(CheckpointError, match=rf"^cannot use .*model\.safetensors: .*{reason}"):
        read(path)


@pytest.mark.parametrize(
    "kind", ["a shape of 2^63", "offsets 2^62 bytes apart", "a length of 2^63"]
)
def test_a_huge_claim_is_refused_before_anything_is_allocated(path: Path, kind: str) -> None:
    path.write_bytes(MALFORMED[kind][0](forge.draft(path)))
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_unchanged_draft_makes_a_valid_file(path: Path) -> None:
    path.write_bytes(forge.draft(path).sealed())
    assert read(path).metadata == METADATA


def test_tensors_may_lie_in_any_order_if_they_fill_the_data(path: Path) -> None:
    forged = forge.draft(path)
    forged.table["model.a"]["data_offsets"] = [4, 28]
    forged.table["state.b"]["data_offsets"] = [0, 4]
    path.write_bytes(forge.seal(forged.header(), forged.data[24:] + forged.data[:24]))
    arrays = read(path).arrays
    assert arrays["model.a"].tolist() == TENSORS["model.a"].tolist()
    assert container.read(path, ("state.",), check).arrays["state.b"].tolist() == [7.5]


def test_an_error_of_the_check_names_the_file(path: Path) -> None:
    def refuse(metadata: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        raise CheckpointError(f"its note is {metadata['note']}", "take another")

    message = r"model\.safetensors: its note is tiny; take another"
    with pytest.raises(CheckpointError, match=message):
        container.read(path, ("",), refuse)
    with pytest.raises(CheckpointError, match=message):
        container.read_header(path, refuse)


@pytest.mark.parametrize("suffix", sorted(container.PICKLE_SUFFIXES | {".PT", ".Pkl"}))
def test_names_of_pickles_are_refused_unopened(path: Path, suffix: str) -> None:
    target = path.with_suffix(suffix)
    os.mkfifo(target)  # without a writer, so opening it for reading would never end
    with pytest.raises(CheckpointError, match=r"pickle or archive.*opens only the safetensors"):
        read(target)


PICKLES = {
    f"protocol {protocol}": b"\x80" + bytes([protocol]) + b"cos\nsystem\n(S'touch %s'\ntR."
    for protocol in (2, 3, 4, 5)
} | {"framed": b"\x80\x04\x95\x20\0\0\0\0\0\0\0cos\nsystem\n(S'touch %s'\ntR."}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_with_the_suffix_of_a_checkpoint_is_recognized_and_not_run(
    path: Path, kind: str
) -> None:
    canary = path.parent / "canary"
    path.write_bytes(PICKLES[kind].replace(b"%s", bytes(canary)))
    with pytest.raises(CheckpointError, match="looks like a pickle or archive"):
        read(path)
    assert not canary.exists()


def test_an_archive_with_the_suffix_of_a_checkpoint_is_recognized(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointError, match="looks like a pickle or archive"):
        read(path)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(CheckpointError, match="it is not a regular file"):
        read(tmp_path / "pipe.safetensors")


class Later(io.RawIOBase):
    """A file that has nothing to read yet after its first bytes."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self.file, self.left = file, left

    def readable(self) -> bool:
        """It can be read."""
        return True

    def fileno(self) -> int:
        """The file's own."""
        return self.file.fileno()

    def readinto(self, buffer: Any) -> int | None:
        """Some of what is left, then nothing yet."""
        data = self.file.read(min(len(buffer), self.left))
        self.left -= len(data)
        buffer[: len(data)] = data
        return len(data) or None


@pytest.mark.parametrize("left", [0, 4, 8, 100, 200])
def test_what_cannot_be_read_yet_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    opened = container._open
    with opened(path) as file:
        monkeypatch.setattr(container, "_open", lambda _: io.BufferedReader(Later(file, left)))
        with pytest.raises(CheckpointError, match="cannot use"):
            read(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_refused_at_once(device: str) -> None:
    with pytest.raises(CheckpointError, match=f"cannot use {device}: it is not a regular file"):
        read(Path(device))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it is not a regular file"):
        read(tmp_path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(CheckpointError, match="cannot use s: "):
            read(Path("s"))


def test_a_link_is_not_followed(path: Path) -> None:
    link = path.with_name("link.safetensors")
    link.symlink_to(path)
    with pytest.raises(CheckpointError, match=r"link.safetensors: it is a link"):
        read(link)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for reader in (read, lambda path: container.read_header(path, check)):
        with pytest.raises(CheckpointError, match=r"gone.safetensors: No such file or directory"):
            reader(tmp_path / "gone.safetensors")


def test_no_descriptor_is_left_open_by_a_refusal(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for other in (path.parent, path.parent / "gone", Path("/dev/zero")):
        with pytest.raises(CheckpointError):
            read(other)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError):
        read(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_table_has_many_kinds() -> None:
    assert len(MALFORMED) >= 80
