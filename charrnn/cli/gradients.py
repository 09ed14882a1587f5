"""`charrnn gradients`: how far back gradients reach, in a trained model and in fresh ones."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from charrnn.checkpoints import checkpoint as checkpoints
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import find_checkpoint
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import Errors, Force, Json, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.cli.pages.page import Page, Section, check_page, page, table, write_page
from charrnn.cli.pages.svg import svg
from charrnn.cli.plotting import show
from charrnn.cli.plotting.chart import Chart, Curve, format_value
from charrnn.cli.tables import print_table
from charrnn.config import CELLS, ModelConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.tokenizers.base import Ids

if TYPE_CHECKING:
    from charrnn.evaluation.gradient_flow import GradientFlow
    from charrnn.tasks.language.language_model import LanguageModel
    from charrnn.tasks.language.network import CharRNN

SMALL = ModelConfig(num_layers=1, hidden_size=128, embedding_size=128)
"""Sizes of fresh models if there is no run to take them from."""

LAGS = (1, 10, 50, 100)
"""Numbers of tokens back that the table shows, besides --reach."""

# A norm that vanishes entirely would stretch a logarithmic axis without end.
LEAST = 1e-12
"""Smallest ratio to the norm at k = 0 that the chart shows."""


@dataclass(frozen=True)
class Measured:
    """One model's gradients, and what it is called."""

    name: str
    trained: bool
    config: ModelConfig
    flow: "GradientFlow"


