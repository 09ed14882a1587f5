"""Inputs for a softmax loss, and a check that all such losses share."""

from collections.abc import Callable

import torch
from torch import Tensor

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def parts(rows: int, width: int, vocabulary: int) -> Parts:
    """Inputs (rows, width), weights (vocabulary, width), bias and targets, the same each time."""
    generator = torch.Generator().manual_seed(1)
    x, w = (torch.randn(n, width, generator=generator) for n in (rows, vocabulary))
    bias = torch.randn(vocabulary, generator=generator)
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    return x.requires_grad_(), w.requires_grad_(), bias.requires_grad_(), targets


def check_rounding(loss: Callable[..., Tensor], inputs: Parts) -> None:
    """Under autocast products are of bfloat16, and loss and gradients of float32."""
    exact = loss(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss(*inputs)
    assert rounded.dtype == torch.float32
    assert rounded != exact
    assert torch.allclose(rounded, exact, rtol=0.02)
    rounded.backward()  # type: ignore[no-untyped-call]
    weight = inputs[1]
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
