"""charrnn turns a text file into a recurrent language model and the model back into text.

    import charrnn

    run = charrnn.train("corpus.txt", minutes=1)
    model = charrnn.load(run)
    print(model.sample("The miller", length=200, temperature=0.7, seed=7))

The names of `__all__` are resolved when they are first used: importing this package costs nothing,
so every command starts at once. In reading order: errors, activity, config; tokenizers, data,
models, checkpoints, inference, evaluation, tasks, training; api; serving; cli.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost 10 ms

if TYPE_CHECKING:
    from typing import Any

    from charrnn.api import blend, load, plan, resume, save_tune, train
    from charrnn.checkpoints.run import Run
    from charrnn.errors import (
        CharRNNError,
        CheckpointError,
        CorpusError,
        DivergedError,
        InterruptedTraining,
        MemoryLimitError,
        RunLockedError,
        StorageError,
        UsageError,
    )
    from charrnn.evaluation.scores import Score
    from charrnn.tasks.labels.classifier import Classifier
    from charrnn.tasks.language.blend import Blend
    from charrnn.tasks.language.language_model import LanguageModel
    from charrnn.tasks.pairs.translator import Translator
    from charrnn.tasks.series.forecaster import Forecaster
    from charrnn.training.planner.plan import Plan

__version__ = "0.2.0"

__all__ = [
    "Blend",
    "CharRNNError",
    "CheckpointError",
    "Classifier",
    "CorpusError",
    "DivergedError",
    "Forecaster",
    "InterruptedTraining",
    "LanguageModel",
    "MemoryLimitError",
    "Plan",
    "Run",
    "RunLockedError",
    "Score",
    "StorageError",
    "Translator",
    "UsageError",
    "__version__",
    "blend",
    "load",
    "plan",
    "resume",
    "save_tune",
    "train",
]

_MODULES = {
    "Blend": "tasks.language.blend",
    "Classifier": "tasks.labels.classifier",
    "Forecaster": "tasks.series.forecaster",
    "LanguageModel": "tasks.language.language_model",
    "Plan": "training.planner.plan",
    "Run": "checkpoints.run",
    "Score": "evaluation.scores",
    "Translator": "tasks.pairs.translator",
} | dict.fromkeys(("blend", "load", "plan", "resume", "save_tune", "train"), "api")
"""Name -> the module that defines it; the others are in `errors`."""


def __getattr__(name: str) -> "Any":
    """A name of `__all__`, imported at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    # Imported here, so that importing the package imports nothing else.
    import importlib

    if name == "Run":
        # Registers the tasks, so that a Run can read the checkpoints of each.
        importlib.import_module("charrnn.tasks")
    module = importlib.import_module(f"charrnn.{_MODULES.get(name, 'errors')}")
    # As a global, the name is found without calling this function again.
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
