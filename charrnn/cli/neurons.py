"""`charrnn neurons`: what single units of a network follow in a text. torch is not imported."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import Errors, Force, Json, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.cli.pages.neurons_page import UNITS, neurons_section
from charrnn.cli.pages.page import Page, check_page, page, write_page
from charrnn.cli.plotting.show import columns, has_colors
from charrnn.cli.tables import print_table
from charrnn.config import num_parameters
from charrnn.evaluation.text_features import own_features
from charrnn.tokenizers.base import count

if TYPE_CHECKING:
    from charrnn.evaluation.activations import Reading
    from charrnn.evaluation.neurons import Found, Neurons
    from charrnn.inference.steering import Unit
    from charrnn.tasks.language.language_model import LanguageModel
    from charrnn.tasks.language.steered import Measured

TOP, LENGTH = 10, 2000
"""Findings that are shown, and characters of --unit."""

SAMPLE_LINES = 2
"""Lines of text below each finding."""

BLOCKS = "▁▂▃▄▅▆▇█"
"""An activation from -1 to 1 where there are no colours."""

LINE_BREAK, TAB = "⏎", "⇥"
"""What is shown for the end of a line and a tab."""


def neurons(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    text: Annotated[
        str | None,
        option(
            help="A text file to read, or - for stdin.", show_default="the run's validation part"
        ),
    ] = None,
    encoding: Annotated[
        str, option(help="Encoding of --text.", show_default="the training text's")
    ] = "utf-8",
    errors: Errors = "strict",
    feature: Annotated[
        list[str] | None,
        option(
            metavar="NAME=REGEX",
            help="Look for a unit that is active where this regular expression matches, too; may "
            "be given several times.",
            show_default="none",
        ),
    ] = None,
    unit: Annotated[
        str | None,
        option(
            metavar="LAYER:UNIT",
            help="Show one unit over the text, such as 1:37; both are counted from 1.",
            show_default="the best of all",
        ),
    ] = None,
    top: Annotated[int, option(min=1, max=1000, help="Findings to show, the best first.")] = TOP,
    length: Annotated[
        int, option(min=1, max=10**9, help="Characters of text that --unit shows.")
    ] = LENGTH,
    limit: Annotated[
        int,
        option(
            min=1000, max=10**7, help="Tokens to read: of a longer text, in evenly spread pieces."
        ),
    ] = 100_000,
    effect: Annotated[
        str | None,
        option(
            metavar="UNIT[=AMOUNT]",
            help="Measure what a unit does to texts that the model writes: held low and high, or "
            "steered as --steer of sample does.",
            show_default="none",
        ),
    ] = None,
    html: Page = None,
    force: Force = False,
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Show what single units of a model follow in a text: quotes, brackets, the place in a line ...

    How much a unit tells of a feature is their mutual information in bits. It is compared with the
    feature's entropy, which is all that there is to tell, with the best unit of the same network
    with its weights shuffled, and with chance. The unit is chosen on one half of the text and
    measured on the other.
    """
    from charrnn import api
    from charrnn.inference.steering import parse_unit

    check_page(html, force)
    own = own_features(feature or [])
    model = api.load(run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, task=LANGUAGE)
    if effect is not None:
        print_effect(model, effect, own, json)
        return
    # A unit that does not exist is an error before anything is read.
    wanted = None if unit is None else parse_unit(unit, model.checkpoint.config)
    found = model.neurons(
        file=text,
        encoding=encoding if "encoding" in GIVEN.get() else None,
        errors=errors,
        features=own,
        limit=limit,
        guesses=html is not None,
        on_note=terminal.note,
    )
    reading = found.reading
    if not reading.is_whole:
        terminal.note(
            f"{count(len(reading.tokens), 'token')} of {reading.total:,} were read, in "
            f"{len(reading.pieces)} evenly spread pieces"
        )
    if html is not None:
        section = neurons_section(found, model.tokenizer, top if "top" in GIVEN.get() else UNITS)
        write_page(html, page(f"What {model.name} has learned", _described(found), [section]))
    elif json:
        print_json(found, wanted, top, length)
    elif wanted is not None:
        print_unit(found, wanted, length)
    else:
        print_found(found, top)


