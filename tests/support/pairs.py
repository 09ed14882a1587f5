"""Small pairs, and a model of them without a training, for the tests of pairs."""

from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.models.recurrent import build
from charrnn.tasks import get_task
from charrnn.tasks.pairs.config import PairsConfig, PairsDataConfig
from charrnn.tasks.pairs.encoder import PairEncoder, learn
from charrnn.tasks.pairs.network import PairNetwork
from charrnn.tasks.pairs.reading import Pair

WORDS = [f"{a}{b}{c}" for a in "abcde" for b in "fgh" for c in "ijklmn"]

PAIRS = [Pair(word, word[::-1]) for word in WORDS]
"""Short words, and the same backwards."""

SPLIT = [Pair(" ".join(word), "-".join(word.upper())) for word in WORDS]
"""Sides that have no vocabulary in common."""


def write_pairs(path: Path, pairs: list[Pair] = PAIRS) -> Path:
    """Pairs as lines of source, a tab and target."""
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


def learned(pairs: list[Pair] = PAIRS, tokenizer: str = "auto") -> PairEncoder:
    """The encoder of some pairs."""
    return learn(PairsDataConfig(("pairs.tsv",), tokenizer=tokenizer), pairs)


def network_of(encoder: PairEncoder, **fields: object) -> PairNetwork:
    """A network with initial weights, in evaluation mode."""
    sizes = {"hidden_size": 12, "embedding_size": 8, "num_layers": 2, "residual": True} | fields
    config = PairsConfig(
        vocab_size=encoder.vocab_size,
        source_vocab_size=encoder.source_vocab_size,
        **sizes,  # type: ignore[arg-type]
    )
    network = build(PairNetwork, config, seed=3, scale=0.0)
    # Initial embeddings hardly differ, so that all logits would be about equal.
    network.embedding.weight.data *= 10
    return network.eval()


def checkpoint_of(encoder: PairEncoder, network: PairNetwork) -> Checkpoint:
    """The checkpoint of a network."""
    weights = {name: p.detach().numpy().copy() for name, p in network.named_parameters()}
    info = CheckpointInfo(step=1, epoch=1.0, corpus={}, lines=False, versions={})
    return Checkpoint(network.config, encoder, weights, info, task="pairs")


TASK = get_task("pairs")


def assert_close(one: np.ndarray, other: np.ndarray) -> None:
    """Equal but for rounding."""
    np.testing.assert_allclose(one, other, atol=2e-5)
