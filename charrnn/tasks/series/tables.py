"""A file of values as people have it -> columns of text cells: delimiter, header, titles, footers.

Python's own csv module splits the lines. What has to be found out is which delimiter they have,
where the table begins and ends, and whether its first row names the columns.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError

DELIMITERS = (";", "\t", "|", ",")
"""A comma comes last: it may be a decimal sign between the others."""

MISSING = frozenset(
    ("", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "missing", "*")
)
"""Cells, in lower case, that say that there is no value."""

MOST_COLUMNS = 200_000
"""More would be a file of another kind."""

LARGEST = 1e100
"""Beyond this the squares of numbers would be infinite."""

LOOK = 400
"""Lines from which the delimiter is found."""

THOUSANDS = {
    ".": re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?"),
    ",": re.compile(r"[-+]?\d{1,3}([. \u00a0']\d{3})+(,\d*)?"),
}

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")


@dataclass(frozen=True)
class Table:
    """Cells by column. names: of the columns, `column 1` and so on if the file has no header.

    lines: the file's line of each row. decimal: "." or ",". notes: what was left out.
    """

    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    decimal: str = "."
    has_header: bool = True
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def numbers(self, column: int) -> NDArray[np.float64]:
        """A column as numbers, NaN for a missing one. CorpusError names a cell that is none."""
        values = np.array([number(cell, self.decimal) for cell in self.columns[column]])
        wrong = [i for i, cell in enumerate(self.columns[column]) if _is_wrong(cell, values[i])]
        if wrong:
            cell = self.columns[column][wrong[0]][:40]
            raise CorpusError(
                f"line {self.lines[wrong[0]]}, column {self.names[column]}: {cell!r} is not a "
                "finite number, or far too large",
                "leave the cell empty if the value is missing",
            )
        return values


def _is_wrong(cell: str, value: float) -> bool:
    return not abs(value) <= LARGEST and not is_missing(cell)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.lower() in MISSING


def number(cell: str, decimal: str = ".") -> float:
    """A cell -> its number; NaN if it is none, infinity for one too large for a float.

    >>> number("1,234.5"), number("1.234,5", ","), number("$12"), number("45 %")
    (1234.5, 1234.5, 12.0, 45.0)
    """
    # The common case; `float` alone would also take 1_000 and nan.
    if decimal == "." and cell[-1:].isdigit() and NUMBER.fullmatch(cell):
        return float(cell)
    text = cell.strip("$€£¥% \u00a0")
    if THOUSANDS[decimal].fullmatch(text):
        text = re.sub(r"[ \u00a0']" + ("|," if decimal == "." else r"|\."), "", text)
    if decimal == ",":
        text = text.replace(",", ".")
    if NUMBER.fullmatch(text):
        return float(text)
    return np.inf if text.lower().lstrip("+-") in ("inf", "infinity") else np.nan


def read_table(text: str, name: str = "the file") -> Table:
    r"""The text of a file -> its table. CorpusError if it has none.

    >>> read_table("day;load\n2020-01-01;1,5\n2020-01-02;2,25\n").columns[1]
    ('1,5', '2,25')
    """
    if "\0" in text:
        raise CorpusError(f"{name} contains NUL characters, so it is no table", "give a CSV file")
    delimiter = find_delimiter(text)
    rows, lines = _rows(text, delimiter, name)
    if not rows:
        raise CorpusError(f"{name} is empty", "give a CSV file with a value on each line")
    width = _width(rows)
    if width > MOST_COLUMNS:
        raise CorpusError(
            f"{name} has {width:,} columns, and at most {MOST_COLUMNS:,} are read",
            "put the values of a series below each other",
        )
    decimal = _decimal(rows, delimiter)
    begin, end = _extent(rows, width, decimal)
    notes = []
    if begin:
        notes.append(f"{begin} line{'s' * (begin > 1)} above the table left out")
    if end < len(rows):
        notes.append(f"{len(rows) - end} line{'s' * (len(rows) - end > 1)} below it left out")
    kept, numbers = rows[begin:end], lines[begin:end]
    for row, line in zip(kept, numbers, strict=True):
        if any(row[width:]):
            raise CorpusError(
                f"line {line} of {name} has {len(row)} cells, and the others have {width}",
                "correct it",
            )
    padded = [(row + [""] * width)[:width] for row in kept]
    names, has_header = _names(padded, decimal)
    body, numbers = padded[has_header:], numbers[has_header:]
    columns = tuple(zip(*body, strict=True)) if body else tuple(() for _ in names)
    return Table(names, columns, tuple(numbers), decimal, has_header, tuple(notes))


def find_delimiter(text: str) -> str:
    """A text -> the delimiter that cuts most of its lines into equally many cells, a comma if none.

    A line such as `sep=;`, which spreadsheets write, says it.
    """
    first = text[:6].lower()
    if first.startswith("sep=") and text[4:5] in DELIMITERS:
        return text[4]
    sample = [line for line in text[: 1 << 20].splitlines() if line.strip()][:LOOK]
    best, found = 0.0, ","
    for delimiter in DELIMITERS:
        try:
            counts = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter))
        except csv.Error:
            continue
        several = {width: count for width, count in counts.items() if width > 1}
        share = max(several.values(), default=0) / max(1, len(sample))
        # A later one has to be clearly more regular: commas may be decimal signs.
        if share > best + 0.05:
            best, found = share, delimiter
    return found


def _rows(text: str, delimiter: str, name: str) -> tuple[list[list[str]], list[int]]:
    """The rows that are not blank, and the line of each."""
    rows, lines = [], []
    # `splitlines` would also cut at characters that are no line ends of a CSV file.
    reader = csv.reader(re.split(r"\r\n|\n|\r", text), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) and not cells[0].lower().startswith("sep="):
                rows.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise CorpusError(
            f"line {reader.line_num} of {name} cannot be read ({error})", "give a CSV file"
        ) from None
    return rows, lines


def _width(rows: list[list[str]]) -> int:
    """The number of cells of most rows; empty ones at their ends count, if they all have them."""
    return Counter(len(row) for row in rows).most_common(1)[0][0]


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    if delimiter == ",":
        # Cells in quotes may have decimal commas all the same.
        quoted = [cell for row in rows[:LOOK] for cell in row if "," in cell]
        if not quoted:
            return "."
    cells = [cell for row in rows[:LOOK] for cell in row]
    commas = sum(bool(DECIMAL_COMMA.fullmatch(cell)) for cell in cells)
    thousands = sum(bool(THOUSANDS["."].fullmatch(cell)) for cell in cells)
    points = sum("." in cell and bool(NUMBER.fullmatch(cell)) for cell in cells)
    grouped = sum(bool(THOUSANDS[","].fullmatch(cell)) for cell in cells)
    return "," if commas > thousands and commas + grouped > points else "."


def _is_number(cell: str, decimal: str) -> bool:
    return not np.isnan(number(cell, decimal))


def _has_number(row: list[str], width: int, decimal: str) -> bool:
    return any(any(c.isdigit() for c in cell) for cell in row[:width])


def _extent(rows: list[list[str]], width: int, decimal: str) -> tuple[int, int]:
    """First and last + 1 of the rows that are the table: titles and footers have other widths."""

    def belongs(row: list[str]) -> bool:
        return len(row) == width or (width > 2 and len(row) > max(1, width // 2))

    begin, end = 0, len(rows)
    while begin < end and not belongs(rows[begin]):
        begin += 1
    # A footer may have as many delimiters, but it has no numbers.
    while end > begin + 1 and not (
        belongs(rows[end - 1]) and _has_number(rows[end - 1], width, decimal)
    ):
        end -= 1
    return begin, end


def _names(rows: list[list[str]], decimal: str) -> tuple[tuple[str, ...], bool]:
    """The columns' names, and whether the first row has them."""
    first, rest = rows[0], rows[1 : LOOK + 1]
    has_header = False
    for column, cell in enumerate(first):
        others = [row[column] for row in rest if not is_missing(row[column])]
        if not others or is_missing(cell):
            continue
        numeric = sum(_is_number(other, decimal) for other in others) >= 0.95 * len(others)
        dated = sum(any(c.isdigit() for c in other) for other in others) == len(others)
        if numeric or dated:
            has_header = (
                has_header
                or not any(c.isdigit() for c in cell)
                or (numeric and not _is_number(cell, decimal))
            )
    if not has_header and _is_sequence(first, decimal) and len(rows) > 1:
        has_header = True
    if not has_header:
        return tuple(f"column {i + 1}" for i in range(len(first))), False
    names: list[str] = []
    for i, cell in enumerate(first):
        name = cell or f"column {i + 1}"
        names.append(name if name not in names else f"{name} {i + 1}")
    return tuple(names), True


def _is_sequence(row: list[str], decimal: str) -> bool:
    """Whether a row is a text and then years one after the other: a header with dates in it."""
    values = np.array([number(cell, decimal) for cell in row[1:]])
    is_text = not _is_number(row[0], decimal)
    if len(values) < 3 or not is_text or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return bool((steps == steps[0]).all() and steps[0] > 0 and 1000 <= values[0] < 2999)
