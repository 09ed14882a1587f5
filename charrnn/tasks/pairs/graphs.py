"""A checkpoint -> two ONNX graphs: `encoder_graph` reads sources, `step_graph` one target token.

encoder   source (B, S) and lengths (B,) int64 -> keys (B, S, H), values (B, S, C),
          mask (B, S), first (B, H): the lower layer's state before a target
step      ids (R,) int64, keys, values, mask, 0.h, 1.h (R, H), and the other parts of both
          layers' states -> logits (R, V), attention (R, S), 0.h.after and so on
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Arrays, Checkpoint
from charrnn.config import CELLS, ModelConfig
from charrnn.errors import UsageError
from charrnn.inference.graphs import OPERATORS, graph_of
from charrnn.inference.nodes import (
    CELL_NODES,
    LAYER_PARAMETERS,
    PRODUCTS,
    Nodes,
    in_node_order,
    layer_input,
)
from charrnn.tasks.pairs.config import PairsConfig, encoder_units

MASKED = np.float32(-1e9)
"""Added to the attention score of a place beyond a source's end, as in `network`."""

LAYERS = ("lower", "upper")
"""The layers of the decoder, whose states are 0 and 1."""


def state_names(config: ModelConfig) -> list[str]:
    """The parts of the decoder's state.

    >>> state_names(PairsConfig(cell="lstm"))
    ['0.h', '0.c', '1.h', '1.c']
    """
    parts = CELLS[config.cell].state
    return [f"{layer}.{part}" for layer in range(len(LAYERS)) for part in parts]


def encoder_graph(checkpoint: Checkpoint, document: str = "") -> Any:
    """A checkpoint -> the ModelProto of its encoder."""
    config, weights = checkpoint.config, checkpoint.weights
    assert isinstance(config, PairsConfig)
    if config.cell not in OPERATORS:
        raise UsageError(
            f"ONNX has no operator for the cell {config.cell}", "train with another --cell"
        )
    nodes = Nodes()
    zero = nodes.constant("axis0", np.array([0]))
    one = nodes.constant("axis1", np.array([1]))
    table = "source_embedding.weight" if config.source_vocab_size else "embedding.weight"
    nodes.node("Gather", [nodes.constant("embedding", weights[table]), "source"], ["embedded"])
    nodes.node("Transpose", ["embedded"], ["x0"], perm=[1, 0, 2])  # (S, B, D)
    nodes.node("Cast", ["lengths"], ["lens"], to=6)  # int32, as the operators want it
    for layer in range(config.num_layers):
        _bidirectional(nodes, config, weights, layer)
    top = f"x{config.num_layers}"
    nodes.node("Transpose", [top], ["values"], perm=[1, 0, 2])  # (B, S, C)
    keys = nodes.constant("keys.weight", np.ascontiguousarray(weights["keys.weight"].T))
    nodes.node("MatMul", ["values", keys], ["keys"])
    # 0 within a source's length, and MASKED beyond it.
    nodes.node("Shape", ["source"], ["shape"])
    nodes.node("Gather", ["shape", nodes.constant("second", np.array(1))], ["width"])
    start, step = nodes.constant("zero", np.array(0)), nodes.constant("one", np.array(1))
    nodes.node("Range", [start, "width", step], ["places"])
    nodes.node("Unsqueeze", ["lengths", one], ["bounds"])
    nodes.node("Less", ["places", "bounds"], ["inside"])
    free = nodes.constant("free", np.array(0.0, np.float32))
    nodes.node("Where", ["inside", free, nodes.constant("masked", np.array(MASKED))], ["mask"])
    # The operators return zeros beyond a length, so the sum is that of the source.
    nodes.node("ReduceSum", [top, zero], ["sum"], keepdims=0)
    nodes.node("Cast", ["bounds"], ["count"], to=1)
    nodes.node("Div", ["sum", "count"], ["mean"])
    bridge = nodes.constant("bridge.weight", np.ascontiguousarray(weights["bridge.weight"].T))
    bias = nodes.constant("bridge.bias", weights["bridge.bias"])
    nodes.node("Gemm", ["mean", bridge, bias], ["bridged"])
    nodes.node("Tanh", ["bridged"], ["first"])
    hidden, context = config.hidden_size, 2 * encoder_units(config)
    return graph_of(
        nodes,
        [("source", "int64", ["B", "S"]), ("lengths", "int64", ["B"])],
        [
            ("keys", ["B", "S", hidden]), ("values", ["B", "S", context]), ("mask", ["B", "S"]),
            ("first", ["B", hidden]),
        ],
        document,
    )  # fmt: skip


