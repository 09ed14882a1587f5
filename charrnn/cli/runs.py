"""`charrnn runs`: list the runs, and how far each has got."""

import contextlib
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import ORIGINS
from charrnn.checkpoints.run import Entry, Run, list_runs
from charrnn.cli import terminal
from charrnn.cli.options import Json, RunsDir
from charrnn.cli.output import Output
from charrnn.cli.tables import print_table
from charrnn.errors import CheckpointError


def runs(runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List the runs, the one trained last at the end."""
    found = [_facts(run) for run in list_runs(runs_dir)]
    if json:
        out = Output()
        for facts in found:
            out.json(facts)
        return
    if not found:
        terminal.say(f"there is no run in {runs_dir}; train one: charrnn train corpus.txt")
        return
    # The lengths of other data are not in characters: of a series they are values.
    only_texts = not any("task" in facts for facts in found)
    columns = (
        "run",
        "text" if only_texts else "data",
        ">characters" if only_texts else ">length",
        "model",
        ">parameters",
        ">steps",
        ">best",
        ">size",
        "started",
    )
    print_table(columns, [_row(facts) for facts in found])


def _facts(run: Run) -> dict[str, Any]:
    """The fields of `runs --json`."""
    # One damaged run.json must not hide the other runs, so whatever is wrong in it is caught here.
    try:
        described = _described(run.description())
    except (CheckpointError, KeyError, TypeError, ValueError, OverflowError):
        return {"run": run.name, "problem": "run.json cannot be read"}
    return {"run": run.name} | described | _reached(run)


def _described(about: dict[str, Any]) -> dict[str, Any]:
    """run.json -> how the run was started."""
    plan, recipe = about["plan"], about["recipe"]
    return {
        "corpus": [str(name) for name in recipe["sources"]],
        "characters": _length(about["corpus"]),
        # The kind of token that the model reads; a task without a tokenizer shows its own name.
        "tokenizer": about.get("task", recipe["tokenizer"]),
        "cell": plan["model"]["cell"],
        "num_layers": plan["model"]["num_layers"],
        "hidden_size": plan["model"]["hidden_size"],
        "parameters": int(plan["parameters"]),
        "steps": plan["train"]["steps"],
        "started": str(about["started"]),
        # Absent for language models, as in run.json.
        **({"task": about["task"]} if "task" in about else {}),
        # Absent for runs that began at random.
        **({ORIGINS: about[ORIGINS]} if about.get(ORIGINS) else {}),
    }


def _length(fingerprint: dict[str, Any]) -> int:
    """The length of a run's data in its task's own unit: characters of a text."""
    if "characters" in fingerprint:
        return int(fingerprint["characters"])
    return int(sum(fingerprint["parts"].values()))


def _reached(run: Run) -> dict[str, Any]:
    """How far a run has got, from its checkpoints; a training may be changing them meanwhile."""
    latest, best = run.latest(), run.best()
    total = 0
    # A file may be deleted between being listed and being measured.
    for path in run.folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += 0 if path.is_dir() else path.stat().st_size
    return {
        "step": latest.step if latest else 0,
        **_best(best),
        "best_step": best.step if best else None,
        "bytes": total,
    }


def _best(best: Entry | None) -> dict[str, Any]:
    """The best score, and its metric where it is not that of language models."""
    value = best.valid if best else None
    metric = best.info.metric if best and best.info else ""
    if not metric or metric == "nats_per_char":
        return {"best_nats_per_char": value}
    return {"best": value, "metric": metric}


def _row(facts: dict[str, Any]) -> list[str]:
    if "problem" in facts:
        return [facts["run"], facts["problem"], *[""] * 7]
    best = facts.get("best_nats_per_char", facts.get("best"))
    unit = f" {facts['metric']}" if "metric" in facts else ""
    return [
        facts["run"],
        " ".join(Path(name).name for name in facts["corpus"]),
        terminal.number(facts["characters"]),
        f"{facts['tokenizer']} {facts['cell']} {facts['num_layers']}x{facts['hidden_size']}"
        + "".join(f" from {each['name']}" for each in facts.get(ORIGINS, ())),
        terminal.number(facts["parameters"]),
        f"{facts['step']}/{facts['steps']}",
        "" if best is None else f"{best:.4f}{unit}",
        terminal.size(facts["bytes"]),
        facts["started"].replace("T", " ")[:16],  # ISO 8601, to the minute
    ]
