"""start_run, resume_run: from options to a finished run, for the API and the command line.

Nothing is printed here. A session finds or makes the run's folder, locks it, prepares or reopens
the data, makes or takes up the plan, trains, and logs every event to the run's folder.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import Run, create_run, find_run, next_turn
from charrnn.config import TrainConfig
from charrnn.data.config import DataConfig, data_config_from_json
from charrnn.errors import CheckpointError, CorpusError, UsageError
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Task
from charrnn.tokenizers import TOKENIZERS
from charrnn.training import events, trainer
from charrnn.training.distributed import Group, join, leave
from charrnn.training.events import Event, Revised
from charrnn.training.planner.plan import Budget, Plan, make_plan
from charrnn.training.planner.presets import Preset, preset


@dataclass(frozen=True)
class Request:
    """What is asked of a new run. given: fields of ModelConfig and TrainConfig -> values."""

    data: DataConfig
    given: dict[str, Any]
    budget: Budget
    preset: Preset | None = None
    task: str = LANGUAGE


@dataclass(frozen=True)
class Session:
    """A run that is about to be trained: locked, with its data and its plan."""

    run: Run
    task: Task
    dataset: Dataset
    plan: Plan
    description: dict[str, Any]
    group: Group
    start: Checkpoint | None = None
    until: float | None = None


@dataclass(frozen=True)
class Hooks:
    """What a caller is notified of during a session, and how it can stop it.

    on_event: called with each event. on_note: called with remarks for the user. on_ready: called
    once, before the first step. interrupted: asked before each step for a signal's number, 0 for
    none; after a signal the work is saved and InterruptedTraining raised.
    """

    on_event: Callable[[Event], None] = lambda event: None
    on_note: Callable[[str], None] = lambda text: None
    on_ready: Callable[[Session], None] = lambda session: None
    interrupted: Callable[[], int] = lambda: 0


NO_HOOKS = Hooks()


def make_request(
    sources: tuple[str, ...],
    options: Mapping[str, Any],
    preset_name: str | None = None,
    task: str = LANGUAGE,
) -> Request:
    """Options by name -> a request. UsageError for one that does not exist or is not valid.

    The options are the fields of DataConfig, ModelConfig, TrainConfig and Budget. Those that are
    None count as not given. Explicit options override the preset.
    """
    if not sources:
        raise UsageError("no text is given", "give files, folders or globs to train on")
    chosen = preset(preset_name) if preset_name else None
    values = {name: value for name, value in options.items() if value is not None}
    fields = {kind: _names(kind) for kind in (DataConfig, Budget)}
    # The data decides vocab_size, and steps is a field of Budget.
    planned = (_names(get_task(task).config) | _names(TrainConfig)) - {"vocab_size", "steps"}
    unknown = sorted(values.keys() - fields[DataConfig] - fields[Budget] - planned)
    if unknown:
        raise UsageError(f"there is no option {unknown[0]!r}", "see charrnn train --help")
    data = dict(chosen.data) if chosen else {}
    data |= {name: values[name] for name in fields[DataConfig] if name in values}
    lists = ("valid", "test")
    data |= {name: _as_tuple(data[name]) for name in lists if name in data}
    tokenizer, split = data.get("tokenizer", "char"), data.get("split_words", "punctuation")
    if tokenizer not in TOKENIZERS or split not in ("punctuation", "spaces"):
        raise UsageError(
            f"--tokenizer {tokenizer} --split-words {split} is not known",
            f"choose from {', '.join(TOKENIZERS)} and from punctuation, spaces",
        )
    return Request(
        data=DataConfig(**(data | {"sources": sources})),
        given={name: values[name] for name in sorted(planned & values.keys())},
        budget=Budget(**{name: values[name] for name in fields[Budget] if name in values}),
        preset=chosen,
        task=task,
    )


def _names(kind: type[Any]) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}


def _as_tuple(value: Any) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str | Path) else tuple(map(str, value))


def start_run(
    request: Request,
    name: str | None = None,
    runs_dir: Path = Path("runs"),
    device: str = "auto",
    hooks: Hooks = NO_HOOKS,
    began: float | None = None,
) -> Run:
    """Train a new run to its end -> the run.

    began: when the time of `request.budget` started, on the clock of time.perf_counter; None for
    now. If training does not get as far as a checkpoint, the run's folder is removed.
    """
    began = time.perf_counter() if began is None else began
    group = join(device)
    try:
        with _new_session(request, name, runs_dir, group, hooks, began) as session:
            _train(session, hooks)
    finally:
        leave(group)
    return session.run


def resume_run(
    name: str | None = None,
    runs_dir: Path = Path("runs"),
    device: str = "auto",
    hooks: Hooks = NO_HOOKS,
) -> Run:
    """Continue a run, or the last one, exactly, from its newest readable checkpoint -> the run."""
    group = join(device)
    try:
        with _resumed_session(name, runs_dir, group, hooks) as session:
            _train(session, hooks)
    finally:
        leave(group)
    return session.run


def plan_run(request: Request, folder: Path, device: str, began: float) -> tuple[Dataset, Plan]:
    """What `start_run` would do: the data, prepared in `folder`, and the plan."""
    group = join(device)
    try:
        task = get_task(request.task)
        dataset = task.prepare(request.data, folder)
        return dataset, _plan(request, task, dataset, group, began)
    finally:
        leave(group)


def _plan(request: Request, task: Task, dataset: Dataset, group: Group, began: float) -> Plan:
    return make_plan(task, dataset, request.given, request.budget, group, request.preset, began)


def _train(session: Session, hooks: Hooks) -> None:
    """Train; rank 0 logs each event, and passes it on with every rank's own hooks."""
    hooks.on_ready(session)
    is_main = session.group.is_main
    for event in trainer.train(
        session.plan,
        session.dataset,
        session.run,
        session.group,
        session.start,
        hooks.interrupted,
        session.until,
    ):
        if is_main:
            session.run.log(events.to_json(event))
        if isinstance(event, Revised) and is_main:
            plan = {"plan": event.plan.to_json()}
            session.run.write_description(session.description | plan)
        hooks.on_event(event)


