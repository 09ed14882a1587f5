"""Options and arguments that several commands share, and options made from config fields."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from charrnn.cli.completion import KINDS, asked_words
from charrnn.config import ModelConfig, TrainConfig


def option(*names: str, **settings: Any) -> Any:
    """An option. Its environment variable follows one rule, so the help does not repeat it."""
    return typer.Option(*names, show_envvar=False, **settings)


RunsDir = Annotated[
    Path,
    option(envvar="CHARRNN_RUNS", help="Folder that holds the runs.", file_okay=False),
]

Json = Annotated[bool, option("--json", help="Print JSON on stdout, one object per line.")]

Force = Annotated[bool, option("--force", help="Overwrite an existing file.")]


def _offered(kind: str) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """What the values of a parameter are -> the function by which typer completes them."""

    def complete(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        root = context.params.get("runs_dir") or os.environ.get("CHARRNN_RUNS") or "runs"
        words, _ = asked_words(os.environ)
        return [item for item in KINDS[kind](Path(root), words) if item[0].startswith(incomplete)]

    complete.kind = kind  # type: ignore[attr-defined]  # for the table of `completion`
    return complete


offered_runs, offered_checkpoints, offered_labels = map(_offered, KINDS)
"""Completions of runs, of a run's checkpoints and of its labels."""

Which = Annotated[
    str,
    option(
        "--checkpoint",
        metavar="WHICH",
        help="Checkpoint to load: best (in validation), latest, or a step.",
        autocompletion=offered_checkpoints,
    ),
]

TrainMix = Annotated[
    Literal["ngram", "none"] | None,
    option(
        help="Mix the network with n-gram models of its text at the end, by weights fitted on "
        "pieces of the text that are kept apart.",
        show_default="none",
    ),
]

Conditions = Annotated[
    bool | None,
    option(
        "--conditions/--no-conditions",
        help="Each line is label<TAB>text, or each folder of a folder is a label, which the model "
        "learns to write in.",
        show_default="no-conditions",
    ),
]

Mix = Annotated[
    Literal["ngram", "none"] | None,
    option(
        help="Mix the network with n-gram models of its training text, or not.",
        show_default="as it was trained",
    ),
]

Adapt = Annotated[
    bool,
    option("--adapt", help="Also say how well a copy of the model does that learns as it reads."),
]

Errors = Annotated[
    Literal["strict", "replace", "skip"],
    option(help="Bytes of the text that are not valid in its encoding: strict is an error."),
]

Threads = Annotated[
    int | None,
    option(
        min=1,
        max=1024,
        help="Processor threads.",
        show_default="the faster of one and all cores, at most 4",
    ),
]

Device = Annotated[str, option(help="Device to compute on: auto, cpu, cuda or mps.")]

Precision = Annotated[
    Literal["float32", "int8"],
    option(
        help="Weights as float32, or as int8 (one byte each), which is faster for single texts of "
        "large models."
    ),
]


InitFrom = Annotated[
    str | None,
    option(
        "--from",
        metavar="MODEL",
        help="Begin with the weights of a run's best checkpoint, or of a checkpoint file.",
        show_default="random weights",
        autocompletion=offered_runs,
    ),
]


def _runs_argument(metavar: str, text: str) -> Any:
    return typer.Argument(
        metavar=metavar, help=text, autocompletion=offered_runs, show_default=False
    )


RunName = Annotated[
    str | None,
    _runs_argument(
        "[RUN]", "A run's name or folder, or a checkpoint file; the run trained last if left out."
    ),
]

RunFolder = Annotated[
    str | None, _runs_argument("[RUN]", "A run's name or folder; the run trained last if left out.")
]
"""For commands that work on all checkpoints of a run."""


def run_names(default: str) -> Any:
    """An argument of several runs; `default` says in the help which are taken if it is left out."""
    return _runs_argument("RUN", f"Names or folders of runs; {default} if left out.")


def config_option(kind: type[ModelConfig] | type[TrainConfig], name: str) -> Any:
    """A config field -> its option, with the field's name, help and bounds."""
    item = next(each for each in dataclasses.fields(kind) if each.name == name)
    flag = "--" + name.replace("_", "-")
    # Both forms, because an option that is left out is planned and so neither on nor off.
    if type(item.default) is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    choices = ", ".join(item.metadata.get("choices", ()))
    return option(
        flag,
        help=item.metadata["help"].rstrip(".") + (f": {choices}." if choices else "."),
        min=item.metadata.get("low"),
        max=item.metadata.get("high"),
        # The planner fills in all fields but these three and those that were added later.
        show_default=str(item.default)
        if name in ("seed", "keep", "grad_clip") or item.metadata.get("added")
        else "planned",
    )
