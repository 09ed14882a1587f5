"""`python -m tests.torture`: run rows and print their table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.torture import table
from tests.torture.registry import ROWS
from tests.torture.rows import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows that the command line selects -> exit code, 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS) + "; all if none")
    parser.add_argument(
        "--long", action="store_true", help="as many trials as for the published figures"
    )
    parser.add_argument("--trials", type=int, help="number of trials of each row")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random trials")
    parser.add_argument(
        "--keep", type=Path, help="folder for the files of failed rows; default: a new one"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]}")
    import torch

    torch.set_num_threads(1)
    root = options.keep or Path(tempfile.mkdtemp(prefix="torture-"))
    version, results = table.commit(), []
    print(f"{table.HEAD}\n{table.RULE}", flush=True)
    for row in [ROWS[name] for name in options.rows] or ROWS.values():
        trials = options.trials or (row.long if options.long else row.short)
        results.append(run(row, trials, options.seed, root))
        print(table.line(results[-1], version), flush=True)
    print(table.failures(results), file=sys.stderr)
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main())
