"""The interface between tasks and everything else: what a task has to define.

A task is one kind of problem: its data, its network, its metric, and what a trained model of it can
do. Learner, trainer, planner, checkpoints and the Python API know only what is declared here.
torch is imported inside the methods that need it, never at the top of a task's module: listing,
sampling and help must not wait for it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import Encoder, Schema
from charrnn.config import ModelConfig, Shape, recurrent_shapes
from charrnn.config import state_shapes as recurrent_state_shapes
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork


@dataclass(frozen=True)
class Metric:
    """The figure by which checkpoints of a task are compared.

    name: as in JSON, such as "nats_per_char". unit: as it is printed, such as "nats/char".

    >>> Metric("accuracy", "correct", lower_is_better=False).is_better(0.9, than=0.8)
    True
    """

    name: str
    unit: str
    lower_is_better: bool = True

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether a score is at least as good as an earlier one; None for the first."""
        if than is None:
            return True
        # Of equal scores the later one wins, as in `checkpoints.run`, where the best file is found.
        return value <= than if self.lower_is_better else value >= than


SIZES = ("cell", "num_layers", "hidden_size", "embedding_size", "residual", "tie_weights")
"""Fields of ModelConfig that decide the shapes of the parameters, and how layers are joined."""


def no_dropout(dataset: "Dataset", config: ModelConfig, epochs: float) -> Mapping[str, float]:
    """The `dropouts` of Rules that name none: all stay at 0."""
    return {}


@dataclass(frozen=True)
class Rules:
    """What the planner has to know of a task's networks; a task without them is planned as text.

    sizes: layers and units to choose from, smallest first. tokens_per_parameter: of a training that
    is worth a size. parameters_per_token: of the data, at most. batch: data and what is given ->
    batch_size and seq_length. most_steps: data -> steps after which more would overfit.
    learning_rate: units -> the peak rate. weight_decay: as in TrainConfig. dropouts: data, model
    and epochs -> the model's fields of dropout, where the user sets none of them. minutes: data ->
    how long to train, if nothing is said; None as for text. optimizer: as in TrainConfig.
    """

    sizes: tuple[tuple[int, int], ...]
    tokens_per_parameter: float
    parameters_per_token: float
    batch: Callable[["Dataset", Mapping[str, Any]], dict[str, int]]
    most_steps: Callable[["Dataset"], int]
    learning_rate: Callable[[int], float]
    weight_decay: float = 0.01
    dropouts: Callable[["Dataset", ModelConfig, float], Mapping[str, float]] = no_dropout
    minutes: Callable[["Dataset"], float] | None = None
    optimizer: str = "adamw"


class Score(Protocol):
    """The result of an evaluation."""

    @property
    def value(self) -> float:
        """The value of the task's metric."""

    def to_json(self) -> dict[str, Any]:
        """All figures, as they are logged and as `evaluate --json` prints them.

        The metric comes first, under its name: `plot` and `compare` take it from the log.
        """

    def summary(self) -> str:
        """The figures in a few words: 1.3478 nats/char, 1.945 bits/char."""


class Batches(Protocol):
    """The training data as a function of the step."""

    @property
    def steps_per_epoch(self) -> float:
        """Steps until all data was read once."""

    @property
    def rows(self) -> range:
        """The rows of the global batch that this process reads."""

    def __getitem__(self, step: int) -> tuple[NDArray[Any], ...]:
        """Step -> the arrays of its batch, as `network.loss` takes them; nothing else decides."""


class Dataset(ABC):
    """A task's prepared data: arrays on disk, split into train, valid and test.

    encoder: raw input <-> arrays. sha256: hash of the files. notes: what the user should know of
    how they were read. lines: whether each line is a document. unit: of `length`.
    """

    unit: ClassVar[str]
    encoder: Encoder
    sha256: str
    notes: tuple[str, ...]
    lines: bool = False

    @property
    def next_command(self) -> str:
        """What to try with a new run of it; "" for what the task says."""
        return ""

    @abstractmethod
    def size(self, split: str) -> int:
        """Tokens (or what else a step counts) in a split; 0 if there is no such split."""

    @abstractmethod
    def length(self, split: str) -> int:
        """The size of a split in `unit`s that mean something to a person, such as characters."""

    @abstractmethod
    def batches(self, batch_size: int, seq_length: int, rank: int, world_size: int) -> Batches:
        """The training split as batches."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint records of its data: "sha256", and "parts" (split -> length)."""

    def recipe(self, config: DataConfig) -> dict[str, Any]:
        """What run.json records of how the files were read, to read them so again."""
        return config.to_json()

    def vocabulary(self) -> str:
        """The encoder in a few words: 76 char tokens."""
        return type(self.encoder).__name__

    def train_metrics(self, loss: float) -> dict[str, float]:
        """Training loss -> figures that are logged next to it, by name."""
        return {}


