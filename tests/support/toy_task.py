"""A small complete task: a file of numbers, one per line -> a model that predicts the next one.

It is the example of docs/extending.md, and it runs through the conformance suite with the tasks of
the program.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig, Shape, recurrent_shapes
from charrnn.data.config import DataConfig
from charrnn.errors import CheckpointError, CorpusError
from charrnn.tasks.base import Dataset, Metric, Predictor, Task

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.models.cells import State
    from charrnn.models.recurrent import RecurrentNetwork


@dataclass(frozen=True)
class Scaler:
    """Numbers <-> numbers of mean 0 and standard deviation 1."""

    mean: float
    deviation: float

    def encode(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers -> scaled numbers."""
        scaled: NDArray[np.float32] = ((values - self.mean) / self.deviation).astype(np.float32)
        return scaled

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Windows:
    """A series (N,) -> the inputs and targets of step k, (B, T) each."""

    values: NDArray[np.float32]
    batch_size: int
    seq_length: int
    rank: int
    world_size: int

    @property
    def steps_per_epoch(self) -> float:
        """Steps until every number was read once."""
        return len(self.values) / (self.batch_size * self.seq_length)

    @property
    def rows(self) -> range:
        """The rows of this rank."""
        count = self.batch_size // self.world_size
        return range(self.rank * count, (self.rank + 1) * count)

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Inputs, and the same one number later."""
        begins = np.array([row * len(self.values) // self.batch_size for row in self.rows])
        positions = begins[:, None] + step * self.seq_length + np.arange(self.seq_length + 1)
        windows = self.values[positions % len(self.values)]
        return windows[:, :-1].copy(), windows[:, 1:].copy()


class Series(Dataset):
    """A scaled series, split into train and valid."""

    unit = "numbers"

    def __init__(self, encoder: Scaler, folder: Path, sha256: str) -> None:
        self.encoder, self.sha256, self.notes = encoder, sha256, ()
        self.splits = {name: np.load(folder / f"{name}.npy") for name in ("train", "valid")}

    def size(self, split: str) -> int:
        """Numbers of a split."""
        return len(self.splits.get(split, ()))

    def length(self, split: str) -> int:
        """The same."""
        return self.size(split)

    def batches(self, batch_size: int, seq_length: int, rank: int, world_size: int) -> Windows:
        """The training split as windows."""
        return Windows(self.splits["train"], batch_size, seq_length, rank, world_size)

    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its data."""
        return {"sha256": self.sha256, "parts": {n: len(v) for n, v in self.splits.items()}}


@dataclass(frozen=True)
class SquaredError:
    """The mean squared error of so many predictions."""

    value: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {"mse": self.value, "count": self.count}

    def summary(self) -> str:
        """The figures of a progress line."""
        return f"{self.value:.4f} mse"


class NextNumberModel(Predictor):
    """Predicts the number after a series."""

    def __init__(self, task: "NextNumberTask", checkpoint: Checkpoint, path: Path) -> None:
        self.task, self.checkpoint, self.path = task, checkpoint, path

    def _network(self) -> "RecurrentNetwork":
        from charrnn.models.recurrent import set_weights

        return set_weights(self.task.network(self.checkpoint.config), self.checkpoint.weights)

    def predict(self, values: Sequence[float]) -> float:
        """A series -> the number that comes next."""
        import torch

        scaler = self.checkpoint.encoder
        scaled = torch.from_numpy(scaler.encode(np.array(values, np.float32)))[None]
        network = self._network().eval()
        y = network.output(network.features(scaled)[0])  # type: ignore[operator]
        return float(float(y[0, -1, 0]) * scaler.deviation + scaler.mean)

    def evaluate(self, split: str = "valid") -> SquaredError:
        """The error over a split of the run's data."""
        dataset = self.task.reopen(self.path.parent / "corpus", self.checkpoint.encoder)
        assert dataset is not None
        return self.task.evaluate(self._network(), dataset, split)


