"""start_run, resume_run: from options to a finished run, for the API and the command line.

Nothing is printed here. A session finds or makes the run's folder, locks it, prepares or reopens
the data, makes or takes up the plan, trains, and logs every event to the run's folder.
"""

import contextlib
import functools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.origin import Origin
from charrnn.checkpoints.run import Run, create_run, find_run, next_turn
from charrnn.data.config import DataConfig
from charrnn.errors import CheckpointError, CorpusError
from charrnn.models.device import in_bfloat16
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset, Task
from charrnn.training import beginning, events, trainer
from charrnn.training.changes import Changes
from charrnn.training.distributed import Group, joined
from charrnn.training.events import Event, Planned, Revised
from charrnn.training.planner.budget import completing_seconds
from charrnn.training.planner.plan import Plan, make_plan
from charrnn.training.planner.restart import More, restarted
from charrnn.training.recognition import other_task
from charrnn.training.recorded import describe, read_description
from charrnn.training.request import Request, idle_options
from charrnn.training.versions import versions


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
    replan: Callable[[], Plan] | None = None
    begin: Callable[[Plan], Checkpoint] | None = None


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
    with (
        joined(device) as group,
        _new_session(request, name, runs_dir, group, hooks, began) as session,
    ):
        _train(session, hooks)
    return session.run


def resume_run(
    name: str | None = None,
    runs_dir: Path = Path("runs"),
    device: str = "auto",
    hooks: Hooks = NO_HOOKS,
    more: More | None = None,
    began: float | None = None,
    allow_changed_text: bool = False,
    changes: Changes | None = None,
) -> Run:
    """Continue a run, or the last one, exactly, from its newest readable checkpoint -> the run.

    more: train more than was planned, by a new plan from that checkpoint on. began: when its
    minutes started, as in `start_run`. allow_changed_text: with the tokens that the run has kept,
    even if the files have others now. changes: options that were given; see `training.changes`.
    """
    began = time.perf_counter() if began is None else began
    changed, new = allow_changed_text, more or changes
    with (
        joined(device) as group,
        _resumed_session(name, runs_dir, group, hooks, new, began, changed) as session,
    ):
        _train(session, hooks)
    return session.run


def plan_run(
    request: Request, folder: Path, device: str, began: float, runs_dir: Path = Path("runs")
) -> tuple[Dataset, Plan]:
    """What `start_run` would do: the data, prepared in `folder`, and the plan."""
    with joined(device) as group:
        task, origin = get_task(request.task), beginning.opened(request, runs_dir)
        dataset = beginning.prepared(task, request.data, folder, origin)
        return dataset, _plan(request, task, dataset, group, began, origin)


def _plan(
    request: Request,
    task: Task,
    dataset: Dataset,
    group: Group,
    began: float,
    origin: Origin | None,
) -> Plan:
    given, budget, model = request.given, request.budget, origin.checkpoint if origin else None
    return make_plan(task, dataset, given, budget, group, request.preset, began, model)


def _train(session: Session, hooks: Hooks) -> None:
    """Train; rank 0 logs each event, and passes it on with every rank's own hooks."""
    hooks.on_ready(session)
    is_main = session.group.is_main
    wanted, cell = session.plan.train_config.precision, session.plan.model_config.cell
    if is_main and wanted == "bfloat16" and not in_bfloat16(wanted, cell, session.group.device):
        hooks.on_note("this processor cannot train an LSTM in bfloat16: it is trained in float32")
    for event in trainer.train(
        session.plan,
        session.dataset,
        session.run,
        session.group,
        session.start,
        hooks.interrupted,
        session.until,
        session.replan,
        session.begin,
    ):
        if is_main:
            session.run.log(events.to_json(event))
        # A second plan in the first seconds is written like a revised one.
        if isinstance(event, Revised | Planned) and event.plan is not session.plan and is_main:
            plan = {"plan": event.plan.to_json()}
            session.run.write_description(session.description | plan)
        hooks.on_event(event)
    if is_main:
        _complete(session, hooks)
    session.group.barrier()


def _complete(session: Session, hooks: Hooks) -> None:
    """Add to the checkpoints of a finished run what is fitted last: to the best and the newest."""
    # Most runs have nothing of the kind, and their files need not be read again.
    if not session.task.completing_seconds(session.dataset):
        return
    chosen = {e.path: e for e in (session.run.latest(), session.run.best()) if e is not None}
    # The best one last: its line is the one to be read.
    for path in chosen:
        model = checkpoint.load(path, training=None)
        if found := session.task.completed(model, session.dataset):
            checkpoint.save(found[0], path)
            if path == list(chosen)[-1]:
                hooks.on_note(found[1])


