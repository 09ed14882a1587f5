"""What a row is: a fault, a program that does it `trials` times from a seed, and what came of it.

A program yields an outcome for every trial. It works in a folder of its own, and what it leaves
there is kept when a trial failed, together with the seed.
"""

import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")

ALL = 10**12
"""As many trials as there are cases."""

REMEMBERED = 100
"""Failures of one row that are told in words; the rest is counted."""


@dataclass(frozen=True)
class Outcome:
    """Of one trial, or of several that went alike; `problem` is empty where nothing went wrong."""

    problem: str = ""
    trials: int = 1


GOOD = Outcome()

Outcomes = Iterator[Outcome]


class Unavailable(Exception):  # noqa: N818 - nothing went wrong: the machine has not what it takes
    """The machine lacks what the row needs; the text says what."""


@dataclass(frozen=True)
class Row:
    """A fault and its program: `play(trials, seed, folder)` yields the outcomes."""

    name: str
    fault: str
    how: str
    unit: str
    short: int
    long: int
    play: Callable[[int, int, Path], Outcomes]


@dataclass(frozen=True)
class Result:
    """What came of a row; `folder` holds the artefacts where something failed.

    `seconds` are of the processor, children included, so that a busy machine counts for nothing.
    """

    row: Row
    trials: int
    failures: int
    problems: tuple[str, ...]
    seconds: float
    seed: int
    folder: Path | None = None
    missing: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


def verdict(problem: str) -> Outcome:
    """A good outcome, or what is wrong."""
    return Outcome(problem) if problem else GOOD


def some(cases: Sequence[Case], trials: int, seed: int) -> list[Case]:
    """All the cases in their order, or as many as there are trials, drawn by the seed."""
    if trials >= len(cases):
        return list(cases)
    chosen = random.Random(seed).sample(range(len(cases)), trials)
    return [cases[number] for number in sorted(chosen)]


def run(row: Row, trials: int, seed: int, root: Path) -> Result:
    """Play a row in a folder of its own below `root`, which stays only where something failed."""
    folder = root / row.name
    folder.mkdir(parents=True)
    began, done, failed, problems, missing = sum(os.times()[:4]), 0, 0, [], ""
    try:
        for outcome in row.play(trials, seed, folder):
            done += outcome.trials
            if outcome.problem:
                failed += 1
                problems.append(outcome.problem)
        if not done:
            failed, problems = 1, ["no trial took place"]
    except Unavailable as lack:
        missing = str(lack)
    except Exception:
        failed += 1
        problems.append(f"the program of the row broke off:\n{traceback.format_exc()}")
    seconds = sum(os.times()[:4]) - began
    kept = folder if failed else None
    if kept:
        words = [f"row {row.name}, trials {trials}, seed {seed}", *problems[:REMEMBERED]]
        (folder / "failures.txt").write_text("\n".join(words) + "\n", errors="surrogateescape")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    told = tuple(problems[:REMEMBERED])
    return Result(row, done, failed, told, seconds, seed, kept, missing)
