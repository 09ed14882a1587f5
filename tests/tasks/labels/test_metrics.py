"""Accuracy, F1, confusion and calibration."""

import numpy as np
import pytest

from charrnn.tasks.labels.metrics import calibration_error, score

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1]])
OWN = [[0], [1], [1], [2], [0]]
NAMES = ("a", "b", "c")


def test_the_figures_of_one_label_a_text() -> None:
    found = score(P, OWN, NAMES, multiple=False, detail=True)
    assert found.value == found.micro_f1 == 0.6
    assert found.per_label["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert found.macro_f1 == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found.confusion == {
        ("a", "a"): 1, ("b", "b"): 1, ("b", "a"): 1, ("c", "c"): 1, ("a", "b"): 1
    }  # fmt: skip
    assert found.log_loss == pytest.approx(-np.log([0.7, 0.8, 0.3, 0.6, 0.4]).mean())


def test_the_figures_of_several_labels_a_text() -> None:
    own = [[0], [1, 2], [0, 1], [2], [0]]
    found = score(P, own, NAMES, multiple=True)
    # a, b, a, c, b are predicted.
    assert found.value == pytest.approx((1 + 0.5 + 0.5 + 1 + 0) / 5)
    assert found.micro_f1 == pytest.approx(2 * 4 / (5 + 7))


def test_a_label_that_is_not_known_is_an_error() -> None:
    assert score(P, [[0], [1], [1], [2], [-1]], NAMES, False).value == 0.6
    assert score(P, [[-1]] * 5, NAMES, False).value == 0.0
    assert score(P, [[0, -1], [1], [0], [2], [1]], NAMES, True).value == pytest.approx(0.9)


def test_calibration_is_the_distance_of_confidence_and_accuracy() -> None:
    truth = np.zeros((10, 2), bool)
    truth[:7, 0] = True
    truth[7:, 1] = True
    right = np.tile([0.7, 0.3], (10, 1))
    assert calibration_error(right, truth, False) == pytest.approx(0.0)
    sure = np.tile([0.95, 0.05], (10, 1))
    assert calibration_error(sure, truth, False) == pytest.approx(0.25)


def test_the_figures_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    p = random.dirichlet(np.ones(4), 200)
    own = random.integers(0, 4, 200)
    found = score(p, [[int(n)] for n in own], "abcd", False)
    assert found.value == pytest.approx(metrics.accuracy_score(own, p.argmax(1)))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(own, p.argmax(1), average="macro"))
    assert found.log_loss == pytest.approx(metrics.log_loss(own, p))
