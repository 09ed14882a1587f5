"""int8: rounding errors of weights and results are bounded, and rows do not depend on the batch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS, state_shapes
from charrnn.evaluation.scores import score_tokens
from charrnn.inference import nodes
from charrnn.inference.engine import Engine, State
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.inference.nodes import (
    CELL_NODES,
    IR,
    OPSET,
    Nodes,
    float_product,
    int8_product,
    quantize,
)
from charrnn.inference.saturation import signed_bytes_saturate
from tests.support.tiny import TEXT, TinyTextModel, smallest_checkpoint

MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.floats(-1e3, 1e3, width=32, allow_subnormal=False),
)


def small_model(cell: str, seed: int = 3, **changes: Any) -> Checkpoint:
    """A model with random weights that computes quickly."""
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "embedding_size": 16,
        "num_layers": 2,
        "residual": True,
    }
    return smallest_checkpoint(seed, training=False, cell=cell, **(shape | changes))


def engines(cell: str, **changes: Any) -> tuple[Engine, Engine]:
    """The same model in int8 and in float32."""
    model = small_model(cell, **changes)
    return Engine(model, threads=1, precision="int8"), Engine(model, threads=1)


def some_state(engine: Engine, rows: int) -> State:
    generator = np.random.default_rng(7)
    shapes = state_shapes(engine.config, rows).values()
    return [generator.uniform(-0.9, 0.9, shape).astype(np.float32) for shape in shapes]


def some_ids(engine: Engine, *shape: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(engine.vocab_size, size=shape)


def test_every_cell_has_a_node_builder() -> None:
    assert set(CELL_NODES) == set(CELLS)


@given(weights=MATRICES)
@settings(max_examples=200, deadline=None)
def test_the_error_of_a_weight_is_at_most_half_a_step(weights: NDArray[np.float32]) -> None:
    rounded, scale = quantize(weights)
    assert rounded.dtype == np.int8
    assert scale.dtype == np.float32
    assert rounded.shape == weights.T.shape
    assert rounded.flags.c_contiguous
    error = np.abs(rounded.T * scale[:, None].astype(np.float64) - weights)
    assert np.all(error <= 0.5001 * scale[:, None])


@given(weights=MATRICES)
@settings(max_examples=100, deadline=None)
def test_each_row_has_its_own_scale_and_its_largest_weight_is_exact(
    weights: NDArray[np.float32],
) -> None:
    rounded, scale = quantize(weights)
    largest = np.abs(weights).max(axis=1)
    used = largest > 1e-29
    assert np.abs(rounded.T.astype(int)).max(axis=1)[used].tolist() == [127] * int(used.sum())
    assert np.allclose(127 * scale[used], largest[used])


def test_weights_exactly() -> None:
    rounded, scale = quantize(np.array([[1.27, -0.5, 0.004], [0, 0, 0], [-254, 2, 3]], np.float32))
    assert rounded.T.tolist() == [[127, -50, 0], [0, 0, 0], [-127, 1, 2]]
    assert scale.tolist() == pytest.approx([0.01, 0.0, 2.0])


def test_a_row_of_zeros_stays_zeros() -> None:
    rounded, scale = quantize(np.zeros((2, 3), np.float32))
    assert not rounded.any()
    assert np.isfinite(scale).all()


def run(part: Nodes, x: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The value of the node called `out` for an input `x`, by ONNX Runtime."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    found = helper.make_tensor_value_info("out", TensorProto.FLOAT, (len(x), size))
    nodes = [helper.make_node(name, *names, **more) for name, names, more in part.nodes]
    constants = [numpy_helper.from_array(a, n) for n, a in part.constants.items()]
    graph = helper.make_graph(nodes, "part", [given], [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    result: NDArray[np.float32] = InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    return result


@pytest.mark.parametrize("bound", [0.5, 1.0, 3.0])
def test_the_error_of_an_int8_product_is_at_most_that_of_its_two_roundings(bound: float) -> None:
    generator = np.random.default_rng(2)
    weights = generator.normal(size=(7, 30)).astype(np.float32)
    x = generator.uniform(-bound, bound, size=(5, 30)).astype(np.float32)
    bias = generator.normal(size=7).astype(np.float32)
    exact, small = Nodes(), Nodes()
    exact.add(float_product("out", "x", weights, exact.constant("bias", bias)))
    small.add(int8_product("out", "x", weights, small.constant("bias", bias), bound))
    expected = x @ weights.T + bias
    assert np.allclose(run(exact, x, 7), expected, atol=1e-5)
    of_inputs = 0.5 * bound / 127 * np.abs(weights).sum(1)
    of_weights = 0.5 * np.abs(weights).max(1) / 127 * np.abs(x).sum(1, keepdims=True)
    error = np.abs(run(small, x, 7) - expected)
    assert error.max() > 0
    assert np.all(error <= 1.01 * (of_inputs + of_weights) + 1e-5)


@pytest.mark.parametrize("saturate", [True, signed_bytes_saturate()])
def test_the_largest_bytes_are_multiplied_right_on_every_processor(
    saturate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "signed_bytes_saturate", lambda: saturate)
    # Without VNNI two products of signed bytes do not fit in the 16 bits that they are added in.
    weights = np.array([[1.0] * 40, [-1.0] * 40, [1.0, -1.0] * 20], np.float32)
    x = np.stack([np.ones(40), -np.ones(40), np.resize([1.0, -1.0], 40)]).astype(np.float32)
    part = Nodes()
    part.add(int8_product("out", "x", weights, part.constant("bias", np.zeros(3, np.float32)), 1.0))
    assert run(part, x, 3) == pytest.approx(x @ weights.T, abs=1e-3)


def test_an_input_beyond_its_bound_is_clipped() -> None:
    weights, x = np.ones((1, 1), np.float32), np.array([[5.0], [-5.0]], np.float32)
    part = Nodes()
    part.add(int8_product("out", "x", weights, part.constant("bias", np.zeros(1, np.float32)), 1.0))
    assert run(part, x, 1)[:, 0].tolist() == pytest.approx([1.0, -128 / 127])


@pytest.mark.parametrize("cell", CELL_NODES)
@pytest.mark.parametrize("layers", [1, 3])
def test_logits_and_state_are_close_to_those_of_float32(cell: str, layers: int) -> None:
    small, exact = engines(cell, num_layers=layers)
    spread = []
    for seed in range(20):
        ids = np.random.default_rng(seed).integers(exact.vocab_size, size=(1, 1))
        state = some_state(exact, 1)
        found, after = small.read(ids, state)
        expected, last = exact.read(ids, state)
        spread.append(float(expected.std()))
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() < 0.1 * expected.std() + 0.02
        for part, other in zip(after, last, strict=True):
            assert np.abs(part - other).max() < 0.05
    assert np.mean(spread) > 0.5


@pytest.mark.parametrize("cell", CELL_NODES)
def test_int8_is_in_use(cell: str) -> None:
    small, exact = engines(cell)
    ids, state = some_ids(exact, 1, 1), some_state(exact, 1)
    assert not np.array_equal(small.read(ids, state)[0], exact.read(ids, state)[0])


@pytest.mark.parametrize("cell", CELL_NODES)
@pytest.mark.parametrize("precision", [0, 1])
@pytest.mark.parametrize("width", [16, 40])
def test_a_row_is_the_same_alone_and_in_a_batch(cell: str, precision: int, width: int) -> None:
    engine = engines(cell, hidden_size=width)[precision]
    ids, state = some_ids(engine, 5, 4), some_state(engine, 4)
    together, after = engine.read(ids, state)
    for row in range(4):
        own = [part[row : row + 1] for part in state]
        alone, last = engine.read(ids[:, row : row + 1], own)
        assert np.array_equal(alone[:, 0], together[:, row])
        for part, whole in zip(last, after, strict=True):
            assert np.array_equal(part[0], whole[row])


@pytest.mark.parametrize("cell", CELL_NODES)
def test_reading_a_sequence_equals_reading_step_by_step(cell: str) -> None:
    engine, _ = engines(cell)
    ids, first = some_ids(engine, 9, 2), some_state(engine, 2)
    whole, after = engine.read(ids, first)
    state, logits = first, []
    for row in ids:
        one, state = engine.step(row, state)
        logits.append(one)
    assert np.array_equal(np.stack(logits), whole)
    for part, other in zip(state, after, strict=True):
        assert np.array_equal(part, other)
    prompt, _ = engine.read_prompt(ids, first)
    assert np.array_equal(prompt, whole[-1])


@pytest.mark.parametrize("cell", CELL_NODES)
def test_the_given_state_is_not_modified(cell: str) -> None:
    engine, _ = engines(cell)
    state = some_state(engine, 3)
    before = [part.copy() for part in state]
    engine.read(some_ids(engine, 4, 3), state)
    for part, other in zip(state, before, strict=True):
        assert np.array_equal(part, other)


@pytest.mark.parametrize("cell", CELL_NODES)
def test_a_text_is_the_same_alone_and_in_a_batch(cell: str) -> None:
    model = small_model(cell)
    engine = Engine(model, threads=1, precision="int8")
    start, params = begin(model.tokenizer, "The"), SamplingParams(40, seed=2)
    together = list(generate(TinyTextModel(model.tokenizer, engine), [start] * 3, params, range(3)))
    for index in range(3):
        alone = list(generate(TinyTextModel(model.tokenizer, engine), [start], params, [index]))
        expected = "".join(chunk.text for chunk in together if chunk.index == index)
        assert "".join(chunk.text for chunk in alone) == expected


@pytest.mark.parametrize("cell", CELL_NODES)
@pytest.mark.parametrize("seed", [3, 4])
def test_the_loss_of_a_text_hardly_changes(cell: str, seed: int) -> None:
    model = small_model(cell, seed)
    tokens = model.tokenizer.encode(TEXT)
    loss = {
        precision: score_tokens(
            Engine(model, 1, precision), tokens, len(TEXT), model.tokenizer.newline_id
        ).loss
        for precision in ("float32", "int8")
    }
    assert loss["float32"] != loss["int8"]
    assert loss["int8"] == pytest.approx(loss["float32"], rel=0.02)
