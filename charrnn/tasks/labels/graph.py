"""A checkpoint -> one ONNX graph: ids, parts, lengths and scores -> probabilities.

ids (B, T), parts (B, T, P) and lengths (B,) int64, scores of naive Bayes and linear, those of the
linear model, (B, L) -> outputs (B, L), the mean of the members' log-probabilities, or of their
logits where a text can have several labels; and probabilities (B, L), calibrated.
"""

from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Arrays, Checkpoint
from charrnn.errors import UsageError
from charrnn.inference.bidirectional import both_ways
from charrnn.inference.graphs import OPERATORS, graph_of
from charrnn.inference.nodes import LAYER_PARAMETERS, Nodes
from charrnn.tasks.labels.config import LabelsConfig, direction_units

OUTSIDE = np.float32(-1e9)
"""Added to the outputs beyond a text's end, as in `network`."""


def graph(checkpoint: Checkpoint, document: str = "") -> Any:
    """A checkpoint -> a ModelProto."""
    config, weights = checkpoint.config, checkpoint.weights
    assert isinstance(config, LabelsConfig)
    if config.cell not in OPERATORS:
        raise UsageError(
            f"ONNX has no operator for the cell {config.cell}", "train with another --cell"
        )
    nodes = Nodes()
    _embedded(nodes, config, weights)
    _places(nodes)
    logits = [_member(nodes, config, weights, number) for number in range(config.members)]
    several = config.outputs == "sigmoid"
    for number, name in enumerate(logits):
        # Identity, so that both kinds go on with the same names.
        kind = "Identity" if several else "LogSoftmax"
        nodes.node(kind, [name], [f"member{number}"], **({} if several else {"axis": 1}))
    nodes.node("Mean", [f"member{number}" for number in range(config.members)], ["outputs"])
    encoder = checkpoint.encoder
    for name, value in zip("abc", encoder.weights, strict=True):
        nodes.constant(f"weight.{name}", np.array(value, np.float32))
    nodes.node("Mul", ["outputs", "weight.a"], ["outputs.a"])
    nodes.node("Mul", ["scores", "weight.b"], ["scores.b"])
    nodes.node("Mul", ["linear", "weight.c"], ["linear.c"])
    nodes.node("Sum", ["outputs.a", "scores.b", "linear.c"], ["weighted"])
    if several:
        nodes.node("Sigmoid", ["weighted"], ["probabilities"])
    else:
        nodes.node("Softmax", ["weighted"], ["probabilities"], axis=1)
    labels = config.num_labels
    return graph_of(
        nodes,
        [
            ("ids", "int64", ["B", "T"]), ("parts", "int64", ["B", "T", "P"]),
            ("lengths", "int64", ["B"]), ("scores", "float", ["B", labels]),
            ("linear", "float", ["B", labels]),
        ],
        [("outputs", ["B", labels]), ("probabilities", ["B", labels])],
        document,
    )  # fmt: skip


def _embedded(nodes: Nodes, config: LabelsConfig, weights: Arrays) -> None:
    """`ids` and `parts` -> `embedded` (B, T, D)."""
    table = nodes.constant("embedding", weights["embedding.weight"])
    nodes.node("Gather", [table, "ids"], ["words"])
    if not config.part_buckets:
        # The input is there in every graph, so that one reader reads them all.
        nodes.node("Cast", ["parts"], ["counted"], to=1)
        nodes.node("ReduceSum", ["counted", nodes.constant("last", np.array([2]))], ["none"])
        nodes.node("Mul", ["none", nodes.constant("nothing", np.array(0, np.float32))], ["zeros"])
        nodes.node("Add", ["words", "zeros"], ["embedded"])
        return
    own = weights["parts.weight"].copy()
    own[-1] = 0.0
    nodes.node("Gather", [nodes.constant("parts.weight", own), "parts"], ["each"])
    two = nodes.constant("axis2", np.array([2]))
    nodes.node("ReduceSum", ["each", two], ["sum"], keepdims=0)
    empty = nodes.constant("empty", np.array(config.part_buckets))
    nodes.node("Less", ["parts", empty], ["is.part"])
    nodes.node("Cast", ["is.part"], ["ones"], to=1)
    nodes.node("ReduceSum", ["ones", two], ["count"])  # (B, T, 1)
    nodes.node("Max", ["count", nodes.constant("one", np.array(1, np.float32))], ["at.least.one"])
    nodes.node("Div", ["sum", "at.least.one"], ["part.mean"])
    nodes.node("Add", ["words", "part.mean"], ["embedded"])


