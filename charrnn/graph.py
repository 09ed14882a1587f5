"""A checkpoint -> an ONNX graph that reads sequences: for long prompts, and for other programs.

Its recurrent layers are ONNX's own operators; `step_graph` makes the one that samples.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Arrays, Checkpoint
from charrnn.config import STATE_PARTS, ModelConfig, residual_at, state_shapes
from charrnn.products import IR, OPSET
from charrnn.step_graph import ROWS
from charrnn.storage import write_durably


@dataclass(frozen=True)
class Operator:
    """How ONNX names a cell, and where torch's gate rows go in its order."""

    name: str
    gates: tuple[int, ...]
    attributes: dict[str, Any]


OPERATORS = {
    "lstm": Operator("LSTM", (0, 3, 1, 2), {}),  # torch i f g o -> ONNX i o f c
    "gru": Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # torch r z n -> ONNX z r h
    "rnn": Operator("RNN", (0,), {}),
}


def graph(checkpoint: Checkpoint, document: str = "") -> Any:
    """The model as an ONNX ModelProto.

    Inputs: `ids` (T, B) int64 and each part of the state, `0.h` (B, H) and so on. Outputs:
    `logits` (T, B, V) and each part of the state after the last token, `0.h.after` (B, H).
    """
    from onnx import TensorProto, helper

    config = checkpoint.model
    nodes, constants = _network(config, checkpoint.weights)
    shapes = state_shapes(config, 1)
    floats = TensorProto.FLOAT
    made = helper.make_graph(
        nodes,
        "charrnn",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", "B"]),
            *(helper.make_tensor_value_info(n, floats, ["B", s[1]]) for n, s in shapes.items()),
        ],
        [
            helper.make_tensor_value_info("logits", floats, ["T", "B", config.vocab_size]),
            *(
                helper.make_tensor_value_info(f"{n}.after", floats, ["B", s[1]])
                for n, s in shapes.items()
            ),
        ],
        constants,
        doc_string=document,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="charrnn")


def export(checkpoint: Checkpoint, path: Path) -> None:
    """Write the model as an ONNX file that says how to use it, with its tokenizer inside."""
    from onnx import helper

    model = graph(checkpoint, document=DOCUMENT)
    text = json.dumps(checkpoint.tokenizer.to_json(), sort_keys=True)
    helper.set_model_props(model, {"charrnn.tokenizer": text})
    write_durably(path, [model.SerializeToString()])


DOCUMENT = """A recurrent language model by charrnn.
ids: int64 (T, B), token ids, time first. Give every part of the state, 0.h, 0.c, 1.h ...: float32
(B, hidden_size), zeros before a text. logits: float32 (T, B, vocab_size), scores of the token after
each of the T. Hand 0.h.after and so on back in as the next state. Before its first character a text
has a newline. The metadata entry charrnn.tokenizer holds the tokenizer as JSON.
"""


def _network(config: ModelConfig, weights: Arrays) -> tuple[list[Any], list[Any]]:
    """The nodes from ids to logits, and their constants."""
    from onnx import helper, numpy_helper

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
    # The state's tensors have an axis for directions, the first, which ours leave out.
    constants |= {"axis0": np.array([0]), "axis1": np.array([1])}
    return nodes, [numpy_helper.from_array(array, name) for name, array in constants.items()]


def _layer(
    config: ModelConfig, weights: Arrays, layer: int
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """The nodes of one recurrent layer, `x<layer>` (T, B, D) -> `x<layer + 1>` (T, B, H)."""
    from onnx import helper

    before = [f"{layer}.{part}" for part in STATE_PARTS[config.cell]]
    raised, last = [f"{n}.raised" for n in before], [f"{n}.last" for n in before]
    own = {name: weights[f"layers.{layer}.{name}_l0"] for name in ROWS}
    recurrent, constants = _operator(config, own, layer, raised, last)
    residual = residual_at(config, layer)
    out = f"y{layer}" if residual else f"x{layer + 1}"
    nodes = [
        helper.make_node("Unsqueeze", [n, "axis0"], [r])
        for n, r in zip(before, raised, strict=True)
    ]
    nodes += recurrent
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
    """ONNX's own operator: `x<layer>` and a state -> `directed<layer>` and the state after."""
    from onnx import helper

    operator = OPERATORS[config.cell]
    rows, size = own["weight_hh"].shape
    order = np.concatenate([np.arange(size) + gate * size for gate in operator.gates])
    assert len(order) == rows
    constants: dict[str, NDArray[Any]] = {
        f"W{layer}": own["weight_ih"][order][None],
        f"R{layer}": own["weight_hh"][order][None],
        f"B{layer}": np.concatenate([own["bias_ih"][order], own["bias_hh"][order]])[None],
    }
    node = helper.make_node(
        operator.name,
        [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *before],
        [f"directed{layer}", *after],
        hidden_size=size,
        **operator.attributes,
    )
    return [node], constants
