"""Recurrent layers: carried state, initialization, and each cell's equations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from charrnn.config import CELLS, ModelConfig
from charrnn.models.cells import CELL_CLASSES, State

INPUT, HIDDEN = 5, 8


def cell(name: str, seed: int = 0, input_size: int = INPUT, hidden_size: int = HIDDEN) -> nn.Module:
    """A cell with nonzero biases, so that a missing bias changes the result."""
    torch.manual_seed(seed)
    made = CELL_CLASSES[name](input_size, hidden_size)
    with torch.no_grad():
        for bias in (made.get_parameter("bias_ih_l0"), made.get_parameter("bias_hh_l0")):
            bias.add_(torch.randn(bias.shape))
    return made


def fresh(name: str, input_size: int = INPUT, hidden_size: int = HIDDEN) -> nn.Module:
    """A newly initialized cell."""
    torch.manual_seed(1)
    return CELL_CLASSES[name](input_size, hidden_size)


def run(module: nn.Module, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    with torch.no_grad():
        y, after = module(x, state)
    return y, after


def some(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_config_and_classes_define_the_same_cells() -> None:
    assert set(CELLS) == set(CELL_CLASSES)
    assert set(CELLS) == set(ModelConfig.__dataclass_fields__["cell"].metadata["choices"])


@pytest.mark.parametrize("name", CELLS)
def test_output_and_state_have_the_documented_shapes(name: str) -> None:
    y, state = run(cell(name), some(3, 4, INPUT))
    assert y.shape == (3, 4, HIDDEN)
    assert isinstance(state, tuple)
    assert [part.shape for part in state] == [(3, HIDDEN)] * len(CELLS[name].state)


@pytest.mark.parametrize("name", CELLS)
def test_parameters_have_the_shapes_of_the_config(name: str) -> None:
    shapes = {n: tuple(p.shape) for n, p in cell(name).named_parameters()}
    rows = CELLS[name].gates * HIDDEN
    assert shapes == {
        "weight_ih_l0": (rows, INPUT),
        "weight_hh_l0": (rows, HIDDEN),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }


@pytest.mark.parametrize("name", CELLS)
@given(cut=st.integers(1, 11), rows=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_reading_in_two_parts_equals_reading_at_once(
    name: str, cut: int, rows: int, seed: int
) -> None:
    module, x = cell(name, seed), some(rows, 12, INPUT, seed=seed)
    whole, last = run(module, x)
    first, between = run(module, x[:, :cut])
    second, after = run(module, x[:, cut:], between)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-6)
    for a, b in zip(after, last, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_not_carrying_the_state_between_parts_changes_the_result(name: str) -> None:
    module, x = cell(name), some(2, 12, INPUT)
    whole, _ = run(module, x)
    second, _ = run(module, x[:, 6:])
    assert not torch.allclose(second, whole[:, 6:], atol=1e-3)


@pytest.mark.parametrize("name", CELLS)
def test_reading_one_at_a_time_equals_reading_at_once(name: str) -> None:
    module, x = cell(name), some(2, 7, INPUT)
    whole, last = run(module, x)
    state: State | None = None
    for t in range(7):
        y, state = run(module, x[:, t : t + 1], state)
        assert torch.allclose(y[:, 0], whole[:, t], atol=1e-6)
    assert state is not None
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(state, last, strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_no_state_equals_a_state_of_zeros(name: str) -> None:
    module, x = cell(name), some(2, 3, INPUT)
    zeros = tuple(torch.zeros(2, HIDDEN) for _ in CELLS[name].state)
    assert torch.equal(run(module, x)[0], run(module, x, zeros)[0])


@pytest.mark.parametrize("name", CELLS)
def test_the_rows_of_a_batch_are_independent(name: str) -> None:
    module, x = cell(name), some(3, 6, INPUT)
    together, state = run(module, x)
    for row in range(3):
        alone, own = run(module, x[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-6)
        for a, b in zip(own, state, strict=True):
            assert torch.allclose(a[0], b[row], atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_the_first_part_of_the_state_is_the_last_output(name: str) -> None:
    y, state = run(cell(name), some(2, 5, INPUT))
    assert torch.allclose(state[0], y[:, -1], atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_outputs_do_not_depend_on_later_inputs(name: str) -> None:
    module, x = cell(name), some(1, 6, INPUT)
    changed = x.clone()
    changed[:, 4:] = 9.0
    before, after = run(module, x)[0], run(module, changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("name", CELLS)
def test_gradients_reach_every_parameter_and_the_state(name: str) -> None:
    module = cell(name)
    state = tuple(some(2, HIDDEN, seed=i).requires_grad_() for i, _ in enumerate(CELLS[name].state))
    y, _ = module(some(2, 5, INPUT), state)
    y.square().sum().backward()
    tensors = [*(p for p in module.parameters() if p.requires_grad), *state]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in tensors)


@pytest.mark.parametrize("name", CELLS)
def test_a_second_bias_that_is_only_added_to_the_first_is_not_trained(name: str) -> None:
    """A GRU's is trained: the reset gate scales the candidate's second bias, not its first."""
    module = cell(name)
    frozen = [n for n, p in module.named_parameters() if not p.requires_grad]
    assert frozen == ([] if name == "gru" else ["bias_hh_l0"])
    both = {n: p.clone().requires_grad_() for n, p in module.named_parameters()}
    y, _ = torch.func.functional_call(module, both, (some(2, 5, INPUT),))
    first, second = torch.autograd.grad(y.square().sum(), [both["bias_ih_l0"], both["bias_hh_l0"]])
    assert torch.allclose(first, second, atol=1e-5) == (name != "gru")


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("input_size", "hidden_size"), [(5, 8), (8, 8), (3, 1), (20, 4)])
def test_every_recurrent_block_is_initialized_orthogonal(
    name: str, input_size: int, hidden_size: int
) -> None:
    blocks = fresh(name, input_size, hidden_size).get_parameter("weight_hh_l0").detach()
    assert blocks.shape == (CELLS[name].gates * hidden_size, hidden_size)
    for block in blocks.chunk(CELLS[name].gates):
        assert torch.allclose(block @ block.T, torch.eye(hidden_size), atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_blocks_are_initialized_independently(name: str) -> None:
    blocks = fresh(name).get_parameter("weight_hh_l0").detach().chunk(CELLS[name].gates)
    for i, block in enumerate(blocks):
        assert not any(torch.allclose(block, other) for other in blocks[:i])


@pytest.mark.parametrize("name", CELLS)
def test_input_weights_are_initialized_uniformly_within_their_bound(name: str) -> None:
    weights = fresh(name, 200, 16).get_parameter("weight_ih_l0").detach().numpy()
    bound = 1 / 4  # 1 / sqrt(16)
    assert np.abs(weights).max() <= bound
    assert np.abs(weights).max() > 0.98 * bound
    assert abs(weights.mean()) < 0.05 * bound
    assert weights.std() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("name", CELLS)
def test_biases_are_initialized_to_zero_and_the_forget_gate_s_to_one(name: str) -> None:
    module = fresh(name)
    expected = torch.zeros(CELLS[name].gates * HIDDEN)
    if name == "lstm":
        expected[HIDDEN : 2 * HIDDEN] = 1.0
    assert torch.equal(module.get_parameter("bias_ih_l0"), expected)
    assert torch.equal(module.get_parameter("bias_hh_l0"), torch.zeros_like(expected))


@pytest.mark.parametrize("name", CELLS)
def test_initial_weights_depend_on_the_seed_alone(name: str) -> None:
    first, second = fresh(name).state_dict(), fresh(name).state_dict()
    torch.manual_seed(2)
    other = CELL_CLASSES[name](INPUT, HIDDEN).state_dict()
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert not torch.equal(first["weight_hh_l0"], other["weight_hh_l0"])
    assert not torch.equal(first["weight_ih_l0"], other["weight_ih_l0"])


@pytest.mark.parametrize("name", CELLS)
def test_reset_parameters_initializes_again(name: str) -> None:
    module = cell(name)
    module.reset_parameters()  # type: ignore[operator]
    blocks = module.get_parameter("weight_hh_l0").detach().chunk(CELLS[name].gates)
    assert all(torch.allclose(b @ b.T, torch.eye(HIDDEN), atol=1e-5) for b in blocks)
    assert module.get_parameter("bias_ih_l0").sum().item() == (HIDDEN if name == "lstm" else 0)


def gates(module: nn.Module, x: Tensor, h: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The contributions of input and state to each gate, biases included."""
    p = {n: v.detach() for n, v in module.named_parameters()}
    from_x = x @ p["weight_ih_l0"].T + p["bias_ih_l0"]
    from_h = h @ p["weight_hh_l0"].T + p["bias_hh_l0"]
    count = len(from_x[0]) // HIDDEN
    return from_x.chunk(count, 1), from_h.chunk(count, 1)


