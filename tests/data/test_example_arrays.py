"""Parts of examples on disk: what was written is read, and what is damaged is found out."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn.data.example_arrays import Part, read_index, write_index, write_part

SIZES = {"tokens": 300, "labels": 3}


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """Two examples, of which the second has no label."""
    rows = {
        "tokens": [np.array([1, 299]), np.array([5])],
        "labels": [np.array([2]), np.array([], np.int64)],
    }
    write_part(tmp_path, "train", rows, SIZES, [["a \ud800", 1], ["b\u2028", 2]])
    made = Part(tmp_path, "train", 2, 3)
    write_index(tmp_path / "index.json", "0" * 64, [made])
    return made


def test_what_is_written_is_read(part: Part) -> None:
    assert part.lines() == [["a \ud800", 1], ["b\u2028", 2]]
    assert [part.rows("tokens")[row].tolist() for row in (0, 1)] == [[1, 299], [5]]
    assert part.rows("labels").lengths.tolist() == [1, 0]
    assert part.is_intact(SIZES, ["tokens"], least=0)
    assert read_index(part.folder / "index.json", Part) == ("0" * 64, {"train": part})


@pytest.mark.parametrize(
    ("sizes", "least"), [({"tokens": 299, "labels": 3}, 0), (SIZES, 1)], ids=["size", "length"]
)
def test_numbers_and_rows_are_within_their_bounds(
    part: Part, sizes: dict[str, int], least: int
) -> None:
    assert not part.is_intact(sizes, ["tokens"], least)


@pytest.mark.parametrize("changed", [(1, 3), (3, 3), (2, 4), (True, 3), (2, "3")])
def test_counts_are_those_of_the_files(part: Part, changed: tuple[int, int]) -> None:
    assert not Part(part.folder, "train", *changed).is_intact(SIZES, ["tokens"], 0)


@pytest.mark.parametrize(
    "index",
    [{"sha256": 1, "splits": {"train": {"count": 2, "tokens": 3}}}, {"sha256": "", "splits": {}},
     {"sha256": "", "splits": {"train": {"count": 2, "tokens": 3},
                               "../x": {"count": 2, "tokens": 3}}}],
)  # fmt: skip
def test_an_index_names_known_parts_alone(part: Part, index: object) -> None:
    path = part.folder / "index.json"
    path.write_text(json.dumps(index))
    assert read_index(path, Part) is None
