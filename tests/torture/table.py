"""The table of results as Markdown, and the description of failures."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.torture.rows import Result, Row

HEAD = "| row | fault | test | trials | failures | CPU seconds | seed | commit |"
RULE = "|---|---|---|--:|--:|--:|--:|---|"


def commit() -> str:
    """The commit of the working tree, with a + if it has changes; a dash without git."""
    here = Path(__file__).parent
    try:
        command = ["git", "-C", str(here), "describe", "--always", "--exclude=*", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "-"


def description(row: Row) -> str:
    """The first three cells of a row."""
    cells = (row.name, row.fault, row.test)
    return " | ".join(cell.replace("|", "\\|") for cell in cells)


def line(result: Result, version: str) -> str:
    """One row of the table."""
    row = result.row
    if result.missing:
        counted = f"not run: {result.missing} | -"
    else:
        counted = f"{result.trials:,} {row.unit} | {result.failures:,}"
    return f"| {description(row)} | {counted} | {result.seconds:.1f} | {result.seed} | {version} |"


def failures(results: Iterable[Result]) -> str:
    """What failed and where its artefacts are; empty if nothing failed."""
    lines = []
    for result in results:
        if not result.good:
            lines.append(f"\n{result.row.name}: {result.failures:,} failures, see {result.folder}")
            lines += [f"  {problem}" for problem in result.problems[:5]]
    return "\n".join(lines)
