"""The ONNX graphs: valid in both precisions, small in int8, and documented in the file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS, state_shapes
from charrnn.errors import StorageError
from charrnn.inference.graphs import OPERATORS, export, sequence_graph, step_graph
from charrnn.inference.nodes import IR, OPSET
from tests.support.tiny import smallest_checkpoint

PRECISIONS = ("float32", "int8")

KINDS: dict[str, Callable[[Checkpoint], Any]] = {
    "sequence": sequence_graph,
    "float32": step_graph,
    "int8": lambda model: step_graph(model, "int8"),
}


def small_model(cell: str = "lstm", **changes: Any) -> Checkpoint:
    """A model with random weights that computes quickly."""
    shape = {"hidden_size": 8, "embedding_size": 8, "num_layers": 2}
    return smallest_checkpoint(training=False, cell=cell, **(shape | changes))


def constants(model: Any) -> dict[str, np.ndarray]:
    """The constants of a graph, by name."""
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@pytest.mark.parametrize("cell", OPERATORS)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_at_the_limits_of_float32_cause_no_warning(cell: str, kind: str) -> None:
    model = small_model(cell)
    huge = {name: np.full_like(array, 3e38) for name, array in model.weights.items()}
    KINDS[kind](replace(model, weights=huge))


@pytest.mark.parametrize("cell", OPERATORS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes", [{}, {"num_layers": 1}, {"residual": True}, {"tie_weights": True}], ids=str
)
def test_every_graph_is_valid_and_of_onnx_s_own_operators(
    cell: str, kind: str, changes: dict[str, Any]
) -> None:
    model = KINDS[kind](small_model(cell, **changes))
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == IR
    assert model.producer_name == "charrnn"
    names = [name for node in model.graph.node for name in node.output]
    assert len(names) == len(set(names))
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("cell", OPERATORS)
def test_int8_stores_one_byte_per_weight_of_the_recurrent_layers(cell: str) -> None:
    found = constants(step_graph(small_model(cell), "int8"))
    # Signed or unsigned, as the processor has it; a zero point is no matrix.
    small = sum(each.size for each in found.values() if each.itemsize == 1 and each.ndim == 2)
    # The first layer's input is in the table.
    assert small == (2 * 2 - 1) * CELLS[cell].gates * 8 * 8
    large = {name: array for name, array in found.items() if array.dtype == np.float32}
    assert {"table", "logits.weights", "output.bias"} <= set(large)
    assert not any(
        array.size >= CELLS[cell].gates * 64
        for name, array in large.items()
        if name.startswith("in")
    )


@pytest.mark.parametrize("cell", OPERATORS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_large_vocabulary_has_no_table(
    cell: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(cell)
    small = constants(step_graph(model, precision))
    assert "table" in small
    assert small["table"].shape == (model.config.vocab_size, CELLS[cell].gates * 8)
    monkeypatch.setattr("charrnn.inference.nodes.MAX_TABLE_SIZE", small["table"].size - 1)
    large = constants(step_graph(model, precision))
    assert "table" not in large
    assert large["embedding"].shape == (model.config.vocab_size, 8)
    monkeypatch.setattr("charrnn.inference.nodes.MAX_TABLE_SIZE", small["table"].size)
    assert "table" in constants(step_graph(model, precision))


@pytest.mark.parametrize("cell", OPERATORS)
def test_a_large_int8_graph_has_less_than_half_the_size(cell: str) -> None:
    model = small_model(cell, hidden_size=256, embedding_size=128)
    sizes = [len(step_graph(model, precision).SerializeToString()) for precision in PRECISIONS]
    assert sizes[1] < (0.6 if cell == "rnn" else 0.45) * sizes[0]


@pytest.mark.parametrize("cell", OPERATORS)
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_and_outputs_are_named_after_the_state(cell: str, kind: str) -> None:
    model = small_model(cell)
    graph = KINDS[kind](model).graph
    names = list(state_shapes(model.config, 1))
    assert [each.name for each in graph.input] == ["ids", *names]
    assert [each.name for each in graph.output] == ["logits", *(f"{name}.after" for name in names)]


def test_the_document_is_stored_and_empty_by_default() -> None:
    assert sequence_graph(small_model()).graph.doc_string == ""
    assert sequence_graph(small_model(), "about it").graph.doc_string == "about it"


@pytest.mark.parametrize("kind", KINDS)
def test_equal_models_give_equal_graphs(kind: str) -> None:
    first, second = (KINDS[kind](small_model()).SerializeToString() for _ in range(2))
    assert first == second


def test_exporting_replaces_an_older_file_and_leaves_no_others(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"older")
    export(small_model(), path)
    onnx.checker.check_model(str(path))
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_an_export_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        export(small_model(), tmp_path / "missing" / "model.onnx")
