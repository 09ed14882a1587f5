"""CSV and JSON of many forms."""

import json

import pytest

from charrnn.data.tables import csv_rows, json_rows
from charrnn.errors import CorpusError


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_a_csv_is_found(delimiter: str) -> None:
    assert csv_rows(f"source{delimiter}target\na{delimiter}b\n") == [
        ["source", "target"],
        ["a", "b"],
    ]


def test_a_quoted_cell_may_hold_delimiters_and_newlines() -> None:
    assert csv_rows('"a, b","c\nd"\n') == [["a, b", "c\nd"]]


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_default() -> None:
    assert len(csv_rows(f"{'a' * 200_000},b\n")[0][0]) == 200_000


@pytest.mark.parametrize(
    "text",
    [
        '{"input": "a", "output": "b"}\n{"input": "c", "output": "d"}\n',
        '[{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]',
        '{"translation": {"input": "a", "output": "b"}}\n{"x": {"input": "c", "output": "d"}}\n',
    ],
)
def test_json_lines_lists_and_nested_objects_are_the_same_rows(text: str) -> None:
    assert json_rows(text, "x.json") == (["input", "output"], [["a", "b"], ["c", "d"]], 0)


def test_lines_that_are_no_object_are_counted() -> None:
    assert json_rows('{"a": "1", "b": "2"}\n{broken\n7\n', "x.jsonl")[2] == 2


def test_json_of_thousands_of_brackets_is_an_error() -> None:
    with pytest.raises(CorpusError, match="nested too deeply"):
        json_rows("[" * 100_000, "x.json")
    assert json_rows("\n".join([json.dumps({"a": "1", "b": "2"}), "[" * 100_000]), "x")[2] == 1
