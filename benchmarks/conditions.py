"""Labelled texts: what knowing the label is worth, and how often the model finds it.

    python benchmarks/conditions.py LABELLED [--minutes 1] [--most 20000]

LABELLED has lines of `label<TAB>text` or `text<TAB>label`; the column of fewer different values is
the label. The two columns are written as `--conditions` reads them, and once without the label,
and a model is trained on each for the same time, with the same validation texts. Printed are, for
each label, the nats per character of its validation texts given the label, and by the model that
knows no labels; the share of texts whose label is the likeliest; and the characters per second of
plain sampling, of `--label`, `--known-words` and `--blend`, and their ratio to plain sampling.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import charrnn
from charrnn.tasks.language.label_scores import accuracy

TOKENS, TRIALS = 2000, 3
"""Tokens of a text whose sampling is timed; the fastest of so many trials, in turn, counts."""


def examples(path: Path, most: int) -> list[tuple[str, str]]:
    """Lines with one tab -> (label, text), evenly spread, at most `most` of them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [(a.strip(), b.strip()) for a, tab, b in (x.partition("\t") for x in lines) if tab]
    if len({a for a, _ in found}) > len({b for _, b in found}):
        found = [(b, a) for a, b in found]
    return [(a, b) for a, b in found[:: -(-len(found) // most)] if a and b]


def parts(found: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Examples -> training and validation, every tenth; no text is in both."""
    held = {text for _, text in found[::10]}
    return [each for each in found if each[1] not in held], found[::10]


def trained(folder: Path, name: str, labelled: bool, rows: Any, minutes: float) -> Any:
    """A model of the training part, with the labels or without."""
    files = []
    for part, own in zip(("train", "valid"), rows, strict=True):
        file = folder / f"{name}-{part}.txt"
        lines = (f"{a}\t{b}\n" if labelled else f"{b}\n" for a, b in own)
        file.write_text("".join(lines), encoding="utf-8")
        files.append(file)
    kind: dict[str, Any] = {"conditions": True} if labelled else {"documents": "line"}
    return charrnn.load(
        charrnn.train(
            files[0], valid=(str(files[1]),), name=name, runs_dir=folder, minutes=minutes, **kind
        ),
        threads=1,
    )


def speeds(model: Any, plain: Any, label: str) -> None:
    """Print tokens per second of each way to sample, beside plain sampling."""
    blend = charrnn.blend([plain, plain])
    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "plain": (plain, {}),
        "--label": (model.with_label(label), {}),
        "--known-words": (plain, {"known_words": True}),
        "--blend of two": (blend, {}),
    }
    best = dict.fromkeys(ways, 0.0)
    for trial in range(TRIALS + 1):
        for name, (own, options) in ways.items():
            began, done = time.perf_counter(), 0
            while done < TOKENS:
                # Texts end where a line does, so many are written.
                done += len(own.sample(length=TOKENS, seed=done, **options)) + 1
            # The first trial finds the words, and is no measurement.
            if trial:
                best[name] = max(best[name], done / (time.perf_counter() - began))
    for name, speed in best.items():
        ratio = speed / best["plain"]
        print(f"{name:16} {speed:8,.0f} characters/s  {ratio:.2f} of plain", flush=True)


def main() -> None:
    """Print a table of labels, the accuracy, and the speeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--most", type=int, default=20_000)
    given = parser.parse_args()
    rows = parts(examples(given.labelled, given.most))
    with tempfile.TemporaryDirectory() as folder:
        model = trained(Path(folder), "labelled", True, rows, given.minutes)
        plain = trained(Path(folder), "plain", False, rows, given.minutes)
        scores = model.label_scores("valid")
        nats = characters = 0.0
        for each in scores:
            own = [plain.score(text + "\n") for label, text in rows[1] if label == each.label]
            size = sum(score.characters for score in own)
            without = sum(score.nats for score in own)
            nats, characters = nats + without, characters + size
            print(
                f"{each.label:16} {each.texts:6} texts  {each.nats_per_char:.4f} with the label  "
                f"{without / size:.4f} without  {each.right / max(1, each.compared):.1%} found",
                flush=True,
            )
        known = sum(each.nats for each in scores) / sum(each.characters for each in scores)
        most = max(each.texts for each in scores) / sum(each.texts for each in scores)
        print(f"{'all':16} {known:.4f} with the label  {nats / characters:.4f} without")
        right = accuracy(scores)
        print(f"the likeliest label is right for {right:.1%}; the most frequent for {most:.1%}")
        speeds(model, plain, scores[0].label)


if __name__ == "__main__":
    main()
