"""Layers that read texts both ways: the second of each pair reads them reversed, by an index.

A packed sequence would leave the fused operators, which is what fits a CPU.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from charrnn.models.recurrent import RecurrentNetwork


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """Lengths (B,) -> for each of T places the one that a reversed row has there, (B, T, 1)."""
    places = torch.arange(steps, device=lengths.device)[None]
    inside = places < lengths[:, None]
    return torch.where(inside, lengths[:, None] - 1 - places, places).unsqueeze(-1)


def run_both_ways(
    network: RecurrentNetwork, ahead: Iterable[Any], behind: Iterable[Any], x: Tensor, back: Tensor
) -> Tensor:
    """Inputs (B, T, D), the layers of both directions, a `reversal` -> outputs (B, T, 2 E).

    With dropout between the layers, and residual connections above the first, as configured.
    """
    config = network.config
    weight_dropout = config.weight_dropout if network.training else 0.0
    for number, (one, other) in enumerate(zip(ahead, behind, strict=True)):
        x = network.drop(x, config.dropout) if number else x
        first, _ = one(x, None, weight_dropout)
        second, _ = other(x.gather(1, back.expand_as(x)), None, weight_dropout)
        y = torch.cat([first, second.gather(1, back.expand_as(second))], dim=-1)
        x = x + y if config.residual and number else y
    return x
