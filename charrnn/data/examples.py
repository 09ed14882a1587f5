"""Examples of texts, one a line: their parts by a hash of each, and ragged rows of ids.

Shared by the tasks whose data is many short texts: which of them are held out depends on the texts
alone, so equal ones are in the same part, whatever their order.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError

Ids = NDArray[np.int64]


def content_hash(text: str) -> int:
    """A text -> a 64-bit hash of it, the same on every machine."""
    raw = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")


def held_out(
    keys: Sequence[str], fractions: Mapping[str, float], kind: str = "texts", what: str = "texts"
) -> dict[int, str]:
    """The key of each example -> the hashes of the keys that are held out, and their part.

    kind, what: keys and examples, in words. CorpusError if a part would be empty. The smallest
    hashes are taken, which is as good as at random, and the same for the same examples in any
    order.
    """
    counts = Counter(map(content_hash, keys))
    ordered, chosen = sorted(counts), {}
    place = 0
    for name, fraction in fractions.items():
        wanted, taken = round(fraction * len(keys)), 0
        wanted = max(1, wanted) if fraction else 0
        while taken < wanted and place < len(ordered) - 1:
            # A key of many examples would be most of a part.
            if counts[ordered[place]] <= max(1, wanted):
                chosen[ordered[place]] = name
                taken += counts[ordered[place]]
            place += 1
        if wanted and not taken:
            raise CorpusError(
                f"the {name} part would be empty: there are {len(counts):,} different {kind}",
                f"give more {what}, files with --valid, or --valid-fraction 0",
            )
    return chosen


def plain_lines(text: str) -> str:
    """A text with newlines for CR LF, and for CR where there is nothing else; none at its end.

    Other line ends stay: in one of two parallel files they would shift all lines that follow.
    """
    text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    return text.removesuffix("\n")


@dataclass(frozen=True)
class Rows:
    """Ragged rows of ids: ids (N,) and the position after each row (R,)."""

    ids: NDArray[np.unsignedinteger]
    ends: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each row (R,)."""
        return np.diff(self.ends, prepend=0)

    def __getitem__(self, row: int) -> Ids:
        """One row."""
        begin = int(self.ends[row - 1]) if row else 0
        return self.ids[begin : int(self.ends[row])].astype(np.int64)


def padded(rows: Sequence[Ids], fill: int) -> Ids:
    """Rows of different lengths -> (B, longest)."""
    array = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for place, row in zip(array, rows, strict=True):
        place[: len(row)] = row
    return array
