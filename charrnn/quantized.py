"""Recurrent layers with weights of one byte, for one token of one text at a time.

Weights are scaled by output row to -127 .. 127, once; activations are scaled to a byte at each step
by ONNX Runtime. A quarter of the bytes pass through memory, which is what bounds a large model.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Arrays
from charrnn.config import ModelConfig

Made = tuple[list[Any], dict[str, NDArray[Any]]]
"""Nodes and constants."""

DOMAIN = "com.microsoft"


def quantize(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(N, K) -> bytes (K, N) and scales (N,): weights[n] is about bytes[:, n] * scale[n]."""
    scale = np.maximum(np.abs(weights).max(axis=1), np.float32(1e-30)) / np.float32(127)
    rounded = np.rint(weights / scale[:, None]).clip(-127, 127).astype(np.int8)
    return np.ascontiguousarray(rounded.T), scale.astype(np.float32)


def lstm(config: ModelConfig, own: Arrays, layer: int, before: list[str], after: list[str]) -> Made:
    """ONNX Runtime's quantized LSTM operator."""
    from onnx import helper

    size = config.hidden_size
    order = np.concatenate([np.arange(size) + gate * size for gate in (0, 3, 1, 2)])
    constants: dict[str, NDArray[Any]] = {
        f"B{layer}": np.concatenate([own["bias_ih"][order], own["bias_hh"][order]])[None],
        f"zero{layer}": np.zeros((1, 4 * size), np.int8),
    }
    for name, key in (("W", "weight_ih"), ("R", "weight_hh")):
        rounded, scale = quantize(own[key][order])
        constants |= {f"{name}{layer}": rounded[None], f"{name}{layer}.scale": scale[None]}
    scales = [f"W{layer}.scale", f"zero{layer}", f"R{layer}.scale", f"zero{layer}"]
    node = helper.make_node(
        "DynamicQuantizeLSTM",
        [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *before, "", *scales],
        [f"directed{layer}", *after],
        hidden_size=size,
        domain=DOMAIN,
    )
    return [node], constants


def gru(config: ModelConfig, own: Arrays, layer: int, before: list[str], after: list[str]) -> Made:
    """The GRU written out: gates r and z from both products; n resets the recurrent one."""
    from onnx import helper

    net, constants = _products(own, layer, before[0])
    name = f"{layer}.q."
    parts = [[f"{name}{side}.{gate}" for gate in "rzn"] for side in ("in", "back")]
    net += [
        helper.make_node("Split", [f"{name}{side}"], out, axis=-1)
        for side, out in zip(("in", "back"), parts, strict=True)
    ]
    for gate, given, kept in zip("rz", *parts, strict=False):
        net += [
            helper.make_node("Add", [given, kept], [f"{name}{gate}.sum"]),
            helper.make_node("Sigmoid", [f"{name}{gate}.sum"], [f"{name}{gate}"]),
        ]
    net += [
        helper.make_node("Mul", [f"{name}r", parts[1][2]], [f"{name}reset"]),
        helper.make_node("Add", [parts[0][2], f"{name}reset"], [f"{name}n.sum"]),
        helper.make_node("Tanh", [f"{name}n.sum"], [f"{name}n"]),
        helper.make_node("Sub", [before[0], f"{name}n"], [f"{name}gap"]),
        helper.make_node("Mul", [f"{name}z", f"{name}gap"], [f"{name}kept"]),
        helper.make_node("Add", [f"{name}n", f"{name}kept"], after),
    ]
    return net + _directed(layer, after[0]), constants


def rnn(config: ModelConfig, own: Arrays, layer: int, before: list[str], after: list[str]) -> Made:
    """The simple recurrent network written out: tanh of the sum of both products."""
    from onnx import helper

    net, constants = _products(own, layer, before[0])
    name = f"{layer}.q."
    net += [
        helper.make_node("Add", [f"{name}in", f"{name}back"], [f"{name}sum"]),
        helper.make_node("Tanh", [f"{name}sum"], after),
    ]
    return net + _directed(layer, after[0]), constants


def _products(own: Arrays, layer: int, before: str) -> Made:
    """The products of input and state with their weights, biases added: (1, 1, gates * H) each."""
    from onnx import helper

    nodes: list[Any] = []
    constants: dict[str, NDArray[Any]] = {}
    for side, source, key in (("in", f"x{layer}", "ih"), ("back", before, "hh")):
        name = f"{layer}.q.{side}"
        rounded, scale = quantize(own[f"weight_{key}"])
        constants |= {
            f"{name}.bytes": rounded,
            f"{name}.scale": scale,
            f"{name}.bias": own[f"bias_{key}"],
        }
        inputs = [source, f"{name}.bytes", f"{name}.scale", "", f"{name}.bias"]
        nodes.append(helper.make_node("DynamicQuantizeMatMul", inputs, [name], domain=DOMAIN))
    return nodes, constants


def _directed(layer: int, after: str) -> list[Any]:
    """The output with the axis for directions that ONNX's operators have, (T, 1, B, H)."""
    from onnx import helper

    return [helper.make_node("Unsqueeze", [after, "axis1"], [f"directed{layer}"])]


LAYERS = {"lstm": lstm, "gru": gru, "rnn": rnn}
