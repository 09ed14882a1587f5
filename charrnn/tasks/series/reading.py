"""A table -> series on one regular step: which column is what, the layout, gaps and duplicates.

Three layouts are read: a column for each series, series below each other with a column that names
them, and a row for each series. What was found is said in notes, one line each.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.series import dates as dates_
from charrnn.tasks.series.dates import Dates, ParsedDates
from charrnn.tasks.series.frequency import Frequency, find_frequency
from charrnn.tasks.series.tables import LOOK, Table, is_missing, number

INDEX_NAMES = ("", "index", "id", "t", "step", "no", "nr", "row", "n", "unnamed: 0", "column 1")
"""Names of a column that only numbers the rows."""

TIME_NAMES = ("year", "date", "time", "period", "timestamp", "datetime", "unix", "epoch", "month",
              "day", "ds", "column 1")  # fmt: skip
"""Names of a column whose whole numbers may be years, or seconds since 1970."""

CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")

FEW_DUPLICATES = 0.01
"""So many rows may repeat a date: a clock that is put back in autumn repeats an hour."""

MOSTLY_MISSING = 0.9
"""A series of which more is missing is refused."""


@dataclass(frozen=True)
class Columns:
    """What the user says of the columns: names, or numbers from 1 on; empty for what is found."""

    target: tuple[str, ...] = ()
    date: str = ""
    covariates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Values (T,) at the indices begin, begin + 1 ...; NaN is missing, but not at the ends.

    covariates: (T or more, C); those after the last value are of the future.
    """

    name: str
    begin: int
    values: NDArray[np.float64]
    covariates: NDArray[np.float32]


@dataclass(frozen=True)
class SeriesData:
    """The series of a file, their step, and what is to be said of how they were read."""

    series: tuple[Series, ...]
    frequency: Frequency
    targets: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Long:
    """Series in the making: cells by (series, row), before they are put on a step."""

    names: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]
    values: tuple[NDArray[np.float64], ...]


def read_series(
    table: Table, columns: Columns = Columns(), frequency: Frequency | None = None
) -> SeriesData:
    """A table -> its series. frequency: the step they must have, None to find it.

    CorpusError if the table has no numbers, or dates without a regular step.
    """
    if not table.rows:
        raise CorpusError("the table has a header and no rows", "give some")
    if _is_by_rows(table, columns):
        return _read_rows(table, frequency)
    date_columns, parsed = _find_dates(table, columns)
    used = set(date_columns)
    covariates = [_column(table, name) for name in columns.covariates]
    used |= set(covariates)
    targets = [_column(table, name) for name in columns.target]
    notes = list(table.notes)
    if parsed is None:
        used |= _index_column(table, used, notes)
    names = _names_column(table, parsed, used | set(targets), notes)
    used |= set(names)
    if not targets:
        targets = _numeric(table, used, notes)
    if not targets:
        raise CorpusError("no column has numbers", "give a CSV file with a column of values")
    if parsed is not None:
        named = " and ".join(table.names[i] for i in date_columns)
        notes.append(f"dates: {parsed.form}, from the column {named}")
    long = _group(table, targets, names)
    # A file's decimals and dates are its own, but its step must be that of the training.
    return _on_step(table, long, parsed, covariates, targets, frequency, notes)


def _column(table: Table, name: str) -> int:
    """A column's name, or its number from 1 on -> its index. UsageError if there is none."""
    if name in table.names:
        return table.names.index(name)
    lower = [each.lower() for each in table.names]
    if name.lower() in lower:
        return lower.index(name.lower())
    if name.isdigit() and 1 <= int(name) <= len(table.names):
        return int(name) - 1
    known = ", ".join(table.names[:12]) + (" ..." if len(table.names) > 12 else "")
    raise UsageError(f"there is no column {name!r}", f"the columns are {known}")


def _cells(table: Table, column: int) -> list[str]:
    return [cell for cell in table.columns[column] if not is_missing(cell)]


def _is_numeric(table: Table, column: int) -> bool:
    # A look at many; `Table.numbers` names the one cell that is none.
    cells = [cell for cell in table.columns[column][:LOOK] if not is_missing(cell)]
    cells = cells or _cells(table, column)[:LOOK]
    good = sum(not np.isnan(number(cell, table.decimal)) for cell in cells)
    return bool(cells) and good >= 0.95 * len(cells)


