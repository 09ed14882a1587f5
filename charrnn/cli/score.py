"""`charrnn score`: how well a model predicts a text.

torch, which loads slowly, is imported by --adapt alone.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.checkpoints.checkpoint import SUFFIX
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.models import weights_of, written_by
from charrnn.cli.options import (
    Adapt,
    Errors,
    Json,
    Mix,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    offered_labels,
    option,
)
from charrnn.cli.output import Output
from charrnn.cli.prompts import STDIN
from charrnn.data.reading import TUNE, Tally
from charrnn.data.sources import opened
from charrnn.errors import CorpusError, UsageError
from charrnn.tokenizers.base import count, to_bytes
from charrnn.tokenizers.documents import END

if TYPE_CHECKING:
    from charrnn.evaluation.scores import Score
    from charrnn.tasks.language.language_model import LanguageModel

FULL_RED = 10
"""Bits of surprise that are shown on a fully red background."""


def score(
    run: RunName = None,
    file: Annotated[
        str | None,
        typer.Argument(
            help="A text file, or - for stdin; as the only argument it is scored by the last run.",
            show_default=False,
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]... [FILE]",
            help="With --blend, more models before the text.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    blend: Annotated[
        str | None,
        option(
            metavar="WEIGHTS",
            help="Score by as many models as these weights, which write together: 0.7,0.3.",
            show_default="none",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        option(
            metavar="NAME[=WEIGHT]",
            help="Score in this label of a model of --conditions; several with weights mix.",
            show_default="none",
            autocompletion=offered_labels,
        ),
    ] = None,
    per_line: Annotated[
        bool, option("--per-line", help="Rank the lines, the least likely first.")
    ] = False,
    color: Annotated[
        bool, option("--color", help="Show the text, with unlikely characters on red.")
    ] = False,
    labels: Annotated[
        bool,
        option(
            "--labels",
            help="For each line, which label of a model of --conditions it is likelier of.",
        ),
    ] = False,
    yardsticks: Annotated[
        bool, option(help="Compare with baselines: a 5-gram model, gzip and xz.")
    ] = True,
    adapt: Adapt = False,
    encoding: Annotated[
        str, option(help="Encoding of the text.", show_default="the training text's")
    ] = "utf-8",
    errors: Errors = "strict",
    precision: Precision = "float32",
    checkpoint: Which = "best",
    mix: Mix = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Measure how well a model predicts a text, in bits per character.

    With --per-line each line is scored by itself, otherwise the text as a whole.
    """
    if color and (per_line or json or labels):
        other = "--labels" if labels else "--per-line" if per_line else "--json"
        raise UsageError(f"{other} and --color contradict each other", "give one of them")
    if label and labels:
        raise UsageError("--label and --labels contradict each other", "give one of them")
    runs, file = _sort_arguments([run, file, *(more or ())], blend)
    how: dict[str, Any] = {
        "checkpoint": checkpoint,
        "runs_dir": runs_dir,
        "threads": threads,
        "precision": precision,
        "mix": mix,
    }
    model = written_by(runs, blend, label or [], how)
    asked = encoding if "encoding" in GIVEN.get() else None
    reading, tally = model.reading(asked, errors), Tally()
    if labels:
        # Lines of text without labels, whatever the documents of the training text were.
        reading = replace(reading, documents="")
    if per_line and reading.documents == TUNE:
        raise UsageError(
            "--per-line scores lines, and a tune has several that are not scored apart",
            "leave --per-line out, and score a file for each tune to compare them",
        )
    with opened(file, reading) as found:
        if per_line or labels:
            lines = list(reading.numbered_lines(reading.text(found, tally), tally))
            text = ""
        else:
            lines, text = [], "".join(reading.read(found, tally))
    for note in tally.notes(reading):
        terminal.note(note)
    if not (text or lines):
        raise CorpusError(f"{file} is empty", "give a text")
    if labels:
        _print_labels(model, lines, json)
    elif per_line:
        _print_lines(model, lines, json)
    elif color:
        _print_colored(model, text)
    else:
        _print_whole(model, text, adapt, yardsticks, json)


def _sort_arguments(given: list[str | None], blend: str | None) -> tuple[list[str | None], str]:
    """The arguments -> the runs and the text; with --blend there are as many runs as weights."""
    words = [each for each in given if each is not None]
    if blend is None:
        if len(words) > 2:
            raise UsageError(
                f"got an unexpected extra argument ({words[2]}) after a run and a text",
                "name several models with --blend, such as --blend 0.5,0.5",
            )
        run, file = _run_and_file(*given[:2])
        return [run], file
    models = len(weights_of(blend, 0))
    if models < 2 or not models <= len(words) <= models + 1:
        raise UsageError(
            f"--blend {blend} is for {count(models, 'model')}, two or more, and a text",
            "name them and the text, as in: score A B FILE --blend 0.7,0.3",
        )
    return list(words[:models]), words[models] if len(words) > models else STDIN


