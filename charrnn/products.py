"""Matrix products as nodes of a graph: in float32, or with weights and inputs of one byte.

Weights are rounded to -127 .. 127 by output row, once. Inputs are rounded at each step on a fixed
scale, which a recurrent network allows because a cell's output cannot leave -1 .. 1; so no row
depends on another. A quarter of the bytes pass through memory, which is what bounds one text, and
the integer products are several times as fast, which is what bounds many.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET, IR = 17, 8
"""The versions of ONNX that all graphs are written in."""

Node = tuple[str, tuple[list[str], list[str]], dict[str, Any]]
"""An operator's name, its inputs and outputs, its attributes."""


@dataclass
class Part:
    """Some nodes of a graph, and their constants; building it does not import onnx."""

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def node(self, name: str, inputs: list[str], outputs: list[str], **attributes: Any) -> "Part":
        """Append one node."""
        self.nodes.append((name, (inputs, outputs), attributes))
        return self

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Hold a constant; its name."""
        self.constants[name] = value
        return name

    def add(self, other: "Part") -> "Part":
        """Append another part's nodes and constants."""
        self.nodes += other.nodes
        self.constants |= other.constants
        return self


def exact(
    name: str, source: str, weights: NDArray[np.float32], add: str, bound: float = 1.0
) -> Part:
    """`name` (B, N) = `source` (B, K) by weights (N, K) transposed, plus `add`; in float32."""
    part = Part()
    matrix = part.constant(f"{name}.weights", np.ascontiguousarray(weights.T))
    return part.node("Gemm", [source, matrix, add], [name])


def rounded(
    name: str, source: str, weights: NDArray[np.float32], add: str, bound: float = 1.0
) -> Part:
    """The same product of bytes, where no number of `source` is beyond `bound`, either side."""
    step = np.float32(max(bound, 1e-30) / 127)
    values, scale = quantize(weights)
    part = Part()
    unit = part.constant(f"{name}.step", np.array(step))
    zero = part.constant(f"{name}.zero", np.array(128, np.uint8))
    part.node("QuantizeLinear", [source, unit, zero], [f"{name}.source"])
    matrix = part.constant(f"{name}.weights", values)
    part.node("MatMulInteger", [f"{name}.source", matrix, zero], [f"{name}.whole"])
    part.node("Cast", [f"{name}.whole"], [f"{name}.float"], to=FLOAT)
    scales = part.constant(f"{name}.scales", scale * step)
    part.node("Mul", [f"{name}.float", scales], [f"{name}.product"])
    return part.node("Add", [f"{name}.product", add], [name])


def quantize(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(N, K) -> bytes (K, N) and scales (N,): weights[n] is about bytes[:, n] * scale[n]."""
    scale = np.maximum(np.abs(weights).max(axis=1), np.float32(1e-30)) / np.float32(127)
    nearest = np.rint(weights / scale[:, None]).clip(-127, 127).astype(np.int8)
    return np.ascontiguousarray(nearest.T), scale.astype(np.float32)


FLOAT = 1
"""onnx.TensorProto.FLOAT."""