def print_effect(model: "LanguageModel", effect: str, own: Mapping[str, str], json: bool) -> None:
    """What a unit does to texts: a figure a row, with its standard error, a variant a column."""
    from charrnn.tasks.language import steered

    figures = steered.effect(model, effect, features=own)
    if json:
        out = Output()
        for each in figures:
            out.json(each.to_json())
        return
    names = list(figures[0].values)
    rows = [
        [each.name, *(_with_error(each, name, steered.PLAIN) for name in names)]
        for each in figures
        if each.values[steered.PLAIN] != (0.0, 0.0) or len(set(each.values.values())) > 1
    ]
    print_table([f"{steered.SAMPLES} texts", *(f">{name}" for name in names)], rows)
    terminal.say("* more than three standard errors from what it is without", "dim")


def _with_error(figure: "Measured", variant: str, plain: str) -> str:
    """A mean and its standard error, marked where it differs from that of the plain model."""
    mean, error = figure.values[variant]
    if math.isnan(mean):
        return "none"
    return f"{mean:.2f} ± {error:.2f}" + (" *" if figure.differs(variant, plain) else "  ")


def _described(found: "Neurons") -> str:
    """The network in a few words."""
    config = found.config
    size = f"{config.num_layers}x{config.hidden_size}"
    return f"{config.cell} {size}, {count(num_parameters(config), 'parameter')}"


def print_json(found: "Neurons", unit: "Unit | None", top: int, length: int) -> None:
    """One object per finding; or one of a unit, with its activation after each token."""
    out = Output()
    if unit is None:
        for each in found.found[:top]:
            out.json(each.to_json())
        return
    pieces = _pieces(found.reading, length)
    activation = found.activation(unit)[: len(pieces)]
    follows = {name: round(bits, 6) for name, bits in found.follows(unit).items()}
    out.json(
        {
            "unit": str(unit),
            "follows": follows,
            "tokens": pieces,
            "activation": [round(float(value), 4) for value in activation],
        }
    )


def _pieces(reading: "Reading", length: int) -> list[str]:
    """The text of each token that begins within the first `length` characters."""
    begins = [0, *reading.ends.tolist()]
    return [
        reading.text[begin:end]
        for begin, end in zip(begins, reading.ends.tolist(), strict=False)
        if begin < length
    ]


def print_found(found: "Neurons", top: int) -> None:
    """A table of the findings, and below it each one's unit over a piece of the text."""
    shown = found.found[:top]
    rows = [
        [
            str(each.unit),
            each.feature,
            *(f"{value:.3f}" for value in _figures(each)),
            _verdict(each),
        ]
        for each in shown
    ]
    print_table(["unit", "follows", ">bits", ">of", ">shuffled", ">chance", ""], rows)
    learned = [each for each in shown if each.learned]
    out = Output(escapes=False)
    for each in learned:
        out.write(f"\n{each.unit}  {each.feature}: {_means(each)}\n")
        begin = sample_of(found, each)
        out.write(over(found, each.unit, begin, begin + SAMPLE_LINES * _width(), one_line=True))
    out.flush()
    if not learned:
        terminal.note("no unit follows any of these more than in a network that learned nothing")
    if found.absent:
        terminal.say(f"not in this text: {', '.join(found.absent)}", "dim")


def _figures(each: "Found") -> tuple[float, float, float, float]:
    return each.bits, each.entropy, each.shuffled, each.chance


def _verdict(each: "Found") -> str:
    """What of a feature is said, or that it is not learned."""
    return f"{each.bits / max(each.entropy, 1e-9):.0%}" if each.learned else "not learned"


def _means(each: "Found") -> str:
    """The unit's mean in the classes: all of a few, else the least and the greatest."""
    ordered = sorted(each.means.items(), key=lambda item: item[1])
    if len(ordered) > 3:
        ordered = [ordered[0], ordered[-1]]
    text = ", ".join(f"{value:+.2f} {name}" for name, value in ordered)
    others = f"; then {', '.join(map(str, each.others))}" if each.others else ""
    return terminal.visible(text + others, keep="")


