"""LabelEngine: a checkpoint of labels, run by ONNX Runtime. torch is never imported."""

import functools
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import UsageError
from charrnn.inference.engine import default_threads, open_session
from charrnn.inference.sessions import Sessions
from charrnn.tasks.labels.graph import graph

INPUTS = ("ids", "parts", "lengths", "scores", "linear")


class LabelEngine:
    """The graph of a checkpoint, built at the first call. UsageError for another precision."""

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, precision: str = "float32"
    ) -> None:
        if precision != "float32":
            raise UsageError(
                f"a model of labels has no precision {precision}", "leave --precision out"
            )
        self._checkpoint = checkpoint
        # Without a number given, one thread and all of them are tried on the first calls.
        self._threads = (threads,) if threads else tuple(sorted({1, default_threads()}))

    @functools.cached_property
    def _sessions(self) -> Sessions:
        model = graph(self._checkpoint).SerializeToString()
        return Sessions(functools.partial(open_session, model), self._threads)

    def run(self, batch: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The arrays of INPUTS -> outputs of the network (B, L), probabilities (B, L)."""
        feed = dict(zip(INPUTS, batch, strict=False))
        outputs, probabilities = self._sessions.run(["outputs", "probabilities"], feed)
        return outputs, probabilities
