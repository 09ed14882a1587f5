"""AdamW, SOAP and SGD, gradient clipping, and the learning rate as a function of the step."""

import math

import torch
from torch import Tensor, nn

from charrnn.checkpoints.header import MOMENTS, is_rotated, optimizer_shapes
from charrnn.config import TrainConfig
from charrnn.training.rotation import Rotation

BETAS = (0.9, 0.99)
"""Decay of AdamW's two moments; the second is shorter than usual because runs are short."""

EPSILON = 1e-8
"""Keeps AdamW's update finite where the second moment is 0; torch's default."""


def learning_rate(step: int, config: TrainConfig) -> float:
    """Step -> its learning rate: linear warmup to the peak, then the schedule.

    Both count from `restart_step` on, so a warm restart is the same schedule at a later step.
    cosine: decay to zero (Loshchilov & Hutter 2017, equation 5, one cycle). steps: constant up to
    step `hold_steps`, then multiplied by `decay_factor`, and again every `decay_every` steps.

    >>> config = TrainConfig(steps=100, warmup_steps=10, learning_rate=0.008)
    >>> [round(learning_rate(step, config), 4) for step in (0, 9, 55, 100)]
    [0.0008, 0.008, 0.004, 0.0]
    """
    step -= config.restart_step
    if step < config.warmup_steps:
        # step + 1, because a first step at a rate of zero would be wasted.
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "steps":
        decays = max(0, 1 + (step - config.hold_steps) // config.decay_every)
        return config.learning_rate * config.decay_factor**decays
    # A warmup may be as long as the run, and a run whose steps were revised may be past its end.
    length = max(1, config.steps - config.restart_step - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / length)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


@torch.no_grad()
def clip(gradients: list[Tensor], max_norm: float) -> Tensor:
    """Scale the gradients to a norm of at most `max_norm` (Pascanu et al. 2013) -> norm before.

    On a CPU shorter gradients are not touched. A GPU scales them by one: a comparison would wait
    for the device.
    """
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    # `not <=` instead of `>`: a NaN norm has to reach the gradients, as in torch's clip_grad_norm_,
    # whose 1e-6 this has too, for equal bits.
    if norm.device.type != "cpu" or not norm <= max_norm:
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


class Optimizer:
    """AdamW (Loshchilov & Hutter 2019), SOAP or SGD, with weight decay of the matrices only.

    SOAP is AdamW whose gradients of the recurrent matrices are rotated, see `rotation`. Embeddings
    and biases are not decayed. It calls torch's fused kernel directly, because `torch.optim`
    imports the compiler, which takes over a second. half: whether SOAP rotates in bfloat16.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, half: bool = False) -> None:
        self.config, self._half = config, half
        self.step_count = 0
        self._parameters = dict(model.named_parameters())
        # Frozen parameters have moments too, all zero: a checkpoint has some for every parameter.
        shapes = {name: tuple(p.shape) for name, p in self._parameters.items()}
        like = next(iter(self._parameters.values()))
        self._moments = {
            name: like.detach().new_zeros(shape)
            for name, shape in optimizer_shapes(config.optimizer, shapes).items()
        }
        self._rotations = self._made_rotations(shapes) if config.optimizer == "soap" else {}
        trained = {n for n, p in self._parameters.items() if p.requires_grad}
        # Tied output weights are named after the embedding, so they are not decayed either.
        matrices = {n for n in trained if self._parameters[n].ndim > 1 and "embedding" not in n}
        self.groups = [
            (sorted(matrices), config.weight_decay),
            (sorted(trained - matrices), 0.0),
        ]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every parameter by its gradient, at this learning rate."""
        self.step_count += 1
        for index, rotation in enumerate(self._rotations.values()):
            rotation.observe(self.step_count, index, len(self._rotations))
        for names, decay in self.groups:
            if self.config.optimizer == "sgd":
                self._sgd(names, rate, decay)
                continue
            plain = [name for name in names if name not in self._rotations]
            self._adamw(plain, *self._with_gradients(plain), rate, decay)
            self._rotated([name for name in names if name in self._rotations], rate, decay)

    def _made_rotations(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Rotation]:
        return {
            name: Rotation(parameter, name, self._moments, self._half)
            for name, parameter in self._parameters.items()
            if parameter.requires_grad and is_rotated(name, shapes[name])
        }

    def _rotated(self, names: list[str], rate: float, decay: float) -> None:
        """AdamW's update of rotated gradients, rotated back."""
        if not names:
            return
        rotations = [self._rotations[name] for name in names]
        # The kernel updates parameters in place; from zeros, what it leaves is the update alone.
        updates = [torch.zeros_like(self._parameters[name]) for name in names]
        self._adamw(names, updates, [r.gradient() for r in rotations], rate, 0.0)
        for rotation, update in zip(rotations, updates, strict=True):
            rotation.apply(update, 1.0 - rate * decay)

    def _adamw(
        self,
        names: list[str],
        parameters: list[Tensor],
        gradients: list[Tensor],
        rate: float,
        decay: float,
    ) -> None:
        if not names:
            return
        first, second = ([self._moments[f"{m}.{n}"] for n in names] for m in MOMENTS["adamw"])
        # The kernel reads the counts and leaves them alone, so all parameters can share one.
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

    def _sgd(self, names: list[str], rate: float, decay: float) -> None:
        parameters, gradients = self._with_gradients(names)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            # Decay apart from the gradient, as in AdamW, so that clipping leaves it alone.
            parameter.mul_(1.0 - rate * decay).add_(gradient, alpha=-rate)

    def _with_gradients(self, names: list[str]) -> tuple[list[Tensor], list[Tensor]]:
        parameters: list[Tensor] = [self._parameters[name] for name in names]
        gradients = [p.grad for p in parameters if p.grad is not None]
        # The kernel pairs parameters, gradients and moments by position; a gap would shift them.
        assert len(gradients) == len(parameters)
        return parameters, gradients

    def moments(self) -> dict[str, Tensor]:
        """`<moment>.<parameter>` -> tensor, as `optimizer_shapes`; zeros before the first step."""
        return self._moments

    def load_moments(self, moments: dict[str, Tensor], step: int) -> None:
        """Continue as if `step` steps had been taken; the count is the same for all parameters."""
        self.step_count = step
        for name, moment in self._moments.items():
            # In place, which also keeps the moments on their device.
            moment.copy_(moments[name])
