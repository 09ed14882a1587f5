"""CSV and JSON of many forms -> rows of cells, and which columns are source and target."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.errors import CorpusError, UsageError

SOURCES = (
    "source", "src", "input", "from", "question", "original", "grapheme", "word", "article", "x",
)  # fmt: skip

TARGETS = (
    "target", "tgt", "output", "to", "answer", "corrected", "phoneme", "pronunciation",
    "translation", "summary", "response", "reference", "label", "y",
)  # fmt: skip
"""Names that columns of sources and of targets have, in lower case, the most certain first."""

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")

LARGEST_CELL = 1 << 26
"""Characters of a cell; the csv module's own limit is 131,072."""


@dataclass(frozen=True)
class Columns:
    """Where source and target are. header: whether the first row holds names. said: in words."""

    source: int
    target: int
    header: bool
    said: str = ""


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


def find_columns(
    first: Sequence[str], name: str, source: str = "", target: str = "", header: bool | None = None
) -> Columns:
    """The first row of a table, and what was asked for -> its columns of source and target.

    source, target: a name, or a number from 1; empty to find it. header: whether the first row
    holds names; None to find out. UsageError if the columns cannot be told.
    """
    names = [cell.strip().lower() for cell in first]
    places = [
        _place(names, asked, known) for asked, known in ((source, SOURCES), (target, TARGETS))
    ]
    asked_by_name = any(each and not each.isdecimal() for each in (source, target))
    named = all(place is not None and names[place] in known for place, known in zip(
        places, (SOURCES, TARGETS), strict=True))  # fmt: skip
    header = (named or asked_by_name) if header is None else header
    if None in places and len(names) == 2 and not (source or target):
        places = [0, 1]
    if None not in places and places[0] != places[1]:
        one, other = places
        assert one is not None
        assert other is not None
        said = (
            f"source is the column {first[one]!r} of {name}, target {first[other]!r}"
            if header
            else f"source is column {one + 1} of {name}, target column {other + 1}"
        )
        return Columns(one, other, header, said)
    listed = ", ".join(first[:12]) if header or len(names) != 2 else f"{len(names)} columns"
    raise UsageError(
        f"which columns of {name} are source and target is not plain: it has {listed}",
        "give --source-column and --target-column, by name or by number",
    )


def _place(names: Sequence[str], asked: str, known: Sequence[str]) -> int | None:
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
