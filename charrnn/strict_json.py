"""JSON as a file of ours holds it, and no more: what a stranger's file could hide is refused.

It knows no file and no meaning; the error is the caller's to word.
"""

import json
import math
from typing import Any


def parse(raw: bytes) -> Any:
    """A value of JSON; ValueError for duplicate keys, NaN, huge numbers, bottomless nesting."""
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_small_int,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError("huge number")
    return float(text)


def _small_int(text: str) -> int:
    if len(text) > 20:
        raise ValueError("huge integer")
    return int(text)
