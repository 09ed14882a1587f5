"""Options and arguments that several commands share, and options made from config fields."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from charrnn.checkpoints.run import STEP_NAME, find_run, list_runs
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError


def option(*names: str, **settings: Any) -> Any:
    """An option. Its environment variable follows one rule, so the help does not repeat it."""
    return typer.Option(*names, show_envvar=False, **settings)


RunsDir = Annotated[
    Path,
    option(envvar="CHARRNN_RUNS", help="Folder that holds the runs.", file_okay=False),
]

Json = Annotated[bool, option("--json", help="Print JSON on stdout, one object per line.")]

Force = Annotated[bool, option("--force", help="Overwrite an existing file.")]


COMPLETE = "_CHARRNN_COMPLETE"
"""The variable by which a shell asks for the completion of a line."""


def completed_words() -> list[str]:
    """The words of the line that a shell asks to complete, without the last; [] if none does."""
    if COMPLETE not in os.environ:
        return []
    # The first is bash's, the other that of zsh and fish. Quotes do not matter here.
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    return line.rstrip("\n").split(" ")[1:-1]


def _checkpoint_names(context: typer.Context, incomplete: str) -> list[str]:
    """The steps of the run that the line names, for the shell."""
    root = Path(context.params.get("runs_dir") or os.environ.get("CHARRNN_RUNS") or "runs")
    # An option without its value, as the last word is, keeps the arguments from being read.
    named = [word for word in completed_words()[1:] if (root / word / "run.json").is_file()]
    try:
        run = find_run(root, named[0] if named else None)
    except CharRNNError:
        return []
    steps = sorted(
        int(match[1]) for each in run.folder.iterdir() if (match := STEP_NAME.fullmatch(each.name))
    )
    return [name for name in ["best", "latest", *map(str, steps)] if name.startswith(incomplete)]


Which = Annotated[
    str,
    option(
        "--checkpoint",
        metavar="WHICH",
        help="Checkpoint to load: best (in validation), latest, or a step.",
        autocompletion=_checkpoint_names,
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


def _run_names(context: typer.Context, incomplete: str) -> list[str]:
    root = context.params.get("runs_dir") or os.environ.get("CHARRNN_RUNS") or "runs"
    names = [run.name for run in list_runs(Path(root))]
    return [name for name in names if name.startswith(incomplete)]


InitFrom = Annotated[
    str | None,
    option(
        "--from",
        metavar="MODEL",
        help="Begin with the weights of a run's best checkpoint, or of a checkpoint file.",
        show_default="random weights",
        autocompletion=_run_names,
    ),
]


def _runs_argument(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, help=text, autocompletion=_run_names, show_default=False)


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
