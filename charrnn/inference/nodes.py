"""Parts of ONNX graphs: matrix products in float32 or int8, and one step of each recurrent cell.

`graphs` joins them to a model that reads one token. The cells are written in plain nodes, because
that is faster for one token than ONNX's fused operators, and because a row's result is then the
same bit for bit whatever the batch. A new cell adds its function to CELL_NODES.

int8: weights are rounded to -127 .. 127 per output row, once. Inputs are rounded at each step on a
fixed scale, which a recurrent network allows because a cell's output stays within -1 .. 1; so no
row depends on another. A quarter of the bytes pass through memory, which bounds a single text, and
integer products are several times as fast, which bounds many.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.config import CELLS, ModelConfig
from charrnn.inference.saturation import signed_bytes_saturate

OPSET, IR = 17, 8
"""The versions of ONNX that all graphs are written in."""

FLOAT = 1
"""onnx.TensorProto.FLOAT; importing onnx here would slow the start."""

LAYER_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The parameters of a layer, named as in torch without the suffix."""

MAX_TABLE_SIZE = 2**22
"""Numbers in the first layer's lookup table; for a larger vocabulary the product is cheaper."""

Node = tuple[str, tuple[list[str], list[str]], dict[str, Any]]
"""An operator's name, its inputs and outputs, its attributes."""


@dataclass
class Nodes:
    """A list of ONNX nodes and the constants they use; building it does not import onnx."""

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def node(self, name: str, inputs: list[str], outputs: list[str], **attributes: Any) -> "Nodes":
        """Append one node."""
        self.nodes.append((name, (inputs, outputs), attributes))
        return self

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant -> its name."""
        self.constants[name] = value
        return name

    def add(self, other: "Nodes") -> "Nodes":
        """Append the nodes and constants of another list."""
        self.nodes += other.nodes
        self.constants |= other.constants
        return self


def float_product(
    name: str, source: str, weights: NDArray[np.float32], add: str, bound: float = 1.0
) -> Nodes:
    """`name` (B, N) = `source` (B, K) @ weights (N, K).T + `add`, in float32.

    `bound` is not used; both products take the same arguments.
    """
    nodes = Nodes()
    # torch stores (N, K); transposed here, it is not transposed in every call.
    matrix = nodes.constant(f"{name}.weights", np.ascontiguousarray(weights.T))
    # Gemm adds the bias within the product, where MatMul would need a second node.
    return nodes.node("Gemm", [source, matrix, add], [name])


def int8_product(
    name: str, source: str, weights: NDArray[np.float32], add: str, bound: float = 1.0
) -> Nodes:
    """The same product in int8, for values of `source` within -bound .. bound."""
    # The lower limit avoids a division by zero where every input is zero.
    step = np.float32(max(bound, 1e-30) / 127)
    values, scale = quantize(weights)
    nodes = Nodes()
    unit = nodes.constant(f"{name}.step", np.array(step))
    # The input is uint8 around 128, because x86 processors multiply unsigned by signed bytes.
    zero = nodes.constant(f"{name}.zero", np.array(128, np.uint8))
    nodes.node("QuantizeLinear", [source, unit, zero], [f"{name}.source"])
    operands = [f"{name}.source", nodes.constant(f"{name}.weights", values), zero]
    if signed_bytes_saturate():
        # The same integers around 128: slower, and right.
        nodes.constant(f"{name}.weights", (values.astype(np.int16) + 128).astype(np.uint8))
        operands.append(zero)
    nodes.node("MatMulInteger", operands, [f"{name}.whole"])
    nodes.node("Cast", [f"{name}.whole"], [f"{name}.float"], to=FLOAT)
    scales = nodes.constant(f"{name}.scales", scale * step)
    nodes.node("Mul", [f"{name}.float", scales], [f"{name}.product"])
    return nodes.node("Add", [f"{name}.product", add], [name])


PRODUCTS = {"float32": float_product, "int8": int8_product}


def quantize(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(N, K) -> int8 (K, N) and scales (N,), with weights[n] close to int8[:, n] * scale[n]."""
    # Each row has a scale, so that one large weight does not make the other rows coarse. The lower
    # limit keeps a row of zeros from becoming NaN.
    scale = np.maximum(np.abs(weights).max(axis=1), np.float32(1e-30)) / np.float32(127)
    nearest = np.rint(weights / scale[:, None]).clip(-127, 127).astype(np.int8)
    return np.ascontiguousarray(nearest.T), scale.astype(np.float32)


