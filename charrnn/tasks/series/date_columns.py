"""Which columns of a table have its dates: one, a date and a time, or year, month and day apart."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from charrnn.errors import CorpusError
from charrnn.tasks.series import dates as dates_
from charrnn.tasks.series.columns import Columns, find_column
from charrnn.tasks.series.date_words import ENGLISH, plain_words
from charrnn.tasks.series.dates import ParsedDates
from charrnn.tasks.series.tables import Table

TIME_NAMES = ("year", "date", "time", "period", "timestamp", "datetime", "unix", "epoch", "month",
              "day", "ds", "column 1", "jahr", "datum", "zeit", "fecha", "data", "ann\u00e9e",
              "a\u00f1o")  # fmt: skip
"""Names of a column whose whole numbers may be years, seconds since 1970, or Excel's days."""

PARTS = (
    ("year", "yr", "jahr", "ann\u00e9e", "annee", "a\u00f1o", "ano", "anno"),
    ("month", "mon", "mo", "monat", "mois", "mes", "m\u00eas", "mese"),
    ("day", "dy", "tag", "jour", "dia", "d\u00eda", "giorno", "mday", "day of month"),
    ("hour", "hr", "hh", "stunde", "heure", "hora", "ora"),
    ("minute", "min", "minuto"),
)
"""Names of columns with a year, a month, a day, an hour and a minute apart."""

BOUNDS = ((1000, 2999), (1, 12), (1, 31), (0, 24), (0, 59))

CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")

EXCEL_DAYS = (20_000.0, 80_000.0)
"""Days since the end of 1899 of the years 1954 to 2119, as spreadsheets count them."""

LOOK = 20
"""Cells of a column by which it is taken to be one of dates, though some of it are none."""

MOST_FOOTERS = 20
"""Rows below a table, such as totals and sources, that are left out."""


def find_dates(table: Table, columns: Columns) -> tuple[Table, list[int], ParsedDates | None]:
    """The table without what is below it, the columns of its dates, and those, one for each row.

    CorpusError if a column has dates and, within the table, cells that are none.
    """
    asked = [find_column(table, columns.date)] if columns.date else list(range(len(table.names)))
    skipped = {find_column(table, name) for name in (*columns.target, *columns.covariates)}
    if not columns.date and (parts := _apart(table, skipped)) is not None:
        return table, *parts
    for column in asked:
        if column in skipped or not any(c.isdigit() for c in table.columns[column][0]):
            continue
        if (found := _dates_of(table, column, bool(columns.date))) is not None:
            return table, *found
        if dates_.parse_dates(table.columns[column][:1]) is None:
            continue
        if (count := _before_footer(table.columns[column])) < table.rows:
            shorter = _without_footer(table, count)
            if (found := _dates_of(shorter, column, bool(columns.date))) is not None:
                return shorter, *found
    if columns.date:
        cells = table.columns[asked[0]]
        wrong = next((c for c in cells if dates_.parse_dates([c]) is None), "")
        raise CorpusError(
            f"the column {columns.date} has cells that are no dates, such as {wrong[:40]!r}",
            "correct them, or write dates as 2024-01-31",
        )
    _check_mostly_dates(table, skipped)
    return table, [], None


def by_years(table: Table) -> Table | None:
    """A table with a row for each year and a column for each month -> one below the other.

    None if it is another table. Other columns, such as sums, are left out.
    """
    heads = [plain_words(name.lower().strip()) for name in table.names]
    places = [heads.index(month) for month in ENGLISH if month in heads]
    if len(places) < len(ENGLISH) or places != sorted(places) or places[0] == 0:
        return None
    years = table.columns[places[0] - 1]
    if not all(year.isdigit() and BOUNDS[0][0] <= int(year) <= BOUNDS[0][1] for year in years):
        return None
    cells = [
        (f"{year}-{month + 1:02}", table.columns[place][row], table.lines[row])
        for row, year in enumerate(years)
        for month, place in enumerate(places)
    ]
    dates, values, lines = zip(*cells, strict=True)
    notes = ["each row is a year, with a column for each month"]
    if rest := [name for i, name in enumerate(table.names) if i not in (places[0] - 1, *places)]:
        notes.append(f"left out besides the months: {', '.join(rest[:3])}")
    return dataclasses.replace(
        table, names=("month", "value"), columns=(dates, values), lines=lines,
        notes=(*table.notes, *notes),
    )  # fmt: skip


