"""`charrnn score`: how likely a model finds a text. Torch is not imported."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn import runs
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
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if per_line and color:
        raise UsageError("--per-line and --color contradict each other", "give one of them")
    run, file = _sort(run, file)
    text = _text(file)
    from charrnn import checkpoint as checkpoints
    from charrnn.cli import scores
    from charrnn.corpus import reopen
    from charrnn.engine import Engine

    path = runs.find_checkpoint(runs_dir, run, checkpoint)
    model = checkpoints.load(path)
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


def _sort(run: str | None, file: str | None) -> tuple[str | None, str | None]:
    """Of one argument alone, tell whether it names a run or a text."""
    alone = file is None and run is not None
    if alone and (
        run == "-" or (Path(run or "").is_file() and Path(run or "").suffix != ".safetensors")
    ):
        return None, run
    return run, file


def _text(file: str | None) -> str:
    name = "stdin" if file in (None, "-") else file
    try:
        raw = sys.stdin.buffer.read() if name == "stdin" else Path(str(file)).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise CorpusError(f"cannot read {name}: {error.strerror}", "check the file") from None
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name} is not valid utf-8 at byte {error.start:,}", "give a text in UTF-8"
        ) from None
    if not text:
        raise CorpusError(f"{name} is empty", "give a text")
    return text
