"""Experiments behind the planner's rules: one training per line, with its validation loss.

    python benchmarks/trials.py TEXT [TEXT ...] [--minutes 2] [--vary "--dropout 0.1" ...]

For each text, the planner's choice is trained first and then each variation, with the same number
of steps, so that a line differs from the first only in the options that it names. `--vary` replaces
the variations. Losses are in nats per character on the whole validation part, at the best
evaluation and at the last. The results behind training/planner/heuristics.py are in
benchmarks/trials.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VARIATIONS = (
    "--batch-size 16",
    "--batch-size 4",
    "--seq-length 96",
    "--learning-rate 0.005",
    "--learning-rate 0.012",
    "--dropout 0 --output-dropout 0 --input-dropout 0",
    "--dropout 0.3 --output-dropout 0.3 --input-dropout 0.08",
    "--variational",
    "--weight-dropout 0.2",
    "--embedding-dropout 0.05",
    "--weight-decay 0.3",
    "--no-residual",
    "--schedule steps --decay-factor 1",
    "--tokenizer subword",
)


def trained(text: Path, options: list[str]) -> tuple[dict[str, Any], list[float], float]:
    """Train -> the plan, the validation losses in order, and the seconds of the whole command."""
    with tempfile.TemporaryDirectory() as runs:
        start = time.perf_counter()
        command = [sys.executable, "-m", "charrnn", "train", str(text), "--runs-dir", runs]
        done = subprocess.run([*command, "--json", *options], capture_output=True, text=True)
        seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    # The plan of the last event of its kind, because a run may be planned again. Scores of pieces
    # are left out: those of the whole are the best by pieces, and the last.
    losses = [
        event["nats_per_char"]
        for event in events
        if event["event"] == "evaluated" and not event.get("pieces")
    ]
    if events[-1].get("pieces"):
        raise SystemExit("the validation part is too long for the time; give --final-eval whole")
    plan = [event["plan"] for event in events if event["event"] == "planned"][-1]
    end = events[-1]
    plan["train"]["steps"], plan["epochs"] = end["step"], end["epochs"]  # as many as were taken
    return plan, losses, seconds


def line(
    text: Path, options: str, plan: dict[str, Any], losses: list[float], seconds: float
) -> str:
    """One row of a Markdown table."""
    model, train = plan["model"], plan["train"]
    cells = (
        text.name,
        f"{model['cell']} {model['num_layers']}x{model['hidden_size']}",
        f"{plan['parameters'] / 1e6:.2f}M",
        f"{train['steps']} of {train['batch_size']}x{train['seq_length']}",
        f"{plan['epochs']:.1f}",
        f"{model['dropout']:g}",
        f"{train['learning_rate']:g}",
        options or "as planned",
        f"{min(losses):.4f}",
        f"{losses[-1]:.4f}",
        f"{seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| text | model | parameters | steps | epochs | dropout | rate | variation | best | last "
    "| seconds |\n|---|---|--:|---|--:|--:|--:|---|--:|--:|--:|"
)


def main() -> None:
    """Print the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--vary", nargs="*", default=list(VARIATIONS))
    given = parser.parse_args()
    print(HEAD)
    for text in given.texts:
        result = trained(text, ["--minutes", str(given.minutes)])
        plan = result[0]
        print(line(text, "", *result), flush=True)
        model, train = plan["model"], plan["train"]
        base = {
            "--steps": train["steps"],
            "--num-layers": model["num_layers"],
            "--hidden-size": model["hidden_size"],
            "--dropout": model["dropout"],
            "--output-dropout": model["output_dropout"],
            "--input-dropout": model["input_dropout"],
        }
        for variation in given.vary:
            options = {key: str(value) for key, value in base.items()}
            arguments = [word for pair in options.items() for word in pair]
            print(
                line(text, variation, *trained(text, [*arguments, *variation.split()])), flush=True
            )


if __name__ == "__main__":
    main()