@contextlib.contextmanager
def _new_session(
    request: Request,
    name: str | None,
    runs_dir: Path,
    group: Group,
    hooks: Hooks,
    began: float,
) -> Iterator[Session]:
    """A new run, locked."""
    task, budget = get_task(request.task), request.budget
    wanted = name or _name_of(request.data)
    # Only rank 0 makes the folder: its name has a number if another run has taken it.
    folder = str(create_run(runs_dir, wanted).folder) if group.is_main else ""
    run = Run(Path(group.broadcast(folder)))
    try:
        with run.lock() if group.is_main else contextlib.nullcontext():
            dataset = _prepare(task, request.data, run, group)
            # A vocabulary too large for a checkpoint is an error now, not at the first save.
            checkpoint.check_vocabulary(dataset.encoder)
            plan = _plan(request, task, dataset, group, began)
            description = _describe(request, run, dataset, plan)
            if group.is_main:
                run.write_description(description)
                if run.name != wanted:
                    hooks.on_note(f"this run is called {run.name}")
            until = began + 60 * budget.minutes if budget.minutes else None
            yield Session(run, task, dataset, plan, description, group, until=until)
    except BaseException:
        # BaseException includes Ctrl-C. A folder without a checkpoint could not be resumed.
        if group.is_main and not run.entries():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _name_of(config: DataConfig) -> str:
    """The name of a run that is given none: its first source's."""
    source = config.sources[0]
    return "stdin" if source == "-" else Path(os.path.realpath(source)).stem


def _prepare(task: Task, config: DataConfig, run: Run, group: Group) -> Dataset:
    """The data; rank 0 writes the arrays, the others open them."""
    dataset = task.prepare(config, run.corpus_folder) if group.is_main else None
    shared = group.broadcast(json.dumps(dataset.encoder.to_json()) if dataset else "")
    # Preparing the data here as well would write over rank 0's arrays.
    if dataset is None:
        encoder = task.encoder_from_json(json.loads(shared))
        dataset = task.reopen(run.corpus_folder, encoder)
    if dataset is None:
        raise CorpusError(
            f"the tokens in {run.corpus_folder} cannot be read by every process",
            "keep the runs folder on a disk that all machines share",
        )
    return dataset


