"""SOAP: an orthonormal basis of the covariance, AdamW's equations in it, exact resuming."""

import pytest
import torch

from charrnn.checkpoints import header
from charrnn.checkpoints.header import is_rotated, optimizer_shapes
from charrnn.config import CELLS, parameter_shapes
from charrnn.tasks.language.network import CharRNN, build
from charrnn.training.optimizer import BETAS, EPSILON, Optimizer
from charrnn.training.rotation import BASIS_EVERY, FIRST_STEPS
from tests.support.tiny import tiny_model, tiny_train

NAME = "layers.1.weight_hh_l0"


def trained(
    steps: int, cell: str = "lstm", optimizer: str = "soap", scale: float = 1.0
) -> tuple[CharRNN, Optimizer]:
    """A model after some steps of random gradients."""
    model = build(tiny_model(cell), 0)
    made = Optimizer(model, tiny_train(optimizer=optimizer, weight_decay=0.1))
    for step in range(steps):
        give_gradients(model, step, scale)
        made.step(4e-3)
    return model, made


def give_gradients(model: CharRNN, seed: int, scale: float = 1.0) -> None:
    """Random gradients, whose columns hang together, as those of a network do."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = scale * (gradient + 3.0 * gradient.roll(1, -1))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_matrices_are_rotated_and_nothing_else_is(cell: str) -> None:
    shapes = parameter_shapes(tiny_model(cell))
    rotated = {name for name, shape in shapes.items() if is_rotated(name, shape)}
    assert rotated == {f"layers.{i}.weight_{part}_l0" for i in range(2) for part in ("ih", "hh")}
    made = optimizer_shapes("soap", shapes)
    assert made[f"basis.{NAME}"] == made[f"covariance.{NAME}"] == (8, 8)
    assert {name.split(".", 1)[0] for name in optimizer_shapes("adamw", shapes)} == {
        "exp_avg",
        "exp_avg_sq",
    }


def test_a_wider_matrix_is_not_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "WIDEST_ROTATION", 7)
    soap, _ = trained(12)
    adamw, _ = trained(12, optimizer="adamw")
    pairs = zip(soap.parameters(), adamw.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("steps", [1, FIRST_STEPS, 4 * BASIS_EVERY + 3])
def test_the_basis_is_orthonormal(steps: int) -> None:
    moments = trained(steps)[1].moments()
    basis = moments[f"basis.{NAME}"]
    assert torch.allclose(basis.T @ basis, torch.eye(8), atol=1e-5)


def test_the_basis_comes_to_the_covariances_eigenvectors() -> None:
    moments = trained(40 * BASIS_EVERY)[1].moments()
    covariance, basis = (moments[f"{part}.{NAME}"] for part in ("covariance", "basis"))
    rotated = basis.T @ covariance @ basis
    diagonal = rotated.diagonal()
    off = (rotated - torch.diag(diagonal)).norm() / rotated.norm()
    before = (covariance - torch.diag(covariance.diagonal())).norm() / covariance.norm()
    assert off < 0.3 * before
    assert diagonal[0] > 2 * diagonal[-1]  # the largest come first


def test_a_step_is_adamw_in_the_rotated_space() -> None:
    model, optimizer = trained(FIRST_STEPS + 1)
    moments = {name: m.double().clone() for name, m in optimizer.moments().items()}
    parameter = model.get_parameter(NAME)
    before = parameter.detach().double().clone()
    give_gradients(model, 99)
    assert parameter.grad is not None
    basis, step, rate = moments[f"basis.{NAME}"], FIRST_STEPS + 2, 0.01
    gradient = parameter.grad.double() @ basis
    m = BETAS[0] * moments[f"exp_avg.{NAME}"] + (1 - BETAS[0]) * gradient
    v = BETAS[1] * moments[f"exp_avg_sq.{NAME}"] + (1 - BETAS[1]) * gradient**2
    update = (m / (1 - BETAS[0] ** step)) / ((v / (1 - BETAS[1] ** step)).sqrt() + EPSILON)
    optimizer.step(rate)
    expected = before * (1 - rate * 0.1) - rate * update @ basis.T
    assert torch.allclose(parameter.detach().double(), expected, atol=1e-5)


def test_the_first_moment_is_the_same_vector_after_a_new_basis() -> None:
    model, optimizer = trained(BASIS_EVERY - 1)
    moments = optimizer.moments()

    def in_parameters(name: str) -> torch.Tensor:
        return moments[f"exp_avg.{name}"] @ moments[f"basis.{name}"].T

    before = {name: in_parameters(name) for name in optimizer._rotations}
    bases = {name: moments[f"basis.{name}"].clone() for name in before}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.0)
    # The four matrices take turns: one of them has a new basis after this step.
    renewed = [name for name in before if not torch.equal(bases[name], moments[f"basis.{name}"])]
    assert len(renewed) == 1
    for name in before:
        assert torch.allclose(in_parameters(name), BETAS[0] * before[name], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [3, FIRST_STEPS, BASIS_EVERY - 1])
def test_restored_moments_give_the_same_steps_bit_for_bit(cell: str, steps: int) -> None:
    first, optimizer = trained(steps, cell)
    second = build(tiny_model(cell), 1)
    again = Optimizer(second, optimizer.config)
    second.load_state_dict(first.state_dict())
    again.load_moments({n: t.clone() for n, t in optimizer.moments().items()}, steps)
    for seed in range(50, 53):
        for model, each in ((first, optimizer), (second, again)):
            give_gradients(model, seed)
            each.step(4e-3)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all(torch.equal(t, again.moments()[n]) for n, t in optimizer.moments().items())


@pytest.mark.parametrize("scale", [0.0, 1e-18, 1e15])
def test_gradients_of_any_size_give_finite_weights(scale: float) -> None:
    model, _ = trained(2 * BASIS_EVERY, scale=scale)
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_gradient_that_is_not_finite_raises_nothing_here() -> None:
    # The learner finds weights that are not finite, and goes back to a checkpoint.
    model, optimizer = trained(BASIS_EVERY - 1)
    give_gradients(model, 7, float("nan"))
    optimizer.step(1e-3)
    assert not model.get_parameter(NAME).isfinite().all()
