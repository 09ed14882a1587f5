"""The weights of network and naive Bayes, batches of an evaluation, and baselines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from charrnn.tasks.labels import dataset as datasets
from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.evaluate import (
    TOKENS,
    baselines,
    batches_of,
    chosen_texts,
    evaluate,
    fitted,
    joined,
)
from charrnn.tasks.labels.metrics import score
from charrnn.tasks.labels.stepper import evaluating
from tests.support.labels import network_of, write_examples

RANDOM = np.random.default_rng(5)
OWN = [[int(n)] for n in RANDOM.integers(0, 3, 300)]


def outputs(strength: float, noise: float) -> np.ndarray:
    """Logits that favor the right label."""
    found = RANDOM.normal(0, noise, (len(OWN), 3))
    for row, (label,) in zip(found, OWN, strict=True):
        row[label] += strength
    return found


@pytest.mark.parametrize("multiple", [False, True])
def test_the_fitted_weights_are_the_best_ones(multiple: bool) -> None:
    network, bayes = outputs(8, 8), outputs(1, 1)
    if multiple:
        network, bayes = network - 4, bayes - 0.5
    linear = outputs(2, 2) - (1.0 if multiple else 0.0)
    stack = np.stack([network, bayes, linear])
    best = fitted(stack, OWN, multiple)

    def loss(weights: Sequence[float]) -> float:
        names = ("a", "b", "c")
        return score(joined(stack, weights, multiple), OWN, names, multiple).log_loss

    assert loss(best) < loss((1.0, 0.0, 0.0))
    for change in (-0.05, 0.05):
        for axis in np.eye(3):
            assert loss(best) <= loss((best + change * axis).tolist()) + 2e-3


def test_few_texts_hardly_change_the_weights() -> None:
    weights = fitted(np.array([[[9.0, 0, 0]], [[0, 9.0, 0]], [[0, 0, 9.0]]]), [[0]], False)
    assert weights == pytest.approx((1.0, 0.0, 0.0), abs=0.1)
    assert fitted(np.zeros((3, 1, 3)), [[-1]], False) == (1.0, 0.0, 0.0)


def test_a_batch_is_of_texts_of_about_equal_length_and_of_bounded_size() -> None:
    lengths = RANDOM.integers(1, 300, 200).tolist()
    found = batches_of(lengths)
    assert sorted(n for batch in found for n in batch) == list(range(200))
    assert all(len(b) * max(lengths[n] for n in b) <= TOKENS for b in found)
    assert batches_of([10 * TOKENS]) == [[0]]


def test_an_evaluation_of_a_limit_is_spread_over_all_texts(tmp_path: Path) -> None:
    source = write_examples(tmp_path / "x.tsv")
    data = datasets.prepare(LabelsDataConfig((str(source),)), tmp_path / "corpus")
    part = data.part("train")
    few = chosen_texts(part, data.size("train") // 3)
    assert len(few) == pytest.approx(len(part) / 3, abs=1)
    assert max(few) > len(part) // 2
    with evaluating(network_of(data.encoder)) as model:
        found = evaluate(model, part, data.encoder, fit=True)
    assert found.weights != (1.0, 0.0, 0.0)
    for name in ("naive Bayes", "linear model"):
        assert baselines(part, data.encoder)[name].value > 0.9


def test_batches_are_bounded_by_tokens_and_by_texts_times_labels() -> None:
    lengths = [3] * 500 + [1000] * 9
    for labels, most in ((1, 1_365), (10_000, 100), (10**7, 1)):
        batches = batches_of(lengths, labels)
        assert sorted(n for batch in batches for n in batch) == list(range(509))
        assert max(map(len, batches)) == min(most, 500)
        assert all(len(b) * max(lengths[n] for n in b) <= TOKENS for b in batches)
