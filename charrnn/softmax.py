"""The loss of an output layer over a large vocabulary, and its gradient, in one pass.

Scores of some ten thousand words take more time to write to memory and read back than to compute.
Here a few rows of them at a time become loss and gradient while they are in the processor's cache.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 2**20
"""Scores held at a time, about."""


class _LargeSoftmax(torch.autograd.Function):
    """Mean nats per token of x (N, H), weight (V, H), bias (V,) and targets (N,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x, weight = (each.to(torch.get_autocast_dtype(x.device.type)) for each in (x, weight))
        count, size = len(x), len(weight)
        gradient = x.new_empty(count, size)
        total = torch.zeros((), device=x.device)
        rows = max(1, CHUNK // size)
        for begin in range(0, count, rows):
            part = slice(begin, begin + rows)
            scores = F.linear(x[part], weight).float().add_(bias)  # (rows, V)
            right = targets[part].unsqueeze(1)
            ceiling = scores.logsumexp(1, keepdim=True)
            total += (ceiling - scores.gather(1, right)).sum()
            shares = scores.sub_(ceiling).exp_()
            shares.scatter_add_(1, right, shares.new_full(right.shape, -1.0))
            gradient[part] = shares.mul_(1.0 / count)
        ctx.save_for_backward(x, weight, gradient)
        return total / count

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, gradient = ctx.saved_tensors
        return (
            (gradient @ weight).float() * outer,
            (gradient.t() @ x).float() * outer,
            gradient.sum(0, dtype=torch.float32) * outer,
            None,
        )


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Mean nats per token: x (N, H) before an output layer (V, H) and (V,), targets (N,)."""
    loss: Tensor = _LargeSoftmax.apply(x, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss
