"""Models of the tunes of the Nottingham Music Database: bars that add up, tunes that are new.

    python benchmarks/tunes.py FOLDER [--minutes 5 | --steps N] [--tunes 200] [--seed 1]
                               [--runs-dir DIR]

FOLDER holds ABC files (abc.sourceforge.net/NMD). A model is trained as `charrnn train FOLDER` does
it, with a tenth of the tunes to validate on and a tenth to test on. Prints

* its perplexity on the test part;
* of the real tunes of the test part, of tunes drawn without and with the filter `bars`: how many
  end, the share of their bars that are wrong (of those that end), and the longest span of the body
  that the training part has too, in any key;
* where abc2midi is installed, how many of each it finds an error in.

--runs-dir keeps the run; where it is kept already, it is measured and not trained again.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import charrnn
from charrnn.checkpoints.run import Run
from charrnn.data.tunes.abc import parse
from charrnn.data.tunes.bars import bars
from charrnn.data.tunes.score import UnreadableError
from charrnn.tasks.language.originality import open_index, text_of
from charrnn.tokenizers.documents import END

LONGEST = 5_000
"""Characters of a tune at most; one that has not ended by then is counted as without end."""


def body(text: str) -> str:
    """The last line of a tune, its notes."""
    return text.rstrip("\n").rpartition("\n")[2]


def wrong_bars(tunes: list[str]) -> tuple[int, int, int]:
    """Tunes -> those that cannot be read, wrong bars, all bars."""
    unreadable, wrong, every = 0, 0, 0
    for text in tunes:
        try:
            found = list(bars(parse(text.splitlines(), Counter())))
        except UnreadableError:
            unreadable += 1
            continue
        wrong += sum(bar.wrong for bar in found)
        every += len(found)
    return unreadable, wrong, every


def errors(tunes: list[str]) -> str:
    """How many of the tunes abc2midi finds an error in; that it is missing, where it is."""
    program = shutil.which("abc2midi")
    if program is None:
        return "abc2midi is not installed"
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for text in tunes:
            path = Path(folder, "tune.abc")
            path.write_text(text, encoding="utf-8")
            command = [program, str(path), "-o", str(Path(folder, "tune.mid"))]
            # It prints what it could not read, cut anywhere: not always whole characters.
            done = subprocess.run(command, capture_output=True, check=False)
            failed += b"error" in (done.stdout + done.stderr).lower()
    return f"abc2midi: {failed} of {len(tunes)} with an error"


def report(name: str, tunes: list[str], drawn: int, index: Any) -> None:
    """Print a line of what was measured of tunes, of which `drawn` were asked for."""
    unreadable, wrong, every = wrong_bars(tunes)
    spans = [max((s.length for s in index.spans(body(text), 8)), default=0) for text in tunes]
    share = 100 * wrong / every if every else 0.0
    print(
        f"{name}: {len(tunes)} of {drawn} end, {unreadable} cannot be read, "
        f"{wrong:,} of {every:,} bars wrong ({share:.2f}%), longest copied span: "
        f"median {statistics.median(spans or [0]):g}, most {max(spans, default=0)} characters; "
        f"{errors(tunes)}",
        flush=True,
    )


def sampled(model: Any, count: int, seed: int, filtered: bool) -> list[str]:
    """Tunes of a model that end within LONGEST characters."""
    found = (
        model.sample(seed=seed + number, length=LONGEST, bars=filtered) for number in range(count)
    )
    # The text of a tune ends in a newline; one that was cut does not.
    return [text for text in found if text.endswith("\n") and text.count("\n") == 5]


def main() -> None:
    """Train, draw, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--tunes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs-dir", type=Path)
    given = parser.parse_args()
    budget = {"steps": given.steps} if given.steps else {"minutes": given.minutes}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.runs_dir or Path(temporary)
        run = Run(folder / "tunes")
        if not run.latest():
            run = charrnn.train(
                str(given.folder), name="tunes", runs_dir=folder, tunes=True, test_fraction=0.1,
                seed=given.seed, threads=given.threads, **budget,
            )  # fmt: skip
        model: Any = charrnn.load(run)
        print(f"{model!r}: perplexity of the test part {model.evaluate('test').perplexity:.4f}")
        index = open_index(model.corpus, run.folder / "corpus")
        real = text_of(model.corpus, "test").split(END)[:-1]
        report("real tunes of the test part", real, len(real), index)
        for filtered in (False, True):
            tunes = sampled(model, given.tunes, 1000 * given.seed, filtered)
            name = f"drawn {'with' if filtered else 'without'} the filter"
            report(name, tunes, given.tunes, index)


if __name__ == "__main__":
    main()
