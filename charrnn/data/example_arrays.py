"""Examples as arrays on disk: for each part ragged rows of numbers, and the texts as JSON lines.

<part>.<kind>.npy       the numbers of all rows (N,)
<part>.<kind>.ends.npy  the position after each row (R,)
<part>.jsonl            the texts
an index                the hash of the files, and the sizes of the parts
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from charrnn.data.example_files import SPLITS
from charrnn.data.examples import Ids, Rows
from charrnn.tokenizers.base import id_type

AnyPart = TypeVar("AnyPart", bound="Part")


@dataclass(frozen=True)
class Part:
    """One part of the examples on disk. tokens: of all of them."""

    folder: Path
    name: str
    count: int
    tokens: int

    def lines(self) -> list[Any]:
        """The texts, as JSON."""
        return list(map(json.loads, self._file(".jsonl").read_text("utf-8").splitlines()))

    def rows(self, kind: str) -> Rows:
        """The rows of one kind, memory-mapped."""
        ids = np.lib.format.open_memmap(self._file(f".{kind}.npy"), mode="r")
        return Rows(ids, np.load(self._file(f".{kind}.ends.npy"), allow_pickle=False))

    def _file(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def is_intact(self, sizes: Mapping[str, int], counted: Collection[str], least: int) -> bool:
        """Whether the files are there, with numbers below the size of each kind.

        counted: kinds whose rows together hold `tokens` numbers. least: of a row.
        """
        if type(self.count) is not int or type(self.tokens) is not int:
            return False
        total = 0
        for kind, size in sizes.items():
            rows = self.rows(kind)
            if len(rows.ends) != self.count or rows.ends.dtype != np.int64:
                return False
            if int(rows.ends[-1]) != len(rows.ids) or int(rows.lengths.min()) < least:
                return False
            if rows.ids.dtype.kind != "u" or int(rows.ids.max(initial=0)) >= size:
                return False
            total += len(rows.ids) if kind in counted else 0
        return total == self.tokens and self._file(".jsonl").is_file()


def write_part(
    folder: Path,
    name: str,
    rows: Mapping[str, Sequence[Ids]],
    sizes: Mapping[str, int],
    lines: Sequence[Any],
) -> None:
    """Write the rows of each kind, whose numbers are below `sizes`, and the texts as JSON."""
    for kind, each in rows.items():
        ids = np.concatenate(each).astype(id_type(sizes[kind]))
        np.save(folder / f"{name}.{kind}.npy", ids)
        np.save(folder / f"{name}.{kind}.ends.npy", np.cumsum([len(row) for row in each]))
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        # ASCII, so that a lone surrogate, or a line end of Unicode, is no obstacle.
        file.writelines(json.dumps(line) + "\n" for line in lines)


def write_index(path: Path, sha256: str, parts: Iterable[Part]) -> None:
    """The last file to be written: a folder with an index is complete."""
    index = {part.name: {"count": part.count, "tokens": part.tokens} for part in parts}
    path.write_text(json.dumps({"sha256": sha256, "splits": index}), encoding="utf-8")


def read_index(path: Path, kind: type[AnyPart]) -> tuple[str, dict[str, AnyPart]] | None:
    """An index -> the hash of the files and the parts; None if it is not one.

    OSError, ValueError, LookupError, TypeError or AttributeError, whatever JSON it may be.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    parts = {name: kind(path.parent, name, **sizes) for name, sizes in data["splits"].items()}
    # The names are parts of paths: no other one is opened.
    known = set(parts) <= set(SPLITS) and "train" in parts and isinstance(data["sha256"], str)
    return (data["sha256"], parts) if known else None
