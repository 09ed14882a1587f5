"""`charrnn checkpoints`: list, show, prune, export and verify the files of a run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.checkpoints import checkpoint as library
from charrnn.checkpoints.atomic import check_target
from charrnn.checkpoints.container import PICKLE_SUFFIXES
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import Entry, Run, find_run, load_checkpoint
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN, Checked
from charrnn.cli.options import Force, Json, RunFolder, RunName, RunsDir, Which, option
from charrnn.cli.output import Output
from charrnn.cli.tables import print_table
from charrnn.config import config_to_json
from charrnn.errors import CheckpointError, UsageError
from charrnn.tasks import get_task

NATS = "nats_per_char"
"""The metric of language models, whose JSON is older than other metrics are."""

FORMATS = ("safetensors", "onnx")
"""Formats of `export`, the default first; each is a suffix, too."""

checkpoints = typer.Typer(help="List, show, prune, export and verify checkpoints.")


@checkpoints.command("list", cls=Checked)
def list_(run: RunFolder = None, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List a run's checkpoints, with their validation score in the metric of the run's task."""
    found = find_run(runs_dir, run)
    best, latest = found.best(), found.latest()
    entries = found.entries()
    rows = [_to_json(entry, best, latest) for entry in entries]
    metric = next((e.info.metric for e in entries if e.info and e.info.metric), NATS)
    if json:
        out = Output()
        for row in rows:
            out.json(row)
    elif rows:
        valid = "valid" if metric == NATS else f"valid {metric}"
        columns = (">step", ">epoch", f">{valid}", ">size", "", "file")
        print_table(columns, [_row(row) for row in rows])
    else:
        terminal.say(f"the run {found.name} has no checkpoint yet")


def _to_json(entry: Entry, best: Entry | None, latest: Entry | None) -> dict[str, Any]:
    return {
        "step": entry.step,
        "epoch": entry.info.epoch if entry.info else None,
        **_valid(entry),
        "bytes": entry.bytes,
        "best": best is not None and best.path == entry.path,
        "latest": latest is not None and latest.path == entry.path,
        "problem": entry.problem,
        "path": str(entry.path),
    }


def _valid(entry: Entry) -> dict[str, Any]:
    """The score by its name: format 1 has one of its own, format 2 names its metric."""
    metric = entry.info.metric if entry.info else NATS
    if metric in (NATS, ""):
        return {"valid_nats_per_char": entry.valid} if metric else {"valid": entry.valid}
    return {"valid": entry.valid, "metric": metric}


def _row(row: dict[str, Any]) -> list[str]:
    marks = [name for name in ("best", "latest") if row[name]]
    valid = row["valid_nats_per_char"] if "valid_nats_per_char" in row else row["valid"]
    epoch = row["epoch"]
    return [
        str(row["step"]),
        "" if epoch is None else f"{epoch:.2f}",
        "" if valid is None else f"{valid:.4f}",
        terminal.size(row["bytes"]),
        "unreadable" if row["problem"] else ", ".join(marks),
        row["path"],
    ]


@checkpoints.command(cls=Checked)
def show(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    checkpoint: Which = "best",
    json: Json = False,
) -> None:
    """Show a checkpoint's model, tokenizer and training, after verifying the whole file."""
    path, model = load_checkpoint(runs_dir, run, checkpoint)
    fields = {
        "path": str(path),
        "bytes": path.stat().st_size,
        "parameters": get_task(model.task).num_parameters(model.config),
        "weights_sha256": library.digest(model.weights),
        # The encoder of another task may have no name.
        "tokenizer": getattr(model.encoder, "name", type(model.encoder).__name__),
        "model": config_to_json(model.config),
        "facts": model.info.to_json(),
    }
    if model.mixture is not None:
        fields["mixture"] = model.mixture.to_json()
    if model.task != LANGUAGE:
        del fields["tokenizer"], fields["facts"]
        about = {"encoder": model.encoder.to_json(), "info": model.info.to_json_2()}
        fields = {"task": model.task} | fields | about
    out = Output()
    if json:
        out.json(fields)
        return
    # What is written of a model of text stays as it is, for who reads it by a program.
    for name, value in _rows(fields, plain=model.task == LANGUAGE):
        out.write(f"{name:24} {value}\n")
    for each in model.info.origins:
        earlier = f", and {each['earlier']} before it" if "earlier" in each else ""
        out.write(
            f"{'begun with':24} {each['name']}, step {each.get('step', '?')}, "
            f"sha256 {each.get('sha256', '?')}{earlier}\n"
        )
    out.flush()


def _rows(fields: dict[str, Any], plain: bool) -> list[tuple[str, str]]:
    """Nested values -> rows of name and value, each in one line.

    A name that has several values is that of its parent too: `source.name`, `target.name`.
    plain: names without parents, also where they are the same.
    """
    values: dict[str, set[str]] = {}
    pairs = [
        (parent, key, str(value).replace("\n", "\\n"))
        for parent, key, value in _flat(fields)
        if key != library.ORIGINS
    ]
    if plain:
        return [(key, value) for _, key, value in pairs]
    for _, key, value in pairs:
        values.setdefault(key, set()).add(value)
    rows = [(f"{p}.{k}" if p and len(values[k]) > 1 else k, value) for p, k, value in pairs]
    return list(dict.fromkeys(rows))


