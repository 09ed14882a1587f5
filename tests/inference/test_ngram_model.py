"""An n-gram model in one array: the same probabilities as by counting, whatever is asked of it."""

import numpy as np
import pytest

from charrnn.inference.ngram_model import NGramModel, sorted_followers
from charrnn.tasks.language.baselines import NGram

RNG = np.random.default_rng(3)
TEXT = RNG.choice(6, 3_000, p=[0.4, 0.2, 0.2, 0.1, 0.06, 0.04]).astype(np.uint8)
ORDERS = (2, 4, 6)


def model_of(
    tokens: np.ndarray, vocab_size: int = 6, orders: tuple[int, ...] = ORDERS
) -> NGramModel:
    return NGramModel(sorted_followers(tokens, max(orders) - 1), vocab_size, orders)


def read(model: NGramModel, tokens: np.ndarray) -> np.ndarray:
    """Tokens (T,) -> the intervals before each of them, (T, 2 * order)."""
    intervals, found = model.begin(1), []
    for each in tokens:
        found.append(intervals)
        intervals = model.step(np.array([each]), intervals)
    return np.concatenate(found)


def test_the_probabilities_are_those_of_counting() -> None:
    held_out = RNG.choice(6, 400).astype(np.uint8)
    model = model_of(TEXT)
    logs = model.log_probabilities(read(model, held_out))
    for place, order in enumerate(ORDERS):
        expected = NGram(TEXT, 6, order).probabilities(held_out)
        found = np.exp(logs[np.arange(400), place, held_out])
        # The text is read as a circle, so a few contexts occur once more.
        np.testing.assert_allclose(found, expected, rtol=0.1)
        assert np.mean(np.abs(found - expected) < 1e-6) > 0.5
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("orders", [ORDERS, (3, 20), (1,), (1, 2), (4,)])
def test_a_row_does_not_depend_on_how_many_there_are(orders: tuple[int, ...]) -> None:
    model = model_of(TEXT, orders=orders)
    intervals = read(model, TEXT[:50])
    together = model.log_probabilities(intervals)
    alone = np.concatenate([model.log_probabilities(row[None]) for row in intervals])
    assert together.tobytes() == alone.tobytes()
    weights = [0.3] * len(orders)
    one = model.weighted(intervals[:1], weights)
    assert (model.weighted(intervals, weights)[:1] == one).all()


def test_rows_are_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(TEXT)
    intervals = read(model, TEXT[:50])
    expected = model.log_probabilities(intervals), model.weighted(intervals, [0.2, 0.3, 0.4])
    monkeypatch.setattr("charrnn.inference.ngram_model.COUNTED_NUMBERS", 7 * 2_000)
    assert (model.log_probabilities(intervals) == expected[0]).all()
    assert (model.weighted(intervals, [0.2, 0.3, 0.4]) == expected[1]).all()


def test_long_contexts_at_the_same_places_are_one_by_one_what_they_are_together() -> None:
    # A text that returns to phrases of 40: most contexts have the places of the one before.
    phrases = RNG.choice(6, (30, 40)).astype(np.uint8)
    text = phrases[RNG.integers(0, 30, 200)].ravel()
    orders = (2, 5, 9, 20)
    model = model_of(text, orders=orders)
    intervals = read(model, text[3_000:3_100])
    begins, ends = intervals.reshape(100, 2, 20).astype(int).transpose(1, 2, 0)
    assert np.mean(ends[1:] - begins[1:] == ends[:-1] - begins[:-1]) > 0.5
    p = np.full((100, 6), 1 / 6)
    followers = sorted_followers(text, 19)
    logs = model.log_probabilities(intervals)
    for length in range(20):
        for row in range(100):
            counts = np.bincount(followers[begins[length, row] : ends[length, row]], minlength=6)
            different = np.count_nonzero(counts)
            if different:
                p[row] = (counts + different * p[row]) / (counts.sum() + different)
        if length + 1 in orders:
            found = logs[:, orders.index(length + 1)]
            np.testing.assert_allclose(np.exp(found), p, rtol=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_ids_of_any_size_are_read(kind: type[np.unsignedinteger]) -> None:
    model = model_of(TEXT.astype(kind))
    first = model_of(TEXT)
    intervals = read(first, TEXT[:30])
    assert (read(model, TEXT[:30]) == intervals).all()
    assert (model.log_probabilities(intervals) == first.log_probabilities(intervals)).all()


def test_what_never_occurred_falls_back_on_shorter_contexts() -> None:
    model = model_of(np.array([0, 1] * 50, np.uint8), vocab_size=4, orders=(1, 3))
    intervals = read(model, np.array([3, 0, 0], np.uint8))[-1:]
    one, three = model.log_probabilities(intervals)[0]
    assert np.exp(three[1]) > 0.9 > np.exp(one[1])
    assert (np.exp(three) > 0).all()


def test_followers_are_in_the_order_of_their_contexts() -> None:
    tokens = RNG.choice(3, 400).astype(np.uint16)
    keys = [np.roll(tokens, distance) for distance in range(9, 0, -1)]
    assert (sorted_followers(tokens, 9) == tokens[np.lexsort(keys)]).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shortest_texts_have_a_model(count: int) -> None:
    model = model_of(np.zeros(count, np.uint8), vocab_size=2)
    logs = model.log_probabilities(read(model, np.array([0, 1, 0], np.uint8)))
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1, rtol=1e-5)


def test_intervals_of_a_forged_file_are_harmless() -> None:
    model = model_of(TEXT)
    forged = np.array([[9e9, -5, 3, 2.5, 1, 0, 1, 2, -7e8, 0, 0, 0]], np.float32)
    found = []
    for rows in (1, 20):
        intervals = model.step(np.zeros(rows, int), np.repeat(forged, rows, 0))
        found.append(model.log_probabilities(intervals))
        assert np.isfinite(found[-1]).all()
    assert (found[0] == found[1]).all()


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    intervals = read(model_of(TEXT), TEXT)
    expected = model_of(TEXT).log_probabilities(intervals)
    monkeypatch.setattr("charrnn.inference.ngram_model.CACHED_NUMBERS", 0)
    # Here slices of three are long ones, whose counts are kept.
    monkeypatch.setattr("charrnn.inference.ngram_model.LONG_SLICE", 3)
    monkeypatch.setattr("charrnn.inference.ngram_model.COUNTED_SINGLY", 0)
    model = model_of(TEXT)
    found = [model.log_probabilities(row[None]) for row in intervals]
    assert 0 < len(model._cache) <= 64
    assert 0 < len(model._counts) <= 64
    assert (np.concatenate(found) == expected).all()
    assert (model.log_probabilities(intervals) == expected).all()
