"""`charrnn classify`: a line in, its label out, in order. torch is not imported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.lines import argument, blocks_of, sort_arguments
from charrnn.cli.options import Errors, Json, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.cli.prompts import STDIN

if TYPE_CHECKING:
    from charrnn.tasks.labels.classifier import Classification


def classify(
    run: RunName = None,
    text: Annotated[
        str | None,
        typer.Argument(
            help="A text, or - for the lines of stdin; as the only argument it is classified by "
            "the last run.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    top: Annotated[
        int | None,
        option(
            min=1,
            max=10_000,
            help="Print so many labels of each line, the most likely first.",
            show_default="those that are predicted",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        option(
            min=0.0,
            max=1.0,
            help="Probability from which on a label is predicted; a line without one stays empty.",
            show_default="the most likely label; 0.5 with several labels a text",
        ),
    ] = None,
    encoding: Annotated[str, option(help="Encoding of stdin.")] = "utf-8",
    errors: Errors = "strict",
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Label lines with a model of labels.

    Each line of stdin becomes a line of stdout, in order: a label, a tab, its probability; several
    labels follow each other on the line.
    """
    from charrnn import api

    run, text = sort_arguments(run, text, runs_dir)
    model: Any = api.load(
        run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, task="labels"
    )
    blocks = blocks_of(encoding, errors) if text == STDIN else iter([[argument(text)]])
    out = Output()
    for block in blocks:
        for found in model.classifications(block, threshold):
            _print(out, found, top, threshold, json)
        out.flush()


def _print(
    out: Output, found: "Classification", top: int | None, threshold: float | None, as_json: bool
) -> None:
    """The labels of one line."""
    chosen = dict(found.ranked[:top] if top else found.ranked)
    if not top or threshold is not None:
        chosen = {label: chosen[label] for label in found.labels if label in chosen}
    if as_json:
        out.json({"text": found.text, "labels": list(found.labels), "probabilities": chosen})
        return
    out.write("\t".join(f"{label}\t{value:.4f}" for label, value in chosen.items()) + "\n")
