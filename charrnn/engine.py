"""A checkpoint -> step(ids, state) -> (logits, state), by ONNX Runtime. Torch is never imported.

The model becomes a small ONNX graph in memory, whose recurrent operators keep their weights packed
between calls; that, and starting without torch, is why sampling is fast. The same graph, written
to a file, is what `checkpoints export --format onnx` gives away.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Arrays, Checkpoint
from charrnn.config import GATES, STATE_PARTS, ModelConfig, state_shapes
from charrnn.errors import MemoryLimitError
from charrnn.storage import write_durably
from charrnn.texts import State

READ_LENGTH = 256
"""Tokens of a prompt read per call."""

OPSET, IR = 17, 8


@dataclass(frozen=True)
class Operator:
    """How ONNX names a cell, and where torch's gate rows go in its order."""

    name: str
    gates: tuple[int, ...]
    attributes: dict[str, Any]
    pairs: bool = False
    """Whether a single row is computed by another routine, which rounds differently, than two."""


OPERATORS = {
    "lstm": Operator("LSTM", (0, 3, 1, 2), {}),  # torch i f g o -> ONNX i o f c
    "gru": Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # torch r z n -> ONNX z r h
    "rnn": Operator("RNN", (0,), {}, pairs=True),
}


class Engine:
    """A model ready to be stepped: `step` for one token of each row, `read` for many."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 2) -> None:
        self.config = checkpoint.model
        self.vocab_size = checkpoint.model.vocab_size
        self._parts = list(state_shapes(self.config, 1))
        self._names = ["logits", *(f"{name}.after" for name in self._parts)]
        self._pairs = OPERATORS[self.config.cell].pairs
        self._session = _session(graph(checkpoint).SerializeToString(), threads)

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [np.zeros(s, np.float32) for s in state_shapes(self.config, rows).values()]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        logits, after = self.read(ids[None, :], state)
        return logits[0], after

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        if ids.shape[1] == 1 and self._pairs:
            # So that a text is the same alone and in a batch.
            logits, after = self.read(ids.repeat(2, 1), [part.repeat(2, 0) for part in state])
            return logits[:, :1], [part[:1] for part in after]
        feed: dict[str, NDArray[Any]] = {"ids": ids.astype(np.int64, copy=False)}
        feed |= zip(self._parts, state, strict=True)
        logits, *after = self._session.run(self._names, feed)
        return logits, after

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens of any length T >= 1 -> logits (B, V) after the last, and the state."""
        for begin in range(0, len(ids), READ_LENGTH):
            logits, state = self.read(ids[begin : begin + READ_LENGTH], state)
        return logits[-1], state


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (MemoryError, RuntimeError) as error:
        raise MemoryLimitError(
            f"the model does not fit in memory ({type(error).__name__})", "sample a smaller model"
        ) from None


def graph(checkpoint: Checkpoint, document: str = "") -> Any:
    """The model as an ONNX ModelProto.

    Inputs: `ids` (T, B) int64 and each part of the state, `0.h` (B, H) and so on. Outputs:
    `logits` (T, B, V) and each part of the state after the last token, `0.h.after` (B, H).
    """
    from onnx import TensorProto, helper

    config = checkpoint.model
    nodes, constants = _network(config, checkpoint.weights)
    names = list(state_shapes(config, 1))
    size = config.hidden_size
    floats = TensorProto.FLOAT
    made = helper.make_graph(
        nodes,
        "charrnn",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", "B"]),
            *(helper.make_tensor_value_info(name, floats, ["B", size]) for name in names),
        ],
        [
            helper.make_tensor_value_info("logits", floats, ["T", "B", config.vocab_size]),
            *(helper.make_tensor_value_info(f"{n}.after", floats, ["B", size]) for n in names),
        ],
        constants,
        doc_string=document,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="charrnn")


def export(checkpoint: Checkpoint, path: Path) -> None:
    """Write the model as an ONNX file that says how to use it, with its tokenizer inside."""
    from onnx import helper

    model = graph(checkpoint, DOCUMENT)
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

    operator, parts = OPERATORS[config.cell], STATE_PARTS[config.cell]
    order = np.concatenate(
        [np.arange(config.hidden_size) + gate * config.hidden_size for gate in operator.gates]
    )
    assert len(order) == GATES[config.cell] * config.hidden_size
    own = {n: weights[f"layers.{layer}.{n}_l0"][order] for n in _ROWS}
    constants: dict[str, NDArray[Any]] = {
        f"W{layer}": own["weight_ih"][None],
        f"R{layer}": own["weight_hh"][None],
        f"B{layer}": np.concatenate([own["bias_ih"], own["bias_hh"]])[None],
    }
    before = [f"{layer}.{part}" for part in parts]
    raised = [f"{name}.raised" for name in before]
    last = [f"{name}.last" for name in before]
    residual = config.residual and layer > 0
    out = f"y{layer}" if residual else f"x{layer + 1}"
    nodes = [
        helper.make_node("Unsqueeze", [n, "axis0"], [r])
        for n, r in zip(before, raised, strict=True)
    ]
    nodes += [
        helper.make_node(
            operator.name,
            [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", *raised],
            [f"directed{layer}", *last],
            hidden_size=config.hidden_size,
            **operator.attributes,
        ),
        helper.make_node("Squeeze", [f"directed{layer}", "axis1"], [out]),
    ]
    nodes += [
        helper.make_node("Squeeze", [r, "axis0"], [f"{n}.after"])
        for n, r in zip(before, last, strict=True)
    ]
    if residual:
        nodes.append(helper.make_node("Add", [out, f"x{layer}"], [f"x{layer + 1}"]))
    return nodes, constants


_ROWS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
