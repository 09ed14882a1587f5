"""The ONNX graph and the torch model are one function, for every cell and shape of model."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.config import CELLS, parameter_shapes, state_shapes
from charrnn.inference.engine import READ_FROM, READ_LENGTH, Engine, State
from charrnn.inference.graphs import OPERATORS, export, sequence_graph
from charrnn.tasks.language.network import CharRNN, from_weights
from charrnn.tokenizers import TOKENIZERS, from_json
from tests.support.tiny import tiny_checkpoint

Case = dict[str, Any]

CASES: list[Case] = [
    {"cell": cell, "num_layers": layers, "residual": residual, "tie_weights": tied}
    for cell, layers, residual, tied in product(CELLS, (1, 2), (False, True), (False, True))
]


def named(case: Case) -> str:
    return "-".join(str(value) for value in case.values())


def pair(**changes: Any) -> tuple[Engine, CharRNN]:
    """The engine and the torch model of one checkpoint."""
    checkpoint = tiny_checkpoint(training=False, **changes)
    model = from_weights(checkpoint.config, checkpoint.weights).eval()
    return Engine(checkpoint, threads=1), model


def some_ids(engine: Engine, length: int, rows: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(engine.vocab_size, size=(length, rows))


def some_state(engine: Engine, rows: int) -> State:
    generator = np.random.default_rng(9)
    shapes = state_shapes(engine.config, rows).values()
    return [generator.normal(0, 0.7, shape).astype(np.float32) for shape in shapes]


def by_torch(
    model: CharRNN, ids: NDArray[np.int64], state: State
) -> tuple[NDArray[np.float32], State]:
    """Logits (T, B, V) and the state after, computed by the torch model."""
    parts = len(state) // model.config.num_layers
    tensors = [torch.from_numpy(part.copy()) for part in state]
    layers = [tuple(tensors[i : i + parts]) for i in range(0, len(tensors), parts)]
    with torch.no_grad():
        logits, after = model(torch.from_numpy(ids.T.copy()), layers)
    return logits.transpose(0, 1).numpy(), [part.numpy() for layer in after for part in layer]


def close(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, atol=1e-4)


def same_state(a: State, b: State) -> bool:
    return all(close(x, y) for x, y in zip(a, b, strict=True))


def test_every_operator_has_all_the_gates_of_its_cell() -> None:
    assert set(OPERATORS) <= set(CELLS)
    for cell, operator in OPERATORS.items():
        assert sorted(operator.gates) == list(range(CELLS[cell].gates))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_steps_equal_the_model_and_carry_the_state(case: Case) -> None:
    engine, model = pair(**case)
    ids, state = some_ids(engine, 8, 3), some_state(engine, 3)
    expected, last = by_torch(model, ids, state)
    for t in range(8):
        logits, state = engine.step(ids[t], state)
        assert close(logits, expected[t])
    assert same_state(state, last)


@pytest.mark.parametrize("case", CASES, ids=named)
@pytest.mark.parametrize("length", [11, READ_FROM - 1, READ_FROM])
def test_reading_equals_the_model_at_every_position(case: Case, length: int) -> None:
    engine, model = pair(**case)
    ids, state = some_ids(engine, length, 2), some_state(engine, 2)
    logits, after = engine.read(ids, state)
    expected, last = by_torch(model, ids, state)
    assert close(logits, expected)
    assert same_state(after, last)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_model_without_a_table_equals_the_model_too(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.inference.nodes.MAX_TABLE_SIZE", 0)
    engine, model = pair(**case)
    ids, state = some_ids(engine, 5, 2), some_state(engine, 2)
    assert close(engine.read(ids, state)[0], by_torch(model, ids, state)[0])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_prompt_equals_the_model_after_its_last_token(case: Case) -> None:
    engine, model = pair(**case)
    ids, state = some_ids(engine, 5, 2), engine.zero_state(2)
    logits, after = engine.read_prompt(ids, state)
    expected, last = by_torch(model, ids, state)
    assert close(logits, expected[-1])
    assert same_state(after, last)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [1, READ_LENGTH - 1, READ_LENGTH, READ_LENGTH + 1, 600])
def test_a_long_prompt_is_read_in_chunks_without_effect_on_the_result(
    cell: str, length: int
) -> None:
    engine, model = pair(cell=cell)
    ids = some_ids(engine, length, 1)
    logits, after = engine.read_prompt(ids, engine.zero_state(1))
    expected, last = by_torch(model, ids, engine.zero_state(1))
    assert close(logits, expected[-1])
    assert same_state(after, last)


def test_a_long_prompt_has_no_more_logits_at_a_time_than_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 101,256 words, 256 tokens had 104 MB of them, and two more copies."""
    engine, _ = pair()
    monkeypatch.setattr("charrnn.inference.engine.LOGITS_AT_ONCE", 100 * engine.vocab_size)
    lengths, read = [], engine.read

    def noted(ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        lengths.append(len(ids))
        return read(ids, state)

    monkeypatch.setattr(engine, "read", noted)
    engine.read_prompt(some_ids(engine, 250, 1), engine.zero_state(1))
    assert lengths == [100, 100, 50]
    assert engine.tokens_at_once(rows=1000) == READ_FROM


@given(
    cell=st.sampled_from(sorted(CELLS)),
    layers=st.integers(1, 3),
    hidden=st.integers(1, 9),
    embedding=st.integers(1, 9),
    residual=st.booleans(),
    rows=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_any_shape_of_model_equals_its_graph(
    cell: str, layers: int, hidden: int, embedding: int, residual: bool, rows: int
) -> None:
    engine, model = pair(
        cell=cell,
        num_layers=layers,
        hidden_size=hidden,
        embedding_size=embedding,
        residual=residual,
    )
    ids, state = some_ids(engine, 4, rows), some_state(engine, rows)
    expected, last = by_torch(model, ids, state)
    logits, after = engine.read(ids, state)
    assert close(logits, expected)
    assert same_state(after, last)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_vocabulary_of_every_tokenizer_fits(tokenizer: str) -> None:
    engine, model = pair(tokenizer=tokenizer)
    ids = np.arange(engine.vocab_size)[None, :]
    state = engine.zero_state(engine.vocab_size)
    assert close(engine.read(ids, state)[0], by_torch(model, ids, state)[0])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_dropout_has_no_effect_on_inference(case: Case) -> None:
    engine, _ = pair(**case)
    dropping, _ = pair(**case, dropout=0.9, input_dropout=0.9, output_dropout=0.9)
    ids, state = some_ids(engine, 3, 2), engine.zero_state(2)
    assert np.array_equal(engine.read(ids, state)[0], dropping.read(ids, state)[0])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [6, READ_FROM])
def test_the_rows_of_a_batch_are_independent(cell: str, length: int) -> None:
    engine, _ = pair(cell=cell)
    ids, state = some_ids(engine, length, 4), some_state(engine, 4)
    together, after = engine.read(ids, state)
    for row in range(4):
        alone, own = engine.read(ids[:, row : row + 1], [part[row : row + 1] for part in state])
        assert close(alone[:, 0], together[:, row])
        assert same_state([part[0] for part in own], [part[row] for part in after])


@pytest.mark.parametrize("cell", CELLS)
def test_the_given_state_is_used_but_not_modified(cell: str) -> None:
    engine, _ = pair(cell=cell)
    state = some_state(engine, 2)
    before = [part.copy() for part in state]
    ids = some_ids(engine, 1, 2)[0]
    first, _ = engine.step(ids, state)
    assert all(np.array_equal(a, b) for a, b in zip(state, before, strict=True))
    assert np.array_equal(engine.step(ids, state)[0], first)
    for index in range(len(state)):
        changed = [part + (0.5 if i == index else 0.0) for i, part in enumerate(before)]
        moved, _ = engine.step(ids, [part.astype(np.float32) for part in changed])
        assert not np.allclose(moved, first, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_the_zero_state_is_zeros_in_the_shapes_of_the_config(cell: str) -> None:
    engine, _ = pair(cell=cell)
    state = engine.zero_state(3)
    assert [part.shape for part in state] == list(state_shapes(engine.config, 3).values())
    assert all(part.dtype == np.float32 and not part.any() for part in state)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int64])
