"""A checkpoint -> step(ids, state) -> (logits, state), by ONNX Runtime. Torch is never imported.

The model becomes small ONNX graphs in memory, whose weights stay packed between calls; that, and
starting without torch, is why sampling is fast. One graph takes a step, a second reads sequences.
"""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Checkpoint
from charrnn.config import state_shapes
from charrnn.errors import MemoryLimitError
from charrnn.graph import graph
from charrnn.step_graph import step_graph
from charrnn.texts import State

READ_LENGTH = 256
"""Tokens of a prompt read per call."""

READ_FROM = 64
"""A sequence this long is worth a graph of its own, which takes some milliseconds to make."""


class Engine:
    """A model ready to be stepped: `step` for one token of each row, `read` for many.

    precision: "float32", or "int8" for weights of a byte each, which is faster. A row's results
    of `step` do not depend on the rows beside it.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int = 2, precision: str = "float32"
    ) -> None:
        self.config = checkpoint.model
        self.vocab_size = checkpoint.model.vocab_size
        self._parts = list(state_shapes(self.config, 1))
        self._names = ["logits", *(f"{name}.after" for name in self._parts)]
        self._checkpoint, self._threads = checkpoint, threads
        # In int8 one graph does all, so that a text is scored as it is sampled.
        self._long = READ_FROM if precision == "float32" else math.inf
        self._stepper = _session(step_graph(checkpoint, precision), threads)

    @functools.cached_property
    def _reader(self) -> Any:
        """The graph that reads sequences, made when the first long one comes."""
        return _session(graph(self._checkpoint), self._threads)

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [np.zeros(s, np.float32) for s in state_shapes(self.config, rows).values()]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        feed: dict[str, NDArray[Any]] = dict(zip(self._parts, state, strict=True))
        feed["ids"] = ids.astype(np.int64, copy=False)
        logits, *after = self._stepper.run(self._names, feed)
        return logits, after

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        if len(ids) < self._long:
            logits = np.empty((*ids.shape, self.vocab_size), np.float32)
            for now, row in zip(logits, ids, strict=True):
                now[:], state = self.step(row, state)
            return logits, state
        feed: dict[str, NDArray[Any]] = dict(zip(self._parts, state, strict=True))
        feed["ids"] = ids.astype(np.int64, copy=False)
        logits, *after = self._reader.run(self._names, feed)
        return logits, after

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens of any length T >= 1 -> logits (B, V) after the last, and the state."""
        for begin in range(0, len(ids), READ_LENGTH):
            logits, state = self.read(ids[begin : begin + READ_LENGTH], state)
        return logits[-1], state


def _session(model: Any, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (MemoryError, RuntimeError) as error:
        raise MemoryLimitError(
            f"the model does not fit in memory ({type(error).__name__})", "sample a smaller model"
        ) from None
