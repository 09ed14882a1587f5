"""A checkpoint -> ONNX models: one that reads a token (`step_graph`), one that reads sequences.

`Engine` samples with the first and reads long prompts with the second. The sequence graph, whose
recurrent layers are ONNX's own operators, is also what `checkpoints export --format onnx` writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.checkpoints.atomic import write_durably
from charrnn.checkpoints.checkpoint import Arrays, Checkpoint
from charrnn.config import CELLS, ModelConfig, Shape, residual_at, state_shapes
from charrnn.inference.nodes import (
    CELL_NODES,
    IR,
    LAYER_PARAMETERS,
    OPSET,
    Nodes,
    float_product,
    in_node_order,
    layer_input,
)
from charrnn.inference.onnx_document import document, properties
from charrnn.inference.steering import Steer, steered


@dataclass(frozen=True)
class Operator:
    """ONNX's operator for a cell, and the order in which it wants torch's gate rows."""

    name: str
    gates: tuple[int, ...]
    attributes: dict[str, Any]


OPERATORS = {
    "lstm": Operator("LSTM", (0, 3, 1, 2), {}),  # torch i f g o -> ONNX i o f c
    # linear_before_reset makes the reset gate act after the product, as in torch.
    "gru": Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # torch r z n -> ONNX z r h
    "rnn": Operator("RNN", (0,), {}),
}
"""Cells that ONNX has an operator for. Any other is read one token at a time."""


@activity("exporting")
def export(checkpoint: Checkpoint, path: Path) -> None:
    """Write the model as an ONNX file that documents itself and contains its tokenizer."""
    from onnx import helper

    by_sequence = checkpoint.config.cell in OPERATORS
    text = document(checkpoint, by_sequence)
    if by_sequence:
        model = sequence_graph(checkpoint, text)
    else:
        model = step_graph(checkpoint, document=text)
    helper.set_model_props(model, properties(checkpoint))
    write_durably(path, [model.SerializeToString()])


def graph_of(
    nodes: Nodes,
    inputs: Sequence[tuple[str, str, Sequence[str | int]]],
    outputs: Sequence[tuple[str, Sequence[str | int]]],
    document: str = "",
) -> Any:
    """The nodes of any task -> a ModelProto.

    inputs: name, "float" or "int64", and axes, where a text is a symbolic size. outputs: name and
    axes, all float.
    """
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(name, *ends, **more) for name, ends, more in nodes.nodes],
        "charrnn",
        [info(name, kinds[kind], axes) for name, kind, axes in inputs],
        [info(name, TensorProto.FLOAT, axes) for name, axes in outputs],
        [numpy_helper.from_array(array, name) for name, array in nodes.constants.items()],
        doc_string=document,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="charrnn")


def write(model: Any, path: Path, entries: Mapping[str, str]) -> None:
    """Write a ModelProto with entries of metadata, durably."""
    from onnx import helper

    helper.set_model_props(model, dict(entries))
    write_durably(path, [model.SerializeToString()])


def sequence_graph(checkpoint: Checkpoint, document: str = "") -> Any:
    """A checkpoint -> an ONNX ModelProto that reads (T, B) ids.

    Inputs: `ids` (T, B) int64 and each part of the state, `0.h` (B, H) and so on. Outputs:
    `logits` (T, B, V) and each part of the state after the last token, `0.h.after` (B, H).
    """
    nodes, constants = _sequence_network(checkpoint.config, checkpoint.weights)
    return _model(checkpoint.config, nodes, constants, ["T", "B"], document)


def step_graph(
    checkpoint: Checkpoint,
    precision: str = "float32",
    document: str = "",
    steers: Sequence[Steer] = (),
) -> Any:
    """A checkpoint -> an ONNX ModelProto that reads one token of each row, in float32 or int8.

    steers: units that are held or pushed after each token.

    Inputs: `ids` (B,) int64 and each part of the state, `0.h` (B, H) and so on. Outputs: `logits`
    (B, V) and each part of the state after the token, `0.h.after` (B, H).
    """
    # onnx is slow to import and only needed where a graph is built.
    from onnx import helper, numpy_helper

    with np.errstate(over="ignore", invalid="ignore"):  # weights of an untrusted file can be huge
        built = _step_network(checkpoint.config, checkpoint.weights, precision)
    built = steered(built, checkpoint.config, steers)
    nodes = [helper.make_node(name, *ends, **more) for name, ends, more in built.nodes]
    constants = [numpy_helper.from_array(array, name) for name, array in built.constants.items()]
    return _model(checkpoint.config, nodes, constants, ["B"], document)


def _model(
    config: ModelConfig,
    nodes: list[Any],
    constants: list[Any],
    axes: Sequence[str],
    document: str,
) -> Any:
    """Nodes and constants -> a ModelProto whose ids and logits have these axes."""
    from onnx import TensorProto, helper

    floats, shapes = TensorProto.FLOAT, state_shapes(config, 1)
    graph = helper.make_graph(
        nodes,
        "charrnn",
        [
            # A text instead of a number is a symbolic size, so any T and B can be read.
            helper.make_tensor_value_info("ids", TensorProto.INT64, axes),
            *(helper.make_tensor_value_info(n, floats, ["B", s[1]]) for n, s in shapes.items()),
        ],
        [
            helper.make_tensor_value_info("logits", floats, [*axes, config.vocab_size]),
            *(
                helper.make_tensor_value_info(f"{n}.after", floats, ["B", s[1]])
                for n, s in shapes.items()
            ),
        ],
        constants,
        doc_string=document,
    )
    # onnx would write its own newest versions, which an older ONNX Runtime refuses.
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="charrnn")


def _step_network(config: ModelConfig, weights: Arrays, precision: str) -> Nodes:
    """The nodes from ids (B,) to logits (B, V)."""
    whole = Nodes()
    for layer in range(config.num_layers):
        own = {
            name: in_node_order(config, weights[f"layers.{layer}.{name}_l0"])
            for name in LAYER_PARAMETERS
        }
        whole.add(layer_input(config, weights["embedding.weight"], own, layer, precision))
        whole.add(CELL_NODES[config.cell](own, layer, precision))
        out = f"{layer}.{CELLS[config.cell].state[0]}.after"
        if residual_at(config, layer):
            whole.node("Add", [out, f"x{layer}"], [f"x{layer + 1}"])
        else:
            # The next layer reads x<n> in both cases; the output itself is already named as a
            # state.
            whole.node("Identity", [out], [f"x{layer + 1}"])
    output = weights["embedding.weight" if config.tie_weights else "output.weight"]
    top, bias = f"x{config.num_layers}", weights["output.bias"]
    # The output layer stays in float32: its rounding errors would go straight into the figures.
    return whole.add(float_product("logits", top, output, whole.constant("output.bias", bias)))


def _sequence_network(config: ModelConfig, weights: Arrays) -> tuple[list[Any], list[Any]]:
    """The nodes from ids (T, B) to logits (T, B, V), and their constants."""
    from onnx import helper, numpy_helper

    # Unlike the step graph this has no table: an exported file has every weight once, as trained.
    constants = {"embedding": weights["embedding.weight"]}
    nodes = [helper.make_node("Gather", ["embedding", "ids"], ["x0"])]
    for layer in range(config.num_layers):
        more, added = _layer(config, weights, layer)
        nodes += more
        constants |= added
    output = weights["embedding.weight" if config.tie_weights else "output.weight"]
    constants |= {"output": np.ascontiguousarray(output.T), "output_bias": weights["output.bias"]}
    top = f"x{config.num_layers}"
    nodes += [
        helper.make_node("MatMul", [top, "output"], ["scores"]),
        helper.make_node("Add", ["scores", "output_bias"], ["logits"]),
    ]
    # ONNX's state tensors have a leading axis for directions, which charrnn's do not have.
    constants |= {"axis0": np.array([0]), "axis1": np.array([1])}
    return nodes, [numpy_helper.from_array(array, name) for name, array in constants.items()]


def _layer(
    config: ModelConfig, weights: Arrays, layer: int
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """The nodes of one recurrent layer, `x<layer>` (T, B, D) -> `x<layer + 1>` (T, B, H)."""
    from onnx import helper

    before = [f"{layer}.{part}" for part in CELLS[config.cell].state]
    raised, last = [f"{n}.raised" for n in before], [f"{n}.last" for n in before]
    own = {name: weights[f"layers.{layer}.{name}_l0"] for name in LAYER_PARAMETERS}
    recurrent, constants = _operator(config, own, layer, raised, last)
    residual = residual_at(config, layer)
    out = f"y{layer}" if residual else f"x{layer + 1}"
    nodes = [
        helper.make_node("Unsqueeze", [n, "axis0"], [r])
        for n, r in zip(before, raised, strict=True)
    ]
    nodes += recurrent
    # The layer's output is (T, 1, B, H), the 1 being the direction.
    nodes += [helper.make_node("Squeeze", [f"directed{layer}", "axis1"], [out])]
    nodes += [
        helper.make_node("Squeeze", [r, "axis0"], [f"{n}.after"])
        for n, r in zip(before, last, strict=True)
    ]
    if residual:
        nodes.append(helper.make_node("Add", [out, f"x{layer}"], [f"x{layer + 1}"]))
    return nodes, constants


def _operator(
    config: ModelConfig, own: Arrays, layer: int, before: list[str], after: list[str]
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """ONNX's operator: `x<layer>` and a state -> `directed<layer>` and the state after."""
    from onnx import helper

    operator = OPERATORS[config.cell]
    rows, size = own["weight_hh"].shape
    order = np.concatenate([np.arange(size) + gate * size for gate in operator.gates])
    assert len(order) == rows
    constants: dict[str, NDArray[Any]] = {
        # Their shapes are (1, gates * H, D), (1, gates * H, H) and (1, 2 * gates * H).
        f"W{layer}": own["weight_ih"][order][None],
        f"R{layer}": own["weight_hh"][order][None],
        f"B{layer}": np.concatenate([own["bias_ih"][order], own["bias_hh"][order]])[None],
    }
    node = helper.make_node(
        operator.name,
        # The empty name leaves out sequence_lens: all texts of a batch have the same length.
        [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *before],
        [f"directed{layer}", *after],
        hidden_size=size,
        **operator.attributes,
    )
    return [node], constants


def model_of(
    nodes: Nodes,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    document: str = "",
    properties: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Nodes of any task, names -> widths of float32 inputs and outputs (B, width) -> a ModelProto.

    properties: metadata entries by name.
    """
    from onnx import TensorProto, helper, numpy_helper

    def infos(named: Mapping[str, Shape]) -> list[Any]:
        # A text instead of a number is a symbolic size: any number of rows.
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape])
            for name, shape in named.items()
        ]

    made = [helper.make_node(name, *ends, **more) for name, ends, more in nodes.nodes]
    constants = [numpy_helper.from_array(array, name) for name, array in nodes.constants.items()]
    graph = helper.make_graph(
        made, "charrnn", infos(inputs), infos(outputs), constants, doc_string=document
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="charrnn")
    if properties:
        helper.set_model_props(model, dict(properties))
    return model
