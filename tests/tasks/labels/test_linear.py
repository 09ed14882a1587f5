"""Logistic regression over the TF-IDF of n-grams."""

import json

import numpy as np
import pytest

from charrnn.errors import CheckpointError
from charrnn.tasks.labels import linear, naive_bayes
from charrnn.tasks.labels.linear import Linear, learn, minimize, tf_idf
from charrnn.tasks.labels.naive_bayes import NaiveBayes, buckets_of

TEXTS = ["a fine film", "a fine day", "a bad film", "a bad day", "bad, bad luck", "so fine"]
OWN = [[1], [1], [0], [0], [0], [1]]
BITS = 12
ROWS = [buckets_of(text, "words", BITS) for text in TEXTS]


def counted(own: list[list[int]], odds: bool = False) -> NaiveBayes:
    """The counts of the texts."""
    return naive_bayes.learn(ROWS, own, 2, "words", BITS, odds)


def test_the_values_of_a_text_are_of_length_one_and_leave_out_what_was_never_seen() -> None:
    bayes = counted(OWN)
    text, feature, value = tf_idf([*ROWS, buckets_of("zebra fine", "words", BITS)], bayes)
    np.testing.assert_allclose(np.bincount(text, value**2), np.ones(len(TEXTS) + 1))
    assert feature.max() < bayes.different
    a, fine = (value[text == 1][np.searchsorted(ROWS[1], buckets_of(w, "words", BITS))].max()
               for w in ("a", "film"))  # fmt: skip
    assert fine >= a


@pytest.mark.parametrize("odds", [False, True])
def test_it_learns_which_words_give_a_label_away(odds: bool) -> None:
    own = [[*each, *([0] if odds and each == [1] and n == 5 else [])] for n, each in enumerate(OWN)]
    bayes = counted(own, odds)
    model = learn(ROWS, own, bayes)
    assert model is not None
    scores = model.scores([buckets_of(text, "words", BITS) for text in ("bad", "fine")], bayes)
    assert scores[0, 0] > scores[1, 0]
    assert scores[1, 1] > scores[0, 1]


def test_the_loss_is_least_where_it_ends() -> None:
    target = np.array([1.0, -2.0, 3.0])
    scale = np.array([1.0, 30.0, 0.1])
    found = minimize(lambda x: (float(scale @ (x - target) ** 2), 2 * scale * (x - target)),
                     np.zeros(3))  # fmt: skip
    np.testing.assert_allclose(found, target, atol=0.05)


def test_there_is_none_of_one_label_or_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one = naive_bayes.learn(ROWS, [[0]] * len(ROWS), 1, "words", BITS, False)
    assert learn(ROWS, [[0]] * len(ROWS), one) is None
    monkeypatch.setattr(linear, "MOST_WEIGHTS", 10)
    assert learn(ROWS, OWN, counted(OWN)) is None


def test_it_survives_json_and_a_damaged_one_is_refused() -> None:
    bayes = counted(OWN)
    model = learn(ROWS, OWN, bayes)
    assert model is not None
    data = model.to_json()
    again = Linear.from_json(json.loads(json.dumps(data)), bayes.different, 2)
    np.testing.assert_array_equal(again.scores(ROWS, bayes), model.scores(ROWS, bayes))
    infinite = Linear(np.full_like(model.weights, np.inf), model.bias).to_json()
    for change in ({"weights": "x"}, {"bias": data["weights"]}, {"weights": None}, infinite):
        with pytest.raises(CheckpointError):
            Linear.from_json(data | change, bayes.different, 2)
    with pytest.raises(CheckpointError):
        Linear.from_json([], bayes.different, 2)
