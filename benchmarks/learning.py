"""Validation loss of models that the planner chose for a text and a time budget.

    python benchmarks/learning.py [FILE ...] [--minutes 2] [--options "--cell gru"] [--adapt]

The default files are those of corpora/. The loss is in nats per character on the validation part,
as `charrnn evaluate` computes it for the best checkpoint; the time is that of the whole command.
With --adapt it is followed by that of a model that learns from the part as it reads it. With the
option --mix ngram the loss is that of the mixture, followed by that of the network alone. Where a
token is more than a character, the perplexity of a token follows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "corpora"
CORPORA = {FOLDER / "fables.txt": "", FOLDER / "tunes.abc": "", FOLDER / "names.txt": "--lines"}


def charrnn(*arguments: str) -> list[dict[str, Any]]:
    """Run a command -> the JSON values that it prints, one per line."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", *arguments], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(file: Path, minutes: float, options: list[str], adapt: bool, split: str) -> str:
    """Train on a text -> a line of the table, with the loss on a split."""
    with tempfile.TemporaryDirectory() as runs:
        start = time.perf_counter()
        events = charrnn(
            "train", str(file), "--minutes", str(minutes), "--runs-dir", runs, "--json", *options
        )
        seconds = time.perf_counter() - start
        evaluate = ("evaluate", "--runs-dir", runs, "--json", "--split", split)
        (score,) = charrnn(*evaluate, *(["--adapt"] if adapt else []))
        alone = charrnn(*evaluate, "--mix", "none") if "--mix" in options else []
    figures = ", network ".join(map(figure, [score, *alone]))
    figures += f", adapted {score['adapted_nats_per_char']:.4f}" if adapt else ""
    plan, end = events[0]["plan"], events[-1]  # the end has the steps that were taken
    model, train = plan["model"], plan["train"]
    return (
        f"{file.name:20} {minutes:5g} | {seconds / 60:6.2f} | "
        f"{model['cell']} {model['num_layers']}x{model['hidden_size']:<4} "
        f"{plan['parameters'] / 1e6:5.2f}M  {end['step']:6} x {train['batch_size']}x"
        f"{train['seq_length']}  {end['epochs']:5.1f}  {model['dropout']:4.2f} | "
        f"{plan['tokens_per_second'] / 1e3:5.1f}k | {figures}"
    )


def figure(score: dict[str, Any]) -> str:
    """A score -> nats per character, and the perplexity where a token is more than a character."""
    words = (
        f" (perplexity {score['perplexity']:.2f})" if score["tokens"] < score["characters"] else ""
    )
    return f"{score['nats_per_char']:.4f}{words}"


def main() -> None:
    """Print one line per text and time budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0])
    parser.add_argument("--options", default="", help="more options of charrnn train")
    parser.add_argument("--adapt", action="store_true", help="also adapt to the validation part")
    parser.add_argument("--split", choices=("valid", "test"), default="valid")
    given = parser.parse_args()
    print(
        "text               minutes | taken  | plan: model, steps, epochs, dropout | speed | loss"
    )
    texts = dict.fromkeys(given.files, "") or CORPORA
    for minutes in given.minutes:
        for file, options in texts.items():
            own = [*options.split(), *given.options.split()]
            print(measure(file, minutes, own, given.adapt, given.split), flush=True)


if __name__ == "__main__":
    main()
