"""Sampled softmax: with all columns it is the softmax, with some of them it is right on average."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.models import sampled_softmax
from charrnn.models.sampled_softmax import (
    Columns,
    SampledSoftmax,
    sampled_cross_entropy,
    token_counts,
)
from tests.support import softmax

ROWS, WIDTH, VOCABULARY = 37, 6, 40
COUNTS = np.arange(VOCABULARY)[::-1].copy()


def parts() -> softmax.Parts:
    """Inputs of a loss, the same each time."""
    return softmax.parts(ROWS, WIDTH, VOCABULARY)


def by_autograd(
    x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, columns: Columns
) -> Tensor:
    """The same loss, each row by itself."""
    losses = []
    for row, target in zip(x, targets.tolist(), strict=True):
        common = columns.ids[: columns.common]
        drawn = [i for i in columns.ids[columns.common :].tolist() if i != target]
        logits = weight @ row + bias
        terms = [logits[common], logits[drawn] + columns.correction]
        if target not in common:
            terms.append(logits[target, None])
        losses.append(torch.cat(terms).logsumexp(0) - logits[target])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("common", [0, 3, 20])
@pytest.mark.parametrize("chunk", [1, VOCABULARY * 4, VOCABULARY * 100])
def test_loss_and_gradients_are_those_of_the_formula(
    common: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_softmax, "LOGITS_AT_ONCE", chunk)
    columns = Columns(torch.randperm(VOCABULARY)[:21], common, 0.7)
    results = []
    for loss in (sampled_cross_entropy, by_autograd):
        x, weight, bias, targets = parts()
        value = loss(x, weight, bias, targets, columns)
        results.append([value, *torch.autograd.grad(3.0 * value, (x, weight, bias))])
    for found, expected in zip(*results, strict=True):
        assert found.isfinite().all()
        assert torch.allclose(found, expected, atol=1e-6)


def test_all_columns_are_the_softmax() -> None:
    x, weight, bias, targets = parts()
    found = SampledSoftmax(COUNTS, VOCABULARY).loss(x, weight, bias, targets)
    assert torch.allclose(found, F.cross_entropy(F.linear(x, weight, bias), targets))


def test_over_many_draws_the_gradient_is_that_of_the_softmax() -> None:
    x, weight, bias, targets = parts()
    # As in a large vocabulary, where no single one of the drawn tokens has much of the probability.
    small, flat = 0.2 * weight.detach(), 0.2 * bias.detach()
    small.requires_grad_()
    sample = SampledSoftmax(COUNTS, 30)
    torch.manual_seed(0)
    draws = [
        torch.autograd.grad(sample.loss(x, small, flat, targets), small)[0] for _ in range(1000)
    ]
    exact = F.cross_entropy(F.linear(x, small, flat), targets)
    wanted = torch.autograd.grad(exact, small)[0]
    mean = torch.stack(draws).mean(0)
    assert (mean - wanted).norm() < 0.03 * wanted.norm()
    assert (draws[0] - wanted).norm() > 0.1 * wanted.norm()


def test_the_frequent_are_in_every_step_and_the_others_in_turn() -> None:
    counts = np.array([5, 0, 9, 1, 1, 7, 0, 2])
    sample = SampledSoftmax(counts, 5)
    seen: set[int] = set()
    for seed in range(30):
        torch.manual_seed(seed)
        ids, common, correction = sample.columns(torch.device("cpu"))
        assert ids[:common].tolist() == [2, 5]
        assert len(set(ids.tolist())) == 5
        assert correction == pytest.approx(np.log(6 / 3))
        seen |= set(ids.tolist())
    assert seen == set(range(8))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_columns_will_do(size: int) -> None:
    x, weight, bias, targets = parts()
    assert SampledSoftmax(COUNTS, size).loss(x, weight, bias, targets).isfinite()


def test_tokens_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_softmax, "MOST_COUNTED", 5)
    tokens = np.array([1, 1, 3, 0, 1, 2, 2, 2], np.uint16)
    assert token_counts(tokens, 5).tolist() == [1, 3, 0, 1, 0]


def test_products_are_rounded_under_autocast() -> None:
    columns = SampledSoftmax(COUNTS, 20).columns(torch.device("cpu"))
    softmax.check_rounding(partial(sampled_cross_entropy, columns=columns), parts())
