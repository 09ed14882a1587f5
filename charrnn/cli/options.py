"""Options and arguments that several commands share, and options made from config fields."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from charrnn.checkpoints.run import list_runs
from charrnn.config import ModelConfig, TrainConfig


def option(*names: str, **settings: Any) -> Any:
    """An option. Its environment variable follows one rule, so the help does not repeat it."""
    return typer.Option(*names, show_envvar=False, **settings)


RunsDir = Annotated[
    Path,
    option(envvar="CHARRNN_RUNS", help="Folder that holds the runs.", file_okay=False),
]

Json = Annotated[bool, option("--json", help="Print JSON on stdout, one object per line.")]

Which = Annotated[str, option("--checkpoint", metavar="WHICH", help="best, latest, or a step.")]

Threads = Annotated[
    int | None,
    option(min=1, max=1024, help="Processor threads.", show_default="all cores, at most 4"),
]

Precision = Annotated[
    Literal["float32", "int8"],
    option(help="float32, or int8: one byte per weight, faster for single texts of large models."),
]


def _run_names(context: typer.Context, incomplete: str) -> list[str]:
    names = [run.name for run in list_runs(Path(context.params.get("runs_dir") or "runs"))]
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


def run_names(default: str) -> Any:
    """An argument of several runs; `default` says in the help which are taken if it is left out."""
    return typer.Argument(
        metavar="RUN",
        help=f"Names or folders of runs; {default} if left out.",
        autocompletion=_run_names,
        show_default=False,
    )


def config_option(kind: type[ModelConfig] | type[TrainConfig], name: str) -> Any:
    """A config field -> its option, with the field's name, help and bounds."""
    item = next(each for each in dataclasses.fields(kind) if each.name == name)
    flag = "--" + name.replace("_", "-")
    if type(item.default) is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    choices = ", ".join(item.metadata.get("choices", ()))
    return option(
        flag,
        help=item.metadata["help"].rstrip(".") + (f": {choices}." if choices else "."),
        min=item.metadata.get("low"),
        max=item.metadata.get("high"),
        show_default="planned" if name not in ("seed", "keep", "grad_clip") else str(item.default),
    )
