"""Token arrays on disk: written block by block, read back, shuffled by line."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data import token_arrays
from charrnn.data.token_arrays import Split, TokenWriter, shuffle_lines

KINDS: list[type[np.unsignedinteger[Any]]] = [np.uint8, np.uint16, np.uint32]
END = 10


def write(path: Path, ids: list[int], kind: type[np.unsignedinteger[Any]] = np.uint8) -> Split:
    writer = TokenWriter(path, kind)
    writer.append(np.array(ids, kind), len(ids))
    return writer.finish()


def lines_of(path: Path) -> list[list[int]]:
    """The lines of a token file, each with its end."""
    found: list[list[int]] = [[]]
    for i in np.load(path).tolist():
        found[-1].append(i)
        if i == END:
            found.append([])
    assert found.pop() == []
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_joined_to_one_array(
    tmp_path: Path, kind: type[np.unsignedinteger[Any]]
) -> None:
    writer = TokenWriter(tmp_path / "a.npy", kind)
    for piece in ([1, 2], [], [np.iinfo(kind).max]):
        writer.append(np.array(piece, kind), 5)
    split = writer.finish()
    assert split == Split(tmp_path / "a.npy", tokens=3, characters=15)
    assert split.load().dtype == kind
    assert split.load().tolist() == [1, 2, np.iinfo(kind).max]


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_can_be_read_by_numpy(tmp_path: Path, kind: type[np.unsignedinteger[Any]]) -> None:
    split = write(tmp_path / "a.npy", [3, 1, 2], kind)
    loaded = np.load(split.path, allow_pickle=False)
    assert loaded.dtype == kind
    assert loaded.shape == (3,)
    assert loaded.tolist() == [3, 1, 2]


def test_the_array_is_mapped_and_not_read(tmp_path: Path) -> None:
    array = write(tmp_path / "a.npy", [1, 2, 3]).load()
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable


def test_ids_of_another_type_are_converted_to_that_of_the_file(tmp_path: Path) -> None:
    writer = TokenWriter(tmp_path / "a.npy", np.uint16)
    writer.append(np.array([1, 300], np.uint32)[::-1], 2)
    assert writer.finish().load().tolist() == [300, 1]


def test_an_empty_array_can_be_written(tmp_path: Path) -> None:
    split = TokenWriter(tmp_path / "a.npy", np.uint8).finish()
    assert (split.tokens, split.characters) == (0, 0)
    assert np.load(split.path).tolist() == []


def test_the_header_leaves_room_for_the_longest_array(tmp_path: Path) -> None:
    sizes = []
    for count in (0, 10**18):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (count,)}
        )
        sizes.append(len(file.getvalue()))
    assert sizes[0] == sizes[1]


def test_a_writer_is_closed_after_an_error(tmp_path: Path) -> None:
    writer = TokenWriter(tmp_path / "a.npy", np.uint8)
    assert not writer.file.closed
    with pytest.raises(OSError, match="full"), writer:
        raise OSError("full")
    assert writer.file.closed


@pytest.mark.parametrize("other", [b"", b"\x93NUMPY", b"PK\x03\x04", b"a pickle", b"\x80\x04N."])
def test_other_files_are_not_loaded(tmp_path: Path, other: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(other)
    with pytest.raises(ValueError, match=r"."):
        Split(tmp_path / "a.npy", 0, 0).load()


def test_objects_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([None, {}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        Split(tmp_path / "a.npy", 2, 0).load()


@pytest.mark.parametrize("chunk", [32, 64, 1 << 22])
def test_lines_are_shuffled_and_stay_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(token_arrays, "CHUNK", chunk)
    lines = [[100 + n] * (n % 5) + [END] for n in range(90)]
    split = write(tmp_path / "a.npy", [i for line in lines for i in line])
    shuffle_lines(split.path, END)
    shuffled = lines_of(split.path)
    assert shuffled != lines
    assert Counter(map(tuple, shuffled)) == Counter(map(tuple, lines))
    assert len(split.load()) == split.tokens
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_the_order_does_not_depend_on_the_size_of_a_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    for chunk in (32, 96, 1 << 22):
        monkeypatch.setattr(token_arrays, "CHUNK", chunk)
        ids = [i for n in range(50) for i in (100 + n, END)]
        split = write(tmp_path / "a.npy", ids, np.uint16)
        shuffle_lines(split.path, END)
        orders.append(split.load().tolist())
        assert split.load().dtype == np.uint16
    assert orders[0] == orders[1] == orders[2]


def test_the_order_is_that_of_a_generator_of_seed_0(tmp_path: Path) -> None:
    split = write(tmp_path / "a.npy", [i for n in range(8) for i in (100 + n, END)])
    shuffle_lines(split.path, END)
    order = np.random.default_rng(0).permutation(8)
    assert lines_of(split.path) == [[100 + n, END] for n in order]


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=30), chunk=st.integers(32, 128))
@settings(max_examples=60, deadline=None)
def test_any_lines_survive_a_shuffle(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], chunk: int
) -> None:
    lines = [[11 + number] * length + [END] for number, length in enumerate(lengths)]
    path = tmp_path_factory.getbasetemp() / "any.npy"
    split = write(path, [i for line in lines for i in line])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_arrays, "CHUNK", chunk)
        shuffle_lines(split.path, END)
    assert sorted(lines_of(path)) == sorted(lines)