def _run_and_file(run: str | None, file: str | None) -> tuple[str | None, str]:
    """The run and the text; a single argument can be either."""
    if file is not None or run is None:
        return run, file or STDIN
    # A checkpoint is a file too, but it is known by its suffix.
    is_text = run == STDIN or (Path(run).is_file() and Path(run).suffix != SUFFIX)
    return (None, run) if is_text else (run, STDIN)


def _figures(model: "LanguageModel", text: str) -> dict[str, Any]:
    """The fields of `score --json`."""
    return _fields(model.score(text))


def _fields(found: "Score") -> dict[str, Any]:
    return {"log_likelihood": -found.nats} | found.to_json()


def _print_whole(
    model: "LanguageModel", text: str, adapt: bool, compare: bool, as_json: bool
) -> None:
    """The figures of the whole text, those of adapting to it, and those of the baselines."""
    from charrnn.tasks.language.baselines import baselines

    score = model.score(text)
    found = _fields(score)
    adapted = model.score(text, adapt=True) if adapt else None
    tokens = model.tokenizer.encode(text)
    price = score.unknown_nats
    others = (
        dict(baselines(model.corpus, tokens, _shown(text), unknown_nats=price)) if compare else {}
    )
    out = Output()
    if as_json:
        own = adapted.to_json() if adapted else {}
        out.json(found | own | ({"yardsticks": others} if compare else {}))
        return
    out.write(
        f"{found['bits_per_char']:.4f} bits/char, perplexity {found['perplexity']:.4g}, "
        f"log-likelihood {found['log_likelihood']:,.1f} nats, {count(score.tokens, 'token')} "
        f"({count(score.characters, 'character')}){score.unknown_share()}\n"
    )
    if adapted:
        out.write(
            f"{adapted.bits_per_char:.4f} bits/char, perplexity {adapted.perplexity:.4g}, "
            "adapted to the text as it was read\n"
        )
    for name, bits in others.items():
        out.write(f"{bits:.4f} bits/char by {name}\n")
    out.flush()


def _print_lines(model: "LanguageModel", lines: list[tuple[int, str]], as_json: bool) -> None:
    """Each line scored by itself, the most surprising first."""
    found: list[dict[str, Any]] = []
    # Each line keeps its newline: where a line ends is part of what the model predicts.
    for number, line in lines:
        found.append({"line": number, "text": _shown(line)} | _figures(model, line + "\n"))
    out = Output()
    for each in sorted(found, key=lambda item: (-item["bits_per_char"], item["line"])):
        if as_json:
            out.json(each)
        else:
            out.write(f"{each['bits_per_char']:8.4f}  {each['text']}\n")
    out.flush()


def _print_labels(model: "LanguageModel", lines: list[tuple[int, str]], as_json: bool) -> None:
    """For each line that is not blank how likely it is of each label, the likeliest first."""
    from charrnn.tasks.language.conditions import compare_labels, compared_labels, posterior

    names = compared_labels(model)
    out = Output()
    for number, line in lines:
        if not line.strip():
            continue
        found = compare_labels(model, line, names)
        share = posterior(found)
        if as_json:
            each = {n: {"log_likelihood": v, "probability": share[n]} for n, v in found.items()}
            out.json({"line": number, "text": _shown(line), "labels": each})
        else:
            best = [f"{name} {share[name]:.3f}" for name in list(found)[:3]]
            out.write(f"{'  '.join(best)}\t{_shown(line)}\n")
    out.flush()


def _shown(text: str) -> str:
    """A text as it can be printed: a byte that is not UTF-8 becomes U+FFFD."""
    return to_bytes(text).decode("utf-8", "replace")


def _print_colored(model: "LanguageModel", text: str) -> None:
    """The text, each piece on a background from black (expected) to red (surprising)."""
    from charrnn.tokenizers.base import Decoder

    tokens, logprobs = model.log_probabilities(text)
    # `shaded` escapes the text; escaped once more, its colours would be shown as characters.
    decoder, bits, out = Decoder(model.tokenizer), 0.0, Output(escapes=False)
    before = ""
    for token, logprob in zip(tokens.tolist(), logprobs.tolist(), strict=True):
        bits -= logprob / math.log(2)
        # The end of a document is no character, and is shown as a blank line.
        piece = decoder.push(token).replace(END, "\n\n")
        # A token may be part of a character, whose surprise is the sum over its tokens.
        if piece:
            out.write(terminal.shaded(piece, bits / FULL_RED, before))
            bits, before = 0.0, piece
    out.write("\n")
    out.flush()