class Predictor(ABC):
    """A trained model, ready to use: what `charrnn.load` returns.

    path: the checkpoint file it came from. threads: None for one per core, at most four. precision:
    "float32", or "int8" for weights of one byte each, which is faster. engine_class: what computes
    with the checkpoint's weights, made of checkpoint, threads and precision. reads_files: whether
    it can be evaluated on a file that is not a part of the run's data. has_confusion: whether its
    scores have a confusion matrix. A subclass adds what it can do, such as `sample`.
    """

    engine_class: ClassVar[Callable[..., Any]]
    reads_files: ClassVar[bool] = False
    has_confusion: ClassVar[bool] = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        path: Path,
        threads: int | None = None,
        precision: str = "float32",
    ) -> None:
        self.checkpoint, self.path = checkpoint, path
        self.encoder: Any = checkpoint.encoder
        self.engine: Any = type(self).engine_class(checkpoint, threads, precision)

    @property
    def name(self) -> str:
        """The run's name, or the file's if it is not in a run folder."""
        # Resolved, because the parent of a bare file name is ".", which has no name.
        folder = self.path.resolve().parent
        return folder.name if (folder / "run.json").exists() else self.path.stem

    def __repr__(self) -> str:
        config, step = self.checkpoint.config, self.checkpoint.info.step
        kind = getattr(self.checkpoint.encoder, "name", self.checkpoint.task)
        sizes = f"{config.cell} {config.num_layers}x{config.hidden_size}"
        return f"<{type(self).__name__} {self.name}: {kind} {sizes}, step {step}>"

    @abstractmethod
    def evaluate(self, split: str = "valid") -> Score:
        """The score over a split of the run's data; it takes `file` too, where it `reads_files`."""

    def baseline_lines(self, score: Any) -> list[str]:
        """What `evaluate` prints after a score: the same figures of simple models."""
        return []

    def save(self, path: str | Path) -> Path:
        """Write the model without its training state: the file to share -> its path."""
        from charrnn.checkpoints.checkpoint import save

        if Path(path).suffix.lower() == ".onnx":
            self.export_onnx(Path(path))
            return Path(path)
        save(self.checkpoint.without_training_state(), Path(path))
        return Path(path)

    def export_onnx(self, path: Path) -> None:
        """Write the model as ONNX. UsageError if it has no such form."""
        raise UsageError(
            f"a model of the task {self.checkpoint.task} has no ONNX form",
            "give a name that ends in .safetensors",
        )


OF_RUNNING_TEXT = frozenset(
    (
        *("lines", "documents", "chat", "tunes", "as_name", "conditions", "newlines", "preset"),
        *("tie_weights", "mix", "sampled_softmax"),
    )
)
"""Options that have an effect on running text alone: tasks of other data refuse them."""


