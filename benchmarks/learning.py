"""What the planner makes of a text and a number of minutes: the plan, the time it took, the loss.

    python benchmarks/learning.py [FILE ...] [--minutes 2] [--options "--cell gru"]

Without a file the shipped corpora are used. The loss is in nats per character over the validation
part, as `charrnn evaluate` measures it on the best checkpoint; the time is the whole command's.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent.parent / "corpora"
CORPORA = {SHIPPED / "fables.txt": "", SHIPPED / "tunes.abc": "", SHIPPED / "names.txt": "--lines"}


def charrnn(*arguments: str) -> list[dict[str, Any]]:
    """The JSON lines that a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", *arguments], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(file: Path, minutes: float, options: list[str]) -> str:
    """Train on a text and describe how it went."""
    with tempfile.TemporaryDirectory() as runs:
        begun = time.perf_counter()
        events = charrnn(
            "train", str(file), "--minutes", str(minutes), "--runs-dir", runs, "--json", *options
        )
        spent = time.perf_counter() - begun
        (score,) = charrnn("evaluate", "--runs-dir", runs, "--json")
    plan, end = events[0]["plan"], events[-1]  # the steps are those that there was time for
    model, train = plan["model"], plan["train"]
    return (
        f"{file.name:20} {minutes:5g} | {spent / 60:6.2f} | "
        f"{model['cell']} {model['num_layers']}x{model['hidden_size']:<4} "
        f"{plan['parameters'] / 1e6:5.2f}M  {end['step']:6} x {train['batch_size']}x"
        f"{train['seq_length']}  {end['epochs']:5.1f}  {model['dropout']:4.2f} | "
        f"{plan['tokens_per_second'] / 1e3:5.1f}k | {score['nats_per_char']:.4f}"
    )


def main() -> None:
    """Print a line for each text and number of minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0])
    parser.add_argument("--options", default="", help="further options of charrnn train")
    given = parser.parse_args()
    print(
        "text               minutes | spent  | plan: model, steps, epochs, dropout | speed | loss"
    )
    texts = dict.fromkeys(given.files, "") or CORPORA
    for minutes in given.minutes:
        for file, own in texts.items():
            print(measure(file, minutes, [*own.split(), *given.options.split()]), flush=True)


if __name__ == "__main__":
    main()
