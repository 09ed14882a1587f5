"""LabelsTask: the interface of `tasks.base`, implemented for labels of texts."""

import dataclasses
from collections.abc import Mapping
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
from charrnn.tasks.labels import dataset as datasets
from charrnn.tasks.labels.columns import FASTTEXT
from charrnn.tasks.labels.config import LabelsConfig, LabelsDataConfig, parameter_shapes
from charrnn.tasks.labels.dataset import LabelledTexts
from charrnn.tasks.labels.encoder import LabelEncoder, weighted
from charrnn.tasks.labels.metrics import LabelsScore
from charrnn.tasks.labels.rules import RULES, embedding_size, members

if TYPE_CHECKING:
    from charrnn.models.recurrent import RecurrentNetwork
    from charrnn.tasks.labels.classifier import Classifier

SHOWN, SHOWN_CHARACTERS = 3, 80
"""Texts of a preview, and characters of each."""

PLAIN, LEAST_LINES = 0.95, 20
"""Part of the lines, and how many, that have one tab where a file plainly holds labels."""

FEW = 0.1
"""Different fields, of all, up to which they plainly are labels."""

LONGEST_FIELD = 60
"""Characters of a field that plainly is a label."""


class LabelsTask(Task):
    """Texts with labels -> a model that labels texts."""

    name = "labels"
    metric = Metric("accuracy", "accuracy", lower_is_better=False)
    config = LabelsConfig
    data_config = LabelsDataConfig
    next_command = "charrnn classify"
    rules = RULES
    refused = OF_RUNNING_TEXT | {
        "num_labels", "outputs", "part_buckets", "output_penalty", "change_penalty", "init_scale",
    }  # fmt: skip

    def prepare(
        self, config: DataConfig, folder: Path, encoder: Encoder | None = None
    ) -> LabelledTexts:
        """As in `dataset.prepare`."""
        return datasets.prepare(config, folder, encoder)

    def reopen(self, folder: Path, encoder: Encoder) -> LabelledTexts | None:
        """As in `dataset.reopen`."""
        return datasets.reopen(folder, encoder)

    def current_sha256(self, config: DataConfig, folder: Path) -> str | None:
        """As in `example_files.current_sha256`."""
        return example_files.current_sha256(as_kind(LabelsDataConfig, config), folder)

    def recognizes(self, text: str) -> str:
        """FastText's marks, or lines with one tab each and few different fields on one side."""
        lines = [line for line in text.split("\n") if line.strip()]
        if not lines:
            return ""
        if sum(line.startswith(FASTTEXT) for line in lines) >= PLAIN * len(lines):
            return "texts with labels"
        rows = [line.split("\t") for line in lines if line.count("\t") == 1]
        if len(lines) < LEAST_LINES or len(rows) < PLAIN * len(lines):
            return ""
        for side in (1, 0):
            fields, others = ({row[place] for row in rows} for place in (side, 1 - side))
            few = 1 < len(fields) <= max(2, FEW * len(rows)) and 2 * len(others) > len(rows)
            # Columns of numbers are a table of them.
            if few and max(map(len, fields)) <= LONGEST_FIELD and not all(map(is_number, others)):
                return "texts with labels"
        return ""

    def encoder_from_json(self, data: Mapping[str, Any]) -> LabelEncoder:
        """A LabelEncoder."""
        return LabelEncoder.from_json(data)

    def model_config(self, dataset: Dataset, fields: Mapping[str, Any]) -> ModelConfig:
        """The planner's sizes, and what the data decides."""
        own = dict(fields)
        own.setdefault("members", members(dataset.length("train")))
        if "hidden_size" in own:
            own.setdefault("embedding_size", embedding_size(own["hidden_size"]))
        encoder: LabelEncoder = dataset.encoder
        return LabelsConfig(
            vocab_size=encoder.vocab_size,
            num_labels=len(encoder.labels),
            outputs="sigmoid" if encoder.multiple else "softmax",
            part_buckets=encoder.part_buckets,
            **own,
        )

    def parameter_shapes(self, config: LabelsConfig) -> dict[str, Shape]:
        """Embeddings, and the members' layers."""
        return parameter_shapes(config)

    def state_shapes(self, config: LabelsConfig, batch_size: int) -> dict[str, Shape]:
        """Each text begins anew: no state is carried."""
        return {}

    def schema(self) -> Schema:
        """Encoder and network agree on tokens, parts and labels."""
        return dataclasses.replace(
            super().schema(),
            fits=lambda encoder, config: (
                (encoder.vocab_size, encoder.part_buckets, len(encoder.labels), encoder.multiple)
                == (config.vocab_size, config.part_buckets, config.num_labels,
                    config.outputs == "sigmoid")
            ),
        )  # fmt: skip

    def network(self, config: LabelsConfig) -> "RecurrentNetwork":
        """A LabelsNetwork."""
        from charrnn.tasks.labels.network import LabelsNetwork

        return LabelsNetwork(config)

    def evaluate(
        self, network: "RecurrentNetwork", dataset: Dataset, split: str, limit: int = 0
    ) -> LabelsScore:
        """The score over a split, or evenly spread texts of it.

        On the validation part the weights of network, naive Bayes and linear model are fitted.
        """
        from charrnn.tasks.labels.evaluate import evaluate
        from charrnn.tasks.labels.stepper import evaluating

        assert isinstance(dataset, LabelledTexts)
        with evaluating(network) as model:
            part = dataset.part(split)
            return evaluate(model, part, dataset.encoder, limit, fit=split == "valid")

    def calibrated(self, encoder: Encoder, score: Score) -> LabelEncoder:
        """The encoder with the weights that an evaluation has found."""
        assert isinstance(score, LabelsScore)
        assert isinstance(encoder, LabelEncoder)
        return weighted(encoder, score.weights)

    def baselines(self, dataset: Dataset) -> dict[str, float]:
        """Accuracy of the most frequent label, of naive Bayes and of the linear model."""
        from charrnn.tasks.labels.evaluate import baselines

        assert isinstance(dataset, LabelledTexts)
        if "valid" not in dataset.splits:
            return {}
        found = baselines(dataset.part("valid"), dataset.encoder)
        return {name: score.value for name, score in found.items()}

    def preview(self, network: "RecurrentNetwork", dataset: Dataset) -> str:
        """A few texts of the validation part, and their labels."""
        from charrnn.tasks.labels.evaluate import evaluate_texts
        from charrnn.tasks.labels.stepper import evaluating

        assert isinstance(dataset, LabelledTexts)
        split = "valid" if "valid" in dataset.splits else "train"
        part, examples = dataset.part(split), dataset.splits[split].examples
        texts = [row * len(examples) // SHOWN for row in range(SHOWN)]
        with evaluating(network) as model:
            found = evaluate_texts(model, part, dataset.encoder, texts)
        names = dataset.encoder.labels
        return "\n".join(
            f"{examples[text].text[:SHOWN_CHARACTERS]} -> {names[int(row.argmax())]}"
            for text, row in zip(texts, found, strict=True)
        )

    def predictor(self, checkpoint: Checkpoint, path: Path, **options: Any) -> "Classifier":
        """A Classifier. Options: threads, precision."""
        from charrnn.tasks.labels.classifier import Classifier

        return Classifier(checkpoint, path, **options)