def test_ids_of_any_type_are_read(kind: type[np.integer[Any]]) -> None:
    engine, _ = pair()
    ids = some_ids(engine, 4, 1)
    expected, _ = engine.read_prompt(ids, engine.zero_state(1))
    found, _ = engine.read_prompt(ids.astype(kind), engine.zero_state(1))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_exported_model_is_valid_and_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(training=False, **case)
    export(checkpoint, tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    engine = Engine(checkpoint, threads=1)
    ids, state = some_ids(engine, 5, 2), some_state(engine, 2)
    names = list(state_shapes(checkpoint.config, 2))
    outputs = ["logits", *(f"{name}.after" for name in names)]
    logits, *after = session.run(outputs, {"ids": ids, **dict(zip(names, state, strict=True))})
    expected, last = engine.read(ids, state)
    assert close(logits, expected)
    assert same_state(after, last)


@pytest.mark.parametrize("cell", OPERATORS)
def test_an_exported_model_names_its_inputs_and_outputs_after_the_state(
    cell: str, tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint(cell, training=False)
    export(checkpoint, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    names = list(state_shapes(checkpoint.config, 1))
    assert [given.name for given in session.get_inputs()] == ["ids", *names]
    assert [out.name for out in session.get_outputs()] == [
        "logits", *(f"{name}.after" for name in names),
    ]  # fmt: skip
    assert session.get_inputs()[0].shape == ["T", "B"]
    assert session.get_outputs()[0].shape == ["T", "B", checkpoint.config.vocab_size]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_an_exported_model_contains_its_tokenizer_and_documentation(
    tokenizer: str, tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint(tokenizer=tokenizer, training=False)
    export(checkpoint, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    again = from_json(json.loads(properties["charrnn.tokenizer"]))
    assert again.to_json() == checkpoint.tokenizer.to_json()
    assert "time first" in model.graph.doc_string
    assert model.producer_name == "charrnn"


def test_exporting_twice_gives_equal_bytes(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(training=False)
    for name in ("a.onnx", "b.onnx"):
        export(checkpoint, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_graph_contains_every_weight_once(case: Case) -> None:
    checkpoint = tiny_checkpoint(training=False, **case)
    constants = {
        constant.name: onnx.numpy_helper.to_array(constant)
        for constant in sequence_graph(checkpoint).graph.initializer
    }
    numbers = sum(array.size for name, array in constants.items() if not name.startswith("axis"))
    tied = checkpoint.weights["embedding.weight"].size if case["tie_weights"] else 0
    shapes = parameter_shapes(checkpoint.config).values()
    assert numbers == sum(int(np.prod(shape)) for shape in shapes) + tied
