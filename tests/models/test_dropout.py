"""Dropout: its probability and scale, torch's seed, and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.models.functional import DROPOUT_LEVELS, dropout


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.95])
def test_values_are_dropped_with_probability_p_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(1)
    dropped = dropout(torch.ones(400, 1000), p)
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    assert len(set(dropped.flatten().tolist())) == 2


def test_probability_zero_keeps_everything() -> None:
    x = torch.randn(3, 5)
    assert torch.equal(dropout(x, 0.0), x)


def test_a_probability_near_one_still_keeps_some_values() -> None:
    assert float(dropout(torch.ones(100_000), 0.9999).max()) == pytest.approx(DROPOUT_LEVELS)


def test_the_seed_determines_the_mask() -> None:
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        masks.append(dropout(torch.ones(50), 0.5))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@given(shape=st.lists(st.integers(0, 9), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_the_shape_is_kept(shape: list[int]) -> None:
    assert list(dropout(torch.ones(shape), 0.5).shape) == shape


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_masked_like_values(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(64, dtype=kind, requires_grad=True)
    dropped = dropout(x, 0.5)
    assert dropped.dtype == kind
    dropped.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())
