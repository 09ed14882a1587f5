"""Row: a fault, and a program that injects it `trials` times from a seed and checks the outcome.

A program yields an outcome for every trial. It works in a folder of its own. If a trial fails, the
folder is kept, together with the seed.
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

MAX_PROBLEMS = 100
"""Failures of one row that are reported in words; the others are only counted."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one trial, or of several equal ones; `problem` is empty if nothing failed."""

    problem: str = ""
    trials: int = 1


GOOD = Outcome()

Outcomes = Iterator[Outcome]


class Unavailable(Exception):  # noqa: N818 - not a failure: the row cannot run here
    """The machine lacks what the row needs; the text names it."""


@dataclass(frozen=True)
class Row:
    """A fault and its program: `play(trials, seed, folder)` yields the outcomes.

    fault, test, unit: as in the table of docs/reliability.md. short, long: numbers of trials.
    """

    name: str
    fault: str
    test: str
    unit: str
    short: int
    long: int
    play: Callable[[int, int, Path], Outcomes]


@dataclass(frozen=True)
class Result:
    """The result of a row; `folder` contains the artefacts if something failed.

    `seconds` is CPU time, children included, so that a busy machine makes no difference.
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
    """A problem, or "" -> the outcome of one trial."""
    return Outcome(problem) if problem else GOOD


def some(cases: Sequence[Case], trials: int, seed: int) -> list[Case]:
    """All cases in order, or as many as there are trials, drawn with the seed."""
    if trials >= len(cases):
        return list(cases)
    chosen = random.Random(seed).sample(range(len(cases)), trials)
    return [cases[number] for number in sorted(chosen)]


def run(row: Row, trials: int, seed: int, root: Path) -> Result:
    """Run a row in a folder of its own below `root`, which is kept only if something failed."""
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
    except Unavailable as error:
        missing = str(error)
    except Exception:
        failed += 1
        problems.append(f"the program of the row raised an exception:\n{traceback.format_exc()}")
    seconds = sum(os.times()[:4]) - began
    kept = folder if failed else None
    if kept:
        lines = [f"row {row.name}, trials {trials}, seed {seed}", *problems[:MAX_PROBLEMS]]
        (folder / "failures.txt").write_text("\n".join(lines) + "\n", errors="surrogateescape")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    reported = tuple(problems[:MAX_PROBLEMS])
    return Result(row, done, failed, reported, seconds, seed, kept, missing)