class NextNumberTask(Task):
    """One number per line -> a model of the next one."""

    name = "numbers"
    metric = Metric("mse", "mse")

    def prepare(self, config: DataConfig, folder: Path, encoder: Any = None) -> Series:
        """Read the numbers; the last tenth validates."""
        text = "".join(Path(name).read_text() for name in config.sources)
        try:
            values = np.array(text.split(), np.float32)
        except ValueError as error:
            raise CorpusError(f"a line is not a number ({error})", "give numbers") from None
        cut = int(len(values) * (1 - config.valid_fraction))
        scaler = encoder or Scaler(float(values[:cut].mean()), float(values[:cut].std()))
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in (("train", values[:cut]), ("valid", values[cut:])):
            np.save(folder / f"{name}.npy", scaler.encode(part))
        (folder / "sha256").write_text(sha256(text))
        return Series(scaler, folder, sha256(text))

    def reopen(self, folder: Path, encoder: Any) -> Series | None:
        """The arrays that `prepare` wrote."""
        try:
            return Series(encoder, folder, (folder / "sha256").read_text())
        except OSError:
            return None

    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """The hash of the files as they are now."""
        try:
            return sha256("".join(Path(name).read_text() for name in config.sources))
        except OSError:
            return None

    def encoder_from_json(self, data: Mapping[str, Any]) -> Scaler:
        """The inverse of `Scaler.to_json`."""
        if set(data) != {"mean", "deviation"}:
            raise CheckpointError("its scaler is damaged", "use another checkpoint")
        return Scaler(**data)

    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """A series has no vocabulary."""
        return ModelConfig(vocab_size=1, **fields)

    def parameter_shapes(self, config: ModelConfig) -> dict[str, Shape]:
        """Input layer, recurrent layers, output layer."""
        return {
            "input.weight": (config.embedding_size, 1),
            "input.bias": (config.embedding_size,),
            **recurrent_shapes(config),
            "output.weight": (1, config.hidden_size),
            "output.bias": (1,),
        }

    def network(self, config: ModelConfig) -> "RecurrentNetwork":
        """Input layer -> recurrent layers -> one number."""
        import torch
        from torch import nn
        from torch.nn import functional as F

        from charrnn.models.recurrent import RecurrentNetwork, detached

        class Network(RecurrentNetwork):
            uninformed_loss = 1.0  # the variance of the scaled series

            def __init__(self) -> None:
                super().__init__(config)
                self.input = nn.Linear(1, config.embedding_size)
                self.layers = self.recurrent_layers()
                self.output = nn.Linear(config.hidden_size, 1)

            def embed(self, inputs: torch.Tensor) -> torch.Tensor:
                return self.input(inputs.unsqueeze(-1))  # type: ignore[no-any-return]

            def loss(
                self,
                batch: Sequence["Tensor"],
                state: "list[State]",
                penalties: tuple[float, float] = (0.0, 0.0),
            ) -> "tuple[Tensor, list[State], Tensor]":
                inputs, targets = batch
                y, after = self.features(inputs, state)
                dropped = self.drop(y, config.output_dropout)
                error = F.mse_loss(self.output(dropped).squeeze(-1).float(), targets)
                return error, detached(after), self.penalty(y, dropped, penalties)

        return Network()

    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> SquaredError:
        """The mean squared error over a split, read as one sequence."""
        import torch

        assert isinstance(dataset, Series)
        values = torch.from_numpy(dataset.splits[split][: limit or None])[None]
        was_training = network.training
        network.eval()
        with torch.inference_mode():
            state = network.zero_state(1)
            error, _, _ = network.loss((values[:, :-1], values[:, 1:]), state)
        network.train(was_training)
        return SquaredError(float(error), values.shape[1] - 1)

    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """The last number again."""
        assert isinstance(dataset, Series)
        return {"last": float(np.square(np.diff(dataset.splits["valid"])).mean())}

    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> NextNumberModel:
        """A NextNumberModel."""
        return NextNumberModel(self, checkpoint, path)


def sha256(text: str) -> str:
    """Text -> its hash."""
    return hashlib.sha256(text.encode()).hexdigest()
