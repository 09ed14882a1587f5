"""Batches: every token once an epoch, rows that continue, ranks that divide the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.data.batches import Batches, DocumentBatches, rows_per_rank
from charrnn.errors import UsageError


def tape(size: int) -> NDArray[np.unsignedinteger]:
    """Tokens that are their own positions."""
    return np.arange(size, dtype=np.uint32)


def test_a_small_tape_exactly() -> None:
    batches = Batches(tape(12), batch_size=2, seq_length=3)
    expected = {
        0: ([[0, 1, 2], [6, 7, 8]], [[1, 2, 3], [7, 8, 9]]),
        1: ([[3, 4, 5], [9, 10, 11]], [[4, 5, 6], [10, 11, 0]]),
        2: ([[6, 7, 8], [0, 1, 2]], [[7, 8, 9], [1, 2, 3]]),
    }
    for step, (inputs, targets) in expected.items():
        found = batches[step]
        assert found[0].tolist() == inputs
        assert found[1].tolist() == targets


def test_a_tape_that_does_not_divide_exactly() -> None:
    batches = Batches(tape(7), batch_size=2, seq_length=2)
    assert [batches[k][0].tolist() for k in range(4)] == [
        [[0, 1], [3, 4]],
        [[2, 3], [5, 6]],
        [[4, 5], [0, 1]],
        [[6, 0], [2, 3]],
    ]


def test_shapes_and_types_are_those_that_torch_indexes_with() -> None:
    for kind in (np.uint8, np.uint16, np.uint32):
        inputs, targets = Batches(np.arange(50).astype(kind), 3, 4)[0]
        assert inputs.shape == targets.shape == (3, 4)
        assert inputs.dtype == targets.dtype == np.int64


SIZES = st.integers(2, 300)
ROWS = st.integers(1, 6)
LENGTHS = st.integers(1, 9)


@given(size=SIZES, rows=ROWS, length=LENGTHS, step=st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_targets_are_the_inputs_one_token_later(
    size: int, rows: int, length: int, step: int
) -> None:
    inputs, targets = Batches(tape(size), rows, length)[step]
    assert inputs.shape == targets.shape == (rows, length)
    assert targets.tolist() == ((inputs + 1) % size).tolist()


@given(size=SIZES, rows=ROWS, length=LENGTHS, step=st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_each_row_continues_where_it_stopped(size: int, rows: int, length: int, step: int) -> None:
    batches = Batches(tape(size), rows, length)
    _, targets = batches[step]
    inputs, _ = batches[step + 1]
    assert inputs[:, 0].tolist() == targets[:, -1].tolist()


@given(rows=ROWS, length=LENGTHS, steps=st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_every_token_is_a_target_exactly_once_an_epoch(rows: int, length: int, steps: int) -> None:
    size = rows * length * steps
    batches = Batches(tape(size), rows, length)
    assert batches.steps_per_epoch == steps
    for epoch in range(2):
        seen = [batches[epoch * steps + k][1].ravel() for k in range(steps)]
        assert sorted(np.concatenate(seen).tolist()) == list(range(size))


@given(size=SIZES, rows=ROWS, length=LENGTHS)
@settings(max_examples=100, deadline=None)
def test_one_row_reads_any_tape_once_around(size: int, rows: int, length: int) -> None:
    """Over `size` steps a row reads every token `length` times, whatever divides what."""
    batches = Batches(tape(size), rows, length)
    targets = np.stack([batches[k][1] for k in range(size)])  # (steps, rows, length)
    for row in range(rows):
        assert np.bincount(targets[:, row].ravel(), minlength=size).tolist() == [length] * size


@given(size=st.integers(20, 300), rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_rows_start_at_equal_distances(size: int, rows: int) -> None:
    starts = Batches(tape(size), rows, 1)[0][0][:, 0].tolist()
    gaps = np.diff([*starts, size])
    assert starts[0] == 0
    assert gaps.max() - gaps.min() <= 1


@given(
    rows_of_each=st.integers(1, 3),
    world_size=st.integers(1, 4),
    size=SIZES,
    length=LENGTHS,
    step=st.integers(0, 500),
)
@settings(max_examples=100, deadline=None)
def test_the_rows_of_all_ranks_together_are_the_rows_of_one(
    rows_of_each: int, world_size: int, size: int, length: int, step: int
) -> None:
    rows = rows_of_each * world_size
    whole = Batches(tape(size), rows, length)[step]
    ranks = [Batches(tape(size), rows, length, r, world_size) for r in range(world_size)]
    assert [row for each in ranks for row in each.rows] == list(range(rows))
    for part in (0, 1):
        together = np.concatenate([each[step][part] for each in ranks])
        assert together.tolist() == whole[part].tolist()


def test_the_end_of_the_tape_is_followed_by_its_beginning() -> None:
    batches = Batches(tape(10), 1, 4)
    inputs, targets = batches[2]
    assert inputs.tolist() == [[8, 9, 0, 1]]
    assert targets.tolist() == [[9, 0, 1, 2]]


def test_a_window_that_ends_exactly_at_the_end_takes_its_last_target_from_the_beginning() -> None:
    inputs, targets = Batches(tape(8), 1, 4)[1]
    assert inputs.tolist() == [[4, 5, 6, 7]]
    assert targets.tolist() == [[5, 6, 7, 0]]


def test_a_window_longer_than_the_tape_goes_around() -> None:
    inputs, targets = Batches(tape(3), 1, 7)[0]
    assert inputs.tolist() == [[0, 1, 2, 0, 1, 2, 0]]
    assert targets.tolist() == [[1, 2, 0, 1, 2, 0, 1]]


def test_a_step_is_the_same_whenever_it_is_read() -> None:
    batches = Batches(tape(100), 4, 5)
    late = batches[37][0].tolist()
    assert [batches[k][0].tolist() for k in range(40)][37] == late


def test_very_large_steps_are_read_at_the_right_position() -> None:
    size, step = 1000, 10**12 + 3
    inputs, _ = Batches(tape(size), 1, 7)[step]
    assert inputs[0, 0] == (step * 7) % size


def test_steps_per_epoch_need_not_be_an_integer() -> None:
    assert Batches(tape(10), 2, 4).steps_per_epoch == 1.25


def test_a_memory_mapped_array_is_read_without_being_written(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("tokens") / "train.npy"
    np.save(path, tape(20).astype(np.uint8))
    mapped = np.load(path, mmap_mode="r")
    inputs, targets = Batches(mapped, 2, 4)[0]
    inputs[:] = 99
    assert np.load(path).tolist() == list(range(20))
    assert Batches(mapped, 2, 4)[0][0].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert targets.shape == (2, 4)


@pytest.mark.parametrize(
    ("batch_size", "world_size", "expected"), [(1, 1, 1), (4, 2, 2), (6, 3, 2)]
)
def test_ranks_read_equal_numbers_of_rows(batch_size: int, world_size: int, expected: int) -> None:
    assert rows_per_rank(batch_size, world_size) == expected


@pytest.mark.parametrize(("batch_size", "world_size"), [(3, 2), (1, 2), (7, 4)])
def test_rows_that_cannot_be_divided_evenly_are_an_error_that_names_both_numbers(
    batch_size: int, world_size: int
) -> None:
    words = rf"--batch-size {batch_size} cannot be divided among {world_size} processes"
    with pytest.raises(UsageError, match=words):
        rows_per_rank(batch_size, world_size)
    with pytest.raises(UsageError, match=words):
        Batches(tape(99), batch_size, 2, 0, world_size).rows  # noqa: B018
    with pytest.raises(UsageError, match=words):
        Batches(tape(99), batch_size, 2, 0, world_size)[0]


def documents(
    sizes: list[int], rows: int, length: int, rank: int = 0, world_size: int = 1
) -> DocumentBatches:
    """Documents of these sizes, whose tokens are their own positions."""
    ends = np.cumsum(sizes).astype(np.uint32)
    return DocumentBatches(tape(int(ends[-1])), rows, length, rank, world_size, ends)


DOCUMENTS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(sizes=DOCUMENTS, epoch=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_an_epoch_is_all_documents_whole_in_some_order(sizes: list[int], epoch: int) -> None:
    size = sum(sizes)
    inputs, _ = documents(sizes, 1, size)[epoch]
    ends = np.cumsum(sizes)
    whole = {tuple(range(end - each, end)) for each, end in zip(sizes, ends, strict=True)}
    read, found = inputs[0].tolist(), set()
    while read:
        each = next(each for each in whole if each[0] == read[0])
        assert tuple(read[: len(each)]) == each
        found.add(each)
        del read[: len(each)]
    assert found == whole


@given(sizes=DOCUMENTS, rows=ROWS, length=LENGTHS, step=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_a_row_of_documents_continues_where_it_stopped(
    sizes: list[int], rows: int, length: int, step: int
) -> None:
    batches = documents(sizes, rows, length)
    inputs, targets = batches[step]
    assert inputs.shape == targets.shape == (rows, length)
    assert inputs[:, 1:].tolist() == targets[:, :-1].tolist()
    assert batches[step + 1][0][:, 0].tolist() == targets[:, -1].tolist()


@given(sizes=DOCUMENTS, length=LENGTHS, world_size=st.integers(1, 3), step=st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_the_rows_of_documents_of_all_ranks_are_those_of_one(
    sizes: list[int], length: int, world_size: int, step: int
) -> None:
    whole = documents(sizes, 2 * world_size, length)[step]
    ranks = [documents(sizes, 2 * world_size, length, r, world_size) for r in range(world_size)]
    for part in (0, 1):
        together = np.concatenate([each[step][part] for each in ranks])
        assert together.tolist() == whole[part].tolist()


def test_each_epoch_has_an_order_of_its_own_and_the_same_one_again() -> None:
    sizes = [3] * 40
    batches = documents(sizes, 1, 120)
    orders = [tuple(batches[epoch][0][0].tolist()) for epoch in (0, 1, 2, 7, 0, 1)]
    assert len(set(orders)) == 4
    assert orders[4:] == orders[:2]
    # Read by another process, which begins in the middle.
    assert tuple(documents(sizes, 1, 120)[7][0][0].tolist()) == orders[3]


def test_rows_that_are_in_two_epochs_at_once_read_the_order_of_each() -> None:
    batches = documents([2, 3, 5], 3, 1)
    # Stretches of 3, 3 and 4 tokens: row 2 is one step later in each epoch.
    each = [documents([2, 3, 5], 1, 10)[epoch][0][0].tolist() for epoch in range(2)]
    assert batches[3][0].ravel().tolist() == [each[1][0], each[1][3], each[0][9]]


def test_few_orders_are_kept() -> None:
    batches = documents([1] * 8, 4, 3)
    for step in range(200):
        batches[step]
        assert len(batches._tapes) <= 2
    batches[0]


def test_more_rows_than_tokens_of_documents_read_one_each() -> None:
    inputs, _ = documents([1, 1], 5, 4)[0]
    assert inputs.shape == (5, 4)
    assert set(inputs.ravel().tolist()) <= {0, 1}
