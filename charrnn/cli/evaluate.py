"""`charrnn evaluate`: how well a model foretells a text it has not learned from."""

from pathlib import Path
from typing import Annotated

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
from charrnn.cli.output import Output
from charrnn.corpus import Recipe, reopen
from charrnn.errors import CorpusError, UsageError


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    split: Annotated[str, option(help="train, valid or test.")] = "valid",
    file: Annotated[
        Path | None, option(help="A text to evaluate on instead.", show_default="none")
    ] = None,
    encoding: Annotated[str, option(help="How --file encodes text.")] = "utf-8",
    checkpoint: Which = "best",
    precision: Precision = "float32",
    device: Annotated[str, option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Measure a model: loss, bits per character, perplexity.

    Nats and bits per character are of the text's own characters: they compare models with any
    tokenizer.
    """
    if split not in ("train", "valid", "test"):
        raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
    Recipe(sources=(), encoding=encoding)  # says so when there is no such encoding
    path, model = runs.load_checkpoint(runs_dir, run, checkpoint)
    import torch

    from charrnn.distributed import join, memory_limit
    from charrnn.engine import Engine
    from charrnn.evaluation import evaluate as score_tokens
    from charrnn.model import from_weights
    from charrnn.scoring import read_text, score_by_engine

    if file is not None:
        tokens, characters = read_text(file, model.tokenizer, encoding)
    else:
        corpus = reopen(path.parent / "corpus", model.tokenizer)
        if corpus is None or split not in corpus.splits:
            raise CorpusError(f"there is no {split} part beside {path}", "give a text with --file")
        tokens, characters = corpus.splits[split].load(), corpus.splits[split].characters
    torch.set_num_threads(threads or default_threads())
    start_id = model.tokenizer.newline_id
    if precision == "int8":
        engine = Engine(model, threads or default_threads(), precision)
        score = score_by_engine(engine, tokens, characters, start_id)
    else:
        with memory_limit(
            "evaluating this model takes more memory than there is",
            "take another --device, or --precision int8",
        ):
            network = from_weights(model.model, model.weights).to(join(device).device)
            score = score_tokens(network, tokens, characters, start_id)
    out = Output()
    if json:
        out.json(score.to_json() | {"checkpoint": str(path), "split": None if file else split})
    else:
        out.write(
            f"{score.nats_per_char:.4f} nats/char, {score.bits_per_char:.4f} bits/char, "
            f"loss {score.loss:.4f} nats/token, perplexity {score.perplexity:.4g}, "
            f"over {score.tokens:,} tokens ({score.characters:,} characters)\n"
        )
        out.flush()
