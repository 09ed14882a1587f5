"""Cells with dates -> datetime64[s]: ISO, day or month first, names of months, quarters, weeks.

The standard library knows single dates; what it does not know is which order of day and month a
column has. That is found from the whole column: the order that all of it can be read in, and of two
the one whose steps are more regular.
"""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.tasks.series.date_words import plain_words

Dates = NDArray[np.datetime64]

ISO = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?")

TIME = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:\s*([AaPp])\.?[Mm]\.?)?)?"

PARTS = re.compile(r"(\d{1,4})[/.\-](\d{1,2})[/.\-](\d{1,4})\.?" + TIME)

POINTS = "months after a point"
"""A form that numbers have too, so the months must be one after the other."""

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?P<year>\d{4})[ \-/]?Q(?P<quarter>[1-4])", re.IGNORECASE), "quarters"),
    (re.compile(r"Q(?P<quarter>[1-4])[ \-/]?(?P<year>\d{4})", re.IGNORECASE), "quarters"),
    (
        re.compile(
            r"(?P<quarter>[1-4])\.? ?(?:quarter|qtr|quartal|quart|trimestre|trim|kwartaal|[QTK])\.?"
            r"[ \-/]?(?P<year>\d{4})",
            re.IGNORECASE,
        ),
        "quarters",
    ),
    (re.compile(r"(?P<year>\d{4})[M/](?P<month>\d{1,2})", re.IGNORECASE), "months"),
    (re.compile(r"(?P<year>1[5-9]\d\d|20\d\d)\.(?P<month>\d\d)"), POINTS),
    (re.compile(r"(?P<month>\d{1,2})[/.\-](?P<year>\d{4})"), "months"),
    (re.compile(r"(?P<year>\d{4})-?W(?P<week>\d{2})", re.IGNORECASE), "weeks"),
    (re.compile(r"(?P<year>(19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})"), "days"),
)

NAMED = (
    "%b %Y", "%B %Y", "%b-%y", "%b-%Y", "%B-%Y", "%Y %b", "%Y-%b", "%Y %B", "%d %b %Y", "%d %B %Y",
    "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d %b %Y %H:%M",
    "%Y %b %d", "%Y-%b-%d", "%d/%b/%Y", "%d/%b/%Y:%H:%M:%S", "%b %d %H:%M:%S %Y",
    "%d %b %Y %H:%M:%S", "%b %d, %Y %I:%M %p", "%d %b %y", "%b %y", "%b/%Y", "%b/%y",
    "%d-%b-%Y %H:%M", "%d-%b-%Y %H:%M:%S", "%b %d, %Y %H:%M", "%a, %d %b %Y", "%a %d %b %Y",
)  # fmt: skip
"""Formats with names of months, in English."""

DAYS = re.compile(r"\d{5}(\.\d{1,12})?")

ORDERS = {"year first": (0, 1, 2), "day first": (2, 1, 0), "month first": (2, 0, 1)}
"""How a date of three numbers is written -> the places of year, month and day in it."""

WITHOUT_DAY = ("months", "quarters", POINTS)


@dataclass(frozen=True)
class ParsedDates:
    """A column of dates. form: how they were written. has_day: whether they name a day."""

    values: Dates
    form: str
    has_day: bool = True


def parse_dates(cells: Sequence[str]) -> ParsedDates | None:
    """The cells of a column -> its dates; None if some of them is no date.

    >>> parse_dates(["31/1/2020", "1/2/2020"]).values.astype(str).tolist()
    ['2020-01-31T00:00:00', '2020-02-01T00:00:00']
    """
    if not cells:
        return None
    for read in (_iso, _zoned, _parts, _patterns, _named):
        # One cell first, because a column of numbers would be tried five times over.
        if read(cells[:1]) is not None and (found := read(cells)) is not None:
            return found
    first = plain_words(cells[0])
    # Once more in plain words: of another language, with names of days, in UTC.
    return parse_dates(list(map(plain_words, cells))) if first != cells[0] else None


