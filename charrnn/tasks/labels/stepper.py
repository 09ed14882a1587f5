"""A torch network as a Model of `evaluate`, for the evaluations of a training."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from charrnn.models.recurrent import RecurrentNetwork
from charrnn.tasks.labels.evaluate import Model
from charrnn.tasks.labels.network import LabelsNetwork


@contextlib.contextmanager
def evaluating(network: RecurrentNetwork) -> Iterator[Model]:
    """A network -> a model that is in evaluation mode while this lasts."""
    assert isinstance(network, LabelsNetwork)
    was_training = network.training

    def run(batch: Sequence[NDArray[Any]]) -> NDArray[Any]:
        with torch.inference_mode():
            logits = network.logits([torch.from_numpy(a).to(network.device) for a in batch])
            if network.config.outputs == "softmax":
                logits = logits.log_softmax(-1)
            outputs: NDArray[Any] = logits.mean(0).cpu().numpy()
        return outputs

    network.eval()
    try:
        yield run
    finally:
        network.train(was_training)