def _places(nodes: Nodes) -> None:
    """`x0` (T, B, D), `lens`, `outside` and `at.end` (T, B, 1), `total` (B, 1)."""
    nodes.node("Transpose", ["embedded"], ["x0"], perm=[1, 0, 2])
    nodes.node("Cast", ["lengths"], ["lens"], to=6)  # int32, as the operators want it
    nodes.node("Shape", ["ids"], ["shape"])
    nodes.node("Gather", ["shape", nodes.constant("second", np.array(1))], ["steps"])
    begin, step = nodes.constant("from", np.array(0)), nodes.constant("by", np.array(1))
    nodes.node("Range", [begin, "steps", step], ["places"])
    last = nodes.constant("axis1", np.array([1]))
    nodes.node("Unsqueeze", ["places", last], ["column"])  # (T, 1)
    nodes.node("Less", ["column", "lengths"], ["inside"])  # (T, B)
    zero, far = np.array(0, np.float32), np.array(OUTSIDE)
    nodes.node("Where", ["inside", nodes.constant("in", zero), nodes.constant("out", far)], ["far"])
    nodes.node("Unsqueeze", ["far", nodes.constant("axis.2", np.array([2]))], ["outside"])
    nodes.node("Cast", ["lengths"], ["float.lengths"], to=1)
    nodes.node("Unsqueeze", ["float.lengths", last], ["total"])  # (B, 1)
    nodes.node("Sub", ["lengths", nodes.constant("a.place", np.array(1))], ["final"])
    nodes.node("Equal", ["column", "final"], ["is.final"])
    nodes.node("Cast", ["is.final"], ["final.ones"], to=1)
    nodes.node("Unsqueeze", ["final.ones", "axis.2"], ["at.end"])  # (T, B, 1)


def _member(nodes: Nodes, config: LabelsConfig, weights: Arrays, number: int) -> str:
    """`x0` (T, B, D) -> the name of a member's logits (B, L)."""
    prefix = f"members.{number}."
    x = "x0"
    for layer in range(config.num_layers):
        own = {
            way: {n: weights[f"{prefix}{way}.{layer}.{n}_l0"] for n in LAYER_PARAMETERS}
            for way in ("forward", "backward")
        }
        out = f"{prefix}y{layer}"
        both_ways(nodes, config.cell, direction_units(config), own, x, out)
        if config.residual and layer:
            nodes.node("Add", [x, out], [f"{out}.sum"])
            out = f"{out}.sum"
        x = out
    product = nodes.constant(
        f"{prefix}output", np.ascontiguousarray(weights[f"{prefix}output.weight"].T)
    )
    bias = nodes.constant(f"{prefix}bias", weights[f"{prefix}output.bias"])
    nodes.node("Concat", _pooled(nodes, config, prefix, x), [f"{prefix}pooled"], axis=1)
    nodes.node("Gemm", [f"{prefix}pooled", product, bias], [f"{prefix}net"])
    scale = nodes.constant(f"{prefix}scale", np.array(weights["scale"][number], np.float32))
    nodes.node("Mul", ["scores", scale], [f"{prefix}bayes"])
    nodes.node("Add", [f"{prefix}net", f"{prefix}bayes"], [f"{prefix}logits"])
    return f"{prefix}logits"


def _pooled(nodes: Nodes, config: LabelsConfig, prefix: str, x: str) -> list[str]:
    """Outputs (T, B, C) -> the names of their maximum, their mean, the last of each direction."""
    axis = nodes.constant("axis.0", np.array([0]))
    nodes.node("Add", [x, "outside"], [f"{prefix}shown"])
    nodes.node("ReduceMax", [f"{prefix}shown"], [f"{prefix}most"], axes=[0], keepdims=0)
    # The operators return zeros beyond a length, so the sum is that of the text.
    nodes.node("ReduceSum", [x, axis], [f"{prefix}all"], keepdims=0)
    nodes.node("Div", [f"{prefix}all", "total"], [f"{prefix}mean"])
    nodes.node("Mul", [x, "at.end"], [f"{prefix}ends"])
    nodes.node("ReduceSum", [f"{prefix}ends", axis], [f"{prefix}end"], keepdims=0)
    nodes.node("Gather", [x, nodes.constant("first", np.array(0))], [f"{prefix}begin"])
    units = direction_units(config)
    half = nodes.constant("half", np.array([units, units]))
    for name, parts in (("end", ["last", "unused"]), ("begin", ["skipped", "reached"])):
        ends = [f"{prefix}{part}" for part in parts]
        nodes.node("Split", [f"{prefix}{name}", half], ends, axis=1)
    return [f"{prefix}{name}" for name in ("most", "mean", "last", "reached")]
