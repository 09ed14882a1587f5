"""Batches of pairs are functions of the step."""

import numpy as np
import pytest

from charrnn.data.examples import Rows
from charrnn.tasks.pairs.batches import PADDING, PairBatches, copy_token


def rows(lengths: list[int], first: int = 1) -> Rows:
    """Rows of these lengths, each of one number."""
    ids = np.repeat(np.arange(first, first + len(lengths)), lengths).astype(np.uint16)
    return Rows(ids, np.cumsum(lengths))


LENGTHS = np.random.default_rng(1).integers(2, 20, 200).tolist()

BATCHES = PairBatches(rows(LENGTHS), rows(LENGTHS[::-1]), 8, 20)


def test_each_epoch_reads_every_pair_once_in_another_order() -> None:
    count = int(BATCHES.steps_per_epoch)
    epochs = [
        [row[0] for k in range(count) for row in BATCHES[e * count + k][0].tolist()]
        for e in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(1, 201))
    assert epochs[0] != epochs[1]


def test_a_batch_holds_about_its_padded_tokens() -> None:
    sizes = [BATCHES[k][0].size + BATCHES[k][3].size for k in range(int(BATCHES.steps_per_epoch))]
    assert max(sizes) < 1.4 * 160
    assert np.mean(sizes) > 0.6 * 160


@pytest.mark.parametrize(("pairs", "part"), [(5_000, 0.96), (150, 0.8)])
def test_hardly_a_token_is_padding(pairs: int, part: float) -> None:
    """Sides of related lengths, many pairs or few: the order that pads less is taken."""
    random = np.random.default_rng(2)
    sources = random.integers(5, 30, pairs)
    targets = np.maximum(1, sources + random.integers(-5, 6, pairs))
    batches = PairBatches(rows(sources.tolist()), rows(targets.tolist()), 16, 40)
    padded = sum(
        batch[0].size + batch[3].size
        for batch in (batches[k] for k in range(int(batches.steps_per_epoch)))
    )
    assert (sources.sum() + targets.sum()) / padded > part


def test_a_pair_longer_than_a_batch_is_a_batch() -> None:
    batches = PairBatches(rows([50, 2]), rows([50, 2]), 1, 8)
    assert batches.steps_per_epoch == 2
    assert sorted(batches[k][0].shape[1] for k in range(2)) == [2, 50]


def test_inputs_are_targets_one_step_later_and_lengths_are_right() -> None:
    sources, lengths, inputs, targets = BATCHES[3]
    assert ((sources > 0).sum(1) == lengths).all()
    assert (inputs[:, 0] == 0).all()
    inside = targets[:, :-1] != PADDING
    np.testing.assert_array_equal(inputs[:, 1:][inside], targets[:, :-1][inside])


def test_more_processes_than_rows_still_have_one_each() -> None:
    batches = [PairBatches(rows([3, 3]), rows([3, 3]), 1, 6, rank, 8) for rank in range(8)]
    assert all(len(each[0][0]) == 1 for each in batches)


def test_a_token_of_both_sides_is_read_as_one_to_copy() -> None:
    source, target = np.array([5, 6, 5, 0]), np.array([5, 7, 0])
    copy_token(source, target, 9, 0, np.random.default_rng(0))
    assert source.tolist() == [9, 6, 9, 0]
    assert target.tolist() == [9, 7, 0]
    copy_token(source, target, 9, 0, np.random.default_rng(0))
    assert target.tolist() == [9, 7, 0]
