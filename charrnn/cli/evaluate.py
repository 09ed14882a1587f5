"""`charrnn evaluate`: how well a model predicts text that it was not trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import (
    Adapt,
    Device,
    Errors,
    Force,
    Json,
    Mix,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    option,
)
from charrnn.cli.output import Output
from charrnn.cli.plotting.show import check_picture
from charrnn.data.config import DataConfig
from charrnn.errors import UsageError
from charrnn.tasks.base import Predictor
from charrnn.tokenizers.base import count

if TYPE_CHECKING:
    from charrnn.evaluation.scores import Score
    from charrnn.tasks.language.label_scores import LabelScore

SHOWN = 30
"""Labels in the table; --json has all."""


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
    adapt: Adapt = False,
    confusion: Annotated[
        Path | None,
        option(
            help="Write the confusion matrix of a model of labels as a .png or .svg picture.",
            show_default="none",
        ),
    ] = None,
    force: Force = False,
    checkpoint: Which = "best",
    mix: Mix = None,
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
    check_picture(confusion, force)
    # An unknown encoding is an error even without --file, and before the model is loaded.
    DataConfig(sources=(), encoding=encoding)
    # Left out, it is the one that the run was trained with.
    asked = encoding if "encoding" in GIVEN.get() else None
    model = api.load(
        run,
        checkpoint=checkpoint,
        runs_dir=runs_dir,
        threads=threads,
        precision=precision,
        mix=mix,
    )
    if confusion is not None and not model.has_confusion:
        raise UsageError(
            f"--confusion has no effect on a model of the task {model.checkpoint.task}",
            "leave it out: a model of labels has a confusion matrix",
        )
    if model.checkpoint.mixture is not None and "device" in GIVEN.get():
        raise UsageError(
            "--device has no effect on a model that is mixed with n-gram models",
            "leave it out, or add --mix none",
        )
    out = Output()
    # The other tasks have other scores, and no text file to read instead of a split.
    if model.checkpoint.task != LANGUAGE:
        _evaluate_other(model, split, file, out, json, confusion)
        return
    # Of one reading: a pipe cannot be read twice.
    read = model.read(split, file, asked, errors, terminal.note)
    score, labels = model.evaluate_read(read, device), model.label_scores_of(read)
    adapted = model.evaluate_read(read, device, adapt=True) if adapt else None
    if json:
        out.json(
            score.to_json()
            | (adapted.to_json() if adapted else {})
            | {"checkpoint": str(model.path), "split": None if file else split}
            | _labels_json(labels)
        )
        return
    out.write(
        f"{_figures(score)}, over {count(score.tokens, 'token')} "
        f"({count(score.characters, 'character')}){score.unknown_share()}\n"
    )
    if adapted:
        out.write(f"{_figures(adapted)}, adapted to the text as it was read\n")
    out.flush()
    _print_labels(labels)


def _figures(score: "Score") -> str:
    """The beginning of a line."""
    return (
        f"{score.nats_per_char:.4f} nats/char, {score.bits_per_char:.4f} bits/char, "
        f"loss {score.loss:.4f} nats/token, perplexity {score.perplexity:.4g}"
    )


def _labels_json(labels: "list[LabelScore]") -> dict[str, Any]:
    """The fields of `evaluate --json` for a model with labels; {} for any other."""
    from charrnn.tasks.language.label_scores import accuracy

    if not labels:
        return {}
    return {
        "label_accuracy": accuracy(labels),
        "labels": {each.label: each.to_json() for each in labels},
    }


def _print_labels(labels: "list[LabelScore]") -> None:
    """A table of the labels, those with most texts, and how often the right one is likeliest."""
    from charrnn.cli.tables import print_table
    from charrnn.tasks.language.label_scores import accuracy

    if not labels:
        return
    print_table(
        ["label", ">texts", ">nats/char", ">accuracy"],
        [
            [
                each.label,
                f"{each.texts:,}",
                f"{each.nats_per_char:.4f}",
                f"{each.right / each.compared:.3f}" if each.compared else "-",
            ]
            for each in labels[:SHOWN]
        ],
    )
    out, right = Output(), accuracy(labels)
    if len(labels) > SHOWN:
        out.write(f"and {count(len(labels) - SHOWN, 'label')} more (all are in --json)\n")
    if right is not None:
        texts = count(sum(each.compared for each in labels), "text")
        out.write(f"the label of a text is the likeliest one for {right:.1%} of {texts}\n")
    out.flush()


def _evaluate_other(
    model: Predictor,
    split: str,
    file: Path | None,
    out: Output,
    as_json: bool,
    confusion: Path | None,
) -> None:
    """The score of a model that is not a language model, and of its baselines."""
    task = model.checkpoint.task
    given = GIVEN.get()
    for name in ("encoding", "errors", "device", "adapt"):
        if name in given:
            option_name = given[name]
            raise UsageError(
                f"{option_name} has no effect on a model of the task {task}", "leave it out"
            )
    if file is not None and not model.reads_files:
        raise UsageError(f"a model of the task {task} has no --file", "use --split")
    files: dict[str, Any] = {"file": file} if file is not None else {}
    score = model.evaluate(split, **files)
    if confusion is not None:
        _draw(score, confusion)
    if as_json:
        place = {"checkpoint": str(model.path), "split": None if file else split}
        out.json(score.to_json() | place)
        return
    out.write(f"{score.summary()}\n")
    for line in model.baseline_lines(score):
        out.write(f"{line}\n")
    out.flush()


def _draw(score: Any, path: Path) -> None:
    """Write the confusion matrix of a score."""
    from charrnn.checkpoints.atomic import write_durably
    from charrnn.cli.plotting.picture import confusion_matrix
    from charrnn.tasks.labels.tables import confusion_table

    write_durably(
        path, [confusion_matrix(*confusion_table(score), path.suffix.lower().lstrip("."))]
    )
