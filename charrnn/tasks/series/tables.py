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
from charrnn.tasks.series.numbers import decimal_sign, is_missing, number

DELIMITERS = (";", "\t", "|", ",")
"""A comma comes last: it may be a decimal sign between the others."""

MOST_COLUMNS = 200_000
"""More would be a file of another kind."""

LARGEST = 1e100
"""Beyond this the squares of numbers would be infinite."""

LOOK = 400
"""Lines from which the delimiter is found."""

SPACED = {"  ": re.compile(r"\s{2,}|\t"), " ": re.compile(r"\s+")}
"""Columns that are set apart by spaces: two or more, where single ones are within the cells."""

REGULAR = 0.8
"""The share of lines that must have equally many cells to be taken as set apart by spaces."""

MOST_HEADERS = 3
"""Lines of a header."""


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
    count = _header_lines(padded, decimal)
    names = _names(padded[:count], width, notes)
    body, numbers = padded[count:], numbers[count:]
    columns = tuple(zip(*body, strict=True)) if body else tuple(() for _ in names)
    return Table(names, columns, tuple(numbers), decimal, count > 0, tuple(notes))


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
    return found if best >= 0.5 else _spaces(sample) or found


def _spaces(sample: list[str]) -> str:
    """Lines without another delimiter -> the key of SPACED that cuts them regularly, or nothing."""
    if sum(not np.isnan(number(line.strip())) for line in sample) > len(sample) / 2:
        return ""  # spaces between thousands
    for key, pattern in SPACED.items():
        counts = Counter(len(pattern.split(line.strip())) for line in sample)
        several = max((count for width, count in counts.items() if width > 1), default=0)
        if several >= REGULAR * len(sample):
            return key
    return ""


def _rows(text: str, delimiter: str, name: str) -> tuple[list[list[str]], list[int]]:
    """The rows that are not blank, and the line of each."""
    rows, lines = [], []
    # `splitlines` would also cut at characters that are no line ends of a CSV file.
    found = re.split(r"\r\n|\n|\r", text)
    if delimiter in SPACED:
        kept = [(i + 1, line.strip()) for i, line in enumerate(found) if line.strip()]
        return [SPACED[delimiter].split(line) for _, line in kept], [i for i, _ in kept]
    reader = csv.reader(found, delimiter=delimiter, skipinitialspace=True)
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
    return decimal_sign(cell for row in rows[:LOOK] for cell in row)


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


def _header_lines(rows: list[list[str]], decimal: str) -> int:
    """How many of the first rows name the columns, 0 for none."""
    if not _is_header(rows[0], rows[1 : LOOK + 1], decimal):
        return 1 if _is_sequence(rows[0], decimal) and len(rows) > 1 else 0
    count = 1
    # Further lines have units, or names below those of groups: no number in a column of numbers.
    while count < min(MOST_HEADERS, len(rows) - 2):
        row, rest = rows[count], rows[count + 1 : count + LOOK]
        numeric = [i for i in range(len(row)) if _are_numbers([r[i] for r in rest], decimal)]
        filled = [row[i] for i in numeric if not is_missing(row[i])]
        if not filled or any(any(c.isdigit() for c in cell) for cell in filled):
            break
        count += 1
    return count


def _are_numbers(cells: list[str], decimal: str) -> bool:
    """Whether nearly all of the cells that are not missing are numbers; one may be of a header."""
    known = [cell for cell in cells if not is_missing(cell)]
    good = sum(_is_number(cell, decimal) for cell in known)
    return bool(known) and good >= min(0.95 * len(known), max(1, len(known) - 1))


def _is_header(first: list[str], rest: list[list[str]], decimal: str) -> bool:
    for column, cell in enumerate(first):
        others = [row[column] for row in rest if not is_missing(row[column])]
        if not others or is_missing(cell):
            continue
        numeric = _are_numbers(others, decimal)
        dated = sum(any(c.isdigit() for c in other) for other in others) == len(others)
        if (numeric or dated) and (
            not any(c.isdigit() for c in cell) or (numeric and not _is_number(cell, decimal))
        ):
            return True
    return False


def _names(headers: list[list[str]], width: int, notes: list[str]) -> tuple[str, ...]:
    """The columns' names, from one line or several; `column 1` and so on without any."""
    if not headers:
        return tuple(f"column {i + 1}" for i in range(width))
    first = headers[0]
    named = [cell for cell in first if cell]
    if len(headers) > 1 and len(set(named)) == len(first):
        # Its names are enough; what is below them are units and the like.
        lines = len(headers) - 1
        notes.append(f"{lines} line{'s' * (lines > 1)} below the header left out")
    elif len(headers) > 1:
        # A name that is written once names the empty cells to its right too.
        grouped: list[str] = []
        for cell in first:
            grouped.append(cell or (grouped[-1] if grouped else ""))
        rows = [grouped, *headers[1:]]
        first = [" ".join(dict.fromkeys(row[i] for row in rows if row[i])) for i in range(width)]
        notes.append(f"the header has {len(headers)} lines")
    names: dict[str, None] = {}
    for i, cell in enumerate(first):
        name = cell or f"column {i + 1}"
        while name in names:
            name = f"{name} {i + 1}"
        names[name] = None
    return tuple(names)


def _is_sequence(row: list[str], decimal: str) -> bool:
    """Whether a row is a text and then years one after the other: a header with dates in it."""
    values = np.array([number(cell, decimal) for cell in row[1:]])
    is_text = not _is_number(row[0], decimal)
    if len(values) < 3 or not is_text or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return bool((steps == steps[0]).all() and steps[0] > 0 and 1000 <= values[0] < 2999)
