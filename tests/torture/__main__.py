"""`python -m tests.torture`: play rows and print their table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.torture import table
from tests.torture.registry import ROWS
from tests.torture.rows import run


def main(words: Sequence[str] | None = None) -> int:
    """Play the rows that the words of the command line ask for; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS) + "; all if none")
    parser.add_argument("--long", action="store_true", help="the trials of the published figures")
    parser.add_argument("--trials", type=int, help="as many trials of each row as this")
    parser.add_argument("--seed", type=int, default=0, help="what random trials follow from")
    parser.add_argument("--keep", type=Path, help="the folder for what fails; else a new one")
    asked = parser.parse_args(words)
    if odd := [name for name in asked.rows if name not in ROWS]:
        parser.error(f"there is no row {odd[0]}")
    import torch

    torch.set_num_threads(1)
    root = asked.keep or Path(tempfile.mkdtemp(prefix="torture-"))
    version, results = table.commit(), []
    print(f"{table.HEAD}\n{table.RULE}", flush=True)
    for row in [ROWS[name] for name in asked.rows] or ROWS.values():
        trials = asked.trials or (row.long if asked.long else row.short)
        results.append(run(row, trials, asked.seed, root))
        print(table.line(results[-1], version), flush=True)
    print(table.failures(results), file=sys.stderr)
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main())
