"""Which columns of a table are source and target."""

import pytest

from charrnn.errors import UsageError
from charrnn.tasks.pairs.tables import find_columns


@pytest.mark.parametrize(
    ("first", "asked", "found"),
    [
        (["id", "source", "target"], ("", ""), (1, 2, True)),
        (["Target", "Source"], ("", ""), (1, 0, True)),
        (["question", "answer", "x1"], ("", ""), (0, 1, True)),
        (["hallo", "hello"], ("", ""), (0, 1, False)),
        (["de", "en", "fr"], ("fr", "de"), (2, 0, True)),
        (["1", "hallo", "hello"], ("3", "2"), (2, 1, False)),
    ],
)
def test_columns_are_found_by_name_or_by_what_was_asked(
    first: list[str], asked: tuple[str, str], found: tuple[int, int, bool]
) -> None:
    columns = find_columns(first, "x.csv", *asked)
    assert (columns.source, columns.target, columns.header) == found
    assert "x.csv" in columns.said


@pytest.mark.parametrize("asked", [("", ""), ("no", "en"), ("1", "9"), ("de", "de")])
def test_columns_that_are_not_plain_are_an_error(asked: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        find_columns(["id", "de", "en"], "x.csv", *asked)
