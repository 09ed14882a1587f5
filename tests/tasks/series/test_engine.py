"""The ONNX graph is the torch network."""

import itertools
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import CELLS
from charrnn.tasks.series.config import DISTRIBUTIONS, SeriesConfig
from charrnn.tasks.series.dataset import SeriesDataset
from charrnn.tasks.series.engine import SeriesEngine
from charrnn.tasks.series.forecasting import sample_paths
from charrnn.tasks.series.graph import exported
from charrnn.tasks.series.network import SeriesNetwork
from charrnn.tasks.series.steppers import TorchStepper


def pair(
    dataset: SeriesDataset, cell: str, layers: int, residual: bool, distribution: str
) -> tuple[TorchStepper, SeriesEngine, Checkpoint]:
    """A network with random weights, stepped by torch and by ONNX Runtime."""
    import torch

    encoder = dataset.encoder
    config = SeriesConfig(
        vocab_size=1, cell=cell, num_layers=layers, hidden_size=7, embedding_size=encoder.inputs,
        num_lags=len(encoder.lags), members=2, residual=residual, distribution=distribution,
    )  # fmt: skip
    torch.manual_seed(3)
    network = SeriesNetwork(config).eval()
    weights = {n: p.detach().numpy().copy() for n, p in network.named_parameters()}
    checkpoint = Checkpoint(config, encoder, weights, CheckpointInfo(0, 0.0, {}), task="series")
    return TorchStepper(network), SeriesEngine(checkpoint, threads=1), checkpoint


@pytest.mark.parametrize(
    ("cell", "layers", "residual"),
    [(c, n, n > 1) for c, n in itertools.product(CELLS, (1, 2))],
)
def test_engine_and_network_compute_the_same(
    dataset: SeriesDataset, cell: str, layers: int, residual: bool
) -> None:
    torch_stepper, engine, _ = pair(dataset, cell, layers, residual, "student-t")
    generator = np.random.default_rng(0)
    for member in range(2):
        states = [stepper.zero_state(3) for stepper in (torch_stepper, engine)]
        for _ in range(5):
            x = generator.normal(size=(3, dataset.encoder.inputs)).astype(np.float32)
            count = len(dataset.encoder.lags)
            x[:, count : 2 * count] = generator.integers(0, 2, (3, count))
            one, states[0] = torch_stepper.step(member, x, states[0])
            other, states[1] = engine.step(member, x, states[1])
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_both_draw_the_same_paths(dataset: SeriesDataset, distribution: str) -> None:
    torch_stepper, engine, _ = pair(dataset, "lstm", 1, False, distribution)
    firsts = dataset.tape.starts + 100
    one, other = (
        sample_paths(stepper, dataset.encoder, dataset.tape, firsts, 5, 8, seed=1)
        for stepper in (torch_stepper, engine)
    )
    assert one.values.shape == (1, 8, 5)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-4)


def test_an_exported_file_computes_the_same_and_documents_itself(
    dataset: SeriesDataset, tmp_path: Path
) -> None:
    _, engine, checkpoint = pair(dataset, "gru", 2, True, "student-t")
    session = onnxruntime.InferenceSession(exported(checkpoint))
    x = np.ones((2, dataset.encoder.inputs), np.float32)
    feed = {i.name: np.zeros((2, i.shape[1]), np.float32) for i in session.get_inputs()}
    found = dict(
        zip(
            [o.name for o in session.get_outputs()],
            session.run(None, feed | {"inputs": x}),
            strict=True,
        )
    )
    for member in range(2):
        own, _ = engine.step(member, x, engine.zero_state(2))
        np.testing.assert_allclose(found[f"parameters.{member}"], own, rtol=1e-5)
    meta = session.get_modelmeta()
    assert "t - 1, t - 7, t - 14" in meta.graph_description
    assert '"lags": [1, 7, 14' in meta.custom_metadata_map["charrnn.series"]
