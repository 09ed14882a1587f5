"""How long a shell waits for a completion: wall and processor milliseconds of each question.

    python -m benchmarks.completion [--times 20] [--runs 20]

Each question is a process of its own, as a shell starts it, in a folder with so many runs. Beside
it is what Python takes to start and end, which is the least that a program in Python can take.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.sampling import random_model
from charrnn.checkpoints.run import create_run

LINES = (
    "charrnn s", "charrnn sample --t", "charrnn train --cell ", "charrnn sample r",
    "charrnn sample run-3 --checkpoint ", "charrnn sample run-3 --label ",
    "charrnn checkpoints show --che",
)  # fmt: skip
"""A command, options, choices, runs, checkpoints, labels, a command of a command."""


def measure(command: Sequence[str], times: int, environ: Mapping[str, str]) -> tuple[float, float]:
    """A command -> the median of its wall milliseconds, and its mean processor milliseconds."""
    walls, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, env=dict(environ), stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * statistics.median(walls), 1000 * spent / times


def make_runs(root: Path, count: int) -> None:
    """Runs of a small model of random weights, with run.json as long as a real one."""
    model = random_model(1, 32, "lstm")
    for number in range(count):
        run = create_run(root, f"run-{number}")
        run.write_description({"turn": number, "padding": "x" * 8000})
        run.save(model, keep=1)


def main() -> None:
    """Print a line of JSON for each question."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), options.runs)
        python = measure([sys.executable, "-c", "pass"], options.times, os.environ)
        print(json.dumps({"line": "(python -c pass)", "wall_ms": python[0], "cpu_ms": python[1]}))
        for line in LINES:
            own = {
                "_CHARRNN_COMPLETE": "complete_bash", "COMP_WORDS": line.replace(" ", "\n"),
                "COMP_CWORD": str(line.count(" ")), "CHARRNN_RUNS": folder,
            }  # fmt: skip
            command = [sys.executable, "-c", "from charrnn.cli.entry import run; run()"]
            wall, cpu = measure(command, options.times, os.environ | own)
            print(json.dumps({"line": line, "wall_ms": round(wall, 1), "cpu_ms": round(cpu, 1)}))


if __name__ == "__main__":
    main()
