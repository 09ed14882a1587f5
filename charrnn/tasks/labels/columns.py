"""Which columns of a table are text and label, and the labels of a cell."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from charrnn.data.tables import place_of
from charrnn.errors import UsageError

TEXTS = (
    "text", "sentence", "review", "content", "comment", "message", "question", "tweet", "title",
    "body", "document", "description", "utterance", "name", "input", "x",
)  # fmt: skip

LABELS = (
    "label", "labels", "class", "category", "categories", "sentiment", "tag", "tags", "topic",
    "intent", "target", "language", "stars", "rating", "output", "y",
)  # fmt: skip
"""Names that columns of texts and of labels have, in lower case, the most certain first."""

FASTTEXT = "__label__"
"""What precedes each label in fastText's files."""

LOOKED_AT = 5_000
"""Rows from which it is found which column is which."""


@dataclass(frozen=True)
class Columns:
    """Where text and label are. header: whether the first row holds names. said: in words."""

    text: int
    label: int
    header: bool
    said: str


def find_columns(
    table: Sequence[Sequence[object]],
    name: str,
    text: str = "",
    label: str = "",
    header: bool = False,
    known: Collection[str] = (),
) -> Columns:
    """Rows of a table, and what was asked for -> its columns of text and label.

    text, label: a name, or a number from 1; empty to find it: by the names of a header, else the
    column of few different cells is the label. header: whether the first row surely holds names.
    known: labels that were met in another file: the column that mostly has them is the label.
    UsageError if it is not plain.
    """
    first = [str(cell) for cell in table[0]]
    names = [cell.strip().lower() for cell in first]
    found = [place_of(names, asked, known) for asked, known in ((text, TEXTS), (label, LABELS))]
    by_name = any(each and not each.isdecimal() for each in (text, label))
    named = found[1] is not None and names[found[1]] in LABELS
    if not (text or label or (None not in found and named)):
        # A text can begin with such a word; a header has both.
        found = [None, None] if not header else found
    header = header or by_name or (None not in found and named)
    if None in found:
        found = _by_cells(table[int(header) :], len(first), found, known)
    one, other = found
    if one is None or other is None or one == other:
        listed = ", ".join(first[:12]) if header else f"{len(first)} columns"
        raise UsageError(
            f"which columns of {name} are text and label is not plain: it has {listed}",
            "give --text and --label, by name or by number from 1",
        )
    said = (
        f"text is the column {first[one]!r} of {name}, label {first[other]!r}"
        if header
        else f"text is column {one + 1} of {name}, label column {other + 1}"
    )
    return Columns(one, other, header, said)


def _by_cells(
    rows: Sequence[Sequence[object]], count: int, found: list[int | None], known: Collection[str]
) -> list[int | None]:
    """What is still to find: the longest column is the text, one of few kinds the label."""
    rows = [row for row in rows[:LOOKED_AT] if len(row) >= count]
    if not rows:
        return found
    columns = [[str(row[place]) for row in rows] for place in range(count)]
    lengths = [sum(map(len, column)) for column in columns]
    kinds = [len(set(column)) for column in columns]
    text, label = found
    if label is None:
        few = [
            place
            for place in range(count)
            if place != text and kinds[place] > 1 and 2 * kinds[place] <= len(rows)
        ]
        # Of several columns, which one is meant is not plain; of two, the other one is the text.
        ranks = [(kinds[place], lengths[place]) for place in range(count)]
        if text is None and count == 2 and len(few) == 2 and ranks[0] != ranks[1]:
            few = [min(few, key=ranks.__getitem__)]
        if known:
            met = [sum(cell.strip() in known for cell in column) for column in columns]
            most = max(range(count), key=met.__getitem__)
            few = [most] if 2 * met[most] >= len(rows) else few
        label = few[0] if len(few) == 1 else None
    if text is None and label is not None:
        others = [place for place in range(count) if place != label]
        text = max(others, key=lambda place: lengths[place], default=None)
    return [text, label]


def labels_of(cell: object) -> list[str]:
    """A cell -> its labels: a list of JSON has several, a number is its own name.

    >>> labels_of(["good", [1, True]]), labels_of({})
    (['good', '1', 'true'], [])
    """
    found: list[str] = []
    left = [cell]
    # No recursion: lists may be nested as deeply as JSON can be read.
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += reversed(each)
        elif isinstance(each, bool):
            found.append(str(each).lower())
        elif isinstance(each, str | int | float):
            found.append(str(each))
    return found


def tagged(line: str) -> tuple[list[str], str]:
    """A line of fastText -> its labels and its text.

    >>> tagged("__label__good __label__short a fine film")
    (['good', 'short'], 'a fine film')
    """
    words = line.split(" ")
    labels = [word.removeprefix(FASTTEXT) for word in words if word.startswith(FASTTEXT)]
    return labels, " ".join(word for word in words if not word.startswith(FASTTEXT))
