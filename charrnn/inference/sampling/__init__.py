"""Logits -> logits, in numpy: the filters that shape a model's distribution, and the random draw.

    base         parameters, context, softmax, the draw
    penalties    filters that look back: repetition penalties, DRY; bias and exclusion
    truncation   filters that keep some tokens: top-k, top-p, min-p, typical-p, top-n-sigma, XTC
    temperature  temperature, dynamic temperature, mirostat

A filter takes logits (B, V) and a Context, and returns logits (B, V), with -inf for what it rules
out. A new filter is a function with `@parameters(...)` in one of these modules and its name in
ORDER; its options, defaults and help follow.
"""

from collections.abc import Mapping, Sequence

from charrnn.errors import UsageError
from charrnn.inference.sampling import penalties as _penalties
from charrnn.inference.sampling import temperature as _temperature
from charrnn.inference.sampling import truncation as _truncation
from charrnn.inference.sampling.base import (
    REGISTERED,
    Context,
    Filter,
    FilterSpec,
    Logits,
    Parameter,
    StatefulFilter,
    chain,
    draw,
    log_softmax,
    probabilities,
)
from charrnn.inference.sampling.penalties import bias, exclude

__all__ = [
    "FILTERS",
    "PARAMETERS",
    "Context",
    "Filter",
    "FilterSpec",
    "Logits",
    "Parameter",
    "StatefulFilter",
    "bias",
    "chain",
    "check_parameter",
    "check_parameters",
    "draw",
    "exclude",
    "filters",
    "log_softmax",
    "probabilities",
    "resolve",
    "window",
]

MODULES = (_penalties, _truncation, _temperature)
"""The modules that register filters when they are imported."""

# Truncation comes before temperature, so that the temperature does not change which tokens are
# kept; penalties come before both, so that they do.
ORDER = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
    "mirostat",
)
"""The filters in the order in which they are applied, that of llama.cpp."""

FILTERS: dict[str, FilterSpec] = {name: REGISTERED[name] for name in ORDER}
"""Filters by name, in that order."""

PARAMETERS = {name: each for spec in FILTERS.values() for name, each in spec.parameters.items()}
"""All parameters of all filters, by the name of their option."""


def check_parameter(name: str, value: float) -> None:
    """UsageError unless a value is a number within the bounds of a parameter.

    >>> check_parameter("temperature", 0.7)
    """
    known = PARAMETERS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Written so that NaN fails too.
    if not (is_number and known.low <= value <= known.high):
        raise UsageError(
            f"{name} is {value!r}", f"give a number from {known.low:g} to {known.high:g}"
        )
    # A part of a token would keep none.
    if type(known.default) is int and value != int(value):
        raise UsageError(
            f"{name} is {value!r}", f"give a whole number from {known.low:g} to {known.high:g}"
        )


def check_parameters(values: Mapping[str, float]) -> None:
    """UsageError if these are not parameters of filters, with values within their bounds."""
    unknown = sorted(values.keys() - PARAMETERS.keys())
    if unknown:
        raise UsageError(
            f"there is no sampling option {unknown[0]!r}",
            f"choose from {', '.join(PARAMETERS)}",
        )
    for name, value in values.items():
        check_parameter(name, value)


def resolve(
    values: Mapping[str, float],
    order: Sequence[str] = tuple(FILTERS),
    characters: bool = False,
) -> dict[str, dict[str, float]]:
    """Parameter values -> the filters they switch on, in this order, with all their parameters.

    characters: whether the tokens of the model are single characters, which has defaults of its
    own. UsageError for an unknown filter name.

    >>> resolve({"temperature": 0.8, "top_k": 0, "top_p": 0.9})["top_p"]
    {'top_p': 0.9}
    """
    found = {}
    for name in order:
        if name not in FILTERS:
            raise UsageError(f"there is no sampler {name!r}", f"choose from {', '.join(FILTERS)}")
        known = FILTERS[name].parameters
        given = {key: values.get(key, each.default_for(characters)) for key, each in known.items()}
        if any(each.switch and given[key] != each.default for key, each in known.items()):
            found[name] = given
    return found


def filters(
    values: Mapping[str, float],
    order: Sequence[str] = tuple(FILTERS),
    characters: bool = False,
) -> list[Filter]:
    """Parameter values -> the filters they switch on, in this order; no others are made.

    The arguments are those of `resolve`.

    >>> len(filters({"temperature": 0.8, "top_k": 0}))
    1
    """
    used = resolve(values, order, characters)
    # A filter may be named twice. The parameters have the order of the arguments of `make`.
    return [FILTERS[name].make(*used[name].values()) for name in order if name in used]


def window(
    values: Mapping[str, float],
    order: Sequence[str] = tuple(FILTERS),
    extra: Sequence[Filter] = (),
) -> int:
    """Parameter values -> how many of the latest tokens the filters look at; -1 for all.

    extra: other filters, of which one may look at all: it has a `whole_history` that is true.

    >>> window({"penalty_last_n": 300, "presence_penalty": 1}), window({"penalty_last_n": 300})
    (300, 0)
    """
    sizes = [
        int(given[key])
        for name, given in resolve(values, order).items()
        for key, each in FILTERS[name].parameters.items()
        if each.window
    ]
    sizes += [-1 for each in extra if getattr(each, "whole_history", False)]
    return -1 if -1 in sizes else max(sizes, default=0)
