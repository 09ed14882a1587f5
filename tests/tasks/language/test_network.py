"""CharRNN: parameters as the config says, residual and tied layers, dropout, loss, building."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from charrnn.config import CELLS, ModelConfig, num_parameters, parameter_shapes, state_shapes
from charrnn.models.cells import State
from charrnn.tasks.language.network import CharRNN, build, from_weights
from tests.support.tiny import random_weights, tiny_model

SHAPES: list[dict[str, Any]] = [
    {"num_layers": 1},
    {"num_layers": 2},
    {"num_layers": 3, "residual": True},
    {"num_layers": 2, "tie_weights": True},
    {"num_layers": 2, "tie_weights": True, "residual": True},
    {"num_layers": 1, "embedding_size": 3},
    {"num_layers": 3, "embedding_size": 20, "hidden_size": 5},
]


def made(cell: str = "lstm", **changes: Any) -> CharRNN:
    """A model with random weights, not training."""
    config = tiny_model(cell, **changes)
    return from_weights(config, random_weights(config)).eval()


def some_ids(rows: int = 2, length: int = 6, seed: int = 0) -> Tensor:
    return torch.randint(11, (rows, length), generator=torch.Generator().manual_seed(seed))


def some_state(model: CharRNN, rows: int = 2) -> list[State]:
    generator = torch.Generator().manual_seed(5)
    return [
        tuple(torch.randn(part.shape, generator=generator) for part in layer)
        for layer in model.zero_state(rows)
    ]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("changes", SHAPES)
def test_parameters_are_named_shaped_and_ordered_as_the_config_says(
    cell: str, changes: dict[str, Any]
) -> None:
    config = tiny_model(cell, **changes)
    found = {name: tuple(p.shape) for name, p in CharRNN(config).named_parameters()}
    assert list(found.items()) == list(parameter_shapes(config).items())


@given(
    cell=st.sampled_from(sorted(CELLS)),
    vocab=st.integers(1, 30),
    layers=st.integers(1, 4),
    hidden=st.integers(1, 9),
    embedding=st.integers(1, 9),
    residual=st.booleans(),
    tied=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_shape_is_as_the_config_says(
    cell: str, vocab: int, layers: int, hidden: int, embedding: int, residual: bool, tied: bool
) -> None:
    config = ModelConfig(
        vocab, cell, layers, hidden, hidden if tied else embedding, 0.0, 0.0, 0.0, residual, tied
    )
    model = CharRNN(config)
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert found == parameter_shapes(config)
    assert sum(p.numel() for p in model.parameters()) == num_parameters(config)
    logits, state = model(torch.zeros(2, 3, dtype=torch.int64))
    assert logits.shape == (2, 3, vocab)
    shapes = [tuple(part.shape) for layer in state for part in layer]
    assert shapes == list(state_shapes(config, 2).values())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("changes", SHAPES)
def test_reading_in_two_pieces_equals_reading_whole(cell: str, changes: dict[str, Any]) -> None:
    model, ids = made(cell, **changes), some_ids(3, 9)
    with torch.no_grad():
        whole, last = model(ids)
        first, state = model(ids[:, :4])
        second, after = model(ids[:, 4:], state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-5)
    for a, b in zip(after, last, strict=True):
        assert all(torch.allclose(x, y, atol=1e-5) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_no_state_is_the_zero_state(cell: str) -> None:
    model, ids = made(cell), some_ids()
    assert torch.equal(model(ids)[0], model(ids, model.zero_state(2))[0])


@pytest.mark.parametrize("cell", CELLS)
def test_zero_state_is_zeros_in_the_shape_and_type_of_the_model(cell: str) -> None:
    model = made(cell)
    state = model.zero_state(5)
    parts = [part for layer in state for part in layer]
    assert [tuple(p.shape) for p in parts] == list(state_shapes(model.config, 5).values())
    assert all(p.dtype == torch.float32 and not p.any() and not p.requires_grad for p in parts)
    assert model.double().zero_state(1)[0][0].dtype == torch.float64


@pytest.mark.parametrize("cell", CELLS)
def test_each_layer_has_its_own_state(cell: str) -> None:
    model, ids = made(cell, num_layers=2), some_ids()
    plain = model(ids)[0]
    for layer in range(2):
        state = model.zero_state(2)
        state[layer] = tuple(part + 0.5 for part in state[layer])
        assert not torch.allclose(model(ids, state)[0], plain, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("residual", [False, True])
def test_the_layers_are_stacked_as_documented(cell: str, residual: bool) -> None:
    """A reference model: embedding, layers, output; inputs added above the first layer."""
    model, ids = made(cell, num_layers=3, residual=residual), some_ids()
    x = model.embedding.weight[ids]
    for index, layer in enumerate(model.layers):
        y, _ = layer(x)
        x = x + y if residual and index else y
    expected = x @ model.output.weight.T + model.output.bias
    assert torch.allclose(model(ids)[0], expected, atol=1e-5)


def test_residual_changes_nothing_in_one_layer_and_something_in_two() -> None:
    ids = some_ids()
    for layers, same in ((1, True), (2, False)):
        plain = made(num_layers=layers)(ids)[0]
        added = made(num_layers=layers, residual=True)(ids)[0]
        assert torch.allclose(plain, added, atol=1e-5) is same


def test_the_first_layer_may_be_of_another_width_than_its_input_with_residual() -> None:
    model = made(num_layers=2, embedding_size=3, hidden_size=8, residual=True)
    assert model(some_ids())[0].shape == (2, 6, 11)


def test_tied_weights_are_one_tensor_and_remain_so() -> None:
    model = made(tie_weights=True)
    assert model.output.weight is model.embedding.weight
    assert "output.weight" not in dict(model.named_parameters())
    loss, _, _ = model.loss((some_ids(), some_ids(seed=1)), model.zero_state(2))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert torch.equal(model.output.weight, model.embedding.weight)


def test_untied_weights_are_two_tensors() -> None:
    model = made()
    assert model.output.weight is not model.embedding.weight


DROPOUTS = ["input_dropout", "dropout", "output_dropout"]


@pytest.mark.parametrize("where", DROPOUTS)
def test_each_dropout_acts_when_training_and_only_then(where: str) -> None:
    changes: dict[str, Any] = {where: 0.5}
    model, ids = made("lstm", **changes), some_ids()
    plain = made()(ids)[0]
    assert torch.equal(model(ids)[0], plain)
    model.train()
    torch.manual_seed(0)
    first = model(ids)[0]
    assert not torch.allclose(first, plain, atol=1e-4)
    assert not torch.allclose(model(ids)[0], first, atol=1e-4)
    torch.manual_seed(0)
    assert torch.equal(model(ids)[0], first)


def test_without_dropout_no_random_number_is_drawn() -> None:
    model, ids = made().train(), some_ids()
    before = torch.random.get_rng_state()
    assert torch.equal(model(ids)[0], model.eval()(ids)[0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_between_layers_needs_two_of_them() -> None:
    model, ids = made(num_layers=1, dropout=0.5), some_ids()
    assert torch.equal(model.train()(ids)[0], made(num_layers=1)(ids)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_does_not_touch_the_recurrence_of_the_first_layer(cell: str) -> None:
    """Output dropout changes the logits; the state stays the same."""
    model, ids = made(cell, num_layers=1, output_dropout=0.9), some_ids()
    _, plain = model(ids)
    _, after = model.train()(ids)
    assert all(torch.equal(a, b) for a, b in zip(plain[0], after[0], strict=True))


def test_dropped_inputs_are_zero_and_the_others_scaled() -> None:
    model = made(num_layers=1, input_dropout=0.75).train()
    seen: list[Tensor] = []
    model.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    ids = some_ids(8, 50)
    model(ids)
    ratio = seen[0] / model.embedding.weight.detach()[ids]
    kept = ratio != 0
    assert torch.allclose(ratio[kept], torch.tensor(4.0), atol=1e-4)
    assert float(kept.float().mean()) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_loss_is_the_mean_nats_per_token(cell: str) -> None:
    model, ids, targets = made(cell), some_ids(), some_ids(seed=1)
    state = some_state(model)
    loss, _, _ = model.loss((ids, targets), state)
    logs = model(ids, state)[0].log_softmax(-1)
    picked = [logs[b, t, targets[b, t]].item() for b in range(2) for t in range(6)]
    assert loss.item() == pytest.approx(-sum(picked) / 12, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_that_loss_returns_is_detached_and_right(cell: str) -> None:
    model, ids = made(cell), some_ids()
    _, after, _ = model.loss((ids, ids), some_state(model))
    _, expected = model(ids, some_state(model))
    for layer, other in zip(after, expected, strict=True):
        assert not any(part.requires_grad for part in layer)
        assert all(torch.equal(a, b) for a, b in zip(layer, other, strict=True))


def test_a_uniform_model_has_the_loss_of_a_uniform_guess() -> None:
    model = made()
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
    loss, _, _ = model.loss((some_ids(), some_ids(seed=1)), model.zero_state(2))
    assert loss.item() == pytest.approx(math.log(11), abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_a_fresh_model_begins_near_the_uniform_distribution(cell: str, tied: bool) -> None:
    model = build(tiny_model(cell, tie_weights=tied), seed=0)
    loss, _, _ = model.loss((some_ids(4, 30), some_ids(4, 30, seed=1)), model.zero_state(4))
    assert loss.item() == pytest.approx(math.log(11), rel=0.1)


def test_initial_values_of_embedding_and_output() -> None:
    config = tiny_model(vocab_size=400, hidden_size=16, embedding_size=32)
    model = build(config, 0)
    assert model.embedding.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert model.output.weight.abs().max().item() == pytest.approx(0.25, rel=0.01)
    assert not model.output.bias.any()
    tied = build(tiny_model(vocab_size=400, hidden_size=32, embedding_size=32, tie_weights=True), 0)
    assert tied.output.weight.std().item() == pytest.approx(0.1, rel=0.05)


def test_building_depends_on_config_and_seed_alone() -> None:
    config = tiny_model()
    torch.manual_seed(1)
    first = build(config, 3).state_dict()
    torch.manual_seed(2)
    second = build(config, 3).state_dict()
    third = build(config, 4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], third["embedding.weight"])


def test_building_does_not_change_the_random_state() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    build(tiny_model(), 3)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_from_weights_copies_the_weights(cell: str, tied: bool) -> None:
    config = tiny_model(cell, tie_weights=tied)
    weights = random_weights(config)
    model = from_weights(config, weights)
    for name, parameter in model.named_parameters():
        assert parameter.detach().numpy().tolist() == weights[name].tolist()
        parameter.data.zero_()
        assert weights[name].any()


def test_from_weights_accepts_read_only_arrays() -> None:
    config = tiny_model()
    weights = random_weights(config)
    for array in weights.values():
        array.flags.writeable = False
    assert from_weights(config, weights)(some_ids())[0].isfinite().all()


@pytest.mark.parametrize("tied", [False, True])
def test_initial_values_within_a_scale_are_uniform_and_biases_zero(tied: bool) -> None:
    model = build(tiny_model(tie_weights=tied), 0, init_scale=0.05)
    for name, parameter in model.named_parameters():
        largest = float(parameter.detach().abs().max())
        assert (0.04 < largest <= 0.05) if parameter.ndim > 1 else largest == 0.0, name


@pytest.mark.parametrize("training", [True, False])
def test_a_variational_mask_is_the_same_at_all_steps(training: bool) -> None:
    config = tiny_model(variational=True, input_dropout=0.5, num_layers=1)
    model = build(config, 0).train(training)
    seen: list[torch.Tensor] = []
    model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(torch.arange(11)[None, :].repeat(3, 1))
    dropped = seen[0] == 0  # (B, T, D)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert bool(dropped.any()) is training
    assert not dropped.all()


def test_a_dropped_token_is_dropped_at_every_position() -> None:
    model = build(tiny_model(embedding_dropout=0.5), 0).train()
    torch.manual_seed(1)
    ids = torch.arange(11).repeat(4)[None, :]
    embedded = model.embed(ids)[0].reshape(4, 11, -1)
    gone = (embedded == 0).all(-1)
    assert torch.equal(gone, gone[:1].expand_as(gone))
    assert 0 < int(gone[0].sum()) < 11
    whole = model.embedding.weight.detach()
    kept = embedded[0][~gone[0]].detach() / whole[~gone[0]]
    assert torch.allclose(kept, kept.flatten()[0].expand_as(kept))


def test_penalties_are_mean_squares_of_the_output_and_of_its_change() -> None:
    model = build(tiny_model(), 0)
    ids = torch.arange(10).reshape(2, 5)
    y, _ = model.features(ids, model.zero_state(2))
    _, _, none = model.loss((ids, ids), model.zero_state(2))
    _, _, both = model.loss((ids, ids), model.zero_state(2), (2.0, 3.0))
    assert float(none) == 0.0
    expected = 2 * y.square().mean() + 3 * (y[:, 1:] - y[:, :-1]).square().mean()
    assert torch.allclose(both, expected)


def test_a_narrower_top_layer_is_tied_and_not_residual() -> None:
    config = tiny_model(tie_weights=True, embedding_size=5, hidden_size=9, residual=True)
    model = build(config, 0)
    logits, state = model(torch.zeros(1, 3, dtype=torch.long))
    assert logits.shape == (1, 3, 11)
    assert [layer[0].shape[1] for layer in state] == [9, 5]
    assert model.output.weight is model.embedding.weight
