"""Sampled softmax: in training, a large vocabulary's loss from a part of it (Jean et al. 2015).

A step computes the logits of the tokens that are most frequent in the text and of as many that are
drawn from the others, so it takes a fraction of the time. Evaluation and sampling compute all.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.models.functional import LOGITS_AT_ONCE

MOST_COUNTED = 2**24
"""Tokens of a text that are counted to find the frequent ones."""


class Columns(NamedTuple):
    """Columns of the output layer. ids: (K,), all different. common: how many always take part.

    correction: nats added to the logits of the others, of which only some were drawn.
    """

    ids: Tensor
    common: int
    correction: float


class SampledSoftmax:
    """Draws the columns of each step.

    counts: of each token in the text (V,). size: columns of a step, from 1 to V.
    """

    def __init__(self, counts: NDArray[np.integer[Any]], size: int) -> None:
        order = torch.from_numpy(np.argsort(-counts, kind="stable"))
        self.common, self.others = order[: size // 2], order[size // 2 :]
        self.drawn = size - len(self.common)
        # Each drawn one counts for as many as one was drawn from.
        self.correction = math.log(len(self.others) / self.drawn)

    def columns(self, device: torch.device) -> Columns:
        """The columns of a step, by torch's generator."""
        chosen = torch.randperm(len(self.others))[: self.drawn]
        ids = torch.cat([self.common, self.others[chosen]]).to(device)
        return Columns(ids, len(self.common), self.correction)

    def loss(self, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Inputs (N, H), output weights (V, H), bias (V,), targets (N,) -> mean nats."""
        return sampled_cross_entropy(x, weight, bias, targets, self.columns(x.device))


def token_counts(tokens: NDArray[np.unsignedinteger], vocab_size: int) -> NDArray[np.int64]:
    """Tokens of a text -> how often each id occurs (V,), in as many tokens as are counted."""
    counts = np.zeros(vocab_size, np.int64)
    # In pieces, because numpy counts numbers of eight bytes.
    for begin in range(0, min(len(tokens), MOST_COUNTED), 2**20):
        part = np.asarray(tokens[begin : min(begin + 2**20, MOST_COUNTED)])
        counts += np.bincount(part, minlength=vocab_size)
    return counts


class _SampledCrossEntropy(torch.autograd.Function):
    """Nats per token, where a target that is no common column is a column of its own row."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, columns: Columns
    ) -> Tensor:
        ids, common, correction = columns
        count, size = len(x), len(ids)
        place = torch.full((len(weight),), -1, device=x.device)
        place[ids] = torch.arange(size, device=x.device)
        at = place[targets]  # (N,), -1 for those that were not drawn
        drawn_too = at >= common
        rare = drawn_too | (at < 0)
        at = at.clamp(min=0).unsqueeze(1)
        # The exact logits of rare targets, which need no correction.
        own = targets[rare]
        exact = bias.new_full((count,), -math.inf)
        exact[rare] = (x[rare].to(weight.dtype) * weight[own]).sum(1) + bias[own]
        some, shift = weight[ids], bias[ids]
        shift[common:] += correction
        # `backward` runs outside autocast; rounding here gives both passes the same precision.
        if torch.is_autocast_enabled(x.device.type):
            x, some = (each.to(torch.get_autocast_dtype(x.device.type)) for each in (x, some))
        gradient, own_gradient = x.new_empty(count, size), torch.zeros_like(exact)
        total = bias.new_zeros(())
        rows = max(1, LOGITS_AT_ONCE // size)
        for begin in range(0, count, rows):
            part = slice(begin, begin + rows)
            logits = F.linear(x[part], some).to(bias.dtype).add_(shift)  # (rows, K)
            twice = drawn_too[part].nonzero()[:, 0]
            logits[twice, at[part][twice, 0]] = -math.inf
            normalizer = torch.logaddexp(logits.logsumexp(1), exact[part])
            wanted = torch.where(rare[part], exact[part], logits.gather(1, at[part])[:, 0])
            total += (normalizer - wanted).sum()
            own_gradient[part] = (exact[part] - normalizer).exp_().sub_(rare[part].to(bias.dtype))
            probabilities = logits.sub_(normalizer.unsqueeze(1)).exp_()
            probabilities.scatter_add_(1, at[part], -(~rare[part]).to(bias.dtype).unsqueeze(1))
            gradient[part] = probabilities.mul_(1.0 / count)
        ctx.save_for_backward(x, weight, bias, some, gradient, own_gradient[rare] / count, rare)
        ctx.ids, ctx.own = ids, own
        return total / count

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, bias, some, gradient, own_gradient, rare = ctx.saved_tensors
        # The loss is a scalar, so the gradient that comes in, `outer`, is only a factor. It
        # multiplies the columns, which are much smaller than all weights.
        kind, own_gradient = weight.dtype, own_gradient * outer
        own_column = own_gradient.unsqueeze(1)
        by_x = (gradient @ some).to(kind).mul_(outer)
        by_x[rare] += own_column * weight[ctx.own]
        by_weight, by_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        by_weight.index_copy_(0, ctx.ids, (gradient.t() @ x).to(kind).mul_(outer))
        by_weight.index_add_(0, ctx.own, own_column * x[rare].to(kind))
        by_bias.index_copy_(0, ctx.ids, gradient.sum(0, dtype=kind).mul_(outer))
        by_bias.index_add_(0, ctx.own, own_gradient)
        return by_x, by_weight, by_bias, None, None


def sampled_cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, columns: Columns
) -> Tensor:
    """As `functional.cross_entropy`, of some columns of the output layer: mean nats per token.

    A row's target always takes part. The drawn columns are weighted so that on average the sum of
    the exponentials is that of all columns. The gradient is nearly so: the better, the less
    probability a single one of them has.
    """
    found: Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, targets, columns
    )
    return found
