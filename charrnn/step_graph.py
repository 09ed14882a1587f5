"""A checkpoint -> an ONNX graph that reads one token of each row, in float32 or with int8 weights.

The cells are written out in plain nodes, because that is faster here than the fused operators: the
first layer's product of input and weights is looked up in a table of V rows instead of computed,
and a row comes out the same, bit for bit, whatever stands beside it. Reading many tokens at once
is the business of `graph`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Arrays, Checkpoint
from charrnn.config import STATE_PARTS, ModelConfig, residual_at, state_shapes
from charrnn.products import IR, OPSET, Part, exact, rounded

LARGEST_TABLE = 2**22
"""Numbers in the first layer's table at most; with more words than that the product is cheaper."""

PRODUCTS = {"float32": exact, "int8": rounded}


def step_graph(checkpoint: Checkpoint, precision: str = "float32") -> Any:
    """The model as an ONNX ModelProto.

    Inputs: `ids` (B,) int64 and each part of the state, `0.h` (B, H) and so on. Outputs: `logits`
    (B, V) and each part of the state after the token, `0.h.after` (B, H).
    """
    from onnx import TensorProto, helper, numpy_helper

    config = checkpoint.model
    with np.errstate(over="ignore", invalid="ignore"):  # a stranger's weights may be huge
        part = _network(config, checkpoint.weights, precision)
    floats, shapes = TensorProto.FLOAT, state_shapes(config, 1)
    made = helper.make_graph(
        [helper.make_node(name, *ends, **more) for name, ends, more in part.nodes],
        "charrnn",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B"]),
            *(helper.make_tensor_value_info(n, floats, ["B", s[1]]) for n, s in shapes.items()),
        ],
        [
            helper.make_tensor_value_info("logits", floats, ["B", config.vocab_size]),
            *(
                helper.make_tensor_value_info(f"{n}.after", floats, ["B", s[1]])
                for n, s in shapes.items()
            ),
        ],
        [numpy_helper.from_array(array, name) for name, array in part.constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="charrnn")


def _network(config: ModelConfig, weights: Arrays, precision: str) -> Part:
    """The nodes from ids to logits."""
    whole = Part()
    for layer in range(config.num_layers):
        own = {k: _in_order(config, weights[f"layers.{layer}.{k}_l0"]) for k in ROWS}
        whole.add(_input(config, weights["embedding.weight"], own, layer, precision))
        whole.add(LAYERS[config.cell](own, layer, precision))
        out = f"{layer}.{STATE_PARTS[config.cell][0]}.after"
        if residual_at(config, layer):
            whole.node("Add", [out, f"x{layer}"], [f"x{layer + 1}"])
        else:
            whole.node("Identity", [out], [f"x{layer + 1}"])
    output = weights["embedding.weight" if config.tie_weights else "output.weight"]
    top, bias = f"x{config.num_layers}", weights["output.bias"]
    whole.add(exact("logits", top, output, whole.constant("output.bias", bias)))
    return whole


def _in_order(config: ModelConfig, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A layer's gate rows; an LSTM's as i f o g, so that all sigmoids stand together."""
    if config.cell != "lstm":
        return rows
    i, f, g, o = np.split(rows, 4)
    return np.concatenate([i, f, o, g])


def _input(
    config: ModelConfig, embedding: NDArray[np.float32], own: Arrays, layer: int, precision: str
) -> Part:
    """`in<layer>` (B, gates * H): the layer's input by its weights, with its bias."""
    part = Part()
    weight, bias = own["weight_ih"], own["bias_ih"]
    if config.cell != "gru":  # a GRU's two biases go to different places
        bias = bias + own["bias_hh"]
    if layer == 0 and len(embedding) * len(weight) <= LARGEST_TABLE:
        table = part.constant("table", embedding @ weight.T + bias)
        return part.node("Gather", [table, "ids"], ["in0"])
    bound = float(layer if config.residual else 1)
    if layer == 0:
        part.node("Gather", [part.constant("embedding", embedding), "ids"], ["x0"])
        bound = float(np.abs(embedding).max())
    add = part.constant(f"bias{layer}", bias)
    return part.add(PRODUCTS[precision](f"in{layer}", f"x{layer}", weight, add, bound))


def _lstm(own: Arrays, layer: int, precision: str) -> Part:
    """An LSTM's step: c' = f c + i g and h' = o tanh(c')."""
    hidden = own["weight_hh"].shape[1]
    name = f"{layer}."
    part = PRODUCTS[precision](f"{name}sum", f"{name}h", own["weight_hh"], f"in{layer}")
    sizes = part.constant(f"{name}sizes", np.array([3 * hidden, hidden]))
    part.node("Split", [f"{name}sum", sizes], [f"{name}ifo.sum", f"{name}g.sum"], axis=1)
    part.node("Sigmoid", [f"{name}ifo.sum"], [f"{name}ifo"])
    part.node("Tanh", [f"{name}g.sum"], [f"{name}g"])
    part.node("Split", [f"{name}ifo"], [f"{name}{gate}" for gate in "ifo"], axis=1)
    part.node("Mul", [f"{name}f", f"{name}c"], [f"{name}kept"])
    part.node("Mul", [f"{name}i", f"{name}g"], [f"{name}new"])
    part.node("Add", [f"{name}kept", f"{name}new"], [f"{name}c.after"])
    part.node("Tanh", [f"{name}c.after"], [f"{name}bent"])
    return part.node("Mul", [f"{name}o", f"{name}bent"], [f"{name}h.after"])


def _gru(own: Arrays, layer: int, precision: str) -> Part:
    """A GRU's step: h' = n + z (h - n), the reset gate applied after the product, as in torch."""
    hidden = own["weight_hh"].shape[1]
    name = f"{layer}."
    part = Part()
    bias = part.constant(f"{name}bias", own["bias_hh"])
    part.add(PRODUCTS[precision](f"{name}back", f"{name}h", own["weight_hh"], bias))
    sizes = part.constant(f"{name}sizes", np.array([2 * hidden, hidden]))
    for side, source in (("in", f"in{layer}"), ("back", f"{name}back")):
        part.node("Split", [source, sizes], [f"{name}{side}.rz", f"{name}{side}.n"], axis=1)
    part.node("Add", [f"{name}in.rz", f"{name}back.rz"], [f"{name}rz.sum"])
    part.node("Sigmoid", [f"{name}rz.sum"], [f"{name}rz"])
    part.node("Split", [f"{name}rz"], [f"{name}r", f"{name}z"], axis=1)
    part.node("Mul", [f"{name}r", f"{name}back.n"], [f"{name}reset"])
    part.node("Add", [f"{name}in.n", f"{name}reset"], [f"{name}n.sum"])
    part.node("Tanh", [f"{name}n.sum"], [f"{name}n"])
    part.node("Sub", [f"{name}h", f"{name}n"], [f"{name}gap"])
    part.node("Mul", [f"{name}z", f"{name}gap"], [f"{name}kept"])
    return part.node("Add", [f"{name}n", f"{name}kept"], [f"{name}h.after"])


def _rnn(own: Arrays, layer: int, precision: str) -> Part:
    """A simple network's step: h' = tanh of the sum of both products."""
    name = f"{layer}."
    part = PRODUCTS[precision](f"{name}sum", f"{name}h", own["weight_hh"], f"in{layer}")
    return part.node("Tanh", [f"{name}sum"], [f"{name}h.after"])


LAYERS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
"""Cell name -> its nodes, from `in<layer>` and the state `<layer>.h` to the state after."""

ROWS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""A layer's parameters, as torch names them less their suffix."""
