"""Tables as people have them: CSV and JSON of many forms -> rows of cells, and columns by name."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from charrnn.errors import CorpusError, UsageError

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")

LARGEST_CELL = 1 << 26
"""Characters of a cell; the csv module's own limit is 131,072."""


def json_rows(text: str, name: str) -> tuple[list[str], list[list[Any]], int]:
    """JSON lines, or one list of objects -> names of columns, rows, lines that are no object."""
    stripped = text.lstrip()
    unreadable = 0
    records: list[dict[str, Any]] = []
    if stripped.startswith("["):
        try:
            found = json.loads(stripped)
        # RecursionError of thousands of brackets.
        except (ValueError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise CorpusError(f"{name} is not JSON: {why}", "check the file") from None
        values: Iterable[Any] = found if isinstance(found, list) else [found]
    else:
        values = _parsed(text)
    for value in values:
        # {"translation": {"de": ..., "en": ...}} is a form that data sets have.
        while isinstance(value, dict) and len(value) == 1:
            (value,) = value.values()
        if isinstance(value, dict):
            records.append(value)
        elif isinstance(value, list) and len(value) == 2:
            records.append({"1": value[0], "2": value[1]})
        else:
            unreadable += 1
    counts = Counter(key for record in records for key in record)
    # In the order of their first occurrence; one that only a few records have is no column of all.
    names = [key for key, count in counts.items() if 2 * count > len(records)]
    return names, [[record.get(key, "") for key in names] for record in records], unreadable


def _parsed(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def csv_rows(text: str) -> list[list[str]]:
    """CSV with commas, semicolons or tabs -> its rows; which of them is found in the first line."""
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = max("\t;,", key=first.count) if any(map(first.count, "\t;,")) else ","
    csv.field_size_limit(LARGEST_CELL)
    try:
        rows = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter)
        return [row for row in rows if row]
    except csv.Error as error:
        raise CorpusError(f"the CSV cannot be read: {error}", "check its quotes") from None


def place_of(names: Sequence[str], asked: str, known: Sequence[str]) -> int | None:
    """The place of a column: by the name or number asked for, else the first of the known names.

    names: of the columns, in lower case. None if there is none. UsageError if what is asked for is
    not there.
    """
    if asked:
        wanted = asked.strip().lower()
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
            return int(wanted) - 1
        raise UsageError(
            f"there is no column {asked!r}", f"choose from {', '.join(names[:20])}, or by number"
        )
    return next((names.index(each) for each in known if each in names), None)


def is_number(text: str) -> bool:
    """Whether a cell is a number, as in a table of them.

    >>> is_number("3,5"), is_number("three")
    (True, False)
    """
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
