"""The trials that the planner's rules rest on: one line for each training, with its loss.

    python benchmarks/trials.py TEXT [TEXT ...] [--minutes 2] [--vary "--dropout 0.1" ...]

For each text the planner's own choice is trained first, and then one variation after the other,
with the steps of the first, so that a line differs from it in what it names alone. `--vary`
replaces the variations. Losses are nats per character over the validation part, at the best and the
last evaluation. The lines that rules.py was made from are kept in benchmarks/trials.md.
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
    """The plan, the validation losses in their order, and the seconds of the whole command."""
    with tempfile.TemporaryDirectory() as runs:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "charrnn", "train", str(text), "--runs-dir", runs]
        done = subprocess.run([*command, "--json", *options], capture_output=True, text=True)
        spent = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    losses = [event["nats_per_char"] for event in events if event["event"] == "evaluated"]
    plan, end = events[0]["plan"], events[-1]
    plan["train"]["steps"], plan["epochs"] = end["step"], end["epochs"]  # as there was time for
    return plan, losses, spent


def line(text: Path, options: str, plan: dict[str, Any], losses: list[float], spent: float) -> str:
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
        f"{spent:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| text | model | parameters | steps | epochs | dropout | rate | varied | best | last "
    "| seconds |\n|---|---|--:|---|--:|--:|--:|---|--:|--:|--:|"
)


def main() -> None:
    """Print the table, a line at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--vary", nargs="*", default=list(VARIATIONS))
    given = parser.parse_args()
    print(HEAD)
    for text in given.texts:
        found = trained(text, ["--minutes", str(given.minutes)])
        plan = found[0]
        print(line(text, "", *found), flush=True)
        model, train = plan["model"], plan["train"]
        base = {
            "--steps": train["steps"],
            "--num-layers": model["num_layers"],
            "--hidden-size": model["hidden_size"],
            "--dropout": model["dropout"],
            "--output-dropout": model["output_dropout"],
            "--input-dropout": model["input_dropout"],
        }
        for varied in given.vary:
            options = {key: str(value) for key, value in base.items()}
            words = [word for pair in options.items() for word in pair]
            print(line(text, varied, *trained(text, [*words, *varied.split()])), flush=True)


if __name__ == "__main__":
    main()
