"""The kinds of problems that charrnn solves, each in a package of its own.

    base      the interface: Task, Dataset, Score, Predictor, Metric
    language  text -> a model that continues, scores and generates text
    series    numbers in time -> a model that forecasts them
    pairs     sources and targets -> a model that translates
    labels    texts with labels -> a model that classifies them

No task imports another. A new task is a package here and a line in TASKS (docs/extending.md).
"""

import functools
import importlib

from charrnn.checkpoints.header import LANGUAGE, SCHEMAS, Schema
from charrnn.errors import UsageError
from charrnn.tasks.base import Task

TASKS: dict[str, str] = {}
"""Task name -> "module:class", imported when the task is first used."""


def register(name: str, location: str) -> None:
    """Add a task: its name, and its class as "module:class"."""
    TASKS[name] = location
    # Language models are format 1, which is older than tasks, so `checkpoints` has their schema.
    if name != LANGUAGE:
        SCHEMAS[name] = functools.partial(_schema, name)


def get_task(name: str) -> Task:
    """Name -> the task. UsageError if there is none.

    >>> get_task("language").metric.unit
    'nats/char'
    """
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r}", f"choose from {', '.join(TASKS)}")
    return _load(TASKS[name])


# Imported at first use, and once: a task brings in its network, its data and the engine.
@functools.cache
def _load(location: str) -> Task:
    module, _, name = location.partition(":")
    task: Task = getattr(importlib.import_module(module), name)()
    return task


def _schema(name: str) -> Schema:
    return get_task(name).schema()


register(LANGUAGE, "charrnn.tasks.language.task:LanguageTask")
register("series", "charrnn.tasks.series.task:SeriesTask")
register("pairs", "charrnn.tasks.pairs.task:PairsTask")
register("labels", "charrnn.tasks.labels.task:LabelsTask")
