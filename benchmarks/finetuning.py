"""Training that begins with another model, beside training from nothing in the same time.

    python benchmarks/finetuning.py BASE TEXT [TEXT ...] [--minutes 1] [--lines NAME ...]

BASE is a run or a checkpoint file, such as one of `charrnn train war_and_peace.txt --minutes 10`.
For each text it prints the score of the base on it (of a long validation part on pieces), the best
score with `--from BASE` and that of the planner's own model, in nats per character on the whole
validation part. `--lines` names the texts whose lines are documents.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import charrnn
from charrnn.training.events import Evaluated, Event


def trained(text: Path, folder: Path, **options: Any) -> tuple[float, float]:
    """A text -> the first and the best score of a run on it."""
    scores: list[Evaluated] = []

    def note(event: Event) -> None:
        if isinstance(event, Evaluated):
            scores.append(event)

    run = charrnn.train(text, runs_dir=folder, on_event=note, **options)
    # Scores of pieces are left out: in most runs the best by pieces is scored on the whole.
    whole = [event.score.value for event in scores if not event.pieces]
    return scores[0].score.value, min(whole) if whole else charrnn.load(run).evaluate().value


def main() -> None:
    """Print one line for each text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base")
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--lines", nargs="*", default=[])
    given = parser.parse_args()
    for text in given.texts:
        options: dict[str, Any] = {"minutes": given.minutes}
        if text.name in given.lines:
            options["lines"] = True
        with tempfile.TemporaryDirectory() as folder:
            base = str(Path(given.base).resolve()) if Path(given.base).exists() else given.base
            before, tuned = trained(text, Path(folder), init_from=base, **options)
            _, alone = trained(text, Path(folder), **options)
        print(
            f"{text.name:24} base {before:.4f}  from it {tuned:.4f}  alone {alone:.4f}", flush=True
        )


if __name__ == "__main__":
    main()
