"""Which column of a table is what: dates, names of series, values, or only numbers of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.series import dates as dates_
from charrnn.tasks.series.dates import ParsedDates
from charrnn.tasks.series.numbers import is_missing, number
from charrnn.tasks.series.tables import LOOK, Table, read_table

INDEX_NAMES = ("index", "t", "step", "no", "nr", "row", "unnamed: 0", "ds", "time", "period", "idx",
               "timestep", "time_idx", "time step")  # fmt: skip
"""Names of a column that only numbers the rows."""

FIRST_INDEX = ("", "id", "n", "column 1")
"""The same, for the first column only."""

FEW_DUPLICATES = 0.01
"""So many rows may repeat a date: a clock that is put back in autumn repeats an hour."""


@dataclass(frozen=True)
class Columns:
    """What the user says of the columns: names, or numbers from 1 on; empty for what is found."""

    target: tuple[str, ...] = ()
    date: str = ""
    covariates: tuple[str, ...] = ()


ALL_COLUMNS = Columns()
"""Everything is found."""


def find_column(table: Table, name: str) -> int:
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


def filled_cells(table: Table, column: int) -> list[str]:
    """The cells of a column that are not missing."""
    return [cell for cell in table.columns[column] if not is_missing(cell)]


def is_numeric(table: Table, column: int) -> bool:
    """Whether nearly all of a column are numbers."""
    # A look at many; `Table.numbers` names the one cell that is none.
    cells = [cell for cell in table.columns[column][:LOOK] if not is_missing(cell)]
    cells = cells or filled_cells(table, column)[:LOOK]
    good = sum(not np.isnan(number(cell, table.decimal)) for cell in cells)
    return bool(cells) and good >= 0.95 * len(cells)


def is_by_rows(table: Table, columns: Columns) -> bool:
    """Whether each row is a series: its name, and then numbers only."""
    if columns.target or columns.date or columns.covariates or len(table.names) < 4:
        return False
    first = filled_cells(table, 0)
    named = len(first) == table.rows == len(set(first)) and not is_numeric(table, 0)
    if not named or dates_.parse_dates(first) is not None:
        return False
    # A column at the end may be empty, where no series is so long.
    filled = [i for i in range(1, len(table.names)) if filled_cells(table, i)]
    return len(filled) > 2 and all(is_numeric(table, i) for i in filled)


def index_column(table: Table, used: set[int], notes: list[str]) -> set[int]:
    """A column that only numbers the rows, or those of each series below each other."""
    for i, name in enumerate(table.names):
        named = name.lower() in INDEX_NAMES + (FIRST_INDEX if i == 0 else ())
        if not named or i in used or len(table.names) < 2:
            continue
        cells = table.columns[i]
        if not all(cell.isdigit() and len(cell) < 12 for cell in cells):
            continue
        steps = np.diff(np.array(cells, float))
        again = int((steps < 0).sum())
        if ((steps == 1) | (steps < 0)).all() and again < len(cells) / 3:
            rows = "the rows of each series" if again else "the rows"
            notes.append(f"the column {name} numbers {rows} and is left out")
            return {i}
    return set()


def names_column(
    table: Table, parsed: ParsedDates | None, used: set[int], notes: list[str]
) -> list[int]:
    """The columns that say which series a row belongs to, if series are below each other."""
    texts = [
        i
        for i in range(len(table.names))
        if i not in used and not is_numeric(table, i) and filled_cells(table, i)
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
        if i not in used and i not in texts and is_numeric(table, i)
        and all(cell.isdigit() and len(cell) < 12 for cell in table.columns[i])
    ]  # fmt: skip
    free = [i for i in range(len(table.names)) if i not in used and is_numeric(table, i)]
    if len(free) < 2:
        whole = []  # the only numbers are the values
    # Texts first, alone and then together; numbers such as those of shops last.
    tries = [[i] for i in varying] + ([varying] if len(varying) > 1 else []) + [[i] for i in whole]
    few = [i for i in whole if len(set(table.columns[i])) <= table.rows / 4]
    tries += [varying + few[:k] for k in range(1, len(few) + 1) if len(varying) + k > 1]
    for columns in tries:
        if (
            len({tuple(table.columns[i][r] for i in columns) for r in range(table.rows)})
            > table.rows / 2
        ):
            continue  # a series has several rows
        keys = {(stamps[r], *(table.columns[i][r] for i in columns)) for r in range(table.rows)}
        if len(keys) >= (1 - FEW_DUPLICATES) * table.rows:
            named = " and ".join(table.names[i] for i in columns)
            notes.append(f"series are below each other, named by the column {named}")
            return columns
    return []


def numeric_columns(table: Table, used: set[int], notes: list[str]) -> list[int]:
    """The columns of numbers that are left, which are the series."""
    rest = [i for i in range(len(table.names)) if i not in used and filled_cells(table, i)]
    found = [i for i in rest if is_numeric(table, i)]
    ignored = [table.names[i] for i in rest if i not in found]
    if ignored:
        more = f" and {len(ignored) - 3} more" if len(ignored) > 3 else ""
        notes.append(f"left out, not numbers: {', '.join(ignored[:3])}{more}")
    return found


def looks_like_numbers(text: str) -> bool:
    """Whether a text is plainly a table of numbers, such as a CSV file of a series."""
    try:
        table = read_table(text)
        data = [i for i in range(len(table.names)) if is_numeric(table, i)]
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