def _width() -> int:
    return min(76, columns())


def sample_of(found: "Neurons", each: "Found") -> int:
    """The character at which a piece of text begins that shows a feature and its opposite best."""
    reading = found.reading
    own = next(feature for feature in found.features if feature.name == each.feature)
    width = SAMPLE_LINES * _width()
    changes = np.zeros(len(reading.text) + 1)
    # The entropy of the classes in each window is largest where all are there alike.
    for number in range(len(own.names)):
        holds = np.zeros(len(reading.text) + 1)
        np.add.at(holds, reading.places + 1, own.classes == number)
        total = np.cumsum(holds)
        share = (total[width:] - total[:-width]) / width if len(total) > width else total[:1]
        changes[: len(share)] -= np.where(share > 0, share * np.log2(np.maximum(share, 1e-9)), 0)
    best = int(changes.argmax())
    # From the beginning of a line, if one is near.
    line = reading.text.rfind("\n", max(0, best - 60), best) + 1
    return line or best


def print_unit(found: "Neurons", unit: "Unit", length: int) -> None:
    """What a unit tells of each feature, and the text on a ground of its activation."""
    known = {each.name: each for each in found.features}
    rows = [
        [name, f"{max(0.0, bits):.3f}", f"{known[name].entropy:.3f}"]
        for name, bits in found.follows(unit).items()
    ]
    print_table(["follows", ">bits", ">of"], rows)
    out = Output(escapes=False)
    out.write("\n" + over(found, unit, 0, length))
    out.flush()
    if length < len(found.reading.text):
        terminal.say(
            f"the first {length:,} of {len(found.reading.text):,} characters; --length shows more",
            "dim",
        )


def over(found: "Neurons", unit: "Unit", begin: int, end: int, one_line: bool = False) -> str:
    """Characters of the text on a ground of a unit's activation; with blocks where no colours are.

    one_line: show ends of lines as signs and not as such.
    """
    text = found.reading.text[begin:end]
    values = by_character(found.reading, found.activation(unit))[begin:end]
    lines = _lines(text, values, one_line)
    draw = _colored if has_colors() else _plain
    return "".join(draw(line, own) for line, own in lines)


def by_character(reading: "Reading", values: NDArray[Any]) -> NDArray[Any]:
    """Values of tokens (N,) -> of characters: each has that of the token that completes it."""
    places = np.searchsorted(reading.ends, np.arange(len(reading.text)), "right")
    return np.asarray(values[np.minimum(places, len(values) - 1)])


def _lines(
    text: str, values: NDArray[np.float32], one_line: bool
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A text and its values -> the same in lines that fit the width."""
    if one_line:
        text = text.replace("\n", LINE_BREAK)
    text = text.replace("\t", TAB)
    begin = place = used = 0
    for place, c in enumerate(text):
        size = terminal.width_of(terminal.visible(c, keep=""))
        if c == "\n" or used + size > _width():
            yield text[begin:place], values[begin:place]
            begin, used = place + (c == "\n"), 0
        used += size if c != "\n" else 0
    if begin < len(text):
        yield text[begin:], values[begin:]


def _colored(line: str, values: NDArray[np.float32]) -> str:
    """A line on a ground of its values."""
    # Neighbours that look alike share their escape sequence.
    steps = np.round(values * 8).astype(int)
    cuts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(line)]
    parts = [
        terminal.grounded(line[a:b], steps[a] / 8, line[:a]) for a, b in pairwise(cuts) if a < b
    ]
    return "".join(parts) + "\n"


def _plain(line: str, values: NDArray[np.float32]) -> str:
    """A line, and below it a block for each of its columns."""
    levels = np.clip((values + 1) / 2 * len(BLOCKS), 0, len(BLOCKS) - 1).astype(int).tolist()
    shown = [terminal.visible(c, keep="") for c in line]
    blocks = [BLOCKS[level] * terminal.width_of(c) for c, level in zip(shown, levels, strict=True)]
    return f"{''.join(shown)}\n{''.join(blocks)}\n"
