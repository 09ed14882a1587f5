"""AdamW, its parameter groups, and the learning rate as a pure function of the step."""

import math

import torch
from torch import Tensor, nn

from charrnn.checkpoint import MOMENTS
from charrnn.config import TrainConfig

BETAS = (0.9, 0.99)
"""Decay of the two moments; the second is shorter than usual because runs are short."""


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of one step: a straight rise to the peak, then a cosine fall to zero.

    Source: Loshchilov & Hutter 2017 (SGDR, equation 5), one cycle.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    length = max(1, config.steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / length)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


class AdamW(torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), fused, decaying matrices only.

    Embeddings, biases and the start of the state are left undecayed.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.names = dict(model.named_parameters())
        decayed = [p for n, p in self.names.items() if p.ndim > 1 and "embedding" not in n]
        rest = [p for n, p in self.names.items() if p.ndim == 1 or "embedding" in n]
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        super().__init__(groups, lr=config.learning_rate, betas=BETAS, fused=True)

    def set_rate(self, rate: float) -> None:
        """Use this learning rate from the next step on."""
        for group in self.param_groups:
            group["lr"] = rate

    def moments(self) -> dict[str, Tensor]:
        """`<moment>.<parameter>` -> tensor of its shape; zeros before the first step."""
        return {
            f"{moment}.{name}": self.state[p].get(moment, torch.zeros_like(p))
            for moment in MOMENTS
            for name, p in self.names.items()
        }

    def load_moments(self, moments: dict[str, Tensor], step: int) -> None:
        """Continue as if `step` steps had been taken; the count is the same for all parameters."""
        for name, p in self.names.items():
            for moment in MOMENTS:
                self.state[p][moment] = moments[f"{moment}.{name}"].to(p.device, p.dtype)
            self.state[p]["step"] = torch.tensor(float(step), device=p.device)
