"""`charrnn evaluate`: how well a model predicts text that it was not trained on."""

from pathlib import Path
from typing import Annotated, Any

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import (
    Device,
    Errors,
    Json,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    option,
)
from charrnn.cli.output import Output
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError
from charrnn.tasks.base import Predictor


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    split: Annotated[
        str, option(help="Part of the corpus to evaluate on: train, valid or test.")
    ] = "valid",
    file: Annotated[
        Path | None,
        option(help="A text file to evaluate on instead of the corpus.", show_default="none"),
    ] = None,
    encoding: Annotated[
        str, option(help="Encoding of --file.", show_default="the training text's")
    ] = "utf-8",
    errors: Errors = "strict",
    checkpoint: Which = "best",
    precision: Precision = "float32",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Evaluate a model: loss, bits per character, perplexity.

    Nats and bits are per character of the text, so that models with different tokenizers are
    comparable; loss and perplexity are per token.
    """
    from charrnn import api

    if split not in ("train", "valid", "test"):
        raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
    # An unknown encoding is an error even without --file, and before the model is loaded.
    DataConfig(sources=(), encoding=encoding)
    # Left out, it is the one that the run was trained with.
    asked = encoding if "encoding" in GIVEN.get() else None
    model = api.load(
        run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, precision=precision
    )
    out = Output()
    # The other tasks have other scores, and no text file to read instead of a split.
    if model.checkpoint.task != LANGUAGE:
        _evaluate_other(model, split, file, out, json)
        return
    score = model.evaluate(
        split, file=file, encoding=asked, errors=errors, device=device, on_note=terminal.note
    )
    if json:
        out.json(
            score.to_json() | {"checkpoint": str(model.path), "split": None if file else split}
        )
    else:
        out.write(
            f"{score.nats_per_char:.4f} nats/char, {score.bits_per_char:.4f} bits/char, "
            f"loss {score.loss:.4f} nats/token, perplexity {score.perplexity:.4g}, "
            f"over {score.tokens:,} tokens ({score.characters:,} characters)"
            f"{score.unknown_share()}\n"
        )
        out.flush()


def _evaluate_other(
    model: Predictor, split: str, file: Path | None, out: Output, as_json: bool
) -> None:
    """The score of a model that is not a language model, and of its baselines."""
    task = model.checkpoint.task
    given = GIVEN.get()
    for name in ("encoding", "errors", "device"):
        if name in given:
            option_name = given[name]
            raise UsageError(
                f"{option_name} has no effect on a model of the task {task}", "leave it out"
            )
    if file is not None and not model.reads_files:
        raise UsageError(f"a model of the task {task} has no --file", "use --split")
    files: dict[str, Any] = {"file": file} if file is not None else {}
    score = model.evaluate(split, **files)
    if as_json:
        place = {"checkpoint": str(model.path), "split": None if file else split}
        out.json(score.to_json() | place)
        return
    out.write(f"{score.summary()}\n")
    for line in model.baseline_lines(score):
        out.write(f"{line}\n")
    out.flush()