def _describe(request: Request, run: Run, dataset: Dataset, plan: Plan) -> dict[str, Any]:
    """The contents of run.json."""
    description = {
        "recipe": request.data.to_json(),
        "corpus": dataset.fingerprint(),
        "plan": plan.to_json(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "turn": next_turn(run.folder.parent),
        "versions": trainer.versions(),
    }
    # Absent for language models, whose run.json is older than tasks are.
    return description if request.task == LANGUAGE else {"task": request.task} | description


@contextlib.contextmanager
def _resumed_session(
    name: str | None, runs_dir: Path, group: Group, hooks: Hooks
) -> Iterator[Session]:
    """The run, locked, with its newest readable checkpoint."""
    run = find_run(runs_dir, name)
    with run.lock() if group.is_main else contextlib.nullcontext():
        description = run.description()
        recorded = _read_description(run, description)
        start = _newest_checkpoint(run, group, hooks)
        assert start.training is not None
        task = get_task(start.task)
        dataset = _same_data(task, run, recorded.data, start)
        plan = recorded.plan_of(start)
        # run.json may have a plan that was revised after the checkpoint that the run goes back to.
        description |= {"plan": plan.to_json()}
        if group.is_main:
            run.rewind(start.info.step)
            turn = {"turn": next_turn(run.folder.parent)}
            run.write_description(description | turn)
            _note_versions(start, hooks)
        # Without `until`: a revised number of steps would not continue the run bit for bit.
        yield Session(run, task, dataset, plan, description, group, start)


@dataclass(frozen=True)
class _Recorded:
    """What run.json records of the data, the number of steps, and what the plan costs."""

    data: DataConfig
    steps: int
    costs: dict[str, Any] = field(default_factory=dict)

    def plan_of(self, start: Checkpoint) -> Plan:
        """A checkpoint's plan. Its steps may differ from those that the costs are for."""
        assert start.training is not None
        part = start.training.config.steps / self.steps
        costs = self.costs | {key: self.costs[key] * part for key in ("epochs", "seconds")}
        return Plan(start.config, start.training.config, **costs, task=start.task)


def _read_description(run: Run, description: Mapping[str, Any]) -> _Recorded:
    """run.json -> what resuming needs of it. CheckpointError if it is not there."""
    try:
        plan = description["plan"]
        costs = {key: float(plan[key]) for key in ("tokens_per_second", "epochs", "seconds")}
        # Runs of older versions have no most_steps.
        counts = {"memory": int(plan["memory"]), "most_steps": int(plan.get("most_steps", 0))}
        steps = max(1, int(plan["train"]["steps"]))
        return _Recorded(data_config_from_json(description["recipe"]), steps, costs | counts)
    # A person may have edited the file; OverflowError is int() of an infinity.
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CheckpointError(
            f"{run.folder / 'run.json'} does not say how the run was started", "start a new run"
        ) from None


def _newest_checkpoint(run: Run, group: Group, hooks: Hooks) -> Checkpoint:
    """The newest checkpoint that can be resumed; damaged ones are skipped with a note."""
    last: CheckpointError | None = None
    for entry in reversed(run.entries()):
        try:
            return checkpoint.load(entry.path, training=True)
        except CheckpointError as error:
            last = error
            if group.is_main:
                hooks.on_note(f"{error.problem}; trying the one before")
    raise last or CheckpointError(
        f"the run {run.name} has no checkpoint yet", "start it again without --resume"
    )


def _same_data(task: Task, run: Run, config: DataConfig, start: Checkpoint) -> Dataset:
    """The data that the checkpoint was trained on. CorpusError if it has changed since."""
    dataset = task.reopen(run.corpus_folder, start.encoder)
    before = start.info.corpus.get("sha256")
    now = task.current_sha256(config, run.corpus_folder)
    if dataset is not None and dataset.sha256 != before:
        now = now or dataset.sha256
        dataset = None  # a cache of other data; made again if the right files are there
    if dataset is None and now is None:
        raise CorpusError(
            f"the text of the run {run.name} is gone: {', '.join(config.sources)}", "bring it back"
        )
    # None with intact arrays: the files are gone, but their tokens are all that training needs.
    if now not in (None, before):
        raise CorpusError(
            f"the text has changed since the run began: its sha256 was {before} and is {now}",
            "bring the old text back, or start a new run",
        )
    dataset = dataset or task.prepare(config, run.corpus_folder, start.encoder)
    parts = dataset.fingerprint()["parts"]
    # Checkpoints of older versions do not record the parts.
    if start.info.corpus.get("parts", parts) != parts or start.info.lines != dataset.lines:
        raise CorpusError(
            f"the text of the run {run.name} is not split as it was when the run began",
            "bring its run.json back, or start a new run",
        )
    return dataset


def _note_versions(start: Checkpoint, hooks: Hooks) -> None:
    """A note if the run cannot continue bit for bit."""
    now = trainer.versions()
    changed = [k for k in ("torch", "machine") if start.info.versions.get(k) != now[k]]
    if changed:
        name = changed[0]
        hooks.on_note(
            f"{name} was {start.info.versions.get(name)} and is {now[name]}: the run continues, "
            "but not bit for bit as it would have"
        )
