"""The keywords of `LanguageModel.sample` and `chat` -> sampling parameters and constraints."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.inference.constraints import CORPUS, Constraints
from charrnn.inference.generation import SamplingParams
from charrnn.inference.sampling import check_parameters


def sampling_params(
    length: int, seed: int | None, values: Mapping[str, float], greedy: bool, **more: Any
) -> SamplingParams:
    """Keywords -> sampling parameters; a seed of None is drawn. UsageError for an unknown one."""
    check_parameters(values)
    return SamplingParams(
        length=length,
        # From the system, so that no other random state is read or changed.
        seed=secrets.randbits(32) if seed is None else seed,
        values={**values, **({"temperature": 0.0} if greedy else {})},
        **more,
    )


def texts_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """A text, or several -> a tuple of them."""
    return (given,) if isinstance(given, str) else tuple(given)


CONSTRAINT_NAMES = (
    "ban", "allow", "bias", "regex", "no_copy", "novel", "known_words", "bars", "key", "meter",
)  # fmt: skip
"""Keywords that are constraints."""


def constraints_from(
    ban: str | Sequence[str] = (),
    allow: str | None = None,
    bias: Mapping[str, float] | None = None,
    regex: str | None = None,
    no_copy: int | None = None,
    novel: bool = False,
    known_words: bool | str | Path = False,
    bars: bool | None = None,
    key: str = "",
    meter: str = "",
) -> Constraints:
    """Keywords -> constraints; known_words is True or a file."""
    words = CORPUS if known_words is True else str(known_words) if known_words else None
    return Constraints(
        texts_of(ban), allow, bias or {}, regex, no_copy, novel, words, bars, key, meter
    )
