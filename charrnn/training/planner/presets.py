"""Hyperparameters from the literature, by name: tokenizer, model, schedule.

A preset fills in what the user does not give; explicit options override it. Its lengths are in
epochs, because steps depend on the data.
"""

from dataclasses import dataclass, field
from typing import Any

from charrnn.errors import UsageError

WORDS = {"tokenizer": "word", "split_words": "spaces"}
"""How Penn Treebank is read: words are separated by spaces, and a line's end is a token."""


@dataclass(frozen=True)
class Preset:
    """Fields of DataConfig (`data`), of ModelConfig and TrainConfig (`given`); lengths in epochs.

    hold_epochs: until the rate first decays; it decays again after each further epoch.
    average_epochs: until weight averaging begins; 0 for never.
    """

    data: dict[str, Any]
    given: dict[str, Any]
    epochs: float
    hold_epochs: float = 0.0
    average_epochs: float = 0.0
    source: str = field(default="", repr=False)

    def in_steps(self, steps_per_epoch: float) -> dict[str, Any]:
        """Steps per epoch -> the fields whose values are numbers of steps."""
        # The publications have no warmup, which the planner would add.
        fields: dict[str, Any] = {"warmup_steps": 0}
        if self.given.get("schedule") == "steps":
            fields["hold_steps"] = round(self.hold_epochs * steps_per_epoch)
            fields["decay_every"] = max(1, round(steps_per_epoch))
        if self.average_epochs:
            fields["average_from"] = max(1, round(self.average_epochs * steps_per_epoch))
        return fields


def _tutorial(
    units: int,
    window: int,
    epochs: int,
    hold: int,
    factor: float,
    init: float,
    dropout: float,
    clip: float,
) -> Preset:
    """One of the three settings of Zaremba et al. 2014, as in TensorFlow's tutorial.

    The tutorial sums the loss over the steps of a window and this program takes the mean, so its
    rate of 1 is the window's length here, and its gradient clip is divided by that length.

    hold: its `max_epoch`. The version that reaches the published figures counts epochs from zero,
    so the rate first decays one epoch later; a later version decays one epoch earlier
    (docs/learning.md compares both).
    """
    given = {
        "cell": "lstm",
        "num_layers": 2,
        "hidden_size": units,
        "embedding_size": units,
        # Off explicitly, because the planner would choose both.
        "residual": False,
        "tie_weights": False,
        "input_dropout": dropout,
        "dropout": dropout,
        "output_dropout": dropout,
        "batch_size": 20,
        "seq_length": window,
        "optimizer": "sgd",
        "schedule": "steps",
        "learning_rate": float(window),
        "decay_factor": factor,
        "grad_clip": clip / window,
        "weight_decay": 0.0,
        "init_scale": init,
        "precision": "float32",
    }
    source = "Zaremba et al. 2014 (arXiv 1409.2329); tutorials/rnn/ptb/ptb_word_lm.py of TensorFlow"
    return Preset(WORDS, given, epochs, hold + 1, source=source)


PRESETS = {
    "ptb-small": _tutorial(200, 20, 13, 4, 0.5, 0.1, 0.0, 5.0),
    "ptb-medium": _tutorial(650, 35, 39, 6, 0.8, 0.05, 0.5, 5.0),
    "ptb-large": _tutorial(1500, 35, 55, 14, 1 / 1.15, 0.04, 0.65, 10.0),
    "awd-lstm": Preset(
        WORDS,
        {
            "cell": "lstm",
            "num_layers": 3,
            "hidden_size": 1150,
            "embedding_size": 400,
            "residual": False,
            "tie_weights": True,
            "variational": True,
            "input_dropout": 0.4,
            "dropout": 0.25,
            "output_dropout": 0.4,
            "embedding_dropout": 0.1,
            "weight_dropout": 0.5,
            "batch_size": 20,
            "seq_length": 70,
            "optimizer": "sgd",
            "schedule": "steps",
            # A factor of 1: the rate stays constant, and averaging takes the place of its decay.
            "decay_factor": 1.0,
            "learning_rate": 30.0,
            "grad_clip": 0.25,
            "weight_decay": 1.2e-6,
            "output_penalty": 2.0,
            "change_penalty": 1.0,
        },
        epochs=500,
        average_epochs=60,
        source="Merity et al. 2017 (arXiv 1708.02182), its settings for Penn Treebank; averaging "
        "begins at a fixed epoch instead of when the validation loss stops falling",
    ),
}
"""Presets by name."""


def preset(name: str) -> Preset:
    """Name -> the preset. UsageError if there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}", f"choose from {', '.join(PRESETS)}")
    return PRESETS[name]