def gradients(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    corpus: Annotated[
        list[str] | None,
        option(
            help="Text files to measure on, instead of the validation part; without RUN, fresh "
            "models only.",
            show_default="none",
        ),
    ] = None,
    encoding: Annotated[
        str, option(help="Encoding of --corpus.", show_default="the run's, else utf-8")
    ] = "utf-8",
    errors: Errors = "strict",
    checkpoint: Which = "best",
    cell: Annotated[
        list[str] | None,
        option(
            help=f"Cell of a fresh model: {', '.join(CELLS)}; may be given several times.",
            show_default="all",
        ),
    ] = None,
    num_layers: Annotated[
        int | None,
        option(min=1, max=32, help="Layers of fresh models.", show_default="the run's, else 1"),
    ] = None,
    hidden_size: Annotated[
        int | None,
        option(
            min=1, max=16_384, help="Units of fresh models.", show_default="the run's, else 128"
        ),
    ] = None,
    seed: Annotated[
        int, option(min=0, max=2**63 - 1, help="Seed of the fresh models' initial weights.")
    ] = 0,
    reach: Annotated[
        int, option(min=2, max=100_000, help="Largest k: how many tokens to look back.")
    ] = 100,
    positions: Annotated[
        int, option(min=1, max=10_000, help="Positions t in the text to average over.")
    ] = 64,
    threads: Threads = None,
    width: show.Width = None,
    height: show.Height = 22,
    output: show.Picture = None,
    html: Page = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Measure how far back gradients reach, in a trained model and in fresh ones.

    A fresh model has the sizes of the trained one, and random initial weights. The chart shows the
    norm of d loss(t) / d h(t-k), relative to k = 0: how much the loss of token t depends on the
    hidden state k tokens earlier; for an LSTM also on its cell state c. The norm is averaged over
    many positions t of the validation part.

    The half-life is the number of tokens in which the norm halves, by a straight line fitted to its
    logarithm from k = 1 on. A gate is saturated below 0.1 or above 0.9, a tanh unit below -0.9 or
    above 0.9.
    """
    show.check_picture(output, force)
    check_page(html, force)
    # From the simplest cell to the LSTM; CELLS begins with the default.
    cells = list(dict.fromkeys(cell or reversed(CELLS)))
    if unknown := [name for name in cells if name not in CELLS]:
        raise UsageError(f"--cell is {unknown[0]!r}", f"choose from {', '.join(CELLS)}")
    files = list(map(Path, corpus or []))
    path = None if files and run is None else find_checkpoint(runs_dir, run, checkpoint)
    # Importing torch takes long, so the options are checked before it.
    import torch

    from charrnn.evaluation.gradient_flow import measure
    from charrnn.inference.engine import default_threads
    from charrnn.tasks.language.network import build, from_weights

    torch.set_num_threads(threads or default_threads())
    models: list[tuple[str, bool, CharRNN]] = []
    if path is None:
        tokens, config = _read_fresh(files, encoding, errors)
    else:
        model = checkpoints.load(path)
        if model.task != LANGUAGE:
            raise UsageError(
                f"{path} is a model of the task {model.task}, and gradients are measured on texts",
                "name a run of a language model, or give texts for fresh models with --corpus",
            )
        tokens, config = _read_for(model, path, files, encoding, errors), model.config
        network = from_weights(config, model.weights)
        models = [(f"trained {config.cell}", True, network)]
    given = {"num_layers": num_layers, "hidden_size": hidden_size}
    sizes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    # With tied weights and one layer both sizes must be equal.
    if "hidden_size" in sizes and config.tie_weights:
        sizes["embedding_size"] = sizes["hidden_size"]
    for name in cells:
        fresh = build(replace(config, cell=name, **sizes), seed)
        models.append((f"fresh {name}", False, fresh))
    found = [
        Measured(name, trained, network.config, measure(network, tokens, reach, positions))
        for name, trained, network in models
    ]
    title = f"gradients of {_called(path)}" if path else "gradients of fresh models"
    if json:
        print_json(found)
    elif html is not None:
        write_page(html, page(title, "How far back gradients reach", [section_of(found, reach)]))
    else:
        show.show(chart(terminal.visible(title, keep=""), found), width, height, output)
        print_tables(found, reach)


REACH, POSITIONS = 100, 16
"""How far a page about a run looks back, and the positions that it averages over."""


def section(model: "LanguageModel", threads: int | None = None) -> Section:
    """A model of a run -> how far back its gradients reach, and those of untrained ones."""
    import torch

    from charrnn.evaluation.gradient_flow import measure
    from charrnn.inference.engine import default_threads
    from charrnn.tasks.language.network import build, from_weights

    torch.set_num_threads(threads or default_threads())
    config, weights = model.checkpoint.config, model.checkpoint.weights
    tokens = _read_for(model.checkpoint, model.path, [], "utf-8", "strict")
    networks = [(f"trained {config.cell}", True, from_weights(config, weights))]
    networks += [(f"fresh {c}", False, build(replace(config, cell=c), 0)) for c in reversed(CELLS)]
    found = [
        Measured(name, trained, network.config, measure(network, tokens, REACH, POSITIONS))
        for name, trained, network in networks
    ]
    return section_of(found, REACH)


def section_of(found: list[Measured], reach: int) -> Section:
    """What was measured -> a chart and two tables for a page."""
    parts = [svg(chart("gradients", found)), *(table(*each) for each in _tables(found, reach))]
    text = (
        "<p>How much the loss of a token depends on the hidden state k tokens earlier, in the "
        "trained model and in untrained ones of its size. Where the curve falls, nothing can be "
        "learned from what came before.</p>\n"
    )
    return Section("gradients", "How far back gradients reach", text + "\n".join(parts))


def _called(path: Path) -> str:
    """The name of a run's checkpoint, or of a file on its own."""
    folder = path.resolve().parent
    return f"{folder.name}, {path.stem}" if (folder / "run.json").exists() else path.name


def _read_fresh(files: list[Path], encoding: str, errors: str) -> tuple[Ids, ModelConfig]:
    """Texts -> their characters as tokens, and a small model's sizes for them."""
    import tempfile

    from charrnn.data.config import DataConfig
    from charrnn.tasks.language.corpus import prepare

    names = tuple(map(str, files))
    config = DataConfig(names, valid_fraction=0.0, encoding=encoding, errors=errors)
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(config.for_new_run(), Path(folder))
        for note in made.notes:
            terminal.note(note)
        # A copy: the array is mapped from a file that disappears with the folder.
        tokens = np.array(made.splits["train"].load())
    return tokens, replace(SMALL, vocab_size=made.tokenizer.vocab_size)


def _read_for(
    model: checkpoints.Checkpoint, path: Path, files: list[Path], encoding: str, errors: str
) -> Ids:
    """The tokens that a model is measured on: of these files, or of its run's validation part."""
    from charrnn.data.reading import Tally
    from charrnn.evaluation.scores import read_text
    from charrnn.tasks.language.corpus import reopen
    from charrnn.tasks.language.texts import reading_of

    if files:
        asked = encoding if "encoding" in GIVEN.get() else None
        reading, tally = reading_of(model, path, asked, errors), Tally()
        tokens = [read_text(file, model.tokenizer, reading, tally)[0] for file in files]
        for note in tally.notes(reading):
            terminal.note(note)
        return np.concatenate(tokens)
    corpus = reopen(path.parent / "corpus", model.tokenizer)
    if corpus is None or "valid" not in corpus.splits:
        raise CorpusError(f"there is no validation part next to {path}", "give a --corpus")
    return corpus.splits["valid"].load()


def chart(title: str, found: list[Measured]) -> Chart:
    """The norms over k, each model's relative to its own at k = 0."""
    curves = []
    for color, each in enumerate(found):
        parts = [("h", each.flow.norms, False), ("c", each.flow.cell_norms, True)]
        for part, norms, faint in parts:
            # The cell state too is relative to h at k = 0, so that the two can be compared.
            y = each.flow.relative(norms)
            name = each.name + (f" {part}" if each.flow.cell_norms else "")
            if y:
                curves.append(Curve(name, tuple(range(len(y))), y, color, faint))
    label = "norm of d loss(t) / d h(t-k), 1 at k = 0"
    return Chart(title, "k, tokens back", label, tuple(curves), log=True, floor=LEAST)


def print_tables(found: list[Measured], reach: int) -> None:
    """The norms at some k and the half-life, one row per model; then the saturated gates."""
    for columns, rows in _tables(found, reach):
        print_table(columns, rows)


def _tables(found: list[Measured], reach: int) -> list[tuple[list[str], list[list[str]]]]:
    """Columns and rows of both tables."""
    lags = [*(lag for lag in LAGS if lag < reach), reach]
    columns = ["model", ">k=0, nats", *(f">k={lag}" for lag in lags), ">half-life"]
    rows = []
    for each in found:
        norms, half = each.flow.relative(each.flow.norms), each.flow.half_life
        rows.append(
            [each.name, format_value(each.flow.norms[0])]
            + [f"{norms[lag]:.2g}" for lag in lags]
            + [f"{half:.1f} tokens" if math.isfinite(half) else "none"]
        )
    saturated = [
        ", ".join(f"{gate} {fraction:.0%}" for gate, fraction in each.flow.saturated.items())
        for each in found
    ]
    names = (each.name for each in found)
    pairs = [list(pair) for pair in zip(names, saturated, strict=True)]
    return [(columns, rows), (["model", "saturated"], pairs)]


def print_json(found: list[Measured]) -> None:
    """One object per model; the norms are absolute, in nats."""
    out = Output()
    for each in found:
        sizes = {name: getattr(each.config, name) for name in ("cell", "num_layers", "hidden_size")}
        out.json({"model": each.name, "trained": each.trained} | sizes | each.flow.to_json())
