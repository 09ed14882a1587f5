"""`charrnn compare`: runs side by side, what differs in their settings and how they ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from charrnn import comparison, runs
from charrnn.cli import ui
from charrnn.cli.options import Json, RunsDir, option, run_names
from charrnn.cli.output import Output
from charrnn.comparison import End, Entrant
from charrnn.errors import CheckpointError, UsageError

ENDS: tuple[tuple[str, Callable[[End], Any], Callable[[Any], str]], ...] = (
    ("best, nats/char", lambda end: end.best_nats_per_char, "{:.4f}".format),
    ("at step", lambda end: end.best_step, "{:,}".format),
    ("steps taken", lambda end: end.step, "{:,}".format),
    ("epochs", lambda end: end.epochs, "{:.2f}".format),
    ("parameters", lambda end: end.parameters, "{:,}".format),
    ("time", lambda end: end.seconds, ui.duration),
    ("tokens/s", lambda end: end.tokens_per_second, ui.number),
)
"""Rows of the table that tell how a run ended: name, value, spelling."""

COLUMNS_OF_VALUE = 24
"""A longer value is cut."""


def compare(
    run: Annotated[list[str] | None, run_names("all there are")] = None,
    runs_dir: RunsDir = Path("runs"),
    order: Annotated[
        Literal["best", "given"], option(help="The best run first, or the order given.")
    ] = "best",
    json: Json = False,
) -> None:
    """Compare runs: how they ended, where their settings differ.

    The best loss is of the validation part, in nats
    for each character of the text: runs with different tokenizers compare. The time is that of all
    sittings; the speed is the median of those logged.
    """
    entrants = _named(runs_dir, run) if run else _all(runs_dir)
    for each in entrants:
        if each.problem:
            ui.note(each.problem)
    names = comparison.differing(entrants)
    if not comparison.same_text(entrants):
        ui.note("these runs were not judged by the same text, so their losses do not compare")
    if order == "best":
        entrants = comparison.best_first(entrants)
    if json:
        out = Output()
        for each in entrants:
            out.json(each.to_json(names))
        return
    rows = [
        [name, *(_spelled(value(each.end), spelling) for each in entrants)]
        for name, value, spelling in ENDS
    ]
    if names:
        rows.append([""] * (len(entrants) + 1))
    # A text is told by its name; its hash tells a person no more.
    rows += [
        [name, *(_setting(each, name) for each in entrants)]
        for name in names
        if name != "text_sha256"
    ]
    ui.print_table(["", *(f">{each.run}" for each in entrants)], rows)


def _named(root: Path, names: list[str]) -> list[Entrant]:
    return [comparison.enter(runs.find(root, name)) for name in dict.fromkeys(names)]


def _all(root: Path) -> list[Entrant]:
    """Every run that can be read; the others are told."""
    entrants = []
    for run in runs.every(root):
        try:
            entrants.append(comparison.enter(run))
        except CheckpointError as error:
            ui.note(f"left out {run.name}: {error.problem}")
    if not entrants:
        raise UsageError(f"there is no run in {root}", "train one first: charrnn train corpus.txt")
    return entrants


def _spelled(value: Any, spelling: Callable[[Any], str]) -> str:
    return "" if value is None else spelling(value)


def _setting(entrant: Entrant, name: str) -> str:
    value = entrant.settings.get(name)
    if name == "text" and isinstance(value, list):
        value = " ".join(Path(str(source)).name for source in value)
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    text = "" if value is None or value == [] else str(value)
    return text if len(text) <= COLUMNS_OF_VALUE else text[: COLUMNS_OF_VALUE - 3] + "..."
