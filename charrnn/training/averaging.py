"""The average of the weights of many steps, which can be a better model than the last weights.

Source: averaged stochastic gradient descent (Polyak & Juditsky 1992), as Merity et al. 2017 use it
for language models; but it starts at a step that the plan names.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.config import TrainConfig, averaged_steps


class WeightAverage:
    """The running average of a model's parameters from the step `average_from` on."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self._parameters = dict(model.named_parameters())
        self._average: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Include the weights as they are after `step` steps."""
        count = averaged_steps(self._config, step)
        # The count is a function of the step, so a checkpoint need not hold it.
        if count == 1:
            self._average = {name: p.detach().clone() for name, p in self._parameters.items()}
        elif count:
            for name, p in self._parameters.items():
                # a + (p - a) / n: an average at every step, where a sum would grow and lose digits.
                self._average[name].lerp_(p, 1.0 / count)

    @contextlib.contextmanager
    def applied(self, step: int) -> Iterator[None]:
        """Give the model its average weights for a while, if there are any yet."""
        if not averaged_steps(self._config, step):
            yield
            return
        # Copies, because `_set` overwrites in place the tensors that the optimizer holds too.
        last = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._set(self._average)
        try:
            yield
        finally:
            self._set(last)

    def restore(self, weights: Arrays, step: int) -> None:
        """Continue from a checkpoint's weights, which are the average if there is one."""
        # Before `average_from` the weights are the last ones, and there is no average to continue.
        if averaged_steps(self._config, step):
            self._average = {
                name: torch.from_numpy(weights[name].copy()).to(p.device)
                for name, p in self._parameters.items()
            }

    @torch.no_grad()
    def _set(self, values: dict[str, torch.Tensor]) -> None:
        for name, p in self._parameters.items():
            p.copy_(values[name])
