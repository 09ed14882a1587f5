"""A checkpoint -> step(ids, state) -> (logits, state), by ONNX Runtime. Torch is never imported.

The model becomes a small ONNX graph in memory, whose recurrent operators keep their weights packed
between calls; that, and starting without torch, is why sampling is fast.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint import Checkpoint
from charrnn.config import state_shapes
from charrnn.errors import MemoryLimitError
from charrnn.graph import OPERATORS, graph
from charrnn.texts import State

READ_LENGTH = 256
"""Tokens of a prompt read per call."""


class Engine:
    """A model ready to be stepped: `step` for one token of each row, `read` for many.

    precision: "float32", or "int8" for weights of a byte each, which is faster where a model's
    weights do not fit into the processor's caches. A row's results do not depend on the others.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int = 2, precision: str = "float32"
    ) -> None:
        self.config = checkpoint.model
        self.vocab_size = checkpoint.model.vocab_size
        self._parts = list(state_shapes(self.config, 1))
        self._names = ["logits", *(f"{name}.after" for name in self._parts)]
        self._pairs = precision == "float32" and OPERATORS[self.config.cell].pairs
        # Activations are scaled to a byte together, so rows and steps have to be run apart.
        self._apart = precision == "int8"
        self._session = _session(graph(checkpoint, precision).SerializeToString(), threads)

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [np.zeros(s, np.float32) for s in state_shapes(self.config, rows).values()]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        logits, after = self.read(ids[None, :], state)
        return logits[0], after

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        if self._apart and ids.shape != (1, 1):
            return self._read_apart(ids, state)
        if self._pairs and ids.shape[1] == 1:
            # So that a text is the same alone and in a batch.
            logits, after = self.read(ids.repeat(2, 1), [part.repeat(2, 0) for part in state])
            return logits[:, :1], [part[:1] for part in after]
        feed: dict[str, NDArray[Any]] = {"ids": ids.astype(np.int64, copy=False)}
        feed |= zip(self._parts, state, strict=True)
        logits, *after = self._session.run(self._names, feed)
        return logits, after

    def _read_apart(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """The same as `read`, one token of one row at a time."""
        logits = np.empty((*ids.shape, self.vocab_size), np.float32)
        after = [part.copy() for part in state]
        for row in range(ids.shape[1]):
            own = [part[row : row + 1] for part in state]
            for step in range(len(ids)):
                made, own = self.read(ids[step : step + 1, row : row + 1], own)
                logits[step, row] = made[0, 0]
            for part, value in zip(after, own, strict=True):
                part[row] = value[0]
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
