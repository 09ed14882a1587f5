"""SeriesTask: the interface of `tasks.base`, implemented for forecasts of series."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import Encoder, Schema
from charrnn.config import ModelConfig, Shape
from charrnn.data.config import DataConfig
from charrnn.data.sources import STDIN, find
from charrnn.errors import CorpusError
from charrnn.tasks.base import OF_RUNNING_TEXT, Dataset, Metric, Score, Task
from charrnn.tasks.series import dataset as datasets
from charrnn.tasks.series.columns import looks_like_numbers
from charrnn.tasks.series.config import SeriesConfig, SeriesDataConfig, parameter_shapes
from charrnn.tasks.series.dataset import SeriesDataset
from charrnn.tasks.series.encoder import SeriesEncoder, encoder_from_json
from charrnn.tasks.series.evaluate import error_scales
from charrnn.tasks.series.forecasting import seasonal_naive
from charrnn.tasks.series.rules import RULES, default_members, distribution_of
from charrnn.tasks.series.scores import SeriesScore, mase

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork
    from charrnn.tasks.series.forecaster import Forecaster


class SeriesTask(Task):
    """Numbers in time -> a model that forecasts them."""

    name = "series"
    metric = Metric("mase", "MASE")
    config = SeriesConfig
    data_config = SeriesDataConfig
    next_command = "charrnn forecast"
    rules = RULES
    token = "values"
    refused = OF_RUNNING_TEXT | {
        "tokenizer", "vocab_size", "min_count", "split_words", "valid", "test", "embedding_size",
        "embedding_dropout", "num_lags", "sample_every",
    }  # fmt: skip

    def prepare(
        self, config: DataConfig, folder: Path, encoder: Encoder | None = None
    ) -> SeriesDataset:
        """As in `dataset.prepare`."""
        own = config if isinstance(config, SeriesDataConfig) else SeriesDataConfig(config.sources)
        return datasets.prepare(own, folder, encoder)

    def reopen(self, folder: Path, encoder: Encoder) -> SeriesDataset | None:
        """As in `dataset.reopen`."""
        return datasets.reopen(folder, encoder)

    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """The hash of the files as they are now."""
        if STDIN in config.sources:
            config = config.with_saved_stdin(folder)
        try:
            return find(config.sources, folder).sha256()
        except (CorpusError, OSError):
            return None

    def encoder_from_json(self, data: Mapping[str, Any]) -> SeriesEncoder:
        """As in `encoder`."""
        return encoder_from_json(data)

    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """The planner's sizes; inputs, lags and members as the data wants them."""
        assert isinstance(dataset, SeriesDataset)
        own: dict[str, Any] = {
            "members": default_members(dataset),
            "distribution": distribution_of(dataset),
        }
        own |= {k: v for k, v in fields.items() if k not in ("embedding_size", "tie_weights")}
        encoder: SeriesEncoder = dataset.encoder
        return SeriesConfig(
            vocab_size=1, embedding_size=encoder.inputs, num_lags=len(encoder.lags), **own
        )

    def parameter_shapes(self, config: SeriesConfig) -> dict[str, Shape]:
        """The members' layers."""
        return parameter_shapes(config)

    def state_shapes(self, config: SeriesConfig, batch_size: int) -> dict[str, Shape]:
        """Windows are drawn at random: no state is carried."""
        return {}

    def schema(self) -> Schema:
        """Encoder and network agree on lags and inputs."""
        return dataclasses.replace(
            super().schema(),
            fits=lambda encoder, config: (
                encoder.inputs == config.embedding_size and len(encoder.lags) == config.num_lags
            ),
        )

    def network(self, config: SeriesConfig) -> "RecurrentNetwork":
        """A SeriesNetwork."""
        from charrnn.tasks.series.network import SeriesNetwork

        return SeriesNetwork(config)

    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> SeriesScore:
        """Forecasts of a part, or of evenly spread origins of it."""
        from charrnn.tasks.series.evaluate import evaluate
        from charrnn.tasks.series.network import SeriesNetwork
        from charrnn.tasks.series.steppers import TorchStepper

        assert isinstance(dataset, SeriesDataset)
        assert isinstance(network, SeriesNetwork)
        was_training = network.training
        network.eval()
        try:
            return evaluate(TorchStepper(network), dataset, dataset.encoder, split, limit)
        finally:
            network.train(was_training)

    def recognizes(self, text: str) -> str:
        """Whether it is a table of numbers."""
        return "a table of numbers, which can be forecast" if looks_like_numbers(text) else ""

    def calibrated(self, encoder: Encoder, score: Score) -> Encoder:
        """The encoder with the calibration that an evaluation has found."""
        assert isinstance(score, SeriesScore)
        return dataclasses.replace(
            encoder, naive_weight=score.naive_weight, widening=score.widening
        )

    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """MASE of the last value and of the season before, on the validation part."""
        assert isinstance(dataset, SeriesDataset)
        encoder, tape = dataset.encoder, dataset.tape
        if not (origins := dataset.origins("valid")):
            return {}
        which, places = np.array(origins).T
        firsts = tape.starts[which] + places
        actual = tape.values[firsts[:, None] + np.arange(encoder.horizon)]
        scales = error_scales(tape, encoder, which, places)
        found = {}
        for name, season in (("naive", 1), ("seasonal naive", encoder.season)):
            points = seasonal_naive(encoder, tape, firsts, encoder.horizon, season)
            found[name] = mase(np.abs(actual - points), scales)
        return found

    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> "Forecaster":
        """A Forecaster. Options: threads, precision."""
        from charrnn.tasks.series.forecaster import Forecaster

        return Forecaster(checkpoint, path, **options)
