"""What a resumption goes on from: the run's description, its checkpoint, its text, its plan."""

from typing import Any

from charrnn import checkpoint, corpus, sitting
from charrnn.checkpoint import Checkpoint
from charrnn.cli import ui
from charrnn.corpus import Corpus, Recipe
from charrnn.distributed import Group
from charrnn.errors import CheckpointError, CorpusError
from charrnn.plan import Plan
from charrnn.run import Run


def recorded(run: Run, about: dict[str, Any]) -> tuple[Recipe, int, dict[str, Any]]:
    """What run.json keeps of the text, of the number of steps and of what the plan costs."""
    try:
        plan = about["plan"]
        costs = {key: float(plan[key]) for key in ("tokens_per_second", "epochs", "seconds")}
        numbers = {"memory": int(plan["memory"]), "most_steps": int(plan.get("most_steps", 0))}
        steps = max(1, int(plan["train"]["steps"]))
        return corpus.recipe_from_json(about["recipe"]), steps, costs | numbers
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CheckpointError(
            f"{run.folder / 'run.json'} does not say how the run was started", "start a new run"
        ) from None


def continued(found: Checkpoint, steps: int, costs: dict[str, Any]) -> Plan:
    """The plan of a checkpoint, whose steps may be others than those that the costs were for."""
    assert found.training is not None
    part = found.training.config.steps / steps
    costs = costs | {key: costs[key] * part for key in ("epochs", "seconds")}
    return Plan(found.model, found.training.config, **costs)


def newest(run: Run, group: Group) -> Checkpoint:
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


def same_corpus(run: Run, recipe: Recipe, found: Checkpoint) -> Corpus:
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


def warn_of_versions(found: Checkpoint) -> None:
    """Say in a line where the run cannot go on bit for bit."""
    now = sitting.versions()
    odd = [k for k in ("torch", "machine") if found.facts.versions.get(k) != now[k]]
    if odd:
        ui.note(
            f"{odd[0]} was {found.facts.versions.get(odd[0])} and is {now[odd[0]]}: "
            "the run goes on, but not bit for bit as it would have"
        )
