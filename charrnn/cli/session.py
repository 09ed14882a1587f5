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
from charrnn.cli import ui
from charrnn.cli.narrator import Narrator
from charrnn.cli.output import Output
from charrnn.cli.signals import Interrupts
from charrnn.corpus import Corpus, Recipe
from charrnn.distributed import Group, join, leave
from charrnn.errors import CheckpointError, CorpusError, UsageError
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
            plan = make_plan(text, request.given, budget, group, request.preset)
            if group.leads:
                run.describe(_about(run, recipe, text, plan))
                if run.name != _wanted(request, recipe) and not request.quiet:
                    ui.note(f"this run is called {run.name}")
            until = request.began + 60 * budget.minutes if budget.minutes else None
            yield _Work(run, text, plan, until=until)
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
        recipe, costs = _recorded(run, about)
        found = _newest(run, group)
        assert found.training is not None
        text = _same_corpus(run, recipe, found)
        if group.leads:
            run.rewind(found.facts.step)
            run.describe(about | {"turn": runs.next_turn(run.folder.parent)})
            _warn_of_versions(found)
        yield _Work(run, text, Plan(found.model, found.training.config, **costs), found)


def _recorded(run: Run, about: dict[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """What run.json keeps of the text and of what the plan costs."""
    try:
        plan = about["plan"]
        costs = {key: float(plan[key]) for key in ("tokens_per_second", "epochs", "seconds")}
        return corpus.recipe_from_json(about["recipe"]), costs | {"memory": int(plan["memory"])}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CheckpointError(
            f"{run.folder / 'run.json'} does not say how the run was started", "start a new run"
        ) from None


def _newest(run: Run, group: Group) -> Checkpoint:
    """The newest checkpoint that can be resumed; a damaged one costs a line, not the run."""
    last: CheckpointError | None = None
    for entry in reversed(run.entries()):
        try:
            return checkpoint.load(entry.path, training=True)
        except CheckpointError as error:
            last = error
            if group.leads:
                ui.note(f"{error.problem}; trying the one before")
    raise last or CheckpointError(
        f"the run {run.name} has no checkpoint yet", "start it again without --resume"
    )


def _same_corpus(run: Run, recipe: Recipe, found: Checkpoint) -> Corpus:
    """The arrays that the checkpoint learned from; CorpusError when the text has changed since."""
    text = corpus.reopen(run.corpus_folder, found.tokenizer)
    before = found.facts.corpus.get("sha256")
    now = corpus.current_sha256(recipe, run.corpus_folder)
    if text is not None and text.sha256 != before:
        now = now or text.sha256
        text = None  # a cache of another text; made again where the right one is there
    if text is None and now is None:
        raise CorpusError(
            f"the text of the run {run.name} is gone: {', '.join(recipe.sources)}", "bring it back"
        )
    if now not in (None, before):
        raise CorpusError(
            f"the text has changed since the run began: its sha256 was {before} and is {now}",
            "bring the old text back, or start a new run",
        )
    text = text or corpus.prepare(recipe, run.corpus_folder, found.tokenizer)
    parts = text.fingerprint()["parts"]
    if found.facts.corpus.get("parts", parts) != parts or found.facts.lines != text.lines:
        raise CorpusError(
            f"the text of the run {run.name} is not parted as it was when the run began",
            "bring its run.json back, or start a new run",
        )
    return text


def _warn_of_versions(found: Checkpoint) -> None:
    now = sitting.versions()
    odd = [k for k in ("torch", "machine") if found.facts.versions.get(k) != now[k]]
    if odd:
        ui.note(
            f"{odd[0]} was {found.facts.versions.get(odd[0])} and is {now[odd[0]]}: "
            "the run goes on, but not bit for bit as it would have"
        )


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
                work.run.describe(work.run.about() | {"plan": event.plan.to_json()})
            narrator.tell(event)
            try:
                if out:
                    out.json(data)
            except BrokenPipeError:
                out = None
                interrupts.number = 13  # SIGPIPE: who asked for the events has left
