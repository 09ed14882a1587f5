"""TorchStepper: a torch network as a SeriesStepper, for the evaluations during training."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.tasks.series.network import SeriesNetwork


class TorchStepper:
    """Steps a network in evaluation mode, without gradients."""

    def __init__(self, network: SeriesNetwork) -> None:
        self._network = network
        self.members: int = network.config.members  # type: ignore[attr-defined]
        self.distribution: str = network.config.distribution  # type: ignore[attr-defined]

    def zero_state(self, rows: int) -> list[Any]:
        """Zeros for each layer."""
        return self._network.members[0].zero_state(rows)  # type: ignore[operator, no-any-return]

    @torch.inference_mode()
    def step(
        self, member: int, inputs: NDArray[np.float32], state: list[Any]
    ) -> tuple[NDArray[np.float32], list[Any]]:
        """One step of each row."""
        x = torch.from_numpy(np.ascontiguousarray(inputs)).to(self._network.device)[:, None]
        parameters, after = self._network.members[member](x, state)
        return torch.stack([p[:, 0] for p in parameters], 1).cpu().numpy(), after

    def repeat(self, state: list[Any], index: NDArray[np.int64]) -> list[Any]:
        """Rows of the state."""
        rows = torch.from_numpy(index)
        return [tuple(part[rows.to(part.device)] for part in layer) for layer in state]
