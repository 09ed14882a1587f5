"""A torch network as a Decoder of `search`, for the evaluations of a training."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.data.examples import padded
from charrnn.tasks.pairs.network import PairNetwork
from charrnn.tasks.pairs.search import Arrays, Ids


class TorchDecoder:
    """A network in evaluation mode."""

    def __init__(self, network: PairNetwork) -> None:
        self.network = network

    def encode(self, sources: Sequence[Ids]) -> tuple[Arrays, Arrays]:
        """Sources -> keys, values, mask; the states of both layers."""
        lengths = np.array([len(row) for row in sources], np.int64)
        with torch.inference_mode():
            *memory, first = self.network.encode(
                self._tensor(padded(sources, 0)), self._tensor(lengths)
            )
        zero = [torch.zeros_like(part) for part in first]
        return [_array(part) for part in memory], [_array(part) for part in (*first, *zero)]

    def step(
        self, ids: Ids, memory: Arrays, state: Arrays
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Arrays]:
        """One token of each row."""
        parts = [self._tensor(part) for part in state]
        half = len(parts) // 2
        keys, values, mask = (self._tensor(part) for part in memory)
        with torch.inference_mode():
            y, attention, (low, high) = self.network.decode(
                self._tensor(ids)[:, None], (keys, values, mask),
                (tuple(parts[:half]), tuple(parts[half:])),
            )  # fmt: skip
            logits = self.network.logits(y[:, 0])
        return _array(logits), _array(attention[:, 0]), [_array(part) for part in (*low, *high)]

    def _tensor(self, array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.network.device)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().cpu().numpy()
    return array
