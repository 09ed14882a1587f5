"""The loss for large vocabularies: value and gradients equal torch's."""

import pytest
import torch
from torch.nn import functional as F

from charrnn.models import functional
from charrnn.tasks.language.network import build
from tests.support import softmax
from tests.support.tiny import tiny_model

ROWS, WIDTH, VOCABULARY = 23, 5, 11


def parts() -> softmax.Parts:
    """Inputs of a loss, the same each time."""
    return softmax.parts(ROWS, WIDTH, VOCABULARY)


@pytest.mark.parametrize("chunk", [1, VOCABULARY * 4, VOCABULARY * 100])
def test_loss_and_gradients_equal_those_of_torch(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "LOGITS_AT_ONCE", chunk)
    x, weight, bias, targets = parts()
    loss = functional.cross_entropy(x, weight, bias, targets)
    (3.0 * loss).backward()  # type: ignore[no-untyped-call]
    found = [each.grad for each in (x, weight, bias)]
    y, other, third, _ = parts()
    expected = F.cross_entropy(F.linear(y, other, third), targets)
    (3.0 * expected).backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(loss, expected)
    for one, each in zip(found, (y, other, third), strict=True):
        assert one is not None
        assert each.grad is not None
        assert torch.allclose(one, each.grad, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_a_smoothed_loss_and_its_gradients_equal_those_of_torch(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "LOGITS_AT_ONCE", VOCABULARY * 4)
    x, weight, bias, targets = parts()
    loss, nats = functional.smoothed_cross_entropy(x, weight, bias, targets, smoothing)
    found = torch.autograd.grad(loss, (x, weight, bias))
    logits = F.linear(x, weight, bias)
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing)
    assert torch.allclose(loss, expected)
    assert torch.allclose(nats, F.cross_entropy(logits, targets))
    for one, each in zip(found, torch.autograd.grad(expected, (x, weight, bias)), strict=True):
        assert torch.allclose(one, each, atol=1e-6)


def test_products_are_rounded_under_autocast() -> None:
    softmax.check_rounding(functional.cross_entropy, parts())


def test_a_network_has_the_same_gradients_with_either_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for large in (10**9, 1):
        monkeypatch.setattr("charrnn.tasks.language.network.LARGE_VOCABULARY", large)
        model = build(tiny_model(tie_weights=True), 0)
        ids = torch.arange(12).reshape(2, 6) % 11
        loss, _, _ = model.loss((ids, (ids + 1) % 11), model.zero_state(2))
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-6)