def _is_by_rows(table: Table, columns: Columns) -> bool:
    """Whether each row is a series: its name, and then numbers only."""
    if columns.target or columns.date or columns.covariates or len(table.names) < 4:
        return False
    first = _cells(table, 0)
    named = len(first) == table.rows == len(set(first)) and not _is_numeric(table, 0)
    if not named or dates_.parse_dates(first) is not None:
        return False
    # A column at the end may be empty, where no series is so long.
    filled = [i for i in range(1, len(table.names)) if _cells(table, i)]
    return len(filled) > 2 and all(_is_numeric(table, i) for i in filled)


def _read_rows(table: Table, frequency: Frequency | None) -> SeriesData:
    grid = np.stack([table.numbers(i) for i in range(1, len(table.names))], 1)
    heads = [name.lstrip("Xx") for name in table.names[1:]]
    parsed = dates_.parse_dates(heads) if table.has_header else None
    if parsed is None and table.has_header and all(head.isdigit() for head in heads):
        parsed = dates_.parse_years(np.array(heads, float))
    notes = [*table.notes, "each row is a series"]
    if parsed is None:
        found = frequency or Frequency()
        index = np.arange(grid.shape[1])
    else:
        found = frequency or find_frequency([parsed.values], parsed.has_day)
        index = _indices(found, parsed.values)
    series = []
    for name, row in zip(table.columns[0], grid, strict=True):
        known = np.flatnonzero(np.isfinite(row))
        if len(known):
            series.append(_dense(name, index[known], row[known], None, np.zeros((0, 0))))
    if not series:
        raise CorpusError("no row has numbers", "give a CSV file of values")
    return _finished(series, found, ("value",), (), notes)


def _find_dates(table: Table, columns: Columns) -> tuple[list[int], ParsedDates | None]:
    """The columns of the dates, and their values (one for each row)."""
    asked = [_column(table, columns.date)] if columns.date else list(range(len(table.names)))
    skipped = {_column(table, name) for name in (*columns.target, *columns.covariates)}
    for column in asked:
        cells = table.columns[column]
        if column in skipped or not any(c.isdigit() for c in cells[0]):
            continue
        after = column + 1
        if after < len(table.names) and all(map(CLOCK.fullmatch, table.columns[after])):
            joined = [f"{a} {b}" for a, b in zip(cells, table.columns[after], strict=True)]
            if (parsed := dates_.parse_dates(joined)) is not None:
                return [column, after], parsed
        if (parsed := dates_.parse_dates(cells)) is not None:
            return [column], parsed
        if (parsed := _numeric_dates(table, column, bool(columns.date))) is not None:
            return [column], parsed
    if columns.date:
        wrong = next((c for c in table.columns[asked[0]] if dates_.parse_dates([c]) is None), "")
        raise CorpusError(
            f"the column {columns.date} has cells that are no dates, such as {wrong[:40]!r}",
            "correct them, or write dates as 2024-01-31",
        )
    return [], None


