"""The learning rate's exact values, the optimizers' arithmetic, and restoring the moments."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoints.header import MOMENTS
from charrnn.config import CELLS, TrainConfig, parameter_shapes
from charrnn.tasks.language.network import CharRNN, build
from charrnn.training.optimizer import BETAS, Optimizer, clip, learning_rate
from tests.support.tiny import tiny_model, tiny_train


def rates(**changes: Any) -> list[float]:
    config = tiny_train(**changes)
    return [learning_rate(step, config) for step in range(config.steps)]


def test_the_rate_of_a_short_run_exactly() -> None:
    root = math.sqrt(0.5)
    assert rates(steps=8, warmup_steps=4, learning_rate=2.0) == pytest.approx(
        [0.5, 1.0, 1.5, 2.0, 2.0, 1 + root, 1.0, 1 - root], abs=1e-12
    )


def test_without_warm_up_the_rate_begins_at_its_peak() -> None:
    assert rates(steps=4, warmup_steps=0, learning_rate=1.0) == pytest.approx(
        [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2], abs=1e-12
    )


def test_the_rate_after_the_last_step_is_zero_and_stays_so() -> None:
    config = tiny_train(steps=10, warmup_steps=2)
    assert learning_rate(10, config) == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(99, config) == pytest.approx(0.0, abs=1e-12)


def test_warm_up_longer_than_the_run_never_reaches_the_peak() -> None:
    assert rates(steps=3, warmup_steps=6, learning_rate=6.0) == pytest.approx([1.0, 2.0, 3.0])


def test_warm_up_as_long_as_the_run_ends_at_the_peak() -> None:
    assert rates(steps=3, warmup_steps=3, learning_rate=3.0) == pytest.approx([1.0, 2.0, 3.0])


def test_a_run_of_one_step_has_its_peak() -> None:
    assert rates(steps=1, warmup_steps=0, learning_rate=0.5) == [0.5]
    assert rates(steps=1, warmup_steps=1, learning_rate=0.5) == [0.5]


@given(
    steps=st.integers(1, 400),
    warmup=st.integers(0, 500),
    peak=st.floats(1e-8, 10.0, allow_nan=False),
)
@settings(max_examples=100, deadline=None)
def test_the_rate_rises_linearly_then_falls_and_keeps_its_bounds(
    steps: int, warmup: int, peak: float
) -> None:
    found = rates(steps=steps, warmup_steps=warmup, learning_rate=peak)
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in found)
    rising, falling = found[:warmup], found[warmup:]
    assert rising == pytest.approx([peak * (i + 1) / warmup for i in range(len(rising))])
    assert all(a >= b for a, b in itertools.pairwise(falling))
    if falling:
        assert falling[0] == peak


@given(step=st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_the_fall_is_symmetric_about_half_the_peak(step: int) -> None:
    config = tiny_train(steps=300, warmup_steps=0, learning_rate=1.0)
    pair = learning_rate(step, config) + learning_rate(300 - step, config)
    assert pair == pytest.approx(1.0, abs=1e-12)


def optimized(cell: str = "lstm", tied: bool = False, **changes: Any) -> tuple[CharRNN, Optimizer]:
    model = build(tiny_model(cell, tie_weights=tied), 0)
    return model, Optimizer(model, tiny_train(**changes))


def give_gradients(model: CharRNN, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_matrices_decay_and_embeddings_and_biases_do_not(cell: str, tied: bool) -> None:
    model, optimizer = optimized(cell, tied, weight_decay=0.25)
    decay = {name: decay for names, decay in optimizer.groups for name in names}
    second = {f"layers.{i}.bias_hh_l0" for i in range(2)} if cell != "gru" else set()
    assert set(decay) == set(parameter_shapes(model.config)) - second
    for name, value in decay.items():
        matrix = "weight" in name and "embedding" not in name
        assert value == (0.25 if matrix else 0.0), name


def test_what_decays_shrinks_and_the_rest_stays_when_gradients_are_zero() -> None:
    model, optimizer = optimized(weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    for name, p in model.named_parameters():
        factor = 0.95 if "weight" in name and "embedding" not in name else 1.0
        assert torch.allclose(p, before[name] * factor, atol=1e-7), name


def test_two_steps_are_the_equations_of_the_paper() -> None:
    model, optimizer = optimized(weight_decay=0.1)
    parameter = model.layers[0].get_parameter("weight_hh_l0")
    expected = parameter.detach().double().clone()
    m, v = torch.zeros_like(expected), torch.zeros_like(expected)
    for step, rate in ((1, 0.01), (2, 0.003)):
        give_gradients(model, step)
        assert parameter.grad is not None
        g = parameter.grad.double()
        m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
        update = (m / (1 - BETAS[0] ** step)) / ((v / (1 - BETAS[1] ** step)).sqrt() + 1e-8)
        expected = expected * (1 - rate * 0.1) - rate * update
        optimizer.step(rate)
    assert torch.allclose(parameter.detach().double(), expected, atol=1e-6)


def test_a_rate_of_zero_changes_nothing() -> None:
    model, optimizer = optimized()
    before = [p.detach().clone() for p in model.parameters()]
    give_gradients(model, 0)
    optimizer.step(0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("tied", [False, True])
def test_moments_are_named_and_shaped_after_the_parameters_and_begin_at_zero(tied: bool) -> None:
    model, optimizer = optimized(tied=tied)
    moments = optimizer.moments()
    shapes = parameter_shapes(model.config)
    assert set(moments) == {f"{m}.{n}" for m in MOMENTS["adamw"] for n in shapes}
    for name, tensor in moments.items():
        assert tuple(tensor.shape) == shapes[name.split(".", 1)[1]]
        assert not tensor.any()


def test_asking_for_the_moments_first_changes_no_step() -> None:
    one, asked = optimized(), optimized()
    asked[1].moments()
    for model, optimizer in (one, asked):
        give_gradients(model, 0)
        optimizer.step(4e-3)
    pairs = zip(one[0].parameters(), asked[0].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("cell", CELLS)
def test_restored_moments_are_equal_and_the_next_steps_are_equal_bit_for_bit(cell: str) -> None:
    first, optimizer = optimized(cell)
    for seed in range(3):
        give_gradients(first, seed)
        optimizer.step(4e-3)
    second, again = optimized(cell)
    second.load_state_dict(first.state_dict())
    again.load_moments({n: t.clone() for n, t in optimizer.moments().items()}, 3)
    assert all(torch.equal(t, again.moments()[n]) for n, t in optimizer.moments().items())
    for seed in (8, 9):
        for model, each in ((first, optimizer), (second, again)):
            give_gradients(model, seed)
            each.step(4e-3)
    for name, tensor in optimizer.moments().items():
        assert torch.equal(tensor, again.moments()[name])
        assert tensor.any() == first.get_parameter(name.split(".", 1)[1]).requires_grad
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("step", [0, 2, 4])
def test_a_wrong_count_of_steps_changes_the_next_step(step: int) -> None:
    first, optimizer = optimized()
    for seed in range(3):
        give_gradients(first, seed)
        optimizer.step(4e-3)
    second, again = optimized()
    second.load_state_dict(first.state_dict())
    again.load_moments({n: t.clone() for n, t in optimizer.moments().items()}, step)
    for model, each in ((first, optimizer), (second, again)):
        give_gradients(model, 8)
        each.step(4e-3)
    assert not torch.equal(first.output.weight, second.output.weight)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_is_torch_s_own(decay: float) -> None:
    model, optimizer = optimized(weight_decay=decay)
    other, _ = optimized(weight_decay=decay)
    named = other.named_parameters()
    split: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for name, p in named:
        if p.requires_grad:
            split[p.ndim > 1 and "embedding" not in name].append(p)
    groups: list[dict[str, Any]] = [
        {"params": split[True], "weight_decay": decay},
        {"params": split[False]},
    ]
    reference = torch.optim.AdamW(groups, lr=4e-3, betas=BETAS, weight_decay=0.0)
    for seed in range(4):
        for each in (model, other):
            give_gradients(each, seed)
        optimizer.step(4e-3)
        reference.step()
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-6), name


def test_sgd_is_a_step_against_the_gradient_and_decay() -> None:
    model, optimizer = optimized(optimizer="sgd", weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    give_gradients(model, 1)
    optimizer.step(0.1)
    for name, p in model.named_parameters():
        if p.grad is None:
            assert "bias_hh" in name
            assert torch.equal(p, before[name])
            continue
        kept = 0.95 if "weight" in name and "embedding" not in name else 1.0
        assert torch.allclose(p, kept * before[name] - 0.1 * p.grad, atol=1e-6), name
    assert optimizer.moments() == {}


def test_a_rate_by_steps_is_held_then_falls_at_once_and_again() -> None:
    found = rates(
        steps=9, warmup_steps=0, learning_rate=8.0, schedule="steps",
        hold_steps=4, decay_every=2, decay_factor=0.5,
    )  # fmt: skip
    assert found == [8.0] * 4 + [4.0] * 2 + [2.0] * 2 + [1.0]


def test_a_rate_by_steps_rises_first() -> None:
    found = rates(
        steps=4, warmup_steps=2, learning_rate=8.0, schedule="steps",
        hold_steps=3, decay_every=5, decay_factor=0.25,
    )  # fmt: skip
    assert found == [4.0, 8.0, 8.0, 2.0]


@pytest.mark.parametrize("bound", ["low", "high"])
def test_the_bounds_of_the_peak_are_rates_too(bound: str) -> None:
    peak = TrainConfig.__dataclass_fields__["learning_rate"].metadata[bound]
    assert max(rates(learning_rate=peak)) == pytest.approx(peak, rel=1e-12)
    assert min(rates(learning_rate=peak)) > 0


@pytest.mark.parametrize("longest", [1e-3, 0.5, 3.0, 1e3])
@pytest.mark.parametrize("bad", [None, math.inf, math.nan])
def test_clipping_is_torchs_own_to_the_last_bit(longest: float, bad: float | None) -> None:
    generator = torch.Generator().manual_seed(3)
    made = [torch.randn(shape, generator=generator) for shape in ((4, 3), (7,), (1,))]
    if bad is not None:
        made[1][2] = bad
    theirs = [torch.nn.Parameter(torch.zeros_like(each)) for each in made]
    for parameter, gradient in zip(theirs, made, strict=True):
        parameter.grad = gradient.clone()
    expected = torch.nn.utils.clip_grad_norm_(theirs, longest)
    assert torch.equal(clip(made, longest).nan_to_num(-1.0), expected.nan_to_num(-1.0))
    for parameter, gradient in zip(theirs, made, strict=True):
        assert parameter.grad is not None
        assert torch.equal(gradient.nan_to_num(-1.0), parameter.grad.nan_to_num(-1.0))


def test_a_gradient_that_is_short_enough_is_left_alone() -> None:
    gradient = torch.tensor([0.6, 0.8])
    before = gradient._version
    assert float(clip([gradient], 1.1)) == pytest.approx(1.0)
    assert gradient._version == before
