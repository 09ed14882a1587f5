"""The mean of the weights of many steps, which is a better model than the last of them.

Source: averaged stochastic gradient descent (Polyak & Juditsky 1992), as Merity et al. 2017 use it
for language models; but it begins at a step that the plan names.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from charrnn.checkpoint import Arrays
from charrnn.config import TrainConfig, averages


class Mean:
    """The running mean of a model's parameters from the step `average_from` on."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self._parameters = dict(model.named_parameters())
        self._mean: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Count in the weights as they are after `step` steps."""
        count = averages(self._config, step)
        if count == 1:
            self._mean = {name: p.detach().clone() for name, p in self._parameters.items()}
        elif count:
            for name, p in self._parameters.items():
                self._mean[name].lerp_(p, 1.0 / count)

    @contextlib.contextmanager
    def shown(self, step: int) -> Iterator[None]:
        """Let the model have its mean weights for a while, if it has a mean yet."""
        if not averages(self._config, step):
            yield
            return
        last = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._set(self._mean)
        try:
            yield
        finally:
            self._set(last)

    def restore(self, weights: Arrays, step: int) -> None:
        """Continue from a checkpoint's weights, which are the mean if there is one."""
        if averages(self._config, step):
            self._mean = {
                name: torch.from_numpy(weights[name].copy()).to(p.device)
                for name, p in self._parameters.items()
            }

    @torch.no_grad()
    def _set(self, values: dict[str, torch.Tensor]) -> None:
        for name, p in self._parameters.items():
            p.copy_(values[name])
