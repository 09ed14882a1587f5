"""Training beside other work: tokens per second idle, two at once, and beside busy processes.

    python benchmarks/load.py [--seconds 20] [--sizes 1x192 2x256] [--rounds 2] [--busy 0 1 2 4]

Each figure is of whole processes, `charrnn train` with its own choice of threads and with --threads
1 and 2: tokens of the steps that were logged, over their seconds. The rows of a round follow one
another, and the best of the rounds is printed, because other work disturbs in one direction only. A
fair share of N cores beside B busy processes is N / (B + 1) of the idle speed, at most all of it.
Run it on an idle machine: it makes its own load.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WORDS = ("the", "miller", "and", "his", "son", "went", "to", "fair", "with", "an", "old", "ass")

BUSY = "while True: pass"

CHOICES: tuple[tuple[str, ...], ...] = ((), ("--threads", "1"), ("--threads", "2"))
"""What the program chooses, and what it may choose from."""


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that never wait, while this lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start(
    folder: Path, size: str, seconds: float, options: tuple[str, ...]
) -> subprocess.Popen[str]:
    """A training of about so many seconds that prints its events."""
    layers, units = size.split("x")
    command = [
        *(sys.executable, "-m", "charrnn", "train", "corpus.txt", "--json", "--quiet"),
        *("--num-layers", layers, "--hidden-size", units, "--minutes", str(seconds / 60)),
        *options,
    ]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def speed(process: subprocess.Popen[str]) -> tuple[float, int, float]:
    """A training -> its tokens per second, its last number of threads, its seconds."""
    output, _ = process.communicate()
    events = [json.loads(line) for line in output.splitlines()]
    plans = [event["plan"]["train"] for event in events if event["event"] == "planned"]
    train = plans[-1]
    # After the last plan: a run may be planned again, and its steps begin anew.
    first = max(i for i, event in enumerate(events) if event["event"] == "planned")
    progress = [event for event in events[first:] if event["event"] == "progress"]
    tokens = progress[-1]["step"] * train["batch_size"] * train["seq_length"]
    return tokens / progress[-1]["seconds"], train["threads"], events[-1]["seconds"]


def measure(
    folder: Path, size: str, seconds: float, load: int, copies: int, options: tuple[str, ...]
) -> str:
    """One figure: of one training or of several at once, together."""
    with busy(load):
        found = [
            speed(process)
            for process in [start(folder, size, seconds, options) for _ in range(copies)]
        ]
    total = sum(each[0] for each in found)
    threads = "+".join(str(each[1]) for each in found)
    took = max(each[2] for each in found)
    return f"{total:12,.0f} {threads:>8} {took:9.1f}"


def main() -> None:
    """Print a line for each size, load and choice of threads."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each training")
    parser.add_argument("--sizes", nargs="+", default=["1x192", "2x256"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2, 4])
    given = parser.parse_args()
    cases = [(load, 1) for load in given.busy] + [(0, 2)]
    print(f"{os.cpu_count()} cores; tokens/s of all trainings together, threads, seconds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = np.random.default_rng(0).choice(WORDS, 300_000)
        (folder / "corpus.txt").write_text(" ".join(drawn))
        for size in given.sizes:
            for load, copies in cases:
                for options in CHOICES:
                    lines = [
                        measure(folder, size, given.seconds, load, copies, options)
                        for _ in range(given.rounds)
                    ]
                    what = f"{copies} at once" if copies > 1 else f"beside {load}"
                    print(
                        f"{size:8} {what:10} {' '.join(options) or 'measured':12} {max(lines)}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
