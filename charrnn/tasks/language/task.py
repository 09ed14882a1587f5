"""LanguageTask: the interface of `tasks.base`, implemented for language models."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn import tokenizers
from charrnn.activity import activity
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import LANGUAGE, Encoder
from charrnn.config import ModelConfig, Shape, parameter_shapes
from charrnn.data.config import DataConfig
from charrnn.data.token_arrays import evenly_spread
from charrnn.evaluation.scores import Score
from charrnn.inference.engine import Engine
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.tasks.base import Dataset, Metric, Task
from charrnn.tasks.language import corpus, mixing
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.splits import TUNING
from charrnn.tasks.language.transfer import grown, occurrences
from charrnn.tasks.language.unknown import original

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork

PREVIEW = SamplingParams(length=160, values={"temperature": 0.8})
"""The sample that is shown at each evaluation."""

COUNTED_TOKENS, SCORED_TOKENS = 2_000_000, 200_000
"""Tokens that a run's baselines are trained and evaluated on: a second's work."""

SCORED_PIECES = 16
"""Pieces of a longer validation part; few, because compressors know nothing at a piece's begin."""


class LanguageTask(Task):
    """Text -> a model that predicts the next token."""

    name = LANGUAGE
    metric = Metric("nats_per_char", "nats/char")
    next_command = "charrnn sample"
    begins_with = frozenset({LANGUAGE})

    def prepare(self, config: DataConfig, folder: Path, encoder: Encoder | None = None) -> Corpus:
        """As in `corpus.prepare`."""
        return corpus.prepare(config, folder, encoder)

    def prepare_from(self, model: Checkpoint, config: DataConfig, folder: Path) -> Corpus:
        """As in `corpus.prepare`, with the tokenizer of another language model, extended."""
        return corpus.prepare(config, folder, begun_with=model.tokenizer)

    def weights_from(
        self, model: Checkpoint, dataset: Dataset, config: ModelConfig
    ) -> Mapping[str, NDArray[np.float32]]:
        """All parameters; the rows of tokens that were added are as in `transfer.grown`."""
        assert isinstance(dataset, Corpus)
        counts = occurrences(dataset.splits["train"].load(), config.vocab_size)
        return grown(model.weights, model.tokenizer, dataset.tokenizer, counts)

    def reopen(self, folder: Path, encoder: Encoder) -> Corpus | None:
        """As in `corpus.reopen`."""
        return corpus.reopen(folder, encoder)

    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """As in `corpus.current_sha256`."""
        return corpus.current_sha256(config, folder)

    def encoder_from_json(self, data: Mapping[str, Any]) -> Encoder:
        """A tokenizer."""
        return tokenizers.from_json(data)

    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """The planner's sizes, the tokenizer's vocabulary, and what begins a document."""
        assert isinstance(dataset, Corpus)
        return ModelConfig(
            vocab_size=dataset.tokenizer.vocab_size, reset_id=dataset.reset_id, **fields
        )

    def parameter_shapes(self, config: ModelConfig) -> dict[str, Shape]:
        """Embedding, recurrent layers, output layer."""
        return parameter_shapes(config)

    def network(self, config: ModelConfig) -> "RecurrentNetwork":
        """A CharRNN."""
        from charrnn.tasks.language.network import CharRNN

        return CharRNN(config)

    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> Score:
        """Nats per character over a split, or over `limit` evenly spread tokens of it."""
        from charrnn.tasks.language.evaluate import evaluate, evaluate_pieces
        from charrnn.tasks.language.network import CharRNN

        # The interface says Dataset and RecurrentNetwork; a task is only given its own.
        assert isinstance(dataset, Corpus)
        assert isinstance(network, CharRNN)
        part, start_id = dataset.splits[split], dataset.tokenizer.start_id
        if 0 < limit < part.tokens:
            return evaluate_pieces(
                network, part.load(), part.characters, start_id, limit, dataset.pricing(split)
            )
        return evaluate(network, part.load(), part.characters, start_id, dataset.pricing(split))

    def evaluate_beginning(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int
    ) -> Score:
        """Nats per character over the first `limit` tokens of a split."""
        from charrnn.tasks.language.evaluate import evaluate
        from charrnn.tasks.language.network import CharRNN

        assert isinstance(dataset, Corpus)
        assert isinstance(network, CharRNN)
        part = dataset.splits[split]
        # An estimate: to count them, the tokens would have to be decoded at each evaluation.
        characters = max(1, round(part.characters * min(1.0, limit / part.tokens)))
        tokens, start_id = part.load()[:limit], dataset.tokenizer.start_id
        return evaluate(network, tokens, characters, start_id, dataset.pricing(split))

    def completing_seconds(self, dataset: Dataset) -> float:
        """A few seconds for the n-gram models."""
        return mixing.seconds(dataset.size(TUNING), dataset.size("train"))

    def completed(self, checkpoint: Checkpoint, dataset: Dataset) -> tuple[Checkpoint, str] | None:
        """Mixed with n-gram models, where a tuning part was kept apart for their weights."""
        assert isinstance(dataset, Corpus)
        if checkpoint.mixture is not None or not dataset.size(TUNING):
            return None
        found = mixing.fitted(Engine(checkpoint), dataset)
        return replace(checkpoint, mixture=found.mixture), found.summary()

    @activity("measuring baselines")
    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """Nats per character of simple models on the validation part.

        Of a long one on evenly spread pieces, as evaluations read it.
        """
        from charrnn.tasks.language.baselines import baselines

        assert isinstance(dataset, Corpus)
        if "valid" not in dataset.splits:
            return {}
        part = dataset.splits["valid"]
        pieces = evenly_spread(part.tokens, SCORED_TOKENS, SCORED_PIECES)
        loaded = part.load()
        tokens = np.concatenate([loaded[piece.start : piece.stop] for piece in pieces])
        # As it was before words without an id became one, so that all baselines read one text.
        text = "".join(original(dataset.tokenizer, part, piece) for piece in pieces)
        pricing = dataset.pricing("valid")
        price = pricing.unknown(tokens) * pricing.unknown_nats
        found = baselines(dataset, tokens, text, COUNTED_TOKENS, price) if text else ()
        # In nats, the unit of the metric.
        return {name: bits * math.log(2) for name, bits in found}

    def preview(self, network: "RecurrentNetwork", dataset: Dataset) -> str:
        """A short sample."""
        from charrnn.tasks.language.evaluate import TorchStepper
        from charrnn.tasks.language.network import CharRNN

        assert isinstance(dataset, Corpus)
        assert isinstance(network, CharRNN)
        params = SamplingParams(PREVIEW.length, dataset.lines, values=PREVIEW.values)
        model = TorchStepper(network, dataset.tokenizer)
        chunks = generate(model, [begin(dataset.tokenizer, "")], params)
        return "".join(chunk.text for chunk in chunks)

    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> LanguageModel:
        """A LanguageModel. Options: threads, precision."""
        return LanguageModel(checkpoint, path, **options)