def _bidirectional(nodes: Nodes, config: PairsConfig, weights: Arrays, layer: int) -> None:
    """`x<layer>` (S, B, D) -> `x<layer + 1>` (S, B, C), both directions of a layer."""
    operator, units = OPERATORS[config.cell], encoder_units(config)
    order = np.concatenate([np.arange(units) + gate * units for gate in operator.gates])
    own = [
        {name: weights[f"{way}.{layer}.{name}_l0"][order] for name in LAYER_PARAMETERS}
        for way in ("forward", "backward")
    ]
    # (2, gates * E, D), (2, gates * E, E) and (2, 2 * gates * E).
    w = nodes.constant(f"W{layer}", np.stack([each["weight_ih"] for each in own]))
    r = nodes.constant(f"R{layer}", np.stack([each["weight_hh"] for each in own]))
    biases = [np.concatenate([each["bias_ih"], each["bias_hh"]]) for each in own]
    b = nodes.constant(f"B{layer}", np.stack(biases))
    nodes.node(
        operator.name, [f"x{layer}", w, r, b, "lens"], [f"y{layer}"],
        hidden_size=units, direction="bidirectional", **operator.attributes,
    )  # fmt: skip
    # (S, 2, B, E) -> (S, B, 2 E)
    nodes.node("Transpose", [f"y{layer}"], [f"turned{layer}"], perm=[0, 2, 1, 3])
    shape = nodes.constant(f"joined{layer}", np.array([0, 0, 2 * units]))
    residual = config.residual and layer > 0
    out = f"sum{layer}" if residual else f"x{layer + 1}"
    nodes.node("Reshape", [f"turned{layer}", shape], [out])
    if residual:
        nodes.node("Add", [f"x{layer}", out], [f"x{layer + 1}"])


def step_graph(checkpoint: Checkpoint, precision: str = "float32", document: str = "") -> Any:
    """A checkpoint -> the ModelProto of one step of its decoder, in float32 or int8."""
    config = checkpoint.config
    assert isinstance(config, PairsConfig)
    with np.errstate(over="ignore", invalid="ignore"):  # weights of an untrusted file can be huge
        nodes = _step(config, checkpoint.weights, precision)
    hidden, context = config.hidden_size, 2 * encoder_units(config)
    states = state_names(config)
    return graph_of(
        nodes,
        [
            ("ids", "int64", ["R"]),
            ("keys", "float", ["R", "S", hidden]),
            ("values", "float", ["R", "S", context]),
            ("mask", "float", ["R", "S"]),
            *(_state(name, hidden) for name in states),
        ],
        [
            ("logits", ["R", config.vocab_size]),
            ("attention", ["R", "S"]),
            *((f"{name}.after", shape) for name, _, shape in (_state(n, hidden) for n in states)),
        ],
        document,
    )


def _state(name: str, hidden: int) -> tuple[str, str, Sequence[str | int]]:
    return name, "float", ["R", hidden]


def _step(config: PairsConfig, weights: Arrays, precision: str) -> Nodes:
    """The nodes from ids (R,) to logits (R, V)."""
    low, high = (
        {n: in_node_order(config, weights[f"{way}.{n}_l0"]) for n in LAYER_PARAMETERS}
        for way in LAYERS
    )
    nodes = Nodes()
    nodes.add(layer_input(config, weights["embedding.weight"], low, 0, precision))
    nodes.add(CELL_NODES[config.cell](low, 0, precision))
    _attention(nodes)
    nodes.node("Concat", ["0.h.after", "context"], ["x1"], axis=1)
    bias = high["bias_ih"]
    if not CELLS[config.cell].two_biases:
        bias = bias + high["bias_hh"]
    # With residuals what the encoder returns is a sum of its layers' outputs, each within 1.
    bound = float(config.num_layers if config.residual else 1)
    add = nodes.constant("bias1", bias)
    nodes.add(PRODUCTS[precision]("in1", "x1", high["weight_ih"], add, bound))
    nodes.add(CELL_NODES[config.cell](high, 1, precision))
    top = "1.h.after"
    if config.residual:
        nodes.node("Add", ["1.h.after", "0.h.after"], ["top"])
        top = "top"
    nodes.node("Concat", [top, "context"], ["joined"], axis=1)
    projected = nodes.constant("projection.bias", weights["projection.bias"])
    # From here on in float32: rounding errors would go straight into the figures.
    product = PRODUCTS["float32"]
    nodes.add(product("projected", "joined", weights["projection.weight"], projected))
    nodes.node("Tanh", ["projected"], ["last"])
    last = nodes.constant("output.bias", weights["output.bias"])
    return nodes.add(product("logits", "last", weights["embedding.weight"], last))


def _attention(nodes: Nodes) -> None:
    """`0.h.after` (R, H) -> `attention` (R, S) and `context` (R, C)."""
    last = nodes.constant("axis2", np.array([2]))
    middle = nodes.constant("axis1", np.array([1]))
    nodes.node("Unsqueeze", ["0.h.after", last], ["query"])
    nodes.node("MatMul", ["keys", "query"], ["products"])  # (R, S, 1)
    nodes.node("Squeeze", ["products", last], ["scores"])
    nodes.node("Add", ["scores", "mask"], ["weighted"])
    nodes.node("Softmax", ["weighted"], ["attention"], axis=1)
    nodes.node("Unsqueeze", ["attention", middle], ["row"])
    nodes.node("MatMul", ["row", "values"], ["found"])  # (R, 1, C)
    nodes.node("Squeeze", ["found", middle], ["context"])
