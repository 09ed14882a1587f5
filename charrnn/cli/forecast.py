"""`charrnn forecast`: what comes after a series, with quantiles. torch is not imported."""

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.checkpoints.checkpoint import SUFFIX
from charrnn.cli import terminal
from charrnn.cli.options import Force, Json, Precision, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.cli.plotting import show
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.cli.plotting.chart import Chart
    from charrnn.tasks.series.forecasting import Forecast

MOST_PLOTTED = 4
"""Series in one picture; of more, the first ones are drawn."""

DIGITS = 5
"""Significant digits of what is printed."""


def forecast(
    run: RunName = None,
    file: Annotated[
        str | None,
        typer.Argument(
            help="A CSV file with newer values, or - for stdin; the end of the training data if "
            "left out.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    horizon: Annotated[
        int | None,
        option(min=1, max=100_000, help="Steps to forecast.", show_default="that of the training"),
    ] = None,
    quantiles: Annotated[
        str, option(help="Quantiles to print, between 0 and 1, with commas.")
    ] = "0.1,0.5,0.9",
    paths: Annotated[
        int, option(min=0, max=100_000, help="Print so many sampled paths instead of quantiles.")
    ] = 0,
    samples: Annotated[
        int, option(min=1, max=100_000, help="Paths that are drawn to find the quantiles.")
    ] = 500,
    series: Annotated[
        list[str] | None, option(help="A series to forecast, by name.", show_default="all")
    ] = None,
    seed: Annotated[int, option(min=0, max=2**63 - 1, help="Seed of the paths.")] = 0,
    plot: Annotated[bool, option("--plot", help="Draw a chart instead of printing CSV.")] = False,
    output: show.Picture = None,
    force: Force = False,
    width: show.Width = None,
    height: show.Height = 22,
    checkpoint: Which = "best",
    precision: Precision = "float32",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Forecast series: CSV with date, mean and quantiles.

    Without a file the forecast begins where the training data ends. A file that goes on where the
    training data ends, by its dates, needs only the newer values.
    """
    show.check_picture(output, force)
    levels = _levels(quantiles)
    from charrnn import api

    run, file = sort_arguments(run, file)
    model: Any = api.load(
        run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, precision=precision,
        task="series",
    )  # fmt: skip
    found = model.forecast(
        file=file, horizon=horizon, quantiles=levels, paths=paths or samples, seed=seed,
        series=tuple(series or ()), on_note=terminal.note,
    )  # fmt: skip
    if plot or output:
        if len(found) > MOST_PLOTTED:
            terminal.note(f"the first {MOST_PLOTTED} of {len(found)} series are drawn")
        show.show(_chart(found[:MOST_PLOTTED]), width, height, output)
        return
    out = Output()
    if json:
        for each in found:
            own = {"paths": each.paths.tolist()} if paths else {}
            out.json(each.to_json() | own)
        return
    out.write(_csv(found, model.encoder.frequency.kind == "step", bool(paths)))
    out.flush()


def sort_arguments(run: str | None, file: str | None) -> tuple[str | None, str | None]:
    """The run and the file; a single argument can be either."""
    if file is not None or run is None:
        return run, file
    # A checkpoint is a file too, but it is known by its suffix.
    is_data = run == "-" or (Path(run).is_file() and Path(run).suffix != SUFFIX)
    return (None, run) if is_data else (run, None)


def _levels(text: str) -> list[float]:
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError:
        levels = []
    if not levels or not all(0 < level < 1 for level in levels):
        raise UsageError(f"--quantiles is {text!r}", "give numbers such as 0.1,0.5,0.9")
    return sorted(set(levels))


def _csv(found: "list[Forecast]", is_numbered: bool, has_paths: bool) -> str:
    """Forecasts as CSV, below each other; the name of the series first if there are several."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = len(found) > 1
    head = (["series"] if named else []) + ["step" if is_numbered else "date"]
    if has_paths:
        head += [f"path {i + 1}" for i in range(len(found[0].paths))]
    else:
        head += ["mean", *(f"q{level:g}" for level in found[0].quantiles)]
    writer.writerow(head)
    for each in found:
        columns = list(each.paths) if has_paths else [each.mean, *each.quantiles.values()]
        places = _places(max(float(abs(column).max()) for column in columns))
        for t, date in enumerate(each.dates):
            cells = [f"{column[t]:.{places}f}" for column in columns]
            writer.writerow(([each.series] if named else []) + [date, *cells])
    return text.getvalue()


def _places(size: float) -> int:
    """The largest number -> decimal places that show DIGITS of it."""
    return max(0, min(12, DIGITS - 1 - math.floor(math.log10(size)))) if size > 0 else 1


def _chart(found: "list[Forecast]") -> "Chart":
    """Each series: what was, the median of what comes, and its outer quantiles, fainter."""
    from charrnn.cli.plotting.chart import Chart, Curve

    curves = []
    for color, each in enumerate(found):
        begin = len(each.history[1])
        past = [
            (i - begin + 1, v) for i, v in enumerate(each.history[1].tolist()) if math.isfinite(v)
        ]
        name = terminal.visible(each.series, keep="") if len(found) > 1 else ""
        steps = tuple(float(t + 1) for t in range(len(each.dates)))
        curves.append(
            Curve(
                name or "data",
                tuple(float(x) for x, _ in past),
                tuple(v for _, v in past),
                2 * color,
            )
        )
        # From the last value on, so that the line is not broken.
        joined = ((past[-1][0], *steps), (past[-1][1], *each.median.tolist()))
        curves.append(Curve(f"{name} median".strip(), *joined, 2 * color + 1))
        levels = list(each.quantiles)
        for level in dict.fromkeys((levels[0], levels[-1])):
            if level != 0.5:
                values = tuple(each.quantiles[level].tolist())
                label = f"{name} {level:.0%}".strip()
                curves.append(Curve(label, steps, values, 2 * color + 1, faint=True))
    first = found[0]
    title = ", ".join(terminal.visible(each.series, keep="") for each in found)
    label = f"steps from {first.history[0][-1]}"
    return Chart(title, label, "", tuple(curves))