def _dates_of(table: Table, column: int, is_asked: bool) -> tuple[list[int], ParsedDates] | None:
    """A column, with the time in the one after it -> the columns and the dates; None if none."""
    cells, after = table.columns[column], column + 1
    if after < len(table.names) and all(map(CLOCK.fullmatch, table.columns[after])):
        joined = [f"{a} {b}" for a, b in zip(cells, table.columns[after], strict=True)]
        if (parsed := dates_.parse_dates(joined)) is not None:
            return [column, after], parsed
    if (parsed := dates_.parse_dates(cells)) is not None:
        return [column], parsed
    if (parsed := _numeric_dates(table, column, is_asked)) is not None:
        return [column], parsed
    return None


def _before_footer(cells: Sequence[str]) -> int:
    """Rows before those at the end whose cells are no dates, if most others are; else all."""
    chosen = cells[:: max(1, len(cells) // LOOK)]
    if sum(dates_.parse_dates([cell]) is not None for cell in chosen) < 0.8 * len(chosen):
        return len(cells)
    count = len(cells)
    while count > len(cells) - MOST_FOOTERS and dates_.parse_dates([cells[count - 1]]) is None:
        count -= 1
    return count if count > len(cells) - MOST_FOOTERS else len(cells)


def _without_footer(table: Table, count: int) -> Table:
    """The first rows of a table, and a note of those after them."""
    gone = table.rows - count
    shown = next(
        (cell for column in table.columns for cell in column[count : count + 1] if cell), ""
    )
    note = f"{gone} line{'s' * (gone > 1)} without a date below it left out: {shown[:30]!r}"
    return dataclasses.replace(
        table, columns=tuple(column[:count] for column in table.columns),
        lines=table.lines[:count], notes=(*table.notes, note),
    )  # fmt: skip


def _check_mostly_dates(table: Table, skipped: set[int]) -> None:
    """CorpusError if a column has dates in nearly all rows: one cell must not cost all of them."""
    for column, cells in enumerate(table.columns):
        if column in skipped or table.rows < LOOK or dates_.parse_dates(cells[:1]) is None:
            continue
        chosen = cells[:: max(1, len(cells) // LOOK)]
        if sum(dates_.parse_dates([cell]) is not None for cell in chosen) < 0.9 * len(chosen):
            continue
        wrong = [i for i, cell in enumerate(cells) if dates_.parse_dates([cell]) is None]
        if wrong and len(wrong) <= 0.1 * len(cells):
            name = table.names[column]
            raise CorpusError(
                f"line {table.lines[wrong[0]]}: {cells[wrong[0]][:40]!r} is no date, as the others "
                f"of the column {name} are",
                "correct it, or leave the line out",
            )


def _apart(table: Table, skipped: set[int]) -> tuple[list[int], ParsedDates] | None:
    """Columns of years, months, days ... -> the dates that they are together; None without them."""
    lower = [name.lower().strip() for name in table.names]
    found: list[int] = []
    for names, (low, high) in zip(PARTS, BOUNDS, strict=True):
        place = next((lower.index(name) for name in names if name in lower), None)
        if place is None or place in skipped or place in found:
            break
        cells = table.columns[place]
        if not all(c.isdigit() and len(c) < 5 and low <= int(c) <= high for c in cells):
            break
        found.append(place)
    if len(found) < 2:
        return None
    values = [np.array(table.columns[i], np.int64) for i in found]
    day = values[2] if len(values) > 2 else np.ones(table.rows, np.int64)
    if (dates := dates_.from_parts(values[0], values[1], day)) is None:
        return None
    for part, seconds in zip(values[3:], (3600, 60), strict=False):
        dates = dates + part * seconds
    return found, ParsedDates(dates, "parts of dates", has_day=len(found) > 2)


def _numeric_dates(table: Table, column: int, is_asked: bool) -> ParsedDates | None:
    if not is_asked and table.names[column].lower() not in TIME_NAMES:
        return None
    if len(table.names) == 1:
        return None  # the only numbers are the values
    cells = table.columns[column]
    if (days := dates_.parse_days(cells, *EXCEL_DAYS)) is not None:
        return days
    if not all(cell.isdigit() and len(cell) < 15 for cell in cells):
        return None
    values = np.array(cells, float)
    # Series below each other repeat their years.
    if (years := dates_.parse_years(np.unique(values))) is not None and len(np.unique(values)) > 1:
        found = (values.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[s]")
        return ParsedDates(found, years.form, has_day=False)
    return dates_.parse_seconds(values)
