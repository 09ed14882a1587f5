"""The model that writes: one run, several with --blend, with --label in a label, with --steer.

`sample` and `write` have these options with one meaning; `score` has --blend.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.options import offered_labels, option
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.tasks.language.language_model import LanguageModel

More = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="More models, for --blend.", show_default=False),
]

BlendWeights = Annotated[
    str | None,
    option(
        metavar="WEIGHTS",
        help="Let several models write together, with these weights: 0.7,0.3.",
        show_default="none",
    ),
]

Labels = Annotated[
    list[str] | None,
    option(
        metavar="NAME[=WEIGHT]",
        help="Write in this label of a model of --conditions; several with weights mix.",
        show_default="none",
        autocompletion=offered_labels,
    ),
]


Steers = Annotated[
    list[str] | None,
    option(
        metavar="UNIT=AMOUNT",
        help="Hold a unit at a value (1:37=2), or push it by one (1:37=+2), while writing; units "
        "are those of `neurons`. May be given several times.",
        show_default="none",
    ),
]


def written_by(
    runs: list[str | None],
    blend: str | None,
    labels: list[str],
    how: dict[str, Any],
    steers: Sequence[str] = (),
) -> "LanguageModel":
    """The model of one run, or of several with --blend; with --label in these labels.

    steers: what is done to units of the one run.
    how: the other arguments of `charrnn.load`.
    """
    from charrnn import api

    if runs[0] is not None and len(runs) > 1:
        names = [name for name in runs if name is not None]
        return api.blend(names, weights_of(blend, len(names)), **how)
    model = api.load(runs[0], **how, task=LANGUAGE)
    if steers:
        model = model.steered(*steers)
    if not labels:
        return model
    from charrnn.tasks.language.conditions import Conditioned, parse_labels

    return Conditioned(model, parse_labels(labels, model))


def weights_of(text: str | None, count: int) -> list[float]:
    """--blend -> the weights of so many models. UsageError unless they are numbers.

    >>> weights_of("0.7,0.3", 2)
    [0.7, 0.3]
    """
    if text is None:
        raise UsageError(
            f"{count} models write together only with weights",
            f"add --blend {','.join(['1'] * count)}, or name one model",
        )
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--blend {text!r} has a weight that is no number", "write it as 0.7,0.3"
        ) from None
