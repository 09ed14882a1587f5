"""The torch network of pairs."""

import numpy as np
import pytest
import torch

from charrnn.errors import UsageError
from charrnn.tasks.pairs.batches import arranged
from charrnn.tasks.pairs.config import PairsConfig, parameter_shapes
from charrnn.tasks.pairs.network import PairNetwork
from tests.support.pairs import PAIRS, SPLIT, learned, network_of


def batch(network: PairNetwork, extra: int = 0) -> list[torch.Tensor]:
    """Two pairs; with `extra` columns of padding of the source."""
    sources, targets = (
        [np.array([1, 2, 3]), np.array([4, 5])],
        [np.array([1, 0]), np.array([2, 3, 0])],
    )
    arrays = list(arranged(sources, targets, 0))
    arrays[0] = np.pad(arrays[0], ((0, 0), (0, extra)))
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("pairs", [PAIRS, SPLIT])
@pytest.mark.parametrize("fields", [{}, {"num_layers": 1, "cell": "gru", "hidden_size": 7}])
def test_parameters_have_the_declared_names_and_shapes(
    pairs: list[tuple[str, str]], fields: dict[str, object]
) -> None:
    network = network_of(learned(pairs), **fields)  # type: ignore[arg-type]
    found = [(name, tuple(p.shape)) for name, p in network.named_parameters()]
    assert found == list(parameter_shapes(network.config).items())


def test_padding_of_a_source_has_no_effect() -> None:
    network = network_of(learned(PAIRS))
    one, other = (network.loss(batch(network, extra), [])[0].item() for extra in (0, 5))
    assert one == pytest.approx(other, rel=1e-5)


def test_a_target_sees_nothing_of_what_follows() -> None:
    network = network_of(learned(PAIRS))
    keys, values, mask, first = network.encode(*batch(network)[:2])
    ids = torch.tensor([[1, 2, 3], [1, 2, 9]])
    memory = (keys[:1], values[:1], mask[:1])
    state = tuple(part[:1].repeat(2, 1) for part in first)
    y, _, _ = network.decode(ids, memory, (state, None))
    torch.testing.assert_close(y[0, :2], y[1, :2])
    assert not torch.allclose(y[0, 2], y[1, 2])


def test_label_smoothing_is_a_penalty_beside_the_loss() -> None:
    losses = {}
    for smoothing in (0.0, 0.1):
        network = network_of(learned(PAIRS), label_smoothing=smoothing)
        losses[smoothing] = [part.item() for part in (network.loss(batch(network), [])[::2])]
    assert losses[0.0][0] == losses[0.1][0]
    assert losses[0.0][1] == 0 != losses[0.1][1]


def test_embedding_and_output_layer_are_always_shared() -> None:
    with pytest.raises(UsageError, match="always shares"):
        PairsConfig(tie_weights=True, num_layers=2)