def parse_years(values: NDArray[np.float64]) -> ParsedDates | None:
    """Whole numbers one after the other, from 1000 to 2999 -> years; else None."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    steps = np.diff(values)
    regular = (steps == steps[0]).all() and abs(steps[0]) in (1, 2, 5, 10)
    if not regular or values.min() < 1000 or values.max() > 2999 or (values % 1).any():
        return None
    years = (values.astype(np.int64) - 1970).astype("datetime64[Y]")
    return ParsedDates(years.astype("datetime64[s]"), "years", has_day=False)


def parse_seconds(values: NDArray[np.float64]) -> ParsedDates | None:
    """Seconds or milliseconds since 1970, of the years 1980 to 2100 -> dates; else None."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    low, high = 315_532_800, 4_102_444_800
    for unit in (1, 1000):
        if low * unit <= values.min() and values.max() <= high * unit:
            seconds = (values // unit).astype(np.int64).astype("datetime64[s]")
            return ParsedDates(seconds, "seconds since 1970")
    return None


def parse_days(cells: Sequence[str], low: float, high: float) -> ParsedDates | None:
    """Spreadsheets' days since 1899-12-30, all between the bounds and each once -> dates, or None.

    >>> parse_days(["44927", "44928"], 2e4, 8e4).values.astype("datetime64[D]").astype(str).tolist()
    ['2023-01-01', '2023-01-02']
    """
    if len(cells) < 2 or not all(map(DAYS.fullmatch, cells)):
        return None
    days = np.array(cells, float)
    steps = np.diff(days)
    if not (low <= days.min() and days.max() <= high and ((steps > 0).all() or (steps < 0).all())):
        return None
    seconds = np.round(days * 86_400).astype(np.int64)
    return ParsedDates(
        np.datetime64("1899-12-30", "s") + seconds, "days as spreadsheets count them"
    )


def _iso(cells: Sequence[str]) -> ParsedDates | None:
    if not all(map(ISO.fullmatch, cells)):
        return None
    try:
        values = np.array(cells, dtype="datetime64[s]")
    except ValueError:
        return None
    return ParsedDates(values, "ISO dates", has_day=len(cells[0]) > 7)


def _zoned(cells: Sequence[str]) -> ParsedDates | None:
    """ISO with a zone, or in a form that only the standard library knows, such as 20200131T1200."""
    try:
        found = [datetime.datetime.fromisoformat(cell) for cell in cells if not cell.isdigit()]
    except ValueError:
        return None
    if len(found) < len(cells):
        return None
    offsets = {each.utcoffset() for each in found}
    form = "ISO dates"
    # Local times of one zone repeat an hour in autumn; those of UTC do not.
    if len(offsets) > 1 and None not in offsets:
        found = [each.astimezone(datetime.UTC) for each in found]
        form = "ISO dates, in UTC because their zones differ"
    plain = [each.replace(tzinfo=None) for each in found]
    return ParsedDates(np.array(plain, dtype="datetime64[s]"), form)


def _parts(cells: Sequence[str]) -> ParsedDates | None:
    matches = [PARTS.fullmatch(cell) for cell in cells]
    if not all(matches):
        return None
    numbers = np.array([[int(m[1]), int(m[2]), int(m[3])] for m in matches if m])
    seconds = np.array([_seconds(m) for m in matches if m])
    found = []
    long = [len(m[1]) == 4 for m in matches if m]
    for name, order in ORDERS.items():
        # A year of two digits is never written first, and one of four nowhere else then.
        if all(long) != (name == "year first") or (any(long) and not all(long)):
            continue
        values = from_parts(*(numbers[:, place] for place in order))
        if values is not None:
            found.append((_regularity(values + seconds), name, values + seconds))
    if not found:
        return None
    # `max` takes the first of equals: day before month, as most of the world writes.
    _, form, values = max(found, key=lambda each: each[0])
    return ParsedDates(values, f"dates with the {form}")


def _seconds(match: re.Match[str]) -> int:
    hour, minute, second = (int(match[i] or 0) for i in (4, 5, 6))
    if match[7]:
        hour = hour % 12 + 12 * (match[7].lower() == "p")
    return 3600 * hour + 60 * minute + second


def from_parts(
    years: NDArray[np.int64], months: NDArray[np.int64], days: NDArray[np.int64]
) -> Dates | None:
    """Numbers -> dates; None if one of them is no date."""
    # As in POSIX: 69 to 99 are of the last century.
    years = np.where(years < 69, years + 2000, np.where(years < 100, years + 1900, years))
    if years.min() < 1000 or months.min() < 1 or months.max() > 12 or days.min() < 1:
        return None
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    lengths = (first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")
    if (days > lengths.astype(np.int64)).any():
        return None
    return (first.astype("datetime64[D]") + (days - 1)).astype("datetime64[s]")


def _regularity(values: Dates) -> float:
    """The share of the steps that are like most of them; a month counts as one length."""
    steps = np.diff(values.astype(np.int64))
    if not len(steps):
        return 1.0
    # 28 to 31 days are one month.
    months = (np.abs(steps) >= 28 * 86400) & (np.abs(steps) <= 31 * 86400)
    steps = np.where(months, np.sign(steps) * 30 * 86400, steps)
    return Counter(steps.tolist()).most_common(1)[0][1] / len(steps)


def _patterns(cells: Sequence[str]) -> ParsedDates | None:
    for pattern, form in PATTERNS:
        matches = [pattern.fullmatch(cell) for cell in cells]
        if all(matches):
            parts = [m.groupdict() for m in matches if m]
            years = np.array([int(each["year"]) for each in parts])
            if form == "weeks":
                return _weeks(years, np.array([int(each["week"]) for each in parts]))
            months = np.array(
                [int(each.get("month") or 3 * int(each.get("quarter", 1)) - 2) for each in parts]
            )
            days = np.array([int(each.get("day") or 1) for each in parts])
            steps = np.diff(12 * years + months)
            if form == POINTS and len(steps) and (steps != steps[0]).any():
                return None
            if (values := from_parts(years, months, days)) is not None:
                return ParsedDates(values, form, has_day=form not in WITHOUT_DAY)
    return None


def _weeks(years: NDArray[np.int64], weeks: NDArray[np.int64]) -> ParsedDates | None:
    try:
        found = [
            datetime.datetime.fromisocalendar(int(year), int(week), 1)
            for year, week in zip(years, weeks, strict=True)
        ]
    except ValueError:
        return None
    return ParsedDates(np.array(found, dtype="datetime64[s]"), "weeks")


def _named(cells: Sequence[str]) -> ParsedDates | None:
    if not any(map(str.isalpha, cells[0])):
        return None
    parse: Callable[[str, str], datetime.datetime] = datetime.datetime.strptime
    for form in NAMED:
        try:
            found = [parse(cell, form) for cell in cells]
        except ValueError:
            continue
        return ParsedDates(np.array(found, dtype="datetime64[s]"), "dates with names", "%d" in form)
    return None
