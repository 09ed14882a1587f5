"""The planner's rules for a run that begins with another model, from trials.

Its weights are near a good solution already: what it needs is a lower rate that does not destroy
them, and what it risks is to memorize a short text sooner. See benchmarks/trials.md.
"""

from dataclasses import dataclass
from typing import Protocol

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.models.recurrent import set_weights
from charrnn.tasks.base import Dataset, Task
from charrnn.training.distributed import Group
from charrnn.training.planner import heuristics
from charrnn.training.planner.heuristics import Overfitting

RATES, EPOCHS, DROPOUTS = (0.2, 0.5), (1 / 3, 1.0), (0.22, heuristics.MOST_DROPOUT)
"""For a text that the model knows and for one that is strange to it: the peak rate and the epochs
that still improve it, over those of a new model; the most dropout that its weights can take."""

KNOWN, STRANGE = 0.6, 0.9
"""The model's loss on the text before training, over that of a uniform guess, for these two."""

MEMORIZING = 12
"""From so many parameters per token on, a known text is memorized in fewer epochs."""

FEWEST_EPOCHS = 2.0
"""What a known text may still be read by the largest model."""

LOOKED_AT = 8192
"""Tokens of the text that the model is tried on."""


class Advice(Protocol):
    """The rules of texts that differ for a run that begins with another model."""

    def most_epochs(self, tokens: int, optimizer: str = ...) -> float:
        """As in `heuristics`."""

    def optimizer(self, tokens: int, read: float, vocab_size: int) -> str:
        """As in `heuristics`."""

    def learning_rate(self, hidden_size: int) -> float:
        """As in `heuristics`."""

    def overfitting(self, tokens: int, optimizer: str) -> Overfitting:
        """As in `heuristics`."""


@dataclass(frozen=True)
class FineTuning:
    """Advice for fine-tuning. strangeness: of the text, from 0 to 1. parameters: of the model.

    >>> FineTuning(0.0).learning_rate(256), FineTuning(1.0).learning_rate(256)
    (0.0016, 0.004)
    >>> [round(FineTuning(0.0, size).most_epochs(65_000), 1) for size in (500_000, 2_000_000)]
    [15.8, 6.2]
    """

    strangeness: float
    parameters: int = 0

    def _between(self, ends: tuple[float, float]) -> float:
        return ends[0] + self.strangeness * (ends[1] - ends[0])

    def most_epochs(self, tokens: int, optimizer: str = "adamw") -> float:
        """Tokens of the training part -> epochs that still improve the model, by any optimizer."""
        all_epochs = heuristics.most_epochs(tokens)
        known = EPOCHS[0] * all_epochs / self._memorizing(tokens)
        return self._between((max(FEWEST_EPOCHS, known), EPOCHS[1] * all_epochs))

    def _memorizing(self, tokens: int) -> float:
        """How many times sooner than a small model this one memorizes a text of so many tokens."""
        return max(1.0, self.parameters / (MEMORIZING * tokens))

    def optimizer(self, tokens: int, read: float, vocab_size: int) -> str:
        """SOAP for a text that the model knows; for a strange one AdamW was better."""
        return "soap" if self.strangeness < 0.5 else "adamw"

    def learning_rate(self, hidden_size: int) -> float:
        """Units -> the peak learning rate."""
        return round(self._between(RATES) * heuristics.learning_rate(hidden_size), 5)

    def overfitting(self, tokens: int, optimizer: str) -> Overfitting:
        """As in `heuristics`, with any optimizer; sooner, and less dropout for a known text."""
        sooner = self._between((self._memorizing(tokens), 1.0))
        return Overfitting(heuristics.EPOCHS_WITHOUT / sooner, self._between(DROPOUTS))


def advice(task: Task, dataset: Dataset, model: Checkpoint, group: Group) -> Advice:
    """The data, and a model to begin with -> the rules for them; every rank has to call it."""
    if task.rules:
        # Its own rules plan all of it; the strangeness of texts says nothing of other data.
        return FineTuning(0.0)
    sizes = {name: getattr(model.config, name) for name in task.sizes_from(model)}
    config = task.model_config(dataset, sizes)
    share = repr(_share_of_guess(task, dataset, model, config)) if group.is_main else ""
    # Sums on other processors differ in their last bits, and all ranks need one plan.
    share_of_all = float(group.broadcast(share))
    strangeness = min(1.0, max(0.0, (share_of_all - KNOWN) / (STRANGE - KNOWN)))
    return FineTuning(strangeness, task.num_parameters(config))


def _share_of_guess(task: Task, dataset: Dataset, model: Checkpoint, config: ModelConfig) -> float:
    """The model's loss on a little of the new data, over that of a uniform guess."""
    network = set_weights(task.network(config), task.weights_from(model, dataset, config))
    split = "valid" if dataset.size("valid") else "train"
    score = task.evaluate(network, dataset, split, LOOKED_AT)
    # The score is of a character, the guess of a token.
    guess = network.uninformed_loss * dataset.size(split) / max(1, dataset.length(split))
    return score.value / guess
