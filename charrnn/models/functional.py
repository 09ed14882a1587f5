"""Dropout and a softmax loss that are faster on a CPU than torch's own."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

DROPOUT_LEVELS = 256
"""A dropout probability is rounded to a multiple of 1/256; what is kept is scaled to match."""

LOGITS_AT_ONCE = 2**20
"""About so many logits are held at a time by `cross_entropy`: 4 MiB of float32."""

LEAST_ROWS = 32
"""Rows of logits at a time in an evaluation, at least: fewer would read the weights too often."""


def dropout(x: Tensor, p: float) -> Tensor:
    """Zero each value with probability p and scale the others by 1 / (1 - p) (Hinton et al. 2012).

    The masks are random bytes from torch's generator, eight per random number: torch's own dropout
    on a CPU takes a fifth of a training step.
    """
    if x.device.type != "cpu":
        return F.dropout(x, p)
    # A threshold of 256 would drop everything and divide by zero below.
    threshold = min(DROPOUT_LEVELS - 1, round(p * DROPOUT_LEVELS))
    # The full range of int64: random_'s default leaves the sign out, so every eighth byte would be
    # below 128 and its value dropped too often.
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
    random = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()]
    kept = (random >= threshold).view_as(x)
    return x * kept * (DROPOUT_LEVELS / (DROPOUT_LEVELS - threshold))


class _LargeSoftmax(torch.autograd.Function):
    """Loss and nats per token of x (N, H), weight (V, H), bias (V,) and targets (N,).

    The logits of ten thousand words take longer to write to memory and read back than to compute.
    So a few rows of them at a time become loss and gradient while they are in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        # `backward` runs outside autocast; rounding here gives both passes the same precision.
        if torch.is_autocast_enabled(x.device.type):
            x, weight = (each.to(torch.get_autocast_dtype(x.device.type)) for each in (x, weight))
        count, size = len(x), len(weight)
        # The only array of (N, V) numbers; under autocast in bfloat16.
        gradient = x.new_empty(count, size)
        total, normalizers = torch.zeros((2,), device=x.device)
        rows = max(1, LOGITS_AT_ONCE // size)
        for begin in range(0, count, rows):
            part = slice(begin, begin + rows)
            # Exponentials and their sums need float32: bfloat16 has eight significant bits.
            logits = F.linear(x[part], weight).float().add_(bias)  # (rows, V)
            target = targets[part].unsqueeze(1)
            normalizer = logits.logsumexp(1, keepdim=True)
            normalizers += normalizer.sum()
            total += (normalizer - logits.gather(1, target)).sum()
            # The gradient of cross-entropy by its logits: probabilities less the one-hot target.
            # In place, so that these rows stay in the cache.
            probabilities = logits.sub_(normalizer).exp_()
            probabilities.scatter_add_(
                1, target, probabilities.new_full(target.shape, smoothing - 1.0)
            )
            probabilities.mul_(1.0 / count)
            gradient[part] = (
                probabilities.sub_(smoothing / size / count) if smoothing else probabilities
            )
        ctx.save_for_backward(x, weight, gradient)
        nats = total / count
        ctx.mark_non_differentiable(nats)
        ctx.set_materialize_grads(False)
        if not smoothing:
            return nats.clone(), nats
        # The mean of a row's logits needs only the means of weights and bias.
        middle = (x.float() @ weight.float().mean(0)).mean() + bias.mean()
        uniform = normalizers / count - middle
        return nats + smoothing * (uniform - nats), nats

    @staticmethod
    def backward(ctx: Any, outer: Tensor, _: None) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, gradient = ctx.saved_tensors
        # The loss is a scalar, so the gradient that comes in, `outer`, is only a factor.
        return (
            (gradient @ weight).float() * outer,
            (gradient.t() @ x).float() * outer,
            gradient.sum(0, dtype=torch.float32) * outer,
            None,
            None,
        )


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Inputs x (N, H), output weights (V, H), bias (V,), targets (N,) -> mean nats per token.

    Loss and gradient in one pass, for a large V.
    """
    return smoothed_cross_entropy(x, weight, bias, targets, 0.0)[0]


def smoothed_cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """As `cross_entropy`, with label smoothing (Szegedy et al. 2016) -> loss, nats per token.

    The loss is the cross-entropy with targets of which a part `smoothing` is spread over all V
    tokens. The nats are those of the tokens themselves, without a gradient.
    """
    found: tuple[Tensor, Tensor] = _LargeSoftmax.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, targets, smoothing
    )
    return found


def token_losses(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Inputs x (N, H), output weights (V, H), bias (V,), targets (N,) -> nats of each token (N,).

    For evaluation, without a gradient: a few rows of logits at a time, so that the memory does not
    grow with N * V.
    """
    losses = torch.empty(len(x), device=x.device)
    rows = rows_at_once(len(weight))
    for begin in range(0, len(x), rows):
        part = slice(begin, begin + rows)
        # In float32: under bfloat16 the log-sum-exp would keep only two to three digits.
        logits = F.linear(x[part], weight, bias).float()
        losses[part] = F.cross_entropy(logits, targets[part], reduction="none")
    return losses


def rows_at_once(vocab_size: int) -> int:
    """Vocabulary size -> rows of logits that `token_losses` holds at a time."""
    return max(LEAST_ROWS, LOGITS_AT_ONCE // vocab_size)
