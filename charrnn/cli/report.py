"""`charrnn report`: one web page about a run, to hand to somebody."""

from pathlib import Path
from typing import Annotated

from charrnn.activity import activity
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import Run, find_run
from charrnn.cli import plot, terminal
from charrnn.cli.options import Force, RunFolder, RunsDir, Threads, Which, option
from charrnn.cli.pages.neurons_page import neurons_section
from charrnn.cli.pages.page import Section, check_page, page, write_page
from charrnn.cli.pages.run_page import (
    curves_section,
    outcome_section,
    plan_section,
    samples_section,
)
from charrnn.errors import CorpusError
from charrnn.evaluation.learning_curves import Log, metric_of

WHATS = ("loss", "learning-rate", "grad-norm", "speed")
"""The learning curves of a report, in their order."""


def report(
    run: RunFolder = None,
    runs_dir: RunsDir = Path("runs"),
    html: Annotated[
        Path | None,
        option("--html", "-o", help="Name of the page.", show_default="the run's, with .html"),
    ] = None,
    force: Force = False,
    checkpoint: Which = "best",
    threads: Threads = None,
) -> None:
    """Write one self-contained web page about a run: curves, plan, samples, neurons, gradients.

    The page opens without a network, in light and dark. What single units follow and how far
    gradients reach are measured on the validation part; they are left out of runs of other tasks
    than text.
    """
    found = find_run(runs_dir, run)
    path = html or Path(f"{found.name}.html")
    check_page(path, force)
    log = plot.read(runs_dir, str(found.folder))
    sections = [
        outcome_section(found, log),
        curves_section(plot.chart_of([log], what) for what in WHATS),
        samples_section(log),
        *_inside(found, checkpoint, threads),
        plan_section(found),
    ]
    text = _described(found, log)
    write_page(path, page(found.name, text, [each for each in sections if each]))


def _described(run: Run, log: Log) -> str:
    model = log.plan.get("model") or {}
    size = f"{model.get('cell', '')} {model.get('num_layers', '')}x{model.get('hidden_size', '')}"
    started = str(run.description().get("started", ""))[:16].replace("T", " ")
    return f"{size}, measured by {metric_of(log)}, started {started} UTC"


def _inside(run: Run, checkpoint: str, threads: int | None) -> list[Section]:
    """What looks inside the network: its units and its gradients; a note on what is left out."""
    from charrnn import api

    model = api.load(run, checkpoint=checkpoint, threads=threads)
    if model.checkpoint.task != LANGUAGE:
        terminal.note(
            f"a model of the task {model.checkpoint.task} has no neurons or gradients of texts"
        )
        return []
    sections = []
    try:
        found = model.neurons(guesses=True)
        sections.append(neurons_section(found, model.tokenizer))
    except CorpusError as error:
        terminal.note(f"neurons left out: {error}")
    from charrnn.cli import gradients

    try:
        with activity("measuring gradients"):
            sections.append(gradients.section(model, threads))
    except CorpusError as error:
        terminal.note(f"gradients left out: {error}")
    return sections
