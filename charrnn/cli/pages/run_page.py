"""The sections of a page about a run: figures, learning curves, plan, samples by step."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.checkpoints.run import Run
from charrnn.cli import terminal
from charrnn.cli.pages.page import Section, escaped, table
from charrnn.cli.pages.svg import svg
from charrnn.cli.plotting.chart import Chart
from charrnn.errors import UsageError
from charrnn.evaluation.comparison import RunSummary, summarize
from charrnn.evaluation.learning_curves import Log, metric_of

SAMPLES = 6
"""Samples of a run that are shown: the first, the last, and others evenly between them."""

MOST_CHARACTERS = 1200
"""Characters of a sample; a longer one says how much is left out."""


def outcome_section(run: Run, log: Log) -> Section:
    """How a run ended."""
    outcome = summarize(run).outcome
    pairs = [
        (f"best {outcome.metric.replace('_per_', '/')}", _number(outcome.best_nats_per_char, 4)),
        ("at step", _number(outcome.best_step)),
        ("steps taken", _number(outcome.step)),
        ("epochs", _number(outcome.epochs, 2)),
        ("parameters", _number(outcome.parameters)),
        ("time", terminal.duration(outcome.seconds)),
        ("tokens/s", _number(outcome.tokens_per_second)),
    ]
    return Section("result", "Result", table(("", ">"), [pair for pair in pairs if pair[1]]))


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def curves_section(charts: Iterable[Chart], title: str = "Learning curves") -> Section:
    """Charts -> a section; what has nothing to show is left out with a remark."""
    parts = []
    for chart in charts:
        try:
            parts.append(svg(chart))
        except UsageError:
            parts.append(f"<p class=soft>Nothing was logged of {escaped(chart.y_label)}.</p>")
    return Section("curves", title, "\n".join(parts))


def plan_section(run: Run) -> Section:
    """What was asked for, and what was planned: every setting of model, training and data."""
    summary: RunSummary = summarize(run)
    # Names of files only: where they lie on this machine is nobody else's business.
    rows = [
        [name, _shown([Path(str(s)).name for s in value] if name == "text" else value)]
        for name, value in summary.settings.items()
        if name != "text" or isinstance(value, list)
    ]
    asked = run.description().get("asked")
    given = asked if isinstance(asked, Mapping) else {}
    words = ", ".join(f"{name} {_shown(value)}" for name, value in given.items())
    text = f"<p>Asked for: {escaped(words)}. The rest was planned.</p>\n" if words else ""
    return Section("plan", "Plan", text + table(("setting", "value"), rows))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def samples_section(log: Log) -> Section | None:
    """What the model wrote at its evaluations; None if nothing was kept."""
    found = [
        (logged.step, logged.event)
        for logged in log.events
        if logged.kind == "evaluated" and str(logged.event.get("sample") or "").strip()
    ]
    if not found:
        return None
    metric = metric_of(log)
    parts = []
    for step, event in spread(found, SAMPLES):
        value = event.get(metric)
        figure = f", {value:.4f} {metric.replace('_per_', '/')}" if _is_number(value) else ""
        text = str(event["sample"])
        more = len(text) - MOST_CHARACTERS
        cut = f"\n<p class=soft>and {more:,} characters more</p>" if more > 0 else ""
        parts.append(
            f"<h3>Step {step:,}{escaped(figure)}</h3>\n"
            f"<pre>{escaped(text[:MOST_CHARACTERS])}</pre>{cut}"
        )
    left = len(found) - len(parts)
    note = f"<p class=soft>{left} more were logged between them.</p>" if left else ""
    return Section("samples", "Samples by step", "\n".join(parts) + note)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Items -> at most so many of them, evenly spread, with the first and the last.

    >>> spread(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]
