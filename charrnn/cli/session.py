"""One sitting of `charrnn train`: find or make the run, plan or take up its plan, tell events."""

import contextlib
import datetime
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charrnn import checkpoint, corpus, events, runs, sitting, tokenizer, training
from charrnn.checkpoint import Checkpoint
from charrnn.cli import resuming, ui
from charrnn.cli.narrator import Narrator
from charrnn.cli.output import Output
from charrnn.cli.signals import Interrupts
from charrnn.corpus import Corpus, Recipe
from charrnn.distributed import Group, join, leave
from charrnn.errors import CorpusError, UsageError
from charrnn.plan import Plan
from charrnn.planning import Budget, make_plan
from charrnn.presets import Preset
from charrnn.run import Run


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    recipe: dict[str, Any]
    given: dict[str, Any]
    budget: dict[str, Any]
    preset: Preset | None
    name: str | None
    runs_dir: Path
    resume: bool
    device: str
    json: bool
    quiet: bool
    began: float


def start(request: Request) -> None:
    """Train or resume, from the first check to the last event."""
    interrupts = Interrupts()
    with interrupts.listen():
        group = join(request.device)
        try:
            with _resumed(request, group) if request.resume else _begun(request, group) as work:
                _tell(request, work, group, interrupts)
        finally:
            leave(group)


@dataclass(frozen=True)
class _Work:
    """All that `training.train` needs."""

    run: Run
    corpus: Corpus
    plan: Plan
    about: dict[str, Any]
    checkpoint: Checkpoint | None = None
    until: float | None = None


@contextlib.contextmanager
def _begun(request: Request, group: Group) -> Iterator[_Work]:
    """A new run, locked; its folder goes again when nothing came of it."""
    recipe = Recipe(**request.recipe)
    budget = Budget(**request.budget)
    run = _new_run(request, recipe, group)
    try:
        with run.lock() if group.leads else contextlib.nullcontext():
            text = _prepared(recipe, run, group)
            checkpoint.check_vocabulary(text.tokenizer)
            plan = make_plan(text, request.given, budget, group, request.preset, request.began)
            about = _about(run, recipe, text, plan)
            if group.leads:
                run.describe(about)
                if run.name != _wanted(request, recipe) and not request.quiet:
                    ui.note(f"this run is called {run.name}")
            until = request.began + 60 * budget.minutes if budget.minutes else None
            yield _Work(run, text, plan, about, until=until)
    except BaseException:
        if group.leads and not run.entries():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _new_run(request: Request, recipe: Recipe, group: Group) -> Run:
    wanted = _wanted(request, recipe)
    folder = str(runs.create(request.runs_dir, wanted).folder) if group.leads else ""
    return Run(Path(group.share(folder)))


def _wanted(request: Request, recipe: Recipe) -> str:
    """The name that the run has if it can: the one given, or its corpus's."""
    source = recipe.sources[0]
    return request.name or ("stdin" if source == "-" else Path(os.path.realpath(source)).stem)


def _prepared(recipe: Recipe, run: Run, group: Group) -> Corpus:
    """The corpus; rank 0 makes the arrays, the others open them."""
    text = corpus.prepare(recipe, run.corpus_folder) if group.leads else None
    shared = group.share(json.dumps(text.tokenizer.to_json()) if text else "")
    if text is None:
        text = corpus.reopen(run.corpus_folder, tokenizer.from_json(json.loads(shared)))
    if text is None:
        raise CorpusError(
            f"the tokens in {run.corpus_folder} cannot be read by every process",
            "keep the runs folder on a disk that all machines share",
        )
    return text


def _about(run: Run, recipe: Recipe, text: Corpus, plan: Plan) -> dict[str, Any]:
    return {
        "recipe": asdict(recipe),
        "corpus": text.fingerprint(),
        "plan": plan.to_json(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "turn": runs.next_turn(run.folder.parent),
        "versions": sitting.versions(),
    }


@contextlib.contextmanager
def _resumed(request: Request, group: Group) -> Iterator[_Work]:
    """The last run or the one named, locked, with its newest readable checkpoint."""
    unasked = asdict(Recipe(sources=())) | dict.fromkeys(request.budget) | {"preset": None}
    asked = request.recipe | request.budget | {"preset": request.preset}
    odd = sorted(request.given.keys() | {k for k, v in asked.items() if v != unasked[k]})
    if odd:
        option = "--" + odd[0].replace("_", "-")
        raise UsageError(
            f"{option} cannot be changed by --resume, which continues the plan as it was",
            f"leave {option} out or start a new run",
        )
    run = runs.find(request.runs_dir, request.name)
    with run.lock() if group.leads else contextlib.nullcontext():
        about = run.about()
        recipe, steps, costs = resuming.recorded(run, about)
        found = resuming.newest(run, group)
        assert found.training is not None
        text = resuming.same_corpus(run, recipe, found)
        plan = resuming.continued(found, steps, costs)
        about |= {"plan": plan.to_json()}
        if group.leads:
            run.rewind(found.facts.step)
            run.describe(about | {"turn": runs.next_turn(run.folder.parent)})
            resuming.warn_of_versions(found)
        yield _Work(run, text, plan, about, found)


def _tell(request: Request, work: _Work, group: Group, interrupts: Interrupts) -> None:
    """Run the training; rank 0 writes each event to the log, the screen and, as JSON, stdout."""
    narrator = Narrator(work.corpus, silent=request.quiet or not group.leads)
    out = Output() if request.json and group.leads else None
    interrupts.deferring = True
    told = training.train(
        work.plan,
        work.corpus,
        work.run,
        group,
        work.checkpoint,
        lambda: interrupts.number,
        work.until,
    )
    with narrator:
        for event in told:
            data = events.to_json(event)
            if group.leads:
                work.run.log(data)
            if isinstance(event, events.Revised) and group.leads:
                work.run.describe(work.about | {"plan": event.plan.to_json()})
            narrator.tell(event)
            try:
                if out:
                    out.json(data)
            except BrokenPipeError:
                out = None
                interrupts.number = 13  # SIGPIPE: who asked for the events has left
