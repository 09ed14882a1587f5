"""SeriesEngine: a series' network step by step, by ONNX Runtime. torch is never imported."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS, layer_sizes
from charrnn.inference.engine import default_threads, open_session
from charrnn.tasks.series.config import SeriesConfig
from charrnn.tasks.series.graph import step_graph


class SeriesEngine:
    """A SeriesStepper of a checkpoint; the graph of each member is built at its first step.

    precision: "float32", or "int8" for recurrent weights of one byte each.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, precision: str = "float32"
    ) -> None:
        config = checkpoint.config
        assert isinstance(config, SeriesConfig)
        self.config = config
        self.members, self.distribution = config.members, config.distribution
        self._weights, self._precision = checkpoint.weights, precision
        self._threads = threads or default_threads()
        self._parts = [
            (part, hidden) for _, hidden in layer_sizes(config) for part in CELLS[config.cell].state
        ]

    @cached_property
    def _sessions(self) -> dict[int, Any]:
        return {}

    def _session(self, member: int) -> Any:
        if member not in self._sessions:
            model = step_graph(self.config, self._weights, [member], self._precision)
            self._sessions[member] = open_session(model.SerializeToString(), self._threads)
        return self._sessions[member]

    def zero_state(self, rows: int) -> list[Any]:
        """An array (B, H) for each part of each layer."""
        return [np.zeros((rows, hidden), np.float32) for _, hidden in self._parts]

    def step(
        self, member: int, inputs: NDArray[np.float32], state: list[Any]
    ) -> tuple[NDArray[np.float32], list[Any]]:
        """One step of each row."""
        per_layer = len(CELLS[self.config.cell].state)
        first = member * self.config.num_layers
        names = [f"{first + i // per_layer}.{part}" for i, (part, _) in enumerate(self._parts)]
        feed = dict(zip(names, state, strict=True))
        feed["inputs"] = np.ascontiguousarray(inputs)
        outputs = [f"parameters.{member}", *(f"{name}.after" for name in names)]
        parameters, *after = self._session(member).run(outputs, feed)
        return parameters, after

    def repeat(self, state: list[Any], index: NDArray[np.int64]) -> list[Any]:
        """Rows of the state."""
        return [part[index] for part in state]
