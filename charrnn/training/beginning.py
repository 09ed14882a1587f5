"""A run that begins with another model: what is asked of it, and its checkpoint of step 0.

Such a run is one that is resumed at step 0, from a checkpoint whose weights are the other model's.
It is saved before the first step, so from then on the run needs nothing of the other model, and
its score is what the other model is worth on the new text.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from charrnn.checkpoints.origin import Origin, open_origin
from charrnn.data.config import DataConfig
from charrnn.errors import CheckpointError, UsageError
from charrnn.models.recurrent import build
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Task
from charrnn.training.effects import TRAINING, without_effect
from charrnn.training.events import Event
from charrnn.training.optimizer import Optimizer
from charrnn.training.planner.plan import Plan
from charrnn.training.request import Request


@dataclass
class Before:
    """The score of the model that a run begins with, so that a second plan need not repeat it."""

    events: list[Event] = field(default_factory=list)
    valid: float | None = None
    valid_pieces: float | None = None


def opened(request: Request, runs_dir: Path) -> Origin | None:
    """The model that a request begins with; None if it begins at random.

    UsageError if it is of another kind than the task can begin with, or if an option that was given
    has no effect on a model with its tokenizer and sizes; CheckpointError if it cannot be read.
    """
    if request.init_from is None:
        return None
    task = get_task(request.task)
    if not task.begins_with:
        raise UsageError(f"--from is no option of the task {task.name}", "leave it out")
    origin = open_origin(runs_dir, request.init_from)
    if origin.checkpoint.task not in task.begins_with:
        raise UsageError(
            f"{origin.path} is a model of the task {origin.checkpoint.task}, and a run of the task "
            f"{task.name} cannot begin with it",
            f"give a model of the task {' or '.join(sorted(task.begins_with))}",
        )
    _refuse_idle(request, task, origin)
    return origin


def _refuse_idle(request: Request, task: Task, origin: Origin) -> None:
    """UsageError for an option that does nothing, because of what the model is."""
    encoder = origin.checkpoint.encoder
    values = request.data.to_json() | request.given | task.sizes_from(origin.checkpoint)
    values |= {"tokenizer": getattr(encoder, "name", None)}
    kind = type(request.data)
    defaults = {item.name: item.default for item in fields(kind)}
    data = request.data.to_json().items()
    asked = {name for name, value in data if value != defaults[name]}
    effect = without_effect(TRAINING, asked | set(request.given), values)
    if effect:
        option = "--" + effect.option.replace("_", "-")
        raise UsageError(
            f"{option} has no effect {effect.reason}, which {origin.path} is", "leave it out"
        )


def first_checkpoint(task: Task, origin: Origin, dataset: Dataset, plan: Plan) -> Checkpoint:
    """The other model as the checkpoint of step 0 of a plan: its weights, and no memory yet.

    Parameters that it does not have begin as those of any new network, by the plan's seed.
    """
    config, train = plan.model_config, plan.train_config
    network = build(task.network, config, train.seed, train.init_scale)
    weights = {name: p.detach().numpy().copy() for name, p in network.named_parameters()}
    found = task.weights_from(origin.checkpoint, dataset, config)
    shapes = {name: array.shape for name, array in weights.items()}
    wrong = [name for name in found if found[name].shape != shapes.get(name)]
    if wrong:
        raise CheckpointError(
            f"the parameter {wrong[0]} of {origin.path} does not fit the new model",
            "begin with another model",
        )
    weights |= {name: np.array(array, np.float32) for name, array in found.items()}
    # As after no step: what the optimizer begins with, and no hidden state and no loss.
    moments = {name: m.numpy().copy() for name, m in Optimizer(network, train).moments().items()}
    states = task.state_shapes(config, train.batch_size)
    state = {name: np.zeros(shape, np.float32) for name, shape in states.items()}
    info = CheckpointInfo(0, 0.0, dataset.fingerprint(), origins=origin.origins)
    training = TrainingState(train, moments, state, 0.0, 0)
    return Checkpoint(config, dataset.encoder, weights, info, training, task.name)


def prepared(task: Task, config: DataConfig, folder: Path, origin: Origin | None) -> Dataset:
    """The data, in `folder`; of a run that begins with a model its first note says so."""
    if origin is None:
        return task.prepare(config, folder)
    dataset = task.prepare_from(origin.checkpoint, config, folder)
    info = origin.checkpoint.info
    chain = "".join(f", which began with {each['name']}" for each in info.origins)
    length = info.corpus.get("characters")
    of_text = f", trained on {length:,} characters" if isinstance(length, int) else ""
    note = f"begins with {origin.name}{of_text}, at its step {info.step:,}{chain}"
    # Every dataset is a frozen dataclass with notes.
    return replace(dataset, notes=(note, *dataset.notes))  # type: ignore[type-var]
