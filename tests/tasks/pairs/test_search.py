"""Beam search, against a decoder that is a table."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.tasks.pairs.search import Arrays, Hypothesis, Ids, rows_at_once, search

END = 0


class Table:
    """Probabilities of the next id by the last one, the same for every source."""

    def __init__(self, weights: list[list[float]]) -> None:
        self.logits = np.log(np.array(weights, np.float64) + 1e-12).astype(np.float32)

    def encode(self, sources: Sequence[Ids]) -> tuple[Arrays, Arrays]:
        """A memory of zeros."""
        return [np.zeros((len(sources), max(map(len, sources))), np.float32)], [
            np.zeros((len(sources), 1), np.float32)
        ]

    def step(
        self, ids: Ids, memory: Arrays, state: Arrays
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Arrays]:
        """The row of the table."""
        # The attention says which id was read, so that a test can follow it.
        attention = np.repeat(ids[:, None].astype(np.float32), memory[0].shape[1], 1)
        return self.logits[ids], attention, [state[0] + 1]


GARDEN = Table(
    [
        [0.0, 0.6, 0.4, 0.0],  # the likelier beginning, 1,
        [0.4, 0.2, 0.2, 0.2],  # leads to nothing likely,
        [0.0, 0.0, 0.0, 1.0],  # and 2 to 3
        [1.0, 0.0, 0.0, 0.0],  # to the end
    ]
)


def found(width: int, table: Table = GARDEN, longest: int = 9) -> list[Hypothesis]:
    (result,) = search(table, [np.array([1, 2, END])], [longest], width, END, [[]])
    return result


def test_greedy_takes_the_likeliest_token_and_a_beam_the_likeliest_target() -> None:
    assert found(1)[0].ids == (1,)
    assert found(1)[0].logprob == pytest.approx(np.log(0.6 * 0.4))
    best = found(3)[0]
    assert best.ids == (2, 3)
    assert best.score == pytest.approx(np.log(0.4) / 3, abs=1e-4)


def test_the_best_come_first_and_no_two_are_the_same() -> None:
    several = found(3)
    scores = [each.score for each in several]
    assert scores == sorted(scores, reverse=True)
    assert len({each.ids for each in several}) == len(several) == 3


def test_the_attention_is_that_of_each_tokens_own_row() -> None:
    # What was read before each token: the end, then the token before it.
    assert found(3)[0].attention[:, 0].tolist() == [END, 2]
    assert found(3)[0].attention.shape == (2, 3)


def test_a_target_that_never_ends_is_cut_and_says_so() -> None:
    endless = Table([[0.0, 1.0], [0.0, 1.0]])
    (best,) = found(1, endless, longest=4)
    assert best.ids == (1, 1, 1, 1)
    assert not best.ended


def test_an_end_counts_only_among_the_first_of_the_beam() -> None:
    # The end is always the third likeliest: with a beam of two no target may end early.
    shy = Table([[0.2, 0.45, 0.35], [0.2, 0.45, 0.35], [0.2, 0.45, 0.35]])
    assert all(not each.ended for each in found(2, shy, longest=5))
    assert any(each.ended for each in found(3, shy, longest=5))


def test_ends_that_come_early_do_not_stop_a_better_target() -> None:
    # A sure model of 1 2 3 4 5: after each of them the end is the second likeliest.
    sure = np.full((6, 6), 0.0001)
    for before, after in zip(range(6), [1, 2, 3, 4, 5, 0], strict=True):
        sure[before, 0], sure[before, after] = 0.01, 0.98
    assert found(2, Table(sure.tolist()), longest=12)[0].ids == (1, 2, 3, 4, 5)


def test_a_banned_id_is_never_written() -> None:
    (result,) = search(GARDEN, [np.array([1, END])], [9], 1, END, [[1]])
    assert result[0].ids == (2, 3)


def test_sources_are_put_into_batches_by_length_and_memory() -> None:
    sources = [np.zeros(n, np.int64) for n in (3, 900, 5, 800)]
    batches = rows_at_once(sources, [3000] * 4, 5)
    assert sorted(n for batch in batches for n in batch) == [0, 1, 2, 3]
    assert batches[0] == [1]
    assert len(rows_at_once([np.zeros(9, np.int64)] * 100, [9] * 100, 1)) == 1