def in_node_order(config: ModelConfig, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A layer's gate rows in the order of its node builder.

    An LSTM's i f g o become i f o g, so that one node takes the sigmoid of three gates.
    """
    if config.cell != "lstm":
        return rows
    i, f, g, o = np.split(rows, 4)
    return np.concatenate([i, f, o, g])


def layer_input(
    config: ModelConfig, embedding: NDArray[np.float32], own: Arrays, layer: int, precision: str
) -> Nodes:
    """`in<layer>` (B, gates * H): the layer's input times its weights, plus bias.

    In the first layer there are only V different inputs: their products are computed once and
    looked up.
    """
    nodes = Nodes()
    weight, bias = own["weight_ih"], own["bias_ih"]
    # A GRU's second bias is inside the reset gate's product and cannot be added here.
    if not CELLS[config.cell].two_biases:
        bias = bias + own["bias_hh"]
    if layer == 0 and len(embedding) * len(weight) <= MAX_TABLE_SIZE:
        # The table is (V, gates * H); a row of it replaces the product for a token.
        table = nodes.constant("table", embedding @ weight.T + bias)
        return nodes.node("Gather", [table, "ids"], ["in0"])
    # The input of layer n with residuals is a sum of n outputs, each within -1 .. 1.
    bound = float(layer if config.residual else 1)
    if layer == 0:
        nodes.node("Gather", [nodes.constant("embedding", embedding), "ids"], ["x0"])
        # An embedding is the one input that no activation function limits.
        bound = float(np.abs(embedding).max())
    add = nodes.constant(f"bias{layer}", bias)
    return nodes.add(PRODUCTS[precision](f"in{layer}", f"x{layer}", weight, add, bound))


def lstm_step(own: Arrays, layer: int, precision: str) -> Nodes:
    """An LSTM's step: c' = f c + i g and h' = o tanh(c')."""
    hidden = own["weight_hh"].shape[1]
    name = f"{layer}."
    nodes = PRODUCTS[precision](f"{name}sum", f"{name}h", own["weight_hh"], f"in{layer}")
    # Three gates share one sigmoid: in a small layer a node costs more than its arithmetic.
    sizes = nodes.constant(f"{name}sizes", np.array([3 * hidden, hidden]))
    nodes.node("Split", [f"{name}sum", sizes], [f"{name}ifo.sum", f"{name}g.sum"], axis=1)
    nodes.node("Sigmoid", [f"{name}ifo.sum"], [f"{name}ifo"])
    nodes.node("Tanh", [f"{name}g.sum"], [f"{name}g"])
    nodes.node("Split", [f"{name}ifo"], [f"{name}{gate}" for gate in "ifo"], axis=1)
    nodes.node("Mul", [f"{name}f", f"{name}c"], [f"{name}kept"])
    nodes.node("Mul", [f"{name}i", f"{name}g"], [f"{name}new"])
    nodes.node("Add", [f"{name}kept", f"{name}new"], [f"{name}c.after"])
    nodes.node("Tanh", [f"{name}c.after"], [f"{name}bent"])
    return nodes.node("Mul", [f"{name}o", f"{name}bent"], [f"{name}h.after"])


def gru_step(own: Arrays, layer: int, precision: str) -> Nodes:
    """A GRU's step: h' = n + z (h - n), the reset gate applied after the product, as in torch."""
    hidden = own["weight_hh"].shape[1]
    name = f"{layer}."
    nodes = Nodes()
    bias = nodes.constant(f"{name}bias", own["bias_hh"])
    nodes.add(PRODUCTS[precision](f"{name}back", f"{name}h", own["weight_hh"], bias))
    sizes = nodes.constant(f"{name}sizes", np.array([2 * hidden, hidden]))
    for side, source in (("in", f"in{layer}"), ("back", f"{name}back")):
        nodes.node("Split", [source, sizes], [f"{name}{side}.rz", f"{name}{side}.n"], axis=1)
    nodes.node("Add", [f"{name}in.rz", f"{name}back.rz"], [f"{name}rz.sum"])
    nodes.node("Sigmoid", [f"{name}rz.sum"], [f"{name}rz"])
    nodes.node("Split", [f"{name}rz"], [f"{name}r", f"{name}z"], axis=1)
    nodes.node("Mul", [f"{name}r", f"{name}back.n"], [f"{name}reset"])
    nodes.node("Add", [f"{name}in.n", f"{name}reset"], [f"{name}n.sum"])
    nodes.node("Tanh", [f"{name}n.sum"], [f"{name}n"])
    # n + z (h - n) takes one product fewer than (1 - z) n + z h.
    nodes.node("Sub", [f"{name}h", f"{name}n"], [f"{name}gap"])
    nodes.node("Mul", [f"{name}z", f"{name}gap"], [f"{name}kept"])
    return nodes.node("Add", [f"{name}n", f"{name}kept"], [f"{name}h.after"])


def rnn_step(own: Arrays, layer: int, precision: str) -> Nodes:
    """A simple recurrent network's step: h' = tanh of the sum of both products."""
    name = f"{layer}."
    nodes = PRODUCTS[precision](f"{name}sum", f"{name}h", own["weight_hh"], f"in{layer}")
    return nodes.node("Tanh", [f"{name}sum"], [f"{name}h.after"])


CELL_NODES = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}
"""Cell name -> the nodes of a step, from `in<layer>` and `<layer>.h` to `<layer>.h.after`."""
