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


def test_a_row_does_not_depend_on_how_many_there_are() -> None:
    model = model_of(TEXT)
    intervals = read(model, TEXT[:50])
    together = model.log_probabilities(intervals)
    alone = np.concatenate([model.log_probabilities(row[None]) for row in intervals])
    assert together.tobytes() == alone.tobytes()


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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shortest_texts_have_a_model(count: int) -> None:
    model = model_of(np.zeros(count, np.uint8), vocab_size=2)
    logs = model.log_probabilities(read(model, np.array([0, 1, 0], np.uint8)))
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1, rtol=1e-5)


def test_intervals_of_a_forged_file_are_harmless() -> None:
    model = model_of(TEXT)
    forged = np.array([[9e9, -5, 3, 2.5, 1, 0, 1, 2, -7e8, 0, 0, 0]], np.float32)
    for rows in (1, 20):
        intervals = model.step(np.zeros(rows, int), np.repeat(forged, rows, 0))
        assert np.isfinite(model.log_probabilities(intervals)).all()


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.inference.ngram_model.CACHED_NUMBERS", 0)
    model, other = model_of(TEXT), model_of(TEXT)
    intervals = read(model, TEXT)
    found = [model.log_probabilities(row[None]) for row in intervals]
    assert len(model._cache) <= 64
    assert (np.concatenate(found) == other.log_probabilities(intervals)).all()