def _numeric_dates(table: Table, column: int, is_asked: bool) -> ParsedDates | None:
    if not is_asked and table.names[column].lower() not in TIME_NAMES:
        return None
    cells = table.columns[column]
    if not all(cell.isdigit() and len(cell) < 15 for cell in cells):
        return None
    values = np.array(cells, float)
    # Series below each other repeat their years.
    if (years := dates_.parse_years(np.unique(values))) is not None and len(np.unique(values)) > 1:
        found = (values.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[s]")
        return ParsedDates(found, years.form, has_day=False)
    return dates_.parse_seconds(values)


def _index_column(table: Table, used: set[int], notes: list[str]) -> set[int]:
    """The first column, if it only numbers the rows."""
    cells = table.columns[0]
    is_index = (
        0 not in used
        and len(table.names) > 1
        and table.names[0].lower() in INDEX_NAMES
        and all(cell.isdigit() and len(cell) < 12 for cell in cells)
        and bool((np.diff(np.array(cells, float)) == 1).all())
    )
    if is_index:
        notes.append(f"the column {table.names[0]} numbers the rows and is left out")
    return {0} if is_index else set()


def _names_column(
    table: Table, parsed: ParsedDates | None, used: set[int], notes: list[str]
) -> list[int]:
    """The columns that say which series a row belongs to, if series are below each other."""
    texts = [
        i
        for i in range(len(table.names))
        if i not in used and not _is_numeric(table, i) and _cells(table, i)
    ]
    varying = [i for i in texts if len(set(table.columns[i])) > 1]
    if parsed is None:
        # Without dates, rows of one series follow each other, so its name repeats.
        found = [i for i in varying if len(set(table.columns[i])) <= table.rows / 2]
        return found[:1]
    stamps = parsed.values.astype(np.int64)
    distinct = len(np.unique(stamps))
    if distinct == table.rows:
        return []
    whole = [
        i
        for i in range(len(table.names))
        if i not in used and i not in texts and _is_numeric(table, i)
        and all(cell.isdigit() and len(cell) < 12 for cell in table.columns[i])
    ]  # fmt: skip
    free = [i for i in range(len(table.names)) if i not in used and _is_numeric(table, i)]
    if len(free) < 2:
        whole = []  # the only numbers are the values
    # Texts first, alone and then together; numbers such as those of shops last.
    tries = [[i] for i in varying] + ([varying] if len(varying) > 1 else []) + [[i] for i in whole]
    for columns in tries:
        if len({tuple(table.columns[i][r] for i in columns) for r in range(table.rows)}) > table.rows / 2:
            continue  # a series has several rows
        keys = {(stamps[r], *(table.columns[i][r] for i in columns)) for r in range(table.rows)}
        if len(keys) >= (1 - FEW_DUPLICATES) * table.rows:
            named = " and ".join(table.names[i] for i in columns)
            notes.append(f"series are below each other, named by the column {named}")
            return columns
    return []


def _numeric(table: Table, used: set[int], notes: list[str]) -> list[int]:
    """The columns of numbers that are left, which are the series."""
    rest = [i for i in range(len(table.names)) if i not in used and _cells(table, i)]
    found = [i for i in rest if _is_numeric(table, i)]
    ignored = [table.names[i] for i in rest if i not in found]
    if ignored:
        more = f" and {len(ignored) - 3} more" if len(ignored) > 3 else ""
        notes.append(f"left out, not numbers: {', '.join(ignored[:3])}{more}")
    return found


def _group(table: Table, targets: list[int], names: list[int]) -> _Long:
    """Rows and values of each series, in the order of the file."""
    values = {target: table.numbers(target) for target in targets}
    groups: dict[str, list[int]] = {}
    for row in range(table.rows):
        key = "/".join(table.columns[i][row] for i in names)
        groups.setdefault(key, []).append(row)
    titles, rows, found = [], [], []
    for key, members in groups.items():
        index = np.array(members)
        for target in targets:
            title = table.names[target]
            if key:
                title = key if len(targets) == 1 else f"{key} {title}"
            titles.append(title)
            rows.append(index)
            found.append(values[target][index])
    return _Long(tuple(titles), tuple(rows), tuple(found))


def _indices(frequency: Frequency, dates: Dates) -> NDArray[np.int64]:
    index, fits = frequency.index(dates)
    if not fits.all():
        wrong = str(dates[int(np.flatnonzero(~fits)[0])]).replace("T", " ")
        raise CorpusError(
            f"{wrong} is not on a step of a {frequency.name}", "give a file of the same step"
        )
    return index


def _on_step(
    table: Table,
    long: _Long,
    parsed: ParsedDates | None,
    covariates: list[int],
    targets: list[int],
    frequency: Frequency | None,
    notes: list[str],
) -> SeriesData:
    """Series in the making -> series on a regular step."""
    others = [table.numbers(i) for i in covariates]
    known = np.stack(others, 1) if others else np.zeros((table.rows, 0))
    if parsed is None:
        found = frequency or Frequency()
        if found.kind != "step":
            raise CorpusError(
                "the file has no dates, and the training data has them", "give a date column"
            )
    else:
        found = frequency or find_frequency(
            [np.unique(parsed.values[rows]) for rows in long.rows], parsed.has_day
        )
    repeated = backwards = 0
    series = []
    for name, rows, values in zip(long.names, long.rows, long.values, strict=True):
        index = np.arange(len(rows)) if parsed is None else _indices(found, parsed.values[rows])
        backwards += len(index) > 1 and bool(index[0] > index[-1])
        order = np.argsort(index, kind="stable")
        index, values, own = index[order], values[order], known[rows][order]
        doubles = np.flatnonzero(np.diff(index) == 0)
        repeated += len(doubles)
        same = (values[doubles] == values[doubles + 1]) | np.isnan(values[doubles + 1])
        if len(doubles) > max(2, FEW_DUPLICATES * len(index)) and not same.all():
            line = table.lines[rows[order[doubles[~same][0] + 1]]]
            raise CorpusError(
                f"line {line} repeats the date of another line, with another value, as "
                f"{len(doubles):,} lines do",
                "give one value for each step, or name the series in a column of their own",
            )
        if np.isfinite(values).any():
            series.append(_dense(name, index, values, doubles, own))
        else:
            notes.append(f"{name} has no values and is left out")
    if not series:
        raise CorpusError("no column has values", "give some")
    if backwards:
        notes.append("the newest value came first: the order is turned")
    if repeated:
        one = repeated == 1
        notes.append(
            f"{repeated:,} repeated date{'' if one else 's'}: the mean of "
            f"{'its' if one else 'their'} values is taken"
        )
    return _finished(
        series, found, tuple(table.names[i] for i in targets),
        tuple(table.names[i] for i in covariates), notes,
    )  # fmt: skip


def _dense(
    name: str,
    index: NDArray[np.int64],
    values: NDArray[np.float64],
    doubles: NDArray[np.int64] | None,
    covariates: NDArray[np.float64],
) -> Series:
    """Values at sorted indices -> a series with NaN in its gaps, and the mean of repeated ones."""
    known = np.isfinite(values)
    first, last = int(index[known][0]), int(index[known][-1])
    sums, counts = np.zeros(last - first + 1), np.zeros(last - first + 1)
    np.add.at(sums, index[known] - first, values[known])
    np.add.at(counts, index[known] - first, 1)
    with np.errstate(invalid="ignore"):
        dense = sums / counts
    if np.isnan(dense).mean() > MOSTLY_MISSING:
        raise CorpusError(
            f"of {name} {np.isnan(dense).mean():.0%} of the values are missing",
            "check its dates, or leave it out with --target",
        )
    width = covariates.shape[1] if covariates.ndim == 2 else 0
    end = int(index[-1]) if width else last
    more = np.full((end - first + 1, width), np.nan, np.float32)
    if width:
        inside = index >= first
        more[index[inside] - first] = covariates[inside]
    return Series(name, first, dense, more)


def _finished(
    series: list[Series],
    frequency: Frequency,
    targets: tuple[str, ...],
    covariates: tuple[str, ...],
    notes: list[str],
) -> SeriesData:
    """Notes on gaps; names made distinct."""
    missing = sum(int(np.isnan(each.values).sum()) for each in series)
    total = sum(len(each.values) for each in series)
    if missing:
        notes.append(
            f"{missing:,} of {total:,} values are missing: the network is told, they count nowhere"
        )
    holes = sum(int(np.isnan(each.covariates[: len(each.values)]).sum()) for each in series)
    if holes:
        notes.append(f"{holes:,} values of covariates are missing: their mean stands in")
    names: dict[str, int] = {}
    distinct = []
    for each in series:
        count = names[each.name] = names.get(each.name, 0) + 1
        name = each.name if count == 1 else f"{each.name} ({count})"
        distinct.append(Series(name, each.begin, each.values, each.covariates))
    return SeriesData(tuple(distinct), frequency, targets, covariates, tuple(notes))


def looks_like_numbers(text: str) -> bool:
    """Whether a text is plainly a table of numbers, such as a CSV file of a series."""
    try:
        from charrnn.tasks.series.tables import read_table

        table = read_table(text)
        data = [i for i in range(len(table.names)) if _is_numeric(table, i)]
        is_dated = any(dates_.parse_dates(column[:50]) for column in table.columns[:3])
    except CorpusError:
        return False
    return table.rows >= 8 and len(data) + is_dated >= max(1, len(table.names) - 1) and bool(data)


def as_sequence(values: Sequence[float]) -> NDArray[np.float64]:
    """Numbers, None or NaN where one is missing -> an array. UsageError if they are none."""
    try:
        found = np.array([np.nan if v is None else v for v in values], np.float64)
    except (TypeError, ValueError):
        raise UsageError("the values are not numbers", "give a list of numbers") from None
    if found.ndim != 1 or np.isinf(found).any() or not np.isfinite(found).any():
        raise UsageError("the values are not finite numbers", "give a list of numbers")
    return found
