"""What the rows of labels and of pairs share: files to train on, and lines for a pipe."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.processes import ran
from tests.torture.corpora import as_expected
from tests.torture.rows import Outcomes, some, verdict

REFUSED, TRAINED = (2, 3), (0,)

Files = dict[str, bytes]

Tables = Mapping[str, tuple[Callable[[], Files], tuple[int, ...]]]
"""Names of cases -> what makes their files, and the exit codes that are right for them."""

HEBREW, RIGHT_TO_LEFT = "\u05e9\u05dc\u05d5\u05dd", "\u202e"

LINES = (
    "", " ", "\t", "a\tb", "\0", "\x1b[31m", "\ufeff", "\U0001f600" * 50, "w " * 100_000,
    "x" * 100_000, HEBREW, RIGHT_TO_LEFT, "e" + "\u0301" * 2_000, "a\u2028b", "a\vb\fc", "-",
)  # fmt: skip
"""Lines of a pipe: an answer each, and in their order."""


def each_file(
    tables: Tables,
    options: Sequence[str],
    verb: Sequence[str],
    line: bytes,
    trials: int,
    seed: int,
    folder: Path,
) -> Outcomes:
    """Every case: trained on with options and a line given to the verb, or refused in one line."""
    for name, (make, codes) in some(list(tables.items()), trials, seed):
        place = folder / name.replace(" ", "-")
        place.mkdir()
        for file, raw in make().items():
            (place / file).write_bytes(raw)
        ended = ran(place, "train", *sorted(make()), "--name", "t", "--steps", "3", *options)
        problem = as_expected(ended, codes)
        if not problem and ended.code == 0:
            found = ran(place, *verb, stdin=line)
            lines = found.out.count(b"\n")
            problem = as_expected(found, TRAINED) or ("" if lines == 1 else f"{lines} lines")
        yield verdict(problem and f"{name}: {problem}")
