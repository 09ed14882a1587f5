"""Accuracy of models of labels on public data, beside their baselines.

Run `python benchmarks/labels.py FOLDER [SET ...] --minutes 5 --seeds 3`. FOLDER has labels/ (SST-2
and TREC as text, a tab and label), g2p/ (SIGMORPHON 2020 task 1, whose words are those of their
languages) and reviews/ (train.tsv and test.tsv, unpacked), of which only those that are asked for
are read. Each set is validated on a part of its own or on a tenth of its training part; the test
part is read once, by the best checkpoint.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import charrnn

Parts = dict[str, Path]
"""train, test, and valid where there is one -> a file of text, a tab and label."""


def sst2(folder: Path, _: Path) -> Parts:
    """Sentences of film reviews, positive or negative."""
    own = folder / "labels"
    return {name: own / f"sst2-{file}.tsv" for name, file in
            (("train", "train"), ("valid", "dev"), ("test", "test"))}  # fmt: skip


def trec(folder: Path, _: Path) -> Parts:
    """Questions, by the kind of thing that they ask for."""
    return {name: folder / "labels" / f"trec-{name}.tsv" for name in ("train", "test")}


def languages(folder: Path, spool: Path) -> Parts:
    """Words of fifteen languages as they are written."""
    found = {}
    for name, file in (("train", "train"), ("valid", "dev"), ("test", "test")):
        lines = [
            f"{line.split(chr(9))[0]}\t{path.name[:3]}\n"
            for path in sorted((folder / "g2p").glob(f"*_{file}.tsv"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        found[name] = spool / f"languages-{name}.tsv"
        found[name].write_text("".join(lines), encoding="utf-8")
    return found


def reviews(folder: Path, _: Path) -> Parts:
    """Long film reviews, positive or negative."""
    return {name: folder / "reviews" / f"{name}.tsv" for name in ("train", "test")}


SETS: dict[str, Callable[[Path, Path], Parts]] = {
    "sst2": sst2, "trec": trec, "languages": languages, "reviews": reviews,
}  # fmt: skip


def measure(parts: Parts, minutes: float, seed: int, threads: int, runs: Path) -> Any:
    """A set and a seed -> the score of its test part, with those of the baselines."""
    files: dict[str, Any] = {
        name: [str(parts[name])] for name in ("valid", "test") if name in parts
    }
    run = charrnn.train(
        parts["train"], task="labels", minutes=minutes, seed=seed, threads=threads,
        runs_dir=runs, **files,
    )  # fmt: skip
    model: Any = charrnn.load(run)
    return model.evaluate("test")


def main() -> None:
    """Print a line for each set and seed, and the mean of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=["sst2", "trec", "languages"])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for name in options.sets:
        with tempfile.TemporaryDirectory() as spool:
            parts = SETS[name](options.folder, Path(spool))
            found = []
            for seed in range(options.seeds):
                score = measure(parts, options.minutes, seed, options.threads, Path(spool) / "runs")
                found.append(score.value)
                others = ", ".join(f"{n} {each.value:.4f}" for n, each in score.others.items())
                print(f"{name} seed {seed}: {score.summary()}; {others}", flush=True)
            print(f"{name} mean of {len(found)}: {statistics.mean(found):.4f}", flush=True)


if __name__ == "__main__":
    main()
