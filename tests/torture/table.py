"""The table of results, as Markdown, and the words of what failed."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.torture.rows import Result

HEAD = "| row | fault | what is done | trials | failures | CPU seconds | seed | commit |"
RULE = "|---|---|---|--:|--:|--:|--:|---|"


def commit() -> str:
    """The commit of the working tree, with a + where it holds more; a dash without git."""
    here = Path(__file__).parent
    try:
        words = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "-"


def line(result: Result, version: str) -> str:
    """One row of the table."""
    row = result.row
    if result.missing:
        counted = f"not run: {result.missing} | -"
    else:
        counted = f"{result.trials:,} {row.unit} | {result.failures:,}"
    cells = (row.name, row.fault, row.how)
    described = " | ".join(cell.replace("|", "\\|") for cell in cells)
    return f"| {described} | {counted} | {result.seconds:.1f} | {result.seed} | {version} |"


def failures(results: Iterable[Result]) -> str:
    """What failed and where its artefacts are; empty where nothing failed."""
    told = []
    for result in results:
        if not result.good:
            told.append(f"\n{result.row.name}: {result.failures:,} failures, see {result.folder}")
            told += [f"  {problem}" for problem in result.problems[:5]]
    return "\n".join(told)