def _flat(fields: dict[str, Any], parent: str = "") -> list[tuple[str, str, Any]]:
    """Nested values -> the name of what each is in, its own, and the value."""
    found: list[tuple[str, str, Any]] = []
    for key, value in fields.items():
        if key == "speakers" and isinstance(value, dict):
            # Names are no fields, and there may be a thousand.
            most = ", ".join(f"{name} {turns}" for name, turns in list(value.items())[:5])
            value = most + (f" and {len(value) - 5:,} more" if len(value) > 5 else "")
        found += _flat(value, key) if isinstance(value, dict) else [(parent, key, value)]
    return found


@checkpoints.command(cls=Checked)
def prune(
    run: RunFolder = None,
    runs_dir: RunsDir = Path("runs"),
    keep: Annotated[
        int, option(min=1, max=10_000, help="How many of the newest checkpoints to keep.")
    ] = 1,
) -> None:
    """Remove a run's older checkpoints; the newest and the best are always kept."""
    found = find_run(runs_dir, run)
    # Under the lock, because a training deletes old checkpoints of its run too.
    with found.lock():
        removed, warnings = found.prune(keep)
    out = Output()
    for path in removed:
        out.write(f"{path}\n")
    out.flush()
    for warning in warnings:
        terminal.note(warning)
    terminal.say(f"removed {len(removed)}, kept {len(found.entries())}")


@checkpoints.command(cls=Checked)
def export(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    checkpoint: Which = "best",
    output: Annotated[
        Path | None,
        option("--output", "-o", help="File to write.", show_default="RUN.FORMAT"),
    ] = None,
    file_format: Annotated[
        str,
        option(
            "--format",
            # Typer derives the variable from the parameter, which is not called like the option.
            envvar="CHARRNN_CHECKPOINTS_EXPORT_FORMAT",
            help="File format: safetensors, or onnx for use by other programs.",
            show_default="by the name of --output, else safetensors",
        ),
    ] = FORMATS[0],
    force: Force = False,
) -> None:
    """Write a model to a file of its own, without its training state, for sharing."""
    # The default gives way to the suffix of --output, so only a format that was asked for counts.
    asked = file_format if "file_format" in GIVEN.get() else None
    file_format = _export_format(asked, output)
    path, model = load_checkpoint(runs_dir, run, checkpoint)
    # A checkpoint in a run is called step-000001000: the run's name says more. Resolved, because
    # `export .` names a folder that has no name in its path.
    folder = path.parent.resolve()
    stem = folder.name if (folder / "run.json").exists() else path.stem
    target = output or Path(f"{stem}.{file_format}")
    check_target(target, force)
    if file_format == "onnx":
        # The predictor of another task writes its own form, or says that it has none.
        if model.task != LANGUAGE:
            get_task(model.task).predictor(model, path).export_onnx(target)
            _print_path(target)
            return
        # Imported only here, as in all commands: what a command does not use costs it no time.
        from charrnn.inference.graphs import export as export_onnx

        if model.mixture is not None:
            terminal.note("the ONNX file has the network alone, without the n-gram models")
        export_onnx(model.without_training_state(), target)
    else:
        library.save(model.without_training_state(), target)
    _print_path(target)


def _print_path(target: Path) -> None:
    out = Output()
    out.write(f"{target}\n")
    out.flush()


def _export_format(given: str | None, output: Path | None) -> str:
    """--format, and the name of the file -> the format that is written.

    Without --format the suffix of the name decides. UsageError if the two disagree, or if it is
    the suffix of a format that is not written.
    """
    if given is not None and given not in FORMATS:
        raise UsageError(f"there is no format {given!r}", "choose safetensors or onnx")
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    if suffix in FORMATS and given not in (None, suffix):
        raise UsageError(f"{output} is not the name of a file in {given}", "leave --format out")
    # A model under the name of a pickle would be refused by every program that reads it.
    if suffix and f".{suffix}" in PICKLE_SUFFIXES:
        raise UsageError(
            f"{output} is the name of a pickle", "give one that ends in .safetensors or .onnx"
        )
    return given or (suffix if suffix in FORMATS else FORMATS[0])


@checkpoints.command(cls=Checked)
def verify(run: RunName = None, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """Read checkpoints completely and verify their checksums; exit code 4 if one is damaged.

    For each damaged one it prints what is wrong, and which older one to use instead.
    """
    # A file is verified on its own, but its replacement is looked for in the whole run.
    if run is not None and Path(run).is_file():
        paths = [Path(run)]
        older = [entry.path for entry in Run(paths[0].parent).entries()]
    else:
        paths = older = [entry.path for entry in find_run(runs_dir, run).entries()]
    out = Output()
    problems = {path: _problem(path) for path in paths}
    broken = [path for path, problem in problems.items() if problem]
    for path, problem in problems.items():
        instead = _instead(path, older) if problem else None
        if json:
            out.json({"path": str(path), "problem": problem, "instead": instead})
        elif problem:
            out.write(
                f"{problem}; " + (f"use {instead}\n" if instead else "no older one is whole\n")
            )
        else:
            out.write(f"{path} is whole\n")
    out.flush()
    if broken:
        good = next((path for path in reversed(older) if not _problem(path)), None)
        raise CheckpointError(
            f"{len(broken)} of {len(paths)} checkpoints are damaged",
            f"the newest whole one is {good}" if good else "none is whole; train again",
        )


def _problem(path: Path) -> str:
    """What is wrong with a file, including its training state; empty if nothing is."""
    try:
        # None: a checkpoint exported without its training state is no damage.
        library.load(path, training=None)
    except CheckpointError as error:
        return error.problem
    return ""


def _instead(path: Path, known: list[Path]) -> str | None:
    """The newest intact checkpoint before this one of the same run."""
    earlier = known[: known.index(path)] if path in known else []
    return next((str(each) for each in reversed(earlier) if not _problem(each)), None)
