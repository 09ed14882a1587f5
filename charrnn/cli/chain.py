"""The options of the filters and constraints, which `sample`, `write` and `chat` share.

All apply one chain: bias, allow, ban, known words, bars, no copy, pattern, novel lines; then the
filters in the order of --samplers.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from charrnn.cli.effects import GIVEN
from charrnn.cli.options import option
from charrnn.errors import UsageError
from charrnn.inference.constraints import Constraints
from charrnn.inference.sampling import FILTERS, PARAMETERS, Parameter

SAMPLERS = ";".join(FILTERS)
"""The filters in their order."""

Samplers = Annotated[
    str, option(help="The filters in the order in which they are applied, separated by ;.")
]

Ban = Annotated[
    list[str] | None,
    option(help="Never generate this text; may be given several times.", show_default="none"),
]

Allow = Annotated[str | None, option(help="Generate only these characters.", show_default="all")]

Bias = Annotated[
    list[str] | None,
    option(
        metavar="TEXT=AMOUNT",
        help="Add AMOUNT to the logit of the token TEXT; may be given several times.",
        show_default="none",
    ),
]

Regex = Annotated[
    str | None,
    option(help="Generate a text that matches this regular expression.", show_default="none"),
]

KnownWords = Annotated[
    str | None,
    option(
        metavar="[FILE]",
        help="Generate only words of the training text, or of the text in FILE.",
        show_default="all words",
    ),
]

NoCopy = Annotated[
    int | None,
    option(
        min=1,
        max=10**6,
        help="Copy at most N characters in a row from the corpus.",
        metavar="N",
        show_default="no limit",
    ),
]

Bars = Annotated[
    bool | None,
    option(
        "--bars/--no-bars",
        help="Of a model of tunes: write only bars that add up.",
        show_default="yes, if it was trained on tunes",
    ),
]

Key = Annotated[
    str | None,
    option(help="Write a tune in this key: G, Em, Bb, Ador.", show_default="any"),
]

TuneMeter = Annotated[
    str | None, option(help="Write a tune in this meter: 4/4, 6/8.", show_default="any")
]

Novel = Annotated[bool, option("--novel", help="Generate no line that is in the corpus.")]

CONSTRAINTS: Mapping[str, tuple[Any, Any]] = {
    "ban": (Ban, None),
    "allow": (Allow, None),
    "bias": (Bias, None),
    "regex": (Regex, None),
    "known_words": (KnownWords, None),
    "no_copy": (NoCopy, None),
    "novel": (Novel, False),
}
"""Option -> its annotation and default, in the order of the help."""


TUNES: Mapping[str, tuple[Any, Any]] = {
    "bars": (Bars, None),
    "key": (Key, None),
    "meter": (TuneMeter, None),
}
"""Those of tunes, which a conversation has none of."""


def constraints_of(values: Mapping[str, Any]) -> Constraints:
    """The values of all options -> the constraints. UsageError for a bias that is none."""
    return Constraints(
        ban=tuple(values["ban"] or ()),
        allow=values["allow"],
        bias=amounts(values["bias"] or ()),
        pattern=values["regex"],
        no_copy=values["no_copy"],
        novel=values["novel"],
        known_words=values["known_words"],
        bars=values.get("bars"),
        key=values.get("key") or "",
        meter=values.get("meter") or "",
    )


def constraint_settings(constraints: Constraints) -> dict[str, Any]:
    """What --json prints of the constraints that were given."""
    found: dict[str, Any] = {
        "ban": list(constraints.ban),
        "bias": dict(constraints.bias),
        "regex": constraints.pattern,
        "allow": constraints.allow,
        "no_copy": constraints.no_copy,
        "novel": constraints.novel,
        "known_words": constraints.known_words,
        "key": constraints.key,
        "meter": constraints.meter,
    }
    if constraints.bars is not None:
        found["bars"] = constraints.bars
    # An empty pattern is one.
    kept = {"regex": "", "allow": "", "bars": False}
    return {k: v for k, v in found.items() if v or (k in kept and v == kept[k])}


def given_values(values: Mapping[str, Any]) -> dict[str, float]:
    """All filter parameters -> those that were given; the others suit the tokenizer."""
    # In a fixed order: it is the order in which --json prints them.
    return {
        name: values[name]
        for name, each in PARAMETERS.items()
        if name in GIVEN.get() or values[name] != each.default
    }


def order_of(samplers: str) -> tuple[str, ...]:
    """--samplers -> the names of the filters."""
    return tuple(name for name in samplers.split(";") if name)


def amounts(texts: list[str] | tuple[()]) -> dict[str, float]:
    """TEXT=AMOUNT pairs -> text -> amount."""
    found = {}
    for text in texts:
        # The last "=", because the text may contain others.
        name, _, amount = text.rpartition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            raise UsageError(f"--bias {text!r} has no amount", "write it as TEXT=AMOUNT") from None
        # Written so that NaN, which compares as false, is refused too.
        if not name or not abs(found[name]) <= 1e6:
            raise UsageError(
                f"--bias {text!r} is not a text and an amount", "give -1000000 to 1000000"
            )
    return found


def _filter_option(parameter: Parameter) -> Any:
    """A filter's parameter -> its option, with the parameter's help and bounds."""
    neutral = f" {parameter.default:g} has no effect." if parameter.switch else ""
    shown: dict[str, Any] = {}
    if parameter.per_character is not None:
        own = f"{parameter.per_character:g} where tokens are characters"
        shown["show_default"] = f"{parameter.default:g}; {own}"
    return option(min=parameter.low, max=parameter.high, help=parameter.help + neutral, **shown)


def add_chain(
    command: Callable[..., None], filters_after: str, constraints_after: str, tunes: bool = False
) -> None:
    """Give a command with **values an option for each filter parameter and each constraint.

    They come after these parameters, next to which a reader of the help looks for them. A parameter
    that the command has itself stays as it is. tunes: whether those of tunes are there too.
    """
    own = inspect.signature(command).parameters
    filters = {
        name: (Annotated[type(each.default), _filter_option(each)], each.default)
        for name, each in PARAMETERS.items()
    }
    constraints = {**CONSTRAINTS, **(TUNES if tunes else {})}
    listed: list[inspect.Parameter] = []
    for parameter in own.values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            listed.append(parameter)
        for place, more in ((filters_after, filters), (constraints_after, constraints)):
            if parameter.name == place:
                listed += [
                    inspect.Parameter(
                        name,
                        inspect.Parameter.POSITIONAL_OR_KEYWORD,
                        default=default,
                        annotation=annotation,
                    )
                    for name, (annotation, default) in more.items()
                    if name not in own
                ]
    signature = inspect.signature(command).replace(parameters=listed)
    # Typer reads the signature for names and defaults, the annotations for types and help.
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