def test_lstm_computes_its_equations() -> None:
    module, x, h, c = cell("lstm"), some(2, INPUT), some(2, HIDDEN, seed=3), some(2, HIDDEN, seed=4)
    from_x, from_h = gates(module, x, h)
    i, f, g, o = (a + b for a, b in zip(from_x, from_h, strict=True))
    kept = f.sigmoid() * c + i.sigmoid() * g.tanh()
    y, (h_after, c_after) = run(module, x[:, None], (h, c))
    assert torch.allclose(c_after, kept, atol=1e-6)
    assert torch.allclose(h_after, o.sigmoid() * kept.tanh(), atol=1e-6)
    assert torch.allclose(y[:, 0], h_after, atol=1e-6)


def test_gru_computes_its_equations_with_the_reset_gate_after_the_product() -> None:
    module, x, h = cell("gru"), some(2, INPUT), some(2, HIDDEN, seed=3)
    (r_x, z_x, n_x), (r_h, z_h, n_h) = gates(module, x, h)
    new = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    z = (z_x + z_h).sigmoid()
    _, (after,) = run(module, x[:, None], (h,))
    assert torch.allclose(after, (1 - z) * new + z * h, atol=1e-6)


def test_rnn_computes_its_equation_with_tanh() -> None:
    module, x, h = cell("rnn"), some(2, INPUT), some(2, HIDDEN, seed=3)
    (from_x,), (from_h,) = gates(module, x, h)
    _, (after,) = run(module, x[:, None], (h,))
    assert torch.allclose(after, (from_x + from_h).tanh(), atol=1e-6)


def test_a_new_lstm_remembers_more_than_it_forgets() -> None:
    """With zero input and output, the cell state is multiplied by sigmoid(1)."""
    module = fresh("lstm")
    c = torch.full((1, HIDDEN), 0.5)
    _, (_, after) = run(module, torch.zeros(1, 1, INPUT), (torch.zeros(1, HIDDEN), c))
    assert torch.allclose(after, c / (1 + np.exp(-1.0)), atol=1e-6)