class Task(ABC):
    """One kind of problem.

    config, data_config: the dataclasses of its model configuration and of what is asked of its
    data. next_command: what to try with a new run. refused: options of training that it does not
    have. rules: of the planner; None for those of text. token: what a step counts, in words.
    begins_with: tasks of the models whose weights a run can begin with; a task that names any
    defines `prepare_from` and `weights_from`.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    config: ClassVar[type[ModelConfig]] = ModelConfig
    data_config: ClassVar[type[DataConfig]] = DataConfig
    next_command: ClassVar[str] = "charrnn evaluate"
    refused: ClassVar[frozenset[str]] = frozenset()
    rules: ClassVar[Rules | None] = None
    token: ClassVar[str] = "tokens"
    begins_with: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def prepare(self, config: DataConfig, folder: Path, encoder: Encoder | None = None) -> Dataset:
        """Read the files, learn the encoder if none is given, write the arrays into `folder`.

        CorpusError for data that cannot be used, StorageError if the arrays cannot be written.
        """

    @abstractmethod
    def reopen(self, folder: Path, encoder: Encoder) -> Dataset | None:
        """What `prepare` left in a folder; None if it is not complete any more."""

    @abstractmethod
    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """The hash of the files as they are now; None if they cannot be read any more."""

    @abstractmethod
    def encoder_from_json(self, data: Mapping[str, Any]) -> Encoder:
        """The inverse of the encoder's `to_json`. CheckpointError if it is damaged."""

    @abstractmethod
    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """The planner's choice of sizes -> the model's configuration for this data."""

    def parameter_shapes(self, config: Any) -> dict[str, Shape]:
        """Parameter name -> shape, known before anything is allocated, in the network's order."""
        return recurrent_shapes(config)

    def num_parameters(self, config: Any) -> int:
        """Number of parameters of a model."""
        return sum(math.prod(shape) for shape in self.parameter_shapes(config).values())

    def state_shapes(self, config: Any, batch_size: int) -> dict[str, Shape]:
        """The state that training carries from step to step; {} if it carries none."""
        return recurrent_state_shapes(config, batch_size)

    def prepare_from(self, model: Checkpoint, config: DataConfig, folder: Path) -> Dataset:
        """As `prepare` without an encoder, but with the one of a model that the run begins with.

        What the data needs and the encoder lacks is added to it; what it has stays.
        """
        raise NotImplementedError

    def sizes_from(self, model: Checkpoint) -> dict[str, Any]:
        """A model to begin with -> the fields of the new configuration that follow from it."""
        return {name: getattr(model.config, name) for name in SIZES}

    def weights_from(
        self, model: Checkpoint, dataset: Dataset, config: Any
    ) -> Mapping[str, NDArray[np.float32]]:
        """A model to begin with -> initial parameters by name; those left out begin at random."""
        raise NotImplementedError

    @abstractmethod
    def network(self, config: Any) -> "RecurrentNetwork":
        """A new network; its parameters are named and shaped as in `parameter_shapes`."""

    @abstractmethod
    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> Score:
        """The score over a split; if `limit` is less, over so many tokens of it, evenly spread.

        The beginning of a split may be unlike the rest, so it is no estimate for the whole.
        """

    def evaluate_beginning(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int
    ) -> Score:
        """The score over the first `limit` tokens of a split: what runs of version 0.1 compare."""
        return self.evaluate(network, dataset, split, limit)

    def recognizes(self, text: str) -> str:
        """The beginning of a file -> what it plainly is, if it is this task's; else empty.

        For forms that cannot be prose, because texts are trained on without naming a task.
        """
        return ""

    def calibrated(self, encoder: Encoder, score: Score) -> Encoder:
        """The encoder that is saved with weights whose score on the validation part is this."""
        return encoder

    def completing_seconds(self, dataset: Dataset) -> float:
        """How long `completed` takes, which a training by time must leave; 0 for nothing to do."""
        return 0.0

    def completed(self, checkpoint: Checkpoint, dataset: Dataset) -> tuple[Checkpoint, str] | None:
        """A finished run's checkpoint -> it with what is fitted last, and a line that says so.

        None if there is nothing to add.
        """
        return None

    def issues(self, score: Score) -> Mapping[str, str]:
        """What is wrong with a model that a score is of: kind -> a line that names a remedy."""
        return {}

    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """Name -> score of simple models on the validation split, in the metric's unit."""
        return {}

    def preview(self, network: "RecurrentNetwork", dataset: Dataset) -> str:
        """A few lines that show what the network can do so far, printed at each evaluation."""
        return ""

    @abstractmethod
    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> Predictor:
        """A checkpoint -> what `charrnn.load` returns. Options: threads, precision."""

    def schema(self) -> Schema:
        """What the task's checkpoints contain."""
        return Schema(
            self.config,
            self.parameter_shapes,
            self.state_shapes,
            self.encoder_from_json,
            lower_is_better=self.metric.lower_is_better,
        )
