"""Group E, series: hostile tables of numbers are trained on, or refused in one line."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import ran
from tests.torture.corpora import as_expected
from tests.torture.rows import Outcomes, Row, some, verdict

OPTIONS = (
    "--task", "series", "--steps", "3", "--hidden-size", "4", "--num-layers", "1", "--members", "1",
    "--threads", "1", "--quiet",
)  # fmt: skip

REFUSED, TRAINED = (2, 3), (0,)


def dated(values: list[str], form: str = "2021-{:02d}-{:02d}") -> bytes:
    """Values on days from January 2021 on."""
    rows = [f"{form.format(1 + i // 28, 1 + i % 28)},{v}" for i, v in enumerate(values)]
    return "\n".join(["day,load", *rows]).encode() + b"\n"


PLAIN = [str(10 + i % 7) for i in range(28)]

TABLES: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "empty": (lambda: b"", REFUSED),
    "a header alone": (lambda: b"day,load\n", REFUSED),
    "three values": (lambda: b"n\n1\n2\n3\n", REFUSED),
    "a constant": (lambda: dated(["5"] * 28), TRAINED),
    "zeros": (lambda: dated(["0"] * 28), TRAINED),
    "NaN between": (
        lambda: dated(["nan" if i % 5 == 0 else v for i, v in enumerate(PLAIN)]), TRAINED,
    ),
    "all NaN": (lambda: dated(["nan"] * 28), REFUSED),
    "infinity": (lambda: dated([*PLAIN[:-1], "inf"]), REFUSED),
    "1e308": (lambda: dated([*PLAIN[:-1], "1e308"]), REFUSED),
    "1e99": (lambda: dated([*PLAIN[:-1], "1e99"]), TRAINED),
    "a number of a million digits": (lambda: dated([*PLAIN[:-1], "9" * 1_000_000]), REFUSED),
    "a number of 4,000 digits": (lambda: dated([*PLAIN[:-1], "9" * 4_000]), REFUSED),
    "a number of 30 million digits": (lambda: dated([*PLAIN[:-1], "9" * 30_000_000]), REFUSED),
    "a million columns": (lambda: b",".join([b"1"] * 1_000_000), REFUSED),
    "ten thousand columns": (lambda: b"\n".join([b",".join([b"1"] * 10_000)] * 3), REFUSED),
    "NUL": (lambda: dated(PLAIN).replace(b"1", b"\0"), REFUSED),
    "bad UTF-8": (lambda: dated(PLAIN) + b"\xff,1\n", REFUSED),
    "a byte order mark and CRLF": (
        lambda: b"\xef\xbb\xbf" + dated(PLAIN).replace(b"\n", b"\r\n"), TRAINED,
    ),
    "years of ten digits": (lambda: dated(PLAIN, "1000000000-{:02d}-{:02d}"), (0, *REFUSED)),
    "months of 13": (lambda: dated(PLAIN).replace(b"2021-01", b"2021-13"), (0, *REFUSED)),
    "dates 10,000 years apart": (
        lambda: b"day,n\n0001-01-01,1\n0001-01-01T00:00:01,2\n9999-12-31,3\n", REFUSED,
    ),
    "a date repeated": (lambda: dated(PLAIN).replace(b"2021-01-02", b"2021-01-01"), TRAINED),
    "one date only": (lambda: b"day,load\n" + b"2021-01-01,5\n2021-01-01,6\n" * 14, REFUSED),
    "newest first": (lambda: dated(PLAIN[::-1]), TRAINED),
    "an open quote": (lambda: dated(PLAIN).replace(b"2021-01-09", b'"2021-01-09'), (0, *REFUSED)),
    "noise": (lambda: random.Random(0).randbytes(5_000), REFUSED),
    "prose": (lambda: b"The miller, the fox and I.\n" * 60, REFUSED),
}  # fmt: skip


def tables(trials: int, seed: int, folder: Path) -> Outcomes:
    """E9: every table, trained on and forecast, or refused in one line."""
    for name, (make, codes) in some(list(TABLES.items()), trials, seed):
        path = folder / "table.csv"
        path.write_bytes(make())
        ended = ran(folder, "train", path, "--name", "t", *OPTIONS)
        problem = as_expected(ended, codes)
        if not problem and ended.code == 0:
            problem = as_expected(ran(folder, "forecast"), TRAINED)
        yield verdict(problem and f"{name}: {problem}")


ROWS = (
    Row("E9", "tables of numbers of every kind",
        f"the program is forked: {len(TABLES)} files: trained and forecast, or refused in one line",
        "tables", 6, 10**6, tables),
)  # fmt: skip
