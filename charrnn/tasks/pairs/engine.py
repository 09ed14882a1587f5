"""PairEngine: a checkpoint of pairs, run by ONNX Runtime. torch is never imported."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS
from charrnn.data.examples import padded
from charrnn.inference.engine import default_threads, open_session
from charrnn.inference.sessions import Sessions
from charrnn.tasks.pairs.graphs import encoder_graph, state_names, step_graph
from charrnn.tasks.pairs.search import Arrays, Ids

MEMORY = ["keys", "values", "mask"]
"""What attention reads, by the names of the graphs."""


class PairEngine:
    """The encoder and the decoder of a checkpoint; the graphs are built at the first call.

    precision: "float32", or "int8" for the decoder's layers in one byte a weight.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, precision: str = "float32"
    ) -> None:
        self._checkpoint, self._precision = checkpoint, precision
        self._states = state_names(checkpoint.config)
        self._outputs = ["logits", "attention", *(f"{name}.after" for name in self._states)]
        # Without a number given, one thread and all of them are tried on the first calls.
        self._threads = (threads,) if threads else tuple(sorted({1, default_threads()}))

    @functools.cached_property
    def _encoder(self) -> Any:
        model = encoder_graph(self._checkpoint).SerializeToString()
        return open_session(model, self._threads[-1])

    @functools.cached_property
    def _stepper(self) -> Sessions:
        model = step_graph(self._checkpoint, self._precision).SerializeToString()
        return Sessions(functools.partial(open_session, model), self._threads)

    def encode(self, sources: Sequence[Ids]) -> tuple[Arrays, Arrays]:
        """Sources -> keys, values, mask; the state of both layers."""
        lengths = np.array([len(row) for row in sources], np.int64)
        feed = {"source": padded(sources, 0), "lengths": lengths}
        *memory, first = self._encoder.run([*MEMORY, "first"], feed)
        parts = len(CELLS[self._checkpoint.config.cell].state)
        zero = np.zeros_like(first)
        return memory, [first, *[zero] * (2 * parts - 1)]

    def step(
        self, ids: Ids, memory: Arrays, state: Arrays
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Arrays]:
        """One token of each row -> logits (R, V), attention (R, S), the state after."""
        feed: dict[str, Any] = {"ids": ids.astype(np.int64, copy=False)}
        feed |= dict(zip(MEMORY, memory, strict=True)) | dict(zip(self._states, state, strict=True))
        logits, attention, *after = self._stepper.run(self._outputs, feed)
        return logits, attention, after
