"""The n-gram model: worked examples of Witten-Bell smoothing, and a slow reference model."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.tasks.language.baselines import NGram

Ids = NDArray[np.unsignedinteger]

VOCAB = 4

SOME = st.lists(st.integers(0, VOCAB - 1), max_size=40)


def ids(values: list[int], kind: type[np.unsignedinteger] = np.uint8) -> Ids:
    """An array of the type that a corpus has."""
    return np.array(values, kind)


def slow(text: list[int], order: int, context: list[int], token: int) -> float:
    """The same probability, counted again for each query."""
    p = 1.0 / VOCAB
    for size in range(1, min(order, len(context) + 1) + 1):
        before = tuple(context[len(context) - size + 1 :])
        runs = (tuple(text[i : i + size]) for i in range(len(text) - size + 1))
        followers = Counter(run[-1] for run in runs if run[:-1] == before)
        n, d = sum(followers.values()), len(followers)
        if n:
            p = (followers[token] + d * p) / (n + d)
    return p


def likelihood(model: NGram, context: list[int], token: int) -> float:
    """The probability of a token after a context."""
    return float(model.probabilities(ids([*context, token]))[-1])


def test_witten_bell_by_hand() -> None:
    # 0 1 0 1: each of two tokens twice, 1 twice after 0, 0 once after 1.
    model = NGram(ids([0, 1, 0, 1]), vocab_size=2, order=2)
    first = (2 + 2 * 0.5) / (4 + 2)
    assert likelihood(model, [], 0) == pytest.approx(first) == 0.5
    assert likelihood(model, [0], 1) == pytest.approx((2 + 1 * first) / (2 + 1))
    assert likelihood(model, [0], 0) == pytest.approx((0 + 1 * first) / (2 + 1))
    assert likelihood(model, [1], 0) == pytest.approx((1 + 1 * first) / (1 + 1))
    assert likelihood(model, [1], 1) == pytest.approx((0 + 1 * first) / (1 + 1))


def test_unequal_counts_by_hand() -> None:
    # 0 0 0 1 in a vocabulary of four: n = 4, d = 2.
    model = NGram(ids([0, 0, 0, 1]), VOCAB, order=1)
    assert likelihood(model, [], 0) == pytest.approx((3 + 2 / 4) / 6)
    assert likelihood(model, [], 1) == pytest.approx((1 + 2 / 4) / 6)
    assert likelihood(model, [], 2) == pytest.approx((0 + 2 / 4) / 6)


def test_three_tokens_by_hand() -> None:
    # 0 1 2 0 1 3: after 0 1 once 2 and once 3; after 1 the same; 0 2, 1 2, 2 1, 3 1 of 6.
    model = NGram(ids([0, 1, 2, 0, 1, 3]), VOCAB, order=3)
    alone = (1 + 4 * 0.25) / (6 + 4)
    after_one = (1 + 2 * alone) / (2 + 2)
    assert likelihood(model, [], 2) == pytest.approx(alone)
    assert likelihood(model, [1], 2) == pytest.approx(after_one)
    assert likelihood(model, [0, 1], 2) == pytest.approx((1 + 2 * after_one) / (2 + 2))
    assert likelihood(model, [3, 0, 1], 2) == pytest.approx((1 + 2 * after_one) / (2 + 2))


@given(text=SOME, order=st.integers(1, 5), context=SOME)
@settings(max_examples=200, deadline=None)
def test_probabilities_after_any_context_sum_to_one(
    text: list[int], order: int, context: list[int]
) -> None:
    model = NGram(ids(text), VOCAB, order)
    probabilities = [likelihood(model, context, token) for token in range(VOCAB)]
    assert all(p > 0 for p in probabilities)
    assert sum(probabilities) == pytest.approx(1.0)


@given(text=SOME, order=st.integers(1, 6), sought=SOME)
@settings(max_examples=200, deadline=None)
def test_counting_once_equals_counting_for_each_query(
    text: list[int], order: int, sought: list[int]
) -> None:
    found = NGram(ids(text), VOCAB, order).probabilities(ids(sought))
    expected = [slow(text, order, sought[:i], token) for i, token in enumerate(sought)]
    assert found.tolist() == pytest.approx(expected)
    assert found.dtype == np.float64


def test_an_empty_text_gives_the_uniform_distribution() -> None:
    assert NGram(ids([]), VOCAB).probabilities(ids([0, 3, 3])).tolist() == [0.25] * 3


@pytest.mark.parametrize("size", range(6))
def test_texts_shorter_than_the_order_can_be_counted_and_scored(size: int) -> None:
    short, long = list(range(size)), [0, 1, 2, 3, 2, 1, 0, 0, 1, 2]
    for text, sought in ((short, long), (long, short), (short, short)):
        model = NGram(ids(text), 6, order=5)
        found = model.probabilities(ids(sought))
        assert len(found) == len(sought)
        assert np.all((found > 0) & (found <= 1))


def test_an_unseen_context_backs_off_to_the_shorter_one() -> None:
    model = NGram(ids([0, 1, 0, 2]), VOCAB, order=3)
    assert likelihood(model, [3, 0], 1) == likelihood(model, [0], 1)
    assert likelihood(model, [3, 3], 1) == likelihood(model, [], 1)


def test_a_context_seen_only_at_the_very_end_has_no_followers() -> None:
    model = NGram(ids([0, 1, 0, 3]), VOCAB, order=2)
    assert likelihood(model, [3], 0) == likelihood(model, [], 0)


def test_order_one_ignores_the_context() -> None:
    model = NGram(ids([0, 1, 1, 3]), VOCAB, order=1)
    assert likelihood(model, [0, 1], 1) == likelihood(model, [], 1)


def test_a_longer_context_predicts_better() -> None:
    text = [0, 1, 2, 3] * 50
    losses = [-np.log(NGram(ids(text), VOCAB, n).probabilities(ids(text))).mean() for n in (1, 2)]
    assert losses[1] < 0.1 < 1.3 < losses[0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_the_type_of_the_ids_does_not_matter(kind: type[np.unsignedinteger]) -> None:
    text, sought = [0, 1, 1, 0, 3, 2, 1], [1, 0, 3, 0]
    expected = NGram(ids(text), VOCAB).probabilities(ids(sought))
    found = NGram(ids(text, kind), VOCAB).probabilities(ids(sought, kind))
    assert found.tolist() == expected.tolist()


def test_large_ids_are_distinguished() -> None:
    text = [65_535, 0, 65_535, 1, 2**20]
    model = NGram(ids(text, np.uint32), 2**21, order=2)
    p = model.probabilities(ids([65_535, 0, 65_535, 2**20], np.uint32))
    assert p[1] > 0.2 > p[3]


def test_the_order_of_tokens_matters() -> None:
    # 1 2 was seen and 2 1 was not.
    model = NGram(ids([1, 2, 0, 0, 2, 0, 1, 0]), VOCAB, order=2)
    assert likelihood(model, [1], 2) > 2 * likelihood(model, [2], 1)


def test_inputs_are_not_modified_and_results_are_repeatable() -> None:
    text, sought = ids([0, 1, 2, 0, 1]), ids([0, 1, 2])
    model = NGram(text, VOCAB)
    first = model.probabilities(sought).tolist()
    assert model.probabilities(sought).tolist() == first
    assert (text.tolist(), sought.tolist()) == ([0, 1, 2, 0, 1], [0, 1, 2])
    sought.flags.writeable = False
    assert model.probabilities(sought).tolist() == first
