"""PairsTask: the interface of `tasks.base`, implemented for pairs of texts."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import Encoder, Schema
from charrnn.config import ModelConfig, Shape
from charrnn.data import example_files
from charrnn.data.config import DataConfig
from charrnn.data.example_files import as_kind
from charrnn.data.tables import is_number
from charrnn.tasks.base import OF_RUNNING_TEXT, Dataset, Metric, Score, Task
from charrnn.tasks.pairs import dataset as datasets
from charrnn.tasks.pairs.config import PairsConfig, PairsDataConfig, parameter_shapes
from charrnn.tasks.pairs.dataset import Pairs
from charrnn.tasks.pairs.encoder import PairEncoder
from charrnn.tasks.pairs.metrics import PairsScore
from charrnn.tasks.pairs.rules import RULES, embedding_size

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork
    from charrnn.tasks.pairs.stepper import TorchDecoder
    from charrnn.tasks.pairs.translator import Translator

SHOWN = 3
"""Pairs of a preview."""

SHOWN_CHARACTERS = 100
"""Of each of their texts."""

PLAIN, LEAST_LINES = 0.95, 20
"""Part of the lines, and how many, that have one tab where a file plainly holds pairs."""


@contextlib.contextmanager
def _decoding(network: "RecurrentNetwork") -> Iterator["TorchDecoder"]:
    """A network as a decoder, in evaluation mode while this lasts."""
    from charrnn.tasks.pairs.network import PairNetwork
    from charrnn.tasks.pairs.stepper import TorchDecoder

    assert isinstance(network, PairNetwork)
    was_training = network.training
    network.eval()
    try:
        yield TorchDecoder(network)
    finally:
        network.train(was_training)


class PairsTask(Task):
    """Sources and targets -> a model that translates."""

    name = "pairs"
    metric = Metric("symbol_error_rate", "symbol errors")
    config = PairsConfig
    data_config = PairsDataConfig
    next_command = "charrnn translate"
    rules = RULES
    refused = OF_RUNNING_TEXT | {"source_vocab_size", "output_penalty", "change_penalty"}

    def prepare(self, config: DataConfig, folder: Path, encoder: Encoder | None = None) -> Pairs:
        """As in `dataset.prepare`."""
        return datasets.prepare(config, folder, encoder)

    def reopen(self, folder: Path, encoder: Encoder) -> Pairs | None:
        """As in `dataset.reopen`."""
        return datasets.reopen(folder, encoder)

    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """As in `example_files.current_sha256`."""
        return example_files.current_sha256(as_kind(PairsDataConfig, config), folder)

    def recognizes(self, text: str) -> str:
        """Lines with one tab each, and many different texts on both sides: labels would be few."""
        lines = [line for line in text.split("\n") if line.strip()]
        rows = [line.split("\t") for line in lines if line.count("\t") == 1]
        second = [row[1] for row in rows]
        plain = len(lines) >= LEAST_LINES and len(second) >= PLAIN * len(lines)
        many = 20 * len({row[0] for row in rows}) > len(rows) < 2 * len(set(second))
        if plain and many and not any(map(is_number, second)):
            return "pairs of texts"
        return ""

    def encoder_from_json(self, data: Mapping[str, Any]) -> PairEncoder:
        """A PairEncoder."""
        return PairEncoder.from_json(data)

    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """The planner's sizes, and the vocabularies."""
        own = dict(fields)
        if "hidden_size" in own:
            own.setdefault("embedding_size", embedding_size(own["hidden_size"]))
        encoder: PairEncoder = dataset.encoder
        return PairsConfig(
            vocab_size=encoder.vocab_size, source_vocab_size=encoder.source_vocab_size, **own
        )

    def parameter_shapes(self, config: PairsConfig) -> dict[str, Shape]:
        """Embeddings, encoder, decoder, output."""
        return parameter_shapes(config)

    def state_shapes(self, config: PairsConfig, batch_size: int) -> dict[str, Shape]:
        """Each pair begins anew: no state is carried."""
        return {}

    def schema(self) -> Schema:
        """Encoder and network agree on the vocabularies."""
        return dataclasses.replace(
            super().schema(),
            fits=lambda encoder, config: (
                encoder.vocab_size == config.vocab_size
                and encoder.source_vocab_size == config.source_vocab_size
            ),
        )

    def network(self, config: PairsConfig) -> "RecurrentNetwork":
        """A PairNetwork."""
        from charrnn.tasks.pairs.network import PairNetwork

        return PairNetwork(config)

    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> PairsScore:
        """Greedy translations of a split, or of evenly spread pairs of it."""
        from charrnn.tasks.pairs.evaluate import evaluate, pairs_of

        assert isinstance(dataset, Pairs)
        pairs = pairs_of(dataset, split, limit)
        with _decoding(network) as decoder:
            return evaluate(decoder, dataset.encoder, pairs)

    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """Symbol error rates of the source itself, and of the most frequent target."""
        from charrnn.tasks.pairs.evaluate import baselines, pairs_of

        assert isinstance(dataset, Pairs)
        if "valid" not in dataset.splits:
            return {}
        found = baselines(dataset, pairs_of(dataset, "valid", 100_000))
        return {name: score.value for name, score in found.items()}

    def issues(self, score: Score) -> Mapping[str, str]:
        """The usual failures that an evaluation has found."""
        assert isinstance(score, PairsScore)
        return score.issues

    def preview(self, network: "RecurrentNetwork", dataset: Dataset) -> str:
        """A few sources of the validation part, and what becomes of them."""
        from charrnn.tasks.pairs.evaluate import text_of, translate

        assert isinstance(dataset, Pairs)
        part = dataset.splits.get("valid", dataset.splits["train"])
        sources = [part.pairs[row * part.count // SHOWN].source for row in range(SHOWN)]
        with _decoding(network) as decoder:
            found = translate(decoder, dataset.encoder, sources)
        texts = [text_of(dataset.encoder, ids, copied, each[0]) for ids, copied, each in found]
        lines = zip(sources, texts, strict=True)
        return "\n".join(
            f"{one[:SHOWN_CHARACTERS]} -> {to[:SHOWN_CHARACTERS]}" for one, to in lines
        )

    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> "Translator":
        """A Translator. Options: threads, precision."""
        from charrnn.tasks.pairs.translator import Translator

        return Translator(checkpoint, path, **options)
