"""Gradient flow: compared to closed forms, and to autograd over torch's own cells."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.evaluation.gradient_flow import (
    CLOSED,
    OPEN,
    WARM_UP,
    GradientFlow,
    measure,
    saturation,
    unrolled,
)
from charrnn.models.cells import CELL_CLASSES
from charrnn.tasks.language.network import CharRNN, build, from_weights
from tests.support.tiny import random_weights, tiny_model

TOKENS = np.random.default_rng(0).integers(0, 11, 400).astype(np.uint8)

SINGLE_STEP: dict[str, type[nn.Module]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
}
"""Torch's cells for one token, which share no code with the measured layers."""


def scalar(w: float, bias: float = 0.0) -> CharRNN:
    """A network of one tanh unit with recurrent weight w, zero input weights, and two tokens."""
    config = ModelConfig(vocab_size=2, cell="rnn", num_layers=1, hidden_size=1, embedding_size=1)
    model = build(config, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layers[0].get_parameter("weight_hh_l0").fill_(w)
        model.layers[0].get_parameter("bias_ih_l0").fill_(bias)
        model.output.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    return model


def by_single_steps(model: CharRNN, tokens: Any, reach: int, positions: int) -> list[list[float]]:
    """Norms for h, and for c where there is one, one position and one cell call at a time."""
    config = model.config
    parts = 2 if config.cell == "lstm" else 1
    warm_up = min(WARM_UP, len(tokens) - reach - 2)
    cells = []
    for layer in model.layers:
        cell = SINGLE_STEP[config.cell](layer.input_size, layer.hidden_size).double()
        with torch.no_grad():
            for name, parameter in cell.named_parameters():
                parameter.copy_(layer.get_parameter(f"{name}_l0"))
        cells.append(cell)
    sums = np.zeros((parts, reach + 1))
    for begin in np.linspace(0, len(tokens) - reach - 2 - warm_up, positions).round().astype(int):
        window = torch.from_numpy(tokens[begin : begin + warm_up + reach + 2].astype(np.int64))
        loss, states = _read(model, cells, window)
        for k in range(reach + 1):
            layers = states[-1 - k]
            wanted = [part for layer in layers for part in layer]
            grads = torch.autograd.grad(
                loss, wanted, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for part in range(parts):
                sums[part, k] += float(torch.cat(grads[part::parts]).norm())
    return [list(row / positions) for row in sums]


def _read(model: CharRNN, cells: Any, window: Tensor) -> tuple[Tensor, list[Any]]:
    config = model.config
    state = [[torch.zeros(config.hidden_size, dtype=torch.float64) for _ in part]
             for part in model.zero_state(1)]  # fmt: skip
    states = []
    for token in window[:-1]:
        x = model.embedding.weight[token].double()
        for index, cell in enumerate(cells):
            before = tuple(state[index]) if len(state[index]) > 1 else state[index][0]
            after = cell(x, before)
            state[index] = list(after) if isinstance(after, tuple) else [after]
            h = state[index][0]
            x = x + h if config.residual and index > 0 else h
        states.append([tuple(layer) for layer in state])
    logits = F.linear(x, model.output.weight.double(), model.output.bias.double())
    return F.cross_entropy(logits[None], window[-1:]), states


@pytest.mark.parametrize("w", [0.5, 0.875, 1.0, -1.5])
def test_a_single_linear_unit_multiplies_by_its_weight(w: float) -> None:
    # Without input the unit stays at 0, where tanh' is 1: d h(t) / d h(t-k) = w ** k.
    found = measure(scalar(w), TOKENS % 2, reach=20, positions=3)
    assert found.norms == pytest.approx([abs(w) ** k for k in range(21)], rel=1e-12)
    assert found.factor == pytest.approx(abs(w))
    assert found.saturated == {"tanh": 0.0}


def test_a_single_tanh_unit_multiplies_by_weight_and_slope() -> None:
    # With a bias the fixed point is h = tanh(w h + b), where tanh' is 1 - h ** 2.
    w, b = 0.8, 0.3
    h = 0.0
    for _ in range(1000):
        h = math.tanh(w * h + b)
    found = measure(scalar(w, b), TOKENS % 2, reach=20, positions=5)
    step = w * (1 - h * h)
    # float32 holds w and b to 7 digits only.
    assert [n / found.norms[0] for n in found.norms] == pytest.approx(
        [step**k for k in range(21)], rel=1e-5
    )
    assert found.half_life == pytest.approx(math.log(0.5) / math.log(step), rel=1e-5)


def test_the_norm_at_k_0_is_that_of_the_output_layer() -> None:
    # d loss / d h = W' (p - y), here with p = (1/2, 1/2) and rows 1 and -1: a norm of 1.
    assert measure(scalar(0.5), TOKENS % 2, reach=2, positions=3).norms[0] == pytest.approx(1.0)


@pytest.mark.parametrize("cell", CELL_CLASSES)
@pytest.mark.parametrize("shape", [{"num_layers": 1}, {"num_layers": 3, "residual": True}], ids=str)
def test_the_norms_equal_those_of_autograd_over_a_loop_of_cells(
    cell: str, shape: dict[str, Any]
) -> None:
    config = tiny_model(cell, **shape)
    model = from_weights(config, random_weights(config))
    found = measure(model, TOKENS, reach=7, positions=3)
    expected = by_single_steps(model, TOKENS, reach=7, positions=3)
    assert found.norms == pytest.approx(expected[0], rel=1e-10)
    assert list(found.cell_norms) == pytest.approx(expected[1] if len(expected) > 1 else [])


@pytest.mark.parametrize("cell", CELL_CLASSES)
@pytest.mark.parametrize("residual", [False, True])
def test_unrolled_reading_equals_the_network(cell: str, residual: bool) -> None:
    config = tiny_model(cell, num_layers=3, residual=residual)
    model = from_weights(config, random_weights(config)).eval()
    ids = torch.from_numpy(TOKENS[:20].astype(np.int64)).reshape(2, 10)
    with torch.no_grad():
        logits, after = model(ids)
        read = list(unrolled(model, ids, model.zero_state(2), {}))
        found = torch.stack([model.output(x) for x, _ in read], dim=1)
    assert torch.allclose(found, logits, atol=1e-5)
    for one, two in zip(read[-1][1], after, strict=True):
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("cell", CELL_CLASSES)
def test_gates_are_those_of_the_cell_s_computation(cell: str) -> None:
    layer: Any = CELL_CLASSES[cell](4, 6).double()
    generator = torch.Generator().manual_seed(0)
    x, h, c = (torch.randn(5, size, dtype=torch.float64, generator=generator) for size in (4, 6, 6))
    _, after = layer(x[:, None], (h, c) if cell == "lstm" else (h,))
    inputs = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0)
    states = F.linear(h, layer.weight_hh_l0, layer.bias_hh_l0)
    gates = layer.gates(inputs, states, after[0])
    if cell == "lstm":
        new = gates["forget"] * c + gates["input"] * gates["tanh"]
        assert torch.allclose(new, after[1])
        assert torch.allclose(gates["output"] * new.tanh(), after[0])
    elif cell == "gru":
        new = (1 - gates["update"]) * gates["tanh"] + gates["update"] * h
        assert torch.allclose(new, after[0])
    else:
        assert torch.equal(gates["tanh"], (inputs + states).tanh())


def test_the_fraction_of_saturated_values_is_counted() -> None:
    layer: Any = CELL_CLASSES["lstm"](1, 4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        logit = math.log(OPEN / (1 - OPEN))
        for gate, values in enumerate(
            ([-logit - 0.1, logit + 0.1, 0, 1], [logit - 0.1] * 4, [9.0] * 4, [9, -9, 1, -1])
        ):
            layer.bias_ih_l0[4 * gate : 4 * gate + 4] = torch.tensor(values)
    zeros = torch.zeros(3, 4)
    assert pytest.approx(CLOSED) == 1 - OPEN
    assert saturation(layer, torch.zeros(3, 1), zeros, zeros) == {
        "input": 0.5, "forget": 0.0, "tanh": 1.0, "output": 0.5,
    }  # fmt: skip


def test_saturation_is_the_mean_over_layers_and_tokens() -> None:
    found = measure(scalar(0.5, 5.0), TOKENS % 2, reach=5, positions=2)
    assert found.saturated == {"tanh": 1.0}


def test_dropout_is_off_and_the_model_is_not_modified() -> None:
    config = tiny_model("gru", dropout=0.5, input_dropout=0.5, output_dropout=0.5)
    model = build(config, 0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, two = (measure(model, TOKENS, 5, 4) for _ in range(2))
    assert one == two
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_long_reaches_do_not_underflow() -> None:
    norms = measure(scalar(0.1), TOKENS % 2, reach=200, positions=1).norms
    assert norms[200] == pytest.approx(1e-200, rel=1e-4)


def test_a_text_of_the_minimum_length_is_accepted() -> None:
    assert measure(scalar(0.5), TOKENS[:12] % 2, reach=10, positions=2).norms[10] > 0
    with pytest.raises(CorpusError, match=r"11 tokens .* 10 tokens back; .* --reach of at most 9"):
        measure(scalar(0.5), TOKENS[:11] % 2, reach=10, positions=2)


@pytest.mark.parametrize(
    ("norms", "factor", "half_life"),
    [
        ((5.0, 1.0, 0.5, 0.25), 0.5, 1.0),
        ((1.0, 1.0, 2.0, 4.0), 2.0, math.inf),
        ((1.0, 1.0, 1.0, 1.0), 1.0, math.inf),
        ((1.0, 1.0, 0.1, 0.0), 0.1, math.log(0.5) / math.log(0.1)),
    ],
)
def test_half_lives(norms: tuple[float, ...], factor: float, half_life: float) -> None:
    flow = GradientFlow(norms, (), {}, 1)
    assert flow.factor == pytest.approx(factor)
    if math.isfinite(half_life):
        assert flow.half_life == pytest.approx(half_life)
    assert math.isfinite(flow.half_life) or not math.isfinite(half_life) or factor >= 1


def test_relative_norms_are_ratios_to_the_first() -> None:
    flow = GradientFlow((4.0, 2.0, 1.0), (0.0, 8.0), {}, 1)
    assert flow.relative(flow.norms) == (1.0, 0.5, 0.25)
    assert flow.relative(flow.cell_norms) == (0.0, 2.0)
    assert GradientFlow((0.0, 0.0), (), {}, 1).relative((0.0, 0.0)) == (0.0, 0.0)


def test_values_that_are_not_finite_are_null_in_json() -> None:
    data = GradientFlow((1.0, 0.0, 0.0), (), {"tanh": 0.25}, 4).to_json()
    assert data == {
        "positions": 4, "norms": [1.0, 0.0, 0.0], "cell_norms": [], "saturated": {"tanh": 0.25},
        "factor_per_token": None, "half_life_tokens": None,
    }  # fmt: skip
