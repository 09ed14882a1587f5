"""Dropout with masks made of random bytes: torch's own, on a CPU, costs a fifth of a step."""

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256
"""A share is rounded to a multiple of one over this; the values kept are scaled to match."""


def drop(x: Tensor, share: float) -> Tensor:
    """Zero a share of x at random and scale the rest, so that the mean stays (Hinton et al. 2012).

    Draws from torch's generator, one number for eight values.
    """
    if x.device.type != "cpu":
        return F.dropout(x, share)
    threshold = min(LEVELS - 1, round(share * LEVELS))
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
    random = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()]
    kept = (random >= threshold).view_as(x)
    return x * kept * (LEVELS / (LEVELS - threshold))
