"""Logits -> logits, in numpy: the filters that shape what a model says, and the draw itself.

A filter is a function from logits (B, V) and their context to logits (B, V); what it rules out has
the logit -inf. FILTERS holds them all in the order in which they are applied, with the numbers that
each takes: their options, neutral values and bounds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from charrnn.errors import UsageError
from charrnn.sampling.base import Context, Filter, Logits, chain, draw, probabilities
from charrnn.sampling.heat import mirostat, temperature
from charrnn.sampling.penalties import bias, dry, exclude, penalties
from charrnn.sampling.truncation import min_p, top_k, top_n_sigma, top_p, typical_p, xtc

__all__ = [
    "FILTERS",
    "NUMBERS",
    "Context",
    "Filter",
    "Logits",
    "Number",
    "bias",
    "chain",
    "draw",
    "exclude",
    "filters",
    "probabilities",
]


@dataclass(frozen=True)
class Number:
    """One number of a filter, and so one option. A filter whose switches are off is left out."""

    default: float
    low: float
    high: float
    help: str
    switch: bool = True


@dataclass(frozen=True)
class Kind:
    """A filter: how it is made of its numbers, in the order in which they are named here."""

    make: Callable[..., Filter]
    numbers: Mapping[str, Number]


FILTERS: dict[str, Kind] = {
    "penalties": Kind(
        penalties,
        {
            "repetition_penalty": Number(1, 1e-3, 1e3, "Above 1, discourage tokens used lately."),
            "presence_penalty": Number(0, -1e3, 1e3, "Subtract from tokens used lately, once."),
            "frequency_penalty": Number(0, -1e3, 1e3, "Subtract for each time a token was used."),
            "penalty_last_n": Number(64, -1, 2**20, "Tokens that count as lately; -1 all.", False),
        },
    ),
    "dry": Kind(
        dry,
        {
            "dry_multiplier": Number(0, 0, 1e3, "Strength against repeated sequences."),
            "dry_base": Number(1.75, 1, 1e3, "Its growth for each token repeated.", False),
            "dry_allowed_length": Number(2, 1, 2**20, "Tokens that may be repeated.", False),
            "dry_penalty_last_n": Number(-1, -1, 2**20, "How far back it looks; -1 all.", False),
        },
    ),
    "top_n_sigma": Kind(
        top_n_sigma,
        {"top_n_sigma": Number(-1, -1, 1e3, "Leave tokens within N deviations of the first.")},
    ),
    "top_k": Kind(top_k, {"top_k": Number(0, 0, 2**31, "Draw from the K likeliest tokens.")}),
    "typical_p": Kind(
        typical_p,
        {"typical_p": Number(1, 0, 1, "Draw from the most typical tokens that hold this share.")},
    ),
    "top_p": Kind(
        top_p, {"top_p": Number(1, 0, 1, "Draw from the likeliest tokens that hold this share.")}
    ),
    "min_p": Kind(
        min_p, {"min_p": Number(0, 0, 1, "Leave out tokens less likely than this times the first.")}
    ),
    "xtc": Kind(
        xtc,
        {
            "xtc_probability": Number(0, 0, 1, "Chance to leave out the top choices."),
            "xtc_threshold": Number(0.1, 0, 1, "Probability that makes a top choice.", False),
        },
    ),
    "temperature": Kind(
        temperature,
        {
            "temperature": Number(1, 0, 1e6, "Below 1 bolder, above 1 wilder, 0 the likeliest."),
            "dynatemp_range": Number(0, 0, 1e3, "Let the temperature vary by this, by certainty."),
            "dynatemp_exponent": Number(1, 0, 100, "How it follows the entropy.", False),
        },
    ),
    "mirostat": Kind(
        mirostat,
        {
            "mirostat": Number(0, 0, 2, "2 holds the surprise of the text near a target."),
            "mirostat_tau": Number(5, 0, 100, "Its target, in bits a token.", False),
            "mirostat_eta": Number(0.1, 0, 1, "Its learning rate.", False),
        },
    ),
}
"""Filters by name, in the order in which they are applied."""

NUMBERS = {name: number for kind in FILTERS.values() for name, number in kind.numbers.items()}
"""All numbers of all filters, by the name of their option."""


def filters(values: Mapping[str, float], order: Sequence[str] = tuple(FILTERS)) -> list[Filter]:
    """The filters that these values ask for, in this order; a filter left out of it is not used.

    UsageError for a name that is none.
    """
    made = []
    for name in order:
        if name not in FILTERS:
            raise UsageError(f"there is no sampler {name!r}", f"choose from {', '.join(FILTERS)}")
        numbers = FILTERS[name].numbers
        given = {key: values.get(key, number.default) for key, number in numbers.items()}
        if any(number.switch and given[key] != number.default for key, number in numbers.items()):
            made.append(FILTERS[name].make(*given.values()))
    return made
