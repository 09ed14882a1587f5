"""Options and arguments that several commands share, and options made from config fields."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from charrnn import runs
from charrnn.config import ModelConfig, TrainConfig


def option(*names: str, **settings: Any) -> Any:
    """An option; its environment variable, the same rule for all, is not repeated in its help."""
    return typer.Option(*names, show_envvar=False, **settings)


RunsDir = Annotated[
    Path,
    option(envvar="CHARRNN_RUNS", help="Folder that holds the runs.", file_okay=False),
]

Json = Annotated[bool, option("--json", help="Print JSON, one object a line, on stdout.")]

Which = Annotated[str, option("--checkpoint", metavar="WHICH", help="best, latest, or a step.")]

Threads = Annotated[
    int | None,
    option(min=1, max=1024, help="Processor threads.", show_default="all cores, at most 4"),
]

Precision = Annotated[
    Literal["float32", "int8"],
    option(help="float32, or int8: weights of one byte, faster for a large model's single text."),
]


def _run_names(context: typer.Context, incomplete: str) -> list[str]:
    names = [run.name for run in runs.every(Path(context.params.get("runs_dir") or "runs"))]
    return [name for name in names if name.startswith(incomplete)]


RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's name or folder, or a checkpoint file; the run trained last if left out.",
        autocompletion=_run_names,
        show_default=False,
    ),
]


def run_names(left_out: str) -> Any:
    """An argument of several runs; the help says which they are if they are left out."""
    return typer.Argument(
        metavar="RUN",
        help=f"Names or folders of runs; {left_out} if left out.",
        autocompletion=_run_names,
        show_default=False,
    )


def config_option(kind: type[ModelConfig] | type[TrainConfig], name: str) -> Any:
    """The option of a config field: its name, help and bounds come from the field."""
    item = next(each for each in dataclasses.fields(kind) if each.name == name)
    spelled = "--" + name.replace("_", "-")
    if type(item.default) is bool:
        spelled = f"{spelled}/--no-{spelled[2:]}"
    choices = ", ".join(item.metadata.get("choices", ()))
    return option(
        spelled,
        help=item.metadata["help"].rstrip(".") + (f": {choices}." if choices else "."),
        min=item.metadata.get("low"),
        max=item.metadata.get("high"),
        show_default="planned" if name not in ("seed", "keep", "grad_clip") else str(item.default),
    )


def default_threads() -> int:
    """One thread a core, four at most: a single text keeps no more of them busy."""
    import os

    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
