"""Naive Bayes over n-grams."""

import dataclasses
import json

import numpy as np
import pytest

from charrnn.errors import CheckpointError
from charrnn.tasks.labels import naive_bayes
from charrnn.tasks.labels.naive_bayes import NaiveBayes, buckets_of, learn, marked, pack, unpack

TEXTS = ["a fine film", "a fine day", "a bad film", "a bad day", "bad, bad luck", "so fine"]
OWN = [[1], [1], [0], [0], [0], [1]]
BITS = 12


def rows(texts: list[str] = TEXTS) -> list[np.ndarray]:
    """The buckets of some texts."""
    return [buckets_of(text, "words", BITS) for text in texts]


def counted(texts: list[str], own: list[list[int]], odds: bool = False) -> NaiveBayes:
    """The counts of some texts."""
    found = learn(rows(texts), own, 2, "words", BITS, odds)
    return dataclasses.replace(found, smoothing=1.0)


def test_scores_are_those_of_the_formula() -> None:
    bayes = counted(TEXTS, OWN)
    row = buckets_of("bad day", "words", BITS)
    counts = np.array([[sum(int(b) in set(r.tolist()) for r, o in zip(rows(), OWN, strict=True)
                            if o == [label]) for b in row] for label in (0, 1)])  # fmt: skip
    totals = [sum(len(r) for r, o in zip(rows(), OWN, strict=True) if o == [n]) for n in (0, 1)]
    space = len({int(b) for r in rows() for b in r})
    expected = np.log(counts + 1).sum(1) - len(row) * np.log(np.array(totals) + space) + np.log(4)
    np.testing.assert_allclose(
        bayes.scores([row])[0], (expected - expected.max()) / np.sqrt(len(row)), rtol=1e-5
    )


@pytest.mark.parametrize("odds", [False, True])
def test_left_one_out_is_what_the_others_alone_would_say(odds: bool) -> None:
    bayes = counted(TEXTS, OWN, odds)
    truth = marked(OWN, 2)
    own = bayes.scores(rows(), truth)
    for n in range(len(TEXTS)):
        rest = [m for m in range(len(TEXTS)) if m != n]
        others = counted([TEXTS[m] for m in rest], [OWN[m] for m in rest], odds)
        # The number of different n-grams is that of all texts.
        object.__setattr__(others, "different", bayes.different)
        np.testing.assert_allclose(own[n], others.scores([rows()[n]])[0], rtol=1e-4, atol=1e-4)


def test_a_text_without_n_grams_has_the_scores_of_the_labels_alone() -> None:
    scores = counted([*TEXTS, "bad"], [*OWN, [0]]).scores([np.zeros(0, np.int64)])
    assert scores[0, 0] == 0 > scores[0, 1]


def test_several_labels_have_odds_of_their_own() -> None:
    own = [[1], [1], [0], [0], [0, 1], [0, 1]]
    scores = counted(TEXTS, own, odds=True).scores(rows(["a bad luck"]))
    assert scores[0, 0] > scores[0, 1]


def test_counts_survive_json() -> None:
    bayes = counted(TEXTS, OWN)
    again = NaiveBayes.from_json(json.loads(json.dumps(bayes.to_json())), 2, False)
    np.testing.assert_array_equal(again.scores(rows()), bayes.scores(rows()))


@pytest.mark.parametrize(
    "change",
    [{"kind": "x"}, {"bits": 99}, {"bits": True}, {"smoothing": 0.0}, {"sizes": "x"},
     {"texts": "1"}, {"labels": pack(np.array([1]))}, {"counts": 3},
     {"of_label": pack(np.arange(3))}],
)  # fmt: skip
def test_damaged_counts_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(CheckpointError):
        NaiveBayes.from_json(counted(TEXTS, OWN).to_json() | change, 2, False)


def test_what_unpacks_to_more_than_it_should_is_refused() -> None:
    with pytest.raises(CheckpointError):
        unpack(pack(np.zeros(10**6, np.int64)), 10)


def test_the_grams_of_characters_know_where_a_text_begins() -> None:
    assert "^a" in naive_bayes.grams("ab", "characters")
    assert naive_bayes.grams("", "characters") == ["^", "$", "^$"]


@pytest.mark.parametrize("odds", [False, True])
def test_scores_are_the_same_however_many_counts_are_read_at_once(
    odds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [[1], [1], [0], [0], [0], [1]]
    bayes, truth = counted(TEXTS, own, odds), naive_bayes.marked(own, 2)
    wanted = bayes.scores(rows()), bayes.scores(rows(), truth)
    monkeypatch.setattr(naive_bayes, "AT_ONCE", 9)
    for found, want in zip(
        (bayes.scores(rows()), bayes.scores(rows(), truth)), wanted, strict=True
    ):
        assert found.tobytes() == want.tobytes()
