"""Trainings on pairs, and their test parts beside the baselines copy and most frequent.

    python benchmarks/pairs.py KIND ... [--data FOLDER] [--minutes 3 | --steps N] [--threads 1]

KIND: multi30k; g2p:LANGUAGE, such as g2p:fre, or g2p for all 15; copy, reverse and sort, of made
words. FOLDER has multi30k/{train,val,test_2016_flickr}.{de,en} and
g2p/LANGUAGE_{train,dev,test}.tsv. Made words have 3 to 9 letters; a second test part has 10 to 14,
which no training shows. Settings are chosen by the validation part alone. Prints the figures as
`charrnn evaluate` does, and seconds of wall clock and of the processor.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import charrnn

LETTERS = "abcdefghijklmnopqrst"

RULES: dict[str, Callable[[str], str]] = {
    "copy": lambda word: word,
    "reverse": lambda word: word[::-1],
    "sort": lambda word: "".join(sorted(word)),
}
"""Kind of made words -> what a source becomes."""

MADE, HELD_OUT = 5_000, 500


def words(count: int, shortest: int, longest: int, seed: int) -> list[str]:
    """Different words of random letters."""
    source = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        size = source.randint(shortest, longest)
        found["".join(source.choice(LETTERS) for _ in range(size))] = None
    return list(found)


def made(kind: str, folder: Path) -> dict[str, list[str]]:
    """Write the parts of made words -> the files of each."""
    rule, all_words = RULES[kind], words(MADE + 2 * HELD_OUT, 3, 9, 1)
    parts = {
        "train": all_words[: MADE],
        "valid": all_words[MADE : MADE + HELD_OUT],
        "test": all_words[MADE + HELD_OUT :],
        "longer": words(HELD_OUT, 10, 14, 2),
    }  # fmt: skip
    for name, part in parts.items():
        text = "".join(f"{word}\t{rule(word)}\n" for word in part)
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
    return {name: [str(folder / f"{name}.tsv")] for name in parts}


def files(kind: str, data: Path, folder: Path) -> dict[str, list[str]]:
    """A kind -> the files of train, valid and test, and of other parts to measure on."""
    if kind in RULES:
        return made(kind, folder)
    if kind == "multi30k":
        names = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
        return {
            part: [str(data / kind / f"{name}.{side}") for side in ("de", "en")]
            for part, name in names.items()
        }
    language = kind.removeprefix("g2p:")
    names = {"train": "train", "valid": "dev", "test": "test"}
    return {
        part: [str(data / "g2p" / f"{language}_{name}.tsv")] for part, name in names.items()
    }  # fmt: skip


def trial(kind: str, data: Path, options: dict[str, Any]) -> Any:
    """Train and print -> the score of the test part."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = files(kind, data, folder)
        began, used = time.perf_counter(), time.process_time()
        run = charrnn.train(
            *parts["train"], task="pairs", valid=tuple(parts["valid"]), test=tuple(parts["test"]),
            runs_dir=folder / "runs", name="trial", **options,
        )  # fmt: skip
        wall, used = time.perf_counter() - began, time.process_time() - used
        model: Any = charrnn.load(run)
        config = model.checkpoint.config
        print(
            f"{kind}: 1x{config.hidden_size}, step {model.checkpoint.info.step}, {wall:.0f} s, of "
            f"the processor {used:.0f} s"
        )
        for part in ("valid", "test"):
            score = model.evaluate(part)
            print(f"  {part:6} greedy: {score.summary()}")
            for other, each in score.others.items():
                print(f"  {part:6} {other}: {each.summary()}")
        for part in parts.keys() - {"train", "valid", "test"}:
            print(f"  {part:6} greedy: {model.evaluate(file=parts[part][0]).summary()}", flush=True)
        return score


def main() -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="+", metavar="KIND")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    options: dict[str, Any] = {"threads": given.threads} if given.threads else {}
    options |= {"steps": given.steps} if given.steps else {"minutes": given.minutes or 3.0}
    rates = []
    for kind in given.kinds:
        each = [kind]
        if kind == "g2p":
            each = sorted(f"g2p:{p.name[:3]}" for p in (given.data / "g2p").glob("*_train.tsv"))
        for one in each:
            score = trial(one, given.data, options)
            if one.startswith("g2p:"):
                rates.append(100 * (1 - score.exact_match))
    if rates:
        mean = statistics.mean(rates)
        print(f"g2p, {len(rates)} languages: word error rate, greedy, {mean:.2f}% in the mean")


if __name__ == "__main__":
    main()
