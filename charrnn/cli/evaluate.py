"""`charrnn evaluate`: how well a model predicts text that it was not trained on."""

from pathlib import Path
from typing import Annotated

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.options import Json, Precision, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError
from charrnn.tasks.base import Predictor


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    split: Annotated[str, option(help="train, valid or test.")] = "valid",
    file: Annotated[
        Path | None, option(help="A text to evaluate on instead.", show_default="none")
    ] = None,
    encoding: Annotated[str, option(help="Encoding of --file.")] = "utf-8",
    checkpoint: Which = "best",
    precision: Precision = "float32",
    device: Annotated[str, option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Evaluate a model: loss, bits per character, perplexity.

    Nats and bits per character are per character of the text, so they compare models with any
    tokenizer.
    """
    from charrnn import api

    if split not in ("train", "valid", "test"):
        raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
    DataConfig(sources=(), encoding=encoding)  # an error if there is no such encoding
    model = api.load(
        run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, precision=precision
    )
    out = Output()
    if model.checkpoint.task != LANGUAGE:
        _evaluate_other(model, split, file, out, json)
        return
    score = model.evaluate(split, file=file, encoding=encoding, device=device)
    if json:
        out.json(
            score.to_json() | {"checkpoint": str(model.path), "split": None if file else split}
        )
    else:
        out.write(
            f"{score.nats_per_char:.4f} nats/char, {score.bits_per_char:.4f} bits/char, "
            f"loss {score.loss:.4f} nats/token, perplexity {score.perplexity:.4g}, "
            f"over {score.tokens:,} tokens ({score.characters:,} characters)\n"
        )
        out.flush()


def _evaluate_other(
    model: Predictor, split: str, file: Path | None, out: Output, as_json: bool
) -> None:
    """The score of a model that is not a language model."""
    if file is not None:
        raise UsageError(
            f"a model of the task {model.checkpoint.task} has no --file", "use --split"
        )
    score = model.evaluate(split)
    if as_json:
        out.json(score.to_json() | {"checkpoint": str(model.path), "split": split})
    else:
        out.write(f"{score.summary()}\n")
        out.flush()
