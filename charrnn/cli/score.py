"""`charrnn score`: how likely a model finds a text. Torch is not imported."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn import runs
from charrnn.checkpoint import SUFFIX
from charrnn.cli.options import (
    Json,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    default_threads,
    option,
)
from charrnn.cli.prompts import STDIN, read_text
from charrnn.errors import CorpusError, UsageError


def score(
    run: RunName = None,
    file: Annotated[
        str | None,
        typer.Argument(help="A text, - for stdin; a file alone needs no RUN.", show_default=False),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    per_line: Annotated[
        bool, option("--per-line", help="Rank the lines, the most surprising first.")
    ] = False,
    color: Annotated[
        bool, option("--color", help="Show the text with each character's surprise.")
    ] = False,
    yardsticks: Annotated[
        bool, option(help="Measure a 5-gram model, gzip and xz beside it.")
    ] = True,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Say how likely a model finds a text, in bits per character.

    Each line is judged by itself with --per-line, else the text as a whole.
    """
    if color and (per_line or json):
        other = "--per-line" if per_line else "--json"
        raise UsageError(f"{other} and --color contradict each other", "give one of them")
    run, file = _sort(run, file)
    path, model = runs.load_checkpoint(runs_dir, run, checkpoint)
    if not (text := read_text(file)):
        raise CorpusError(f"{file} is empty", "give a text")
    from charrnn.cli import scores
    from charrnn.corpus import reopen
    from charrnn.engine import Engine

    engine = Engine(model, threads or default_threads(), precision)
    if per_line:
        scores.lines(model.tokenizer, engine, text, json)
        return
    judged = scores.judge(model.tokenizer, engine, text)
    if color:
        scores.paint(judged)
        return
    corpus = reopen(path.parent / "corpus", model.tokenizer) if yardsticks else None
    scores.whole(judged, text, corpus, yardsticks, json)


def _sort(run: str | None, file: str | None) -> tuple[str | None, str]:
    """The run and the text; of one argument alone, tell which of the two it is."""
    if file is not None or run is None:
        return run, file or STDIN
    is_text = run == STDIN or (Path(run).is_file() and Path(run).suffix != SUFFIX)
    return (None, run) if is_text else (run, STDIN)