def _until(task: Task, dataset: Dataset, began: float, minutes: float | None) -> float | None:
    """The second of `time.perf_counter` when the last step has to be done; None without minutes."""
    if not minutes:
        return None
    return began + 60 * minutes - completing_seconds(task, dataset, minutes)


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
    # Before a folder is made: the run may be called like the one that it begins with.
    origin = beginning.opened(request, runs_dir)
    wanted = name or _name_of(request.data)
    # Only rank 0 makes the folder: its name has a number if another run has taken it.
    folder = str(create_run(runs_dir, wanted).folder) if group.is_main else ""
    run = Run(Path(group.broadcast(folder)))
    try:
        with run.lock() if group.is_main else contextlib.nullcontext():
            dataset = _prepare(task, request.data, run, group, origin)
            # A vocabulary too large for a checkpoint is an error now, not at the first save.
            checkpoint.check_vocabulary(dataset.encoder)
            plan = _plan(request, task, dataset, group, began, origin)
            description = describe(request, run, dataset, plan, origin)
            if group.is_main:
                run.write_description(description)
                if run.name != wanted:
                    hooks.on_note(f"this run is called {run.name}")
                for text in (*idle_options(request, plan), *other_task(task.name, request.data)):
                    hooks.on_note(text)
            until = _until(task, dataset, began, budget.minutes)

            # From the same beginning, so that the new plan is for the time that is left.
            replan = functools.partial(_plan, request, task, dataset, group, began, origin)
            again = replan if budget.minutes else None
            begin = None
            if origin:
                begin = functools.partial(beginning.first_checkpoint, task, origin, dataset)
            yield Session(run, task, dataset, plan, description, group, None, until, again, begin)
    except BaseException:
        # BaseException includes Ctrl-C. A folder without a checkpoint could not be resumed.
        if group.is_main and not run.entries():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _name_of(config: DataConfig) -> str:
    """The name of a run that is given none: its first source's."""
    source = config.sources[0]
    return "stdin" if source == "-" else Path(os.path.realpath(source)).stem


def _prepare(
    task: Task, config: DataConfig, run: Run, group: Group, origin: Origin | None
) -> Dataset:
    """The data; rank 0 writes the arrays, the others open them."""
    folder = run.corpus_folder
    dataset = beginning.prepared(task, config, folder, origin) if group.is_main else None
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
    # Rank 0 goes on when all have the arrays open: an error of it then removes their folder.
    group.barrier()
    return dataset


@contextlib.contextmanager
def _resumed_session(
    name: str | None,
    runs_dir: Path,
    group: Group,
    hooks: Hooks,
    new: More | Changes | None,
    began: float,
    changed: bool,
) -> Iterator[Session]:
    """The run, locked, with its newest readable checkpoint."""
    run = find_run(runs_dir, name)
    with run.lock() if group.is_main else contextlib.nullcontext():
        description = run.description()
        recorded = read_description(run, description)
        start = _newest_checkpoint(run, group, hooks)
        assert start.training is not None
        task = get_task(start.task)
        dataset = _same_data(task, run, recorded.data, start, changed)
        plan = recorded.plan_of(start)
        until = None
        if isinstance(new, More):
            plan = _more(plan, start.info.step, new, run, dataset, group, began)
            until = _until(task, dataset, began, new.minutes)
        elif new is not None:
            note = hooks.on_note if group.is_main else lambda text: None
            plan = new.apply(plan, start.info.step, description, note)
        # run.json may have a plan that was revised after the checkpoint that the run goes back to.
        description |= {"plan": plan.to_json()}
        if group.is_main:
            run.rewind(start.info.step)
            turn = {"turn": next_turn(run.folder.parent)}
            run.write_description(description | turn)
            _note_versions(start, hooks)
        # Without `until`, but for new minutes: a revised number of steps would not continue the run
        # bit for bit.
        yield Session(run, task, dataset, plan, description, group, start, until)


def _more(
    plan: Plan, step: int, more: More, run: Run, dataset: Dataset, group: Group, began: float
) -> Plan:
    """The plan of a run that is given more; every rank has to call it, and rank 0 decides."""
    count = 0
    if group.is_main:
        logged = [event.get("tokens_per_second") for event in run.events()]
        speeds = [float(speed) for speed in logged if isinstance(speed, int | float)]
        left = 60 * (more.minutes or 0.0) - (time.perf_counter() - began)
        count = more.num_steps(plan, dataset.size("train"), speeds, left)
    count = int(group.broadcast(str(count) if group.is_main else ""))
    return restarted(plan, step, count, more.given)


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


def _same_data(
    task: Task, run: Run, config: DataConfig, start: Checkpoint, changed: bool = False
) -> Dataset:
    """The data that the checkpoint was trained on. CorpusError if it has changed since.

    changed: whether the files may differ from what the run has kept of them.
    """
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
    if now not in (None, before) and not (changed and dataset is not None):
        # What is to be learned is in the run's folder, so a line more in the file need not end it.
        kept = dataset is not None
        raise CorpusError(
            f"the text has changed since the run began: its sha256 was {before} and is {now}",
            "bring the old text back"
            + (", go on with the kept tokens: --allow-changed-text," if kept else ",")
            + " or start a new run",
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
    now = versions()
    changed = [k for k in ("torch", "machine") if start.info.versions.get(k) != now[k]]
    if changed:
        name = changed[0]
        hooks.on_note(
            f"{name} was {start.info.versions.get(name)} and is {now[name]}: the run continues, "
            "but not bit for bit as it would have"
        )
