"""A cell as people write it -> its number: decimal signs, thousands, signs, units, marks."""

import re
from collections.abc import Iterable

import numpy as np

MISSING = frozenset(
    ("", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "missing", "*",
     "..", "...", ":", "\u2013", "\u2014", "n.a.", "#value!", "#ref!", "#div/0!")
)  # fmt: skip
"""Cells, in lower case, that say that there is no value."""

SPACES = " \u00a0\u202f\u2009"
"""Those between thousands; all but the first are never line ends or delimiters."""

THOUSANDS = {
    ".": re.compile(r"\d{1,3}([," + SPACES + r"'\u2019]\d{3})+(\.\d*)?"),
    ",": re.compile(r"\d{1,3}([." + SPACES + r"'\u2019]\d{3})+(,\d*)?"),
}
"""By the decimal sign: numbers whose thousands are set apart."""

GROUPS = re.compile(r"[-+]?\d{1,3}(\.\d{3}){2,}")
"""Points that cannot be decimal signs, because there are several."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")

BEFORE = re.compile(
    r"(?P<sign>[-+]?)\s*(US\$|R\$|A\$|C\$|Rs\.?|Fr\.?|kr\.?|[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd]|"
    r"(?P<unit>[A-Z]{3})(?=\s))\s*"
)
"""A currency in front: a sign, or three capital letters and a space."""

AFTER = re.compile(
    r"\s*([%\u2030$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd*\u2020\u2021#]|\u00b0[CF]?|"
    r"\([a-z]{1,2}\)|(?<=\d)\s(?P<unit>[A-Za-z]{1,3}\.?))$"
)
"""A unit, a currency or the mark of an estimate behind a number; letters only after a space."""

SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}
"""Letters right after a number, as in reports of trade: 3.52K."""

NO_UNITS = frozenset(
    ("am", "pm", "jan", "feb", "mar", "mrz", "apr", "may", "mai", "jun", "jul", "aug", "sep", "oct",
     "okt", "nov", "dec", "dez", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "h", "min", "q",
     "st", "nd", "rd", "th")
)  # fmt: skip
"""Letters behind or before a number that make it a part of a date."""


LONGEST = 60
"""Longer cells are plain numbers or none: expressions may take long on what is hostile."""


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.lower() in MISSING


def number(cell: str, decimal: str = ".") -> float:
    """A cell -> its number; NaN if it is none, infinity for one too large for a float.

    >>> number("1,234.5"), number("1.234,5", ","), number("$12"), number("45 %")
    (1234.5, 1234.5, 12.0, 45.0)
    >>> number("(1,200)"), number("EUR 3"), number("7.5 kg"), number("3.5K"), number("12 Mar")
    (-1200.0, 3.0, 7.5, 3500.0, nan)
    """
    # The common case; `float` alone would also take 1_000 and nan.
    if decimal == "." and cell[-1:].isdigit() and NUMBER.fullmatch(cell):
        return float(cell)
    if decimal == "," and DECIMAL_COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    if len(cell) > LONGEST:
        return float(cell) if NUMBER.fullmatch(cell) else np.nan
    if not any(map(str.isdigit, cell)):
        return np.inf if cell.lower().lstrip("+-") in ("inf", "infinity") else np.nan
    text, sign = _unsigned(cell.strip(SPACES))
    text = _bare(text)
    if text[:1] in "+-" and sign > 0:
        text, sign = _unsigned(text)
    size = SIZES.get(text[-1:], 1.0) if text[-2:-1].isdigit() else 1.0
    text = text if size == 1.0 else text[:-1]
    if THOUSANDS[decimal].fullmatch(text):
        text = re.sub("[" + SPACES + r"'\u2019" + ("," if decimal == "." else ".") + "]", "", text)
    if decimal == ",":
        text = text.replace(",", ".")
    return sign * size * float(text) if NUMBER.fullmatch(text) and text[0] not in "+-" else np.nan


def _unsigned(text: str) -> tuple[str, float]:
    """A text -> the same without its sign, and that: minus is written in four ways."""
    if text[:1] == "(" and text[-1:] == ")":
        return text[1:-1].strip(SPACES), -1.0
    if text[:1] in "-\u2212\u2013":
        return text[1:].strip(SPACES), -1.0
    if text[-1:] in "-\u2212" and text[:1].isdigit():
        return text[:-1].strip(SPACES), -1.0
    return text.removeprefix("+"), 1.0


def _bare(text: str) -> str:
    """A text without currency, unit and marks."""
    if (before := BEFORE.match(text)) and (before["unit"] or "").lower() not in NO_UNITS:
        text = before["sign"] + text[before.end() :]
    for _ in range(2):  # a unit and a mark
        after = AFTER.search(text)
        if not after or (after["unit"] or "").lower().rstrip(".") in NO_UNITS:
            break
        text = text[: after.start()]
    return text.strip(SPACES)


def decimal_sign(cells: Iterable[str]) -> str:
    """Cells of a file -> "." or ",": what more of the numbers in them can only be read with."""
    bare = [
        _bare(_unsigned(cell)[0])
        for cell in cells
        if len(cell) <= LONGEST and any(map(str.isdigit, cell))
    ]
    commas = sum(bool(DECIMAL_COMMA.fullmatch(cell)) for cell in bare)
    commas += sum("," in cell and bool(THOUSANDS[","].fullmatch(cell)) for cell in bare)
    thousands = sum(bool(THOUSANDS["."].fullmatch(cell)) for cell in bare)
    points = sum("." in cell and bool(NUMBER.fullmatch(cell)) for cell in bare)
    # 1.234 is a number with either sign, 1.234,5 and 1.234.567 only with a comma.
    grouped = sum(bool(THOUSANDS[","].fullmatch(cell)) for cell in bare)
    certain = sum(bool(GROUPS.fullmatch(cell)) for cell in bare)
    is_comma = commas > thousands and commas + grouped > points
    return "," if is_comma or (certain and not thousands) else "."
