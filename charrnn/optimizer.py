"""Gradient descent: AdamW or plain, and the learning rate as a pure function of the step."""

import math

import torch
from torch import Tensor, nn

from charrnn.config import TrainConfig
from charrnn.metadata import MOMENTS

BETAS = (0.9, 0.99)
"""Decay of AdamW's two moments; the second is shorter than usual because runs are short."""

EPSILON = 1e-8


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of one step: a straight rise to the peak, then what the schedule says.

    cosine: a fall to zero (Loshchilov & Hutter 2017, equation 5, one cycle). steps: held up to step
    `hold_steps`, then multiplied by `decay_factor`, and again every `decay_every` steps.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "steps":
        falls = max(0, 1 + (step - config.hold_steps) // config.decay_every)
        return config.learning_rate * config.decay_factor**falls
    length = max(1, config.steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / length)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


@torch.no_grad()
def clip(gradients: list[Tensor], longest: float) -> Tensor:
    """Scale the gradients to a norm of at most `longest` (Pascanu et al. 2013); their norm before.

    A processor does not touch those that are shorter; a GPU scales by one, to wait for nothing.
    """
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if norm.device.type != "cpu" or not norm <= longest:
        torch._foreach_mul_(gradients, (longest / (norm + 1e-6)).clamp(max=1.0))
    return norm


class Optimizer:
    """AdamW (Loshchilov & Hutter 2019) or plain gradient descent, decaying matrices only.

    Embeddings, biases and the start of the state are left undecayed. This calls torch's fused
    kernel itself, because `torch.optim` imports the compiler, which takes over a second.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.config = config
        self.step_count = 0
        self._parameters = dict(model.named_parameters())
        self._moments = {
            f"{moment}.{name}": torch.zeros_like(p)
            for moment in MOMENTS[config.optimizer]
            for name, p in self._parameters.items()
        }
        learned = {n for n, p in self._parameters.items() if p.requires_grad}
        matrices = {n for n in learned if self._parameters[n].ndim > 1 and "embedding" not in n}
        self.groups = [
            (sorted(matrices), config.weight_decay),
            (sorted(learned - matrices), 0.0),
        ]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter by its gradient, at this learning rate."""
        self.step_count += 1
        for names, decay in self.groups:
            update = self._adamw if self.config.optimizer == "adamw" else self._descend
            update(names, rate, decay)

    def _adamw(self, names: list[str], rate: float, decay: float) -> None:
        parameters, gradients = self._with_gradients(names)
        first, second = ([self._moments[f"{m}.{n}"] for n in names] for m in MOMENTS["adamw"])
        count = torch.tensor(float(self.step_count), device=parameters[0].device)
        torch._fused_adamw_(
            parameters,
            gradients,
            first,
            second,
            [],
            [count] * len(names),
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _descend(self, names: list[str], rate: float, decay: float) -> None:
        parameters, gradients = self._with_gradients(names)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.mul_(1.0 - rate * decay).add_(gradient, alpha=-rate)

    def _with_gradients(self, names: list[str]) -> tuple[list[Tensor], list[Tensor]]:
        parameters: list[Tensor] = [self._parameters[name] for name in names]
        gradients = [p.grad for p in parameters if p.grad is not None]
        assert len(gradients) == len(parameters)
        return parameters, gradients

    def moments(self) -> dict[str, Tensor]:
        """`<moment>.<parameter>` -> tensor of its shape; zeros before the first step."""
        return self._moments

    def load_moments(self, moments: dict[str, Tensor], step: int) -> None:
        """Continue as if `step` steps had been taken; the count is the same for all parameters."""
        self.step_count = step
        for name, moment in self._moments.items():
            moment.copy_(moments[name])
