"""Request: what is asked of a new run, from options by name; for the API and the command line."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints.header import LANGUAGE
from charrnn.config import ModelConfig, TrainConfig, config_to_json
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError
from charrnn.tasks import get_task
from charrnn.tokenizers import TOKENIZERS
from charrnn.training.effects import KEPT, TRAINING, without_effect
from charrnn.training.planner.budget import Budget
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.presets import Preset, preset


@dataclass(frozen=True)
class Request:
    """What is asked of a new run. given: fields of ModelConfig and TrainConfig -> values.

    init_from: a run's name or folder, or a checkpoint file, whose model it begins with.
    """

    data: DataConfig
    given: dict[str, Any]
    budget: Budget
    preset: Preset | None = None
    task: str = LANGUAGE
    init_from: str | None = None


def make_request(
    sources: tuple[str, ...],
    options: Mapping[str, Any],
    preset_name: str | None = None,
    task: str = LANGUAGE,
    init_from: str | None = None,
) -> Request:
    """Options by name -> a request. UsageError for one that does not exist or is not valid.

    The options are the fields of DataConfig, ModelConfig, TrainConfig and Budget. Those that are
    None count as not given. Explicit options override the preset.
    """
    if not sources:
        raise UsageError("no text is given", "give files, folders or globs to train on")
    chosen = preset(preset_name) if preset_name else None
    values = {name: value for name, value in options.items() if value not in (None, [], ())}
    kind = get_task(task).data_config
    fields = {kind: _names(kind), Budget: _names(Budget)}
    # What a run records of its files is not asked for.
    fields[kind] -= {"sources", "files", "folders"}
    # The data decides vocab_size, and steps is a field of Budget.
    planned = (_names(get_task(task).config) | _names(TrainConfig)) - {"vocab_size", "steps"}
    planned -= {"restart_step", "reset_id"}
    _refuse_others(values, fields[kind] | fields[Budget] | planned, task, preset_name)
    asked = values | {"init_from": init_from, "preset": preset_name}
    _refuse_idle(asked, chosen, {"task": task, "tokenizer": kind.tokenizer})
    data = dict(chosen.data) if chosen else {}
    data |= {name: values[name] for name in fields[kind] if name in values}
    # Those that hold several values, whatever the task.
    lists = [item.name for item in dataclasses.fields(kind) if item.default == ()]
    data |= {name: _as_tuple(data[name]) for name in lists if name in data}
    tokenizer, split = data.get("tokenizer", "char"), data.get("split_words", "punctuation")
    if tokenizer not in TOKENIZERS or split not in ("punctuation", "spaces"):
        raise UsageError(
            f"--tokenizer {tokenizer} --split-words {split} is not known",
            f"choose from {', '.join(TOKENIZERS)} and from punctuation, spaces",
        )
    return Request(
        data=kind(**(data | {"sources": sources})).for_new_run(),
        given={name: values[name] for name in sorted(planned & values.keys())},
        budget=Budget(**{name: values[name] for name in fields[Budget] if name in values}),
        preset=chosen,
        task=task,
        init_from=init_from,
    )


def _refuse_others(
    values: Mapping[str, Any], known: set[str], task: str, preset_name: str | None
) -> None:
    """UsageError for an option that does not exist, or that is another task's."""
    refused = get_task(task).refused
    given = set(values) | ({"preset"} if preset_name else set())
    for name in sorted(given):
        option = option_of(name)
        if name in refused or (name in TASK_OPTIONS and name not in known):
            owners = TASK_OPTIONS.get(name)
            remedy = f"it is for --task {owners}" if owners and owners != task else "leave it out"
            raise UsageError(f"{option} is no option of the task {task}", remedy)
        if name not in known and name != "preset":
            raise UsageError(f"there is no option {name!r}", "see charrnn train --help")


def option_of(name: str) -> str:
    """A field's name -> its option on the command line.

    >>> option_of("batch_size"), option_of("as_name")
    ('--batch-size', '--as')
    """
    return "--" + name.removesuffix("_name").replace("_", "-")


TASK_OPTIONS = dict.fromkeys(
    ("target", "date", "covariate", "horizon", "season", "distribution"), "series"
) | {
    "source_column": "pairs",
    "target_column": "pairs",
    "label_smoothing": "pairs or labels",
    "members": "series or labels",
    "text": "labels",
    "label": "labels",
    "word_dropout": "labels",
}
"""Options that not every task has -> the tasks that have it, in words."""


def _refuse_idle(values: Mapping[str, Any], chosen: Preset | None, own: Mapping[str, str]) -> None:
    """UsageError if an option has no effect; one that is at its default asks for nothing.

    own: the task's name, and its tokenizer where neither the values nor the preset name one.
    """
    defaults = {
        item.name: item.default
        for kind in (DataConfig, ModelConfig, TrainConfig)
        for item in dataclasses.fields(kind)
    }
    given = {name for name, value in values.items() if value != defaults.get(name)}
    # The default of a new model may contradict the one that is begun with.
    given |= KEPT.keys() & values.keys() if values.get("init_from") is not None else set()
    preset_values = dict(own) | (chosen.data | chosen.given if chosen else {})
    effect = without_effect(TRAINING, given, {**preset_values, **values})
    if effect:
        option = option_of(effect.option)
        raise UsageError(f"{option} has no effect {effect.reason}", effect.remedy)


def idle_options(request: Request, plan: Plan) -> list[str]:
    """Notes on options that have no effect because of what was planned, such as one layer."""
    values = {"task": request.task} | request.given | request.data.to_json()
    # In this order: the vocabulary that was asked for may be larger than that of the text.
    values |= config_to_json(plan.model_config) | config_to_json(plan.train_config)
    given = set(request.given)
    notes = []
    while effect := without_effect(TRAINING, given, values):
        option = option_of(effect.option)
        notes.append(f"{option} has no effect {effect.reason}, as planned; {effect.remedy}")
        given.remove(effect.option)
    return notes


def _names(kind: type[Any]) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}


def _as_tuple(value: Any) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str | Path) else tuple(map(str, value))
