"""A table -> series on one regular step: which column is what, the layout, gaps and duplicates.

Three layouts are read: a column for each series, series below each other with a column that names
them, and a row for each series. What was found is said in notes, one line each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.tasks.series import dates as dates_
from charrnn.tasks.series.columns import (
    ALL_COLUMNS,
    FEW_DUPLICATES,
    Columns,
    find_column,
    index_column,
    is_by_rows,
    names_column,
    numeric_columns,
)
from charrnn.tasks.series.date_columns import by_years, find_dates
from charrnn.tasks.series.dates import Dates, ParsedDates
from charrnn.tasks.series.frequency import Frequency, find_frequency
from charrnn.tasks.series.tables import Table

MOSTLY_MISSING = 0.9
"""A series of which more is missing is refused."""


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
    table: Table, columns: Columns = ALL_COLUMNS, frequency: Frequency | None = None
) -> SeriesData:
    """A table -> its series. frequency: the step they must have, None to find it.

    CorpusError if the table has no numbers, or dates without a regular step.
    """
    if not table.rows:
        raise CorpusError("the table has a header and no rows", "give some")
    if columns == ALL_COLUMNS and (unrolled := by_years(table)) is not None:
        table = unrolled
    if is_by_rows(table, columns):
        return _read_rows(table, frequency)
    table, date_columns, parsed = find_dates(table, columns)
    used = set(date_columns)
    covariates = [find_column(table, name) for name in columns.covariates]
    used |= set(covariates)
    targets = [find_column(table, name) for name in columns.target]
    notes = list(table.notes)
    if parsed is None:
        used |= index_column(table, used, notes)
    names = names_column(table, parsed, used | set(targets), notes)
    used |= set(names)
    if not targets:
        targets = numeric_columns(table, used, notes)
    if not targets:
        raise CorpusError("no column has numbers", "give a CSV file with a column of values")
    if parsed is not None:
        named = " and ".join(table.names[i] for i in date_columns)
        notes.append(f"dates: {parsed.form}, from the column {named}")
    long = _group(table, targets, names)
    # A file's decimals and dates are its own, but its step must be that of the training.
    return _on_step(table, long, parsed, covariates, targets, frequency, notes)


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
        notes += _lateness(found, parsed.values)
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


def _lateness(frequency: Frequency, dates: Dates) -> list[str]:
    """A note, if dates are near their steps and not on them."""
    if frequency.kind == "month" and not frequency.has_day:
        days = (dates - dates.astype("datetime64[M]").astype("datetime64[s]")).astype(np.int64)
        late = int((days != days[0]).sum())
    elif frequency.kind == "second":
        late = int(((dates.astype(np.int64) - frequency.origin) % frequency.count != 0).sum())
    else:
        late = 0
    return [f"{late:,} dates are moved to the nearest {frequency.name}"] if late else []


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
            f"{missing:,} of {total:,} values are missing: a mask marks them, no loss counts them"
        )
    holes = sum(int(np.isnan(each.covariates[: len(each.values)]).sum()) for each in series)
    if holes:
        notes.append(f"{holes:,} values of covariates are missing: their mean is used")
    names: dict[str, int] = {}
    distinct = []
    for each in series:
        count = names[each.name] = names.get(each.name, 0) + 1
        name = each.name if count == 1 else f"{each.name} ({count})"
        distinct.append(Series(name, each.begin, each.values, each.covariates))
    return SeriesData(tuple(distinct), frequency, targets, covariates, tuple(notes))
