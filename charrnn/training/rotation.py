"""SOAP's rotation of one matrix: gradient -> gradient in its inputs' eigenbasis, and back.

Source: Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam" (arXiv 2409.11321),
one-sided: of a matrix (N, D) the inputs' side alone is rotated. AdamW then sees nearly independent
directions, so each has a rate of its own.
"""

import torch
from torch import Tensor, nn

COVARIANCE_DECAY = 0.95
"""Decay of the mean of G'G, for each gradient."""

COVARIANCE_EVERY = 10
"""Steps from one gradient that enters the covariance to the next: all of them gain nothing."""

BASIS_EVERY = 25
"""Steps from one new basis to the next, of all matrices together, each in its turn."""

FIRST_STEPS = 10
"""Steps of the beginning with a gradient and a new basis at each: there is no estimate yet."""


class Rotation:
    """The input side of one matrix (N, D) in training.

    Its memory lies in `moments`, so that a checkpoint has it: `covariance.<name>` (D, D), the
    running mean of G'G, `basis.<name>` (D, D), its eigenvectors as columns, and the moments of
    AdamW, which are kept in the rotated space.
    """

    def __init__(
        self, parameter: nn.Parameter, name: str, moments: dict[str, Tensor], half: bool
    ) -> None:
        self._parameter = parameter
        self._covariance = moments[f"covariance.{name}"]
        self._basis = moments[f"basis.{name}"]
        self._first = moments[f"exp_avg.{name}"]
        self._second = moments[f"exp_avg_sq.{name}"]
        # Rotations are products of matrices, which bfloat16 halves where the processor has it.
        self._type = torch.bfloat16 if half else torch.float32

    def observe(self, step: int, index: int, count: int) -> None:
        """Take the gradient of step 1, 2, ... into account; now and then, make a new basis.

        index: this matrix among the `count` that are rotated. They take turns, so that no step has
        to make many bases.
        """
        early = step <= FIRST_STEPS
        if early or step % COVARIANCE_EVERY == 0:
            gradient = self._gradient().to(self._type)
            product = (gradient.T @ gradient).float()
            self._covariance.lerp_(product, 1.0 - COVARIANCE_DECAY)
        if step == 1:
            self._basis.copy_(torch.eye(len(self._basis)))
        turns = step // BASIS_EVERY % count == index
        if early or (step % BASIS_EVERY == 0 and turns):
            self._renew()

    def _renew(self) -> None:
        """One step of orthogonal iteration (Golub & Van Loan, section 8.2.4) from the old basis."""
        product = self._covariance @ self._basis
        # Columns by falling eigenvalue, as the iteration wants them; moments go with their columns.
        order = (self._basis * product).sum(0).argsort(descending=True, stable=True)
        made = torch.linalg.qr(product[:, order])[0]
        self._second.copy_(self._second[:, order])
        self._first.copy_(self._first @ (self._basis.T @ made))
        self._basis.copy_(made)

    def gradient(self) -> Tensor:
        """The gradient (N, D) in the rotated space."""
        return (self._gradient().to(self._type) @ self._basis.to(self._type)).float()

    def apply(self, update: Tensor, kept: float) -> None:
        """Multiply the parameter by `kept` and add an update (N, D) of the rotated space."""
        back = (update.to(self._type) @ self._basis.T.to(self._type)).float()
        self._parameter.mul_(kept).add_(back)

    def _gradient(self) -> Tensor:
        gradient = self._parameter.grad
        assert gradient is not None
        return gradient
