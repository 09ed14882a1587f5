"""`charrnn compare`: several runs, how they ended and where their settings differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from charrnn.checkpoints.run import find_run, list_runs
from charrnn.cli import plot, terminal
from charrnn.cli.options import Force, Json, RunsDir, option, run_names
from charrnn.cli.output import Output
from charrnn.cli.pages.page import Page, Section, check_page, page, table, write_page
from charrnn.cli.pages.run_page import curves_section
from charrnn.cli.tables import print_table
from charrnn.errors import CheckpointError, UsageError
from charrnn.evaluation import comparison
from charrnn.evaluation.comparison import Outcome, RunSummary
from charrnn.evaluation.learning_curves import NATS, read_log

ROWS: tuple[tuple[str, Callable[[Outcome], Any], Callable[[Any], str]], ...] = (
    ("best, nats/char", lambda outcome: outcome.best_nats_per_char, "{:.4f}".format),
    ("at step", lambda outcome: outcome.best_step, "{:,}".format),
    ("steps taken", lambda outcome: outcome.step, "{:,}".format),
    ("epochs", lambda outcome: outcome.epochs, "{:.2f}".format),
    ("parameters", lambda outcome: outcome.parameters, "{:,}".format),
    ("time", lambda outcome: outcome.seconds, terminal.duration),
    ("tokens/s", lambda outcome: outcome.tokens_per_second, terminal.number),
)
"""Rows of the table on how a run ended: name, value, format."""

MAX_VALUE = 24
"""Characters of a setting; longer ones are cut."""


def compare(
    run: Annotated[list[str] | None, run_names("all runs")] = None,
    runs_dir: RunsDir = Path("runs"),
    order: Annotated[
        Literal["best", "given"],
        option(help="Order of the columns: the best run of each text first, or as given."),
    ] = "best",
    html: Page = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compare runs: how they ended, and where their settings differ.

    The best loss is on the validation part, in nats per character of the text, so that runs with
    different tokenizers are comparable. The time is the sum over all sessions of a run; the speed
    is the median of the logged values.
    """
    check_page(html, force)
    summaries = _named(runs_dir, run) if run else _all(runs_dir)
    for each in summaries:
        if each.problem:
            terminal.note(each.problem)
    names = comparison.differing(summaries)
    # The table is shown all the same: the note says what it cannot be used for.
    if not comparison.same_text(summaries):
        terminal.note(
            "these runs were not evaluated on the same text, so their losses are not comparable"
        )
    for each in summaries:
        if each.is_lossy and len(summaries) > 1:
            terminal.note(
                f"{each.run} pays nothing for the letters of {each.unpriced:.0%} of its words, "
                "<unk>, so its loss is not comparable with the others"
            )
    if order == "best":
        summaries = comparison.best_first(summaries)
    if json:
        out = Output()
        for each in summaries:
            out.json(each.to_json(names))
        return
    metrics = {each.outcome.metric for each in summaries}
    head = ROWS[0][0] if metrics == {NATS} else f"best, {' or '.join(sorted(metrics))}"
    rows = [
        [
            head if name == ROWS[0][0] else name,
            *(_format(value(each.outcome), shown) for each in summaries),
        ]
        for name, value, shown in ROWS
    ]
    if names:
        rows.append([""] * (len(summaries) + 1))
    # A person knows a text by its name, which is a row too, and not by its hash.
    rows += [
        [name, *(_setting(each, name) for each in summaries)]
        for name in names
        if name != "text_sha256"
    ]
    columns = ["", *(f">{each.run}" for each in summaries)]
    if html is not None:
        _write_page(html, runs_dir, run, columns, rows)
        return
    print_table(columns, rows)


def _write_page(
    path: Path, root: Path, names: list[str] | None, columns: list[str], rows: list[list[str]]
) -> None:
    """The table, and the learning curves of all runs, as a web page."""
    runs = [find_run(root, name) for name in dict.fromkeys(names)] if names else list_runs(root)
    logs = [read_log(run) for run in runs if run.name in {c.lstrip(">") for c in columns}]
    sections = [
        Section("outcomes", "Outcomes and settings", table(columns, rows)),
        curves_section(plot.chart_of(logs, what) for what in ("loss", "speed")),
    ]
    write_page(path, page("Comparison", ", ".join(log.run for log in logs), sections))


def _named(root: Path, names: list[str]) -> list[RunSummary]:
    # A run that is named twice is one column, and one that cannot be read is an error.
    return [comparison.summarize(find_run(root, name)) for name in dict.fromkeys(names)]


def _all(root: Path) -> list[RunSummary]:
    """Every run that can be read, with a note on each of the others."""
    summaries = []
    for run in list_runs(root):
        try:
            summaries.append(comparison.summarize(run))
        except CheckpointError as error:
            terminal.note(f"left out {run.name}: {error.problem}")
    if not summaries:
        raise UsageError(f"there is no run in {root}", "train one first: charrnn train corpus.txt")
    return summaries


def _format(value: Any, shown: Callable[[Any], str]) -> str:
    return "" if value is None else shown(value)


def _setting(summary: RunSummary, name: str) -> str:
    value = summary.settings.get(name)
    # Values come from run.json, a file that anyone may have edited, so their types are checked.
    if name == "text" and isinstance(value, list):
        value = " ".join(Path(str(source)).name for source in value)
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    text = "" if value is None or value == [] else str(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
