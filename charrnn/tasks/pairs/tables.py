"""Which columns of a table are source and target."""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.data.tables import place_of
from charrnn.errors import UsageError

SOURCES = (
    "source", "src", "input", "from", "question", "original", "grapheme", "word", "article", "x",
)  # fmt: skip

TARGETS = (
    "target", "tgt", "output", "to", "answer", "corrected", "phoneme", "pronunciation",
    "translation", "summary", "response", "reference", "label", "y",
)  # fmt: skip
"""Names that columns of sources and of targets have, in lower case, the most certain first."""


@dataclass(frozen=True)
class Columns:
    """Where source and target are. header: whether the first row holds names. said: in words."""

    source: int
    target: int
    header: bool
    said: str = ""


def find_columns(
    first: Sequence[str], name: str, source: str = "", target: str = "", header: bool | None = None
) -> Columns:
    """The first row of a table, and what was asked for -> its columns of source and target.

    source, target: a name, or a number from 1; empty to find it. header: whether the first row
    holds names; None to find out. UsageError if the columns cannot be found.
    """
    names = [cell.strip().lower() for cell in first]
    places = [
        place_of(names, asked, known) for asked, known in ((source, SOURCES), (target, TARGETS))
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
