"""A recurrent layer that reads texts both ways, as ONNX nodes."""

from collections.abc import Mapping

import numpy as np

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.inference.graphs import OPERATORS
from charrnn.inference.nodes import LAYER_PARAMETERS, Nodes


def both_ways(
    nodes: Nodes, cell: str, units: int, own: Mapping[str, Arrays], source: str, target: str
) -> None:
    """`source` (T, B, D) and `lens` (B,) int32 -> `target` (T, B, 2 * units).

    Beyond a length are zeros. own: LAYER_PARAMETERS of "forward" and of "backward", as in torch.
    """
    operator = OPERATORS[cell]
    order = np.concatenate([np.arange(units) + gate * units for gate in operator.gates])
    layers = [
        {name: own[way][name][order] for name in LAYER_PARAMETERS}
        for way in ("forward", "backward")
    ]
    # (2, gates * E, D), (2, gates * E, E) and (2, 2 * gates * E).
    w = nodes.constant(f"{target}.W", np.stack([each["weight_ih"] for each in layers]))
    r = nodes.constant(f"{target}.R", np.stack([each["weight_hh"] for each in layers]))
    biases = [np.concatenate([each["bias_ih"], each["bias_hh"]]) for each in layers]
    b = nodes.constant(f"{target}.B", np.stack(biases))
    nodes.node(
        operator.name, [source, w, r, b, "lens"], [f"{target}.ways"],
        hidden_size=units, direction="bidirectional", **operator.attributes,
    )  # fmt: skip
    # (T, 2, B, E) -> (T, B, 2 E)
    nodes.node("Transpose", [f"{target}.ways"], [f"{target}.turned"], perm=[0, 2, 1, 3])
    shape = nodes.constant(f"{target}.shape", np.array([0, 0, 2 * units]))
    nodes.node("Reshape", [f"{target}.turned", shape], [target])
