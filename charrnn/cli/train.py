"""`charrnn train`: a text becomes a model."""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn import presets
from charrnn.cli.options import Json, RunsDir, config_option, option
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.presets import PRESETS
from charrnn.tokenizer import TOKENIZERS

if TYPE_CHECKING:
    from charrnn.cli.session import Request


def model(name: str) -> Any:
    """The option of a ModelConfig field."""
    return config_option(ModelConfig, name)


def plan(name: str) -> Any:
    """The option of a TrainConfig field."""
    return config_option(TrainConfig, name)


def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, globs, or - for stdin.", show_default=False),
    ] = None,
    name: Annotated[
        str | None, option(help="The run's name.", show_default="the corpus's name")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    resume: Annotated[
        bool, option("--resume", help="Continue a run, --name or the last, exactly.")
    ] = False,
    preset: Annotated[
        str | None,
        option(help=f"A training known from papers: {', '.join(PRESETS)}.", show_default="none"),
    ] = None,
    tokenizer: Annotated[
        str | None,
        option(
            help=f"What the model reads and writes: {', '.join(TOKENIZERS)}.", show_default="char"
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        option(
            min=3, max=1_000_000, help="Ids of a word or subword tokenizer.", show_default="by size"
        ),
    ] = None,
    min_count: Annotated[
        int, option(min=1, max=10**6, help="Rarer characters are spelled in bytes.")
    ] = 1,
    split_words: Annotated[
        str | None,
        option(help="Where words end: punctuation, or spaces alone.", show_default="punctuation"),
    ] = None,
    lines: Annotated[
        bool, option("--lines", help="Each line is a document of its own, such as a name.")
    ] = False,
    encoding: Annotated[str, option(help="How the files encode text.")] = "utf-8",
    valid: Annotated[
        list[str] | None, option(help="Files to validate on.", show_default="none")
    ] = None,
    test: Annotated[
        list[str] | None, option(help="Files kept for the end.", show_default="none")
    ] = None,
    valid_fraction: Annotated[
        float, option(min=0.0, max=0.9, help="Share of the text to validate on.")
    ] = 0.1,
    test_fraction: Annotated[
        float, option(min=0.0, max=0.9, help="Share of the text kept for the end.")
    ] = 0.0,
    minutes: Annotated[
        float | None,
        option(min=0.1, max=1e5, help="Minutes to train.", show_default="by size"),
    ] = None,
    epochs: Annotated[
        float | None,
        option(min=0.001, max=1e6, help="Times to read the text.", show_default="by time"),
    ] = None,
    steps: Annotated[int | None, plan("steps")] = None,
    max_parameters: Annotated[
        int | None,
        option(
            min=1, max=10**12, help="The largest model to choose.", show_default="by text and time"
        ),
    ] = None,
    cell: Annotated[str | None, model("cell")] = None,
    num_layers: Annotated[int | None, model("num_layers")] = None,
    hidden_size: Annotated[int | None, model("hidden_size")] = None,
    embedding_size: Annotated[int | None, model("embedding_size")] = None,
    input_dropout: Annotated[float | None, model("input_dropout")] = None,
    dropout: Annotated[float | None, model("dropout")] = None,
    output_dropout: Annotated[float | None, model("output_dropout")] = None,
    variational: Annotated[bool | None, model("variational")] = None,
    embedding_dropout: Annotated[float | None, model("embedding_dropout")] = None,
    weight_dropout: Annotated[float | None, model("weight_dropout")] = None,
    residual: Annotated[bool | None, model("residual")] = None,
    tie_weights: Annotated[bool | None, model("tie_weights")] = None,
    batch_size: Annotated[int | None, plan("batch_size")] = None,
    seq_length: Annotated[int | None, plan("seq_length")] = None,
    optimizer: Annotated[str | None, plan("optimizer")] = None,
    learning_rate: Annotated[float | None, plan("learning_rate")] = None,
    schedule: Annotated[str | None, plan("schedule")] = None,
    warmup_steps: Annotated[int | None, plan("warmup_steps")] = None,
    hold_steps: Annotated[int | None, plan("hold_steps")] = None,
    decay_every: Annotated[int | None, plan("decay_every")] = None,
    decay_factor: Annotated[float | None, plan("decay_factor")] = None,
    weight_decay: Annotated[float | None, plan("weight_decay")] = None,
    grad_clip: Annotated[float | None, plan("grad_clip")] = None,
    average_from: Annotated[int | None, plan("average_from")] = None,
    output_penalty: Annotated[float | None, plan("output_penalty")] = None,
    change_penalty: Annotated[float | None, plan("change_penalty")] = None,
    init_scale: Annotated[float | None, plan("init_scale")] = None,
    precision: Annotated[str | None, plan("precision")] = None,
    seed: Annotated[int | None, plan("seed")] = None,
    eval_every: Annotated[int | None, plan("eval_every")] = None,
    eval_tokens: Annotated[int | None, plan("eval_tokens")] = None,
    save_every: Annotated[int | None, plan("save_every")] = None,
    log_every: Annotated[int | None, plan("log_every")] = None,
    keep: Annotated[int | None, plan("keep")] = None,
    threads: Annotated[int | None, plan("threads")] = None,
    device: Annotated[str, option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
    quiet: Annotated[bool, option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Learn a text: plan, train, evaluate, save.

    Everything not given is planned from the text, the time and this machine.
    """
    values = dict(locals())
    # A reader who leaves costs a training its words, not its work: from its start to its very end.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if bool(corpus) == resume:
        raise UsageError(
            "give either a text to learn or --resume",
            "charrnn train corpus.txt, or charrnn train --resume --name RUN",
        )
    from charrnn.cli.session import start

    start(request(values))


def request(values: dict[str, Any]) -> "Request":
    """What the options of `train` or `plan` ask for; UsageError for a name that is none."""
    began = time.perf_counter()
    from charrnn.cli.session import Request

    known = presets.preset(values["preset"]) if values["preset"] else None
    text = {key: values[key] for key in RECIPE if values[key] is not None}
    text = (dict(known.recipe) if known else {}) | text | {"sources": values["corpus"]}
    tokenizer, split = text.get("tokenizer", "char"), text.get("split_words", "punctuation")
    if tokenizer not in TOKENIZERS or split not in ("punctuation", "spaces"):
        raise UsageError(
            f"--tokenizer {tokenizer} --split-words {split} is not known",
            f"choose from {', '.join(TOKENIZERS)} and from punctuation, spaces",
        )
    return Request(
        recipe={key: tuple(v or ()) if key in LISTS else v for key, v in text.items()},
        given={key: values[key] for key in PLANNED if values[key] is not None},
        budget={key: values[key] for key in BUDGET},
        preset=known,
        began=began,
        **{key: values[key] for key in ("name", "runs_dir", "resume", "device", "json", "quiet")},
    )


RECIPE = (
    "tokenizer", "vocab_size", "min_count", "split_words", "lines", "valid", "test",
    "valid_fraction", "test_fraction", "encoding",
)  # fmt: skip
"""The options that say what text it is and how it is read."""

BUDGET = ("minutes", "epochs", "steps", "max_parameters")
"""The options that say what may be spent."""

LISTS = ("sources", "valid", "test")

PLANNED = (ModelConfig.__dataclass_fields__.keys() | TrainConfig.__dataclass_fields__.keys()) - {
    "vocab_size",
    "steps",
}
"""The options that are fields of a config; what is not given is planned."""
