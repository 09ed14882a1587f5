"""`charrnn plot`: the curves of trainings, in the terminal or as a picture."""

from pathlib import Path
from typing import Annotated, Literal

from charrnn import curves, runs
from charrnn.cli import charts, ui
from charrnn.cli.options import Json, RunsDir, option, run_names
from charrnn.cli.output import Output
from charrnn.curves import Series
from charrnn.drawing import Chart, Curve

LABELS = {
    "learning-rate": "learning rate",
    "grad-norm": "norm of the gradient before clipping, nats/token",
    "speed": "training speed, tokens/s",
}


def plot(
    run: Annotated[list[str] | None, run_names("the run trained last")] = None,
    runs_dir: RunsDir = Path("runs"),
    what: Annotated[
        Literal["loss", "learning-rate", "grad-norm", "speed"],
        option(help="The curves to draw."),
    ] = "loss",
    x: Annotated[
        Literal["steps", "epochs", "seconds"], option("--x", help="What they are drawn over.")
    ] = "steps",
    unit: Annotated[
        Literal["nats", "bits", "perplexity"],
        option(help="Unit of the loss, for each character of the text."),
    ] = "nats",
    start: Annotated[
        float,
        option(
            "--from",
            envvar="CHARRNN_PLOT_FROM",
            min=0,
            max=1e15,
            help="Leave out what stands before this x.",
        ),
    ] = 0.0,
    log: Annotated[bool, option("--log", help="Draw a logarithmic y axis.")] = False,
    width: charts.Width = None,
    height: charts.Height = 22,
    output: charts.Picture = None,
    force: charts.Force = False,
    json: Json = False,
) -> None:
    """Draw the curves of one or several runs.

    The loss is that of training (dotted, with dropout) and of validation, for each character of the
    text: curves of models with different tokenizers compare. Seconds count all sittings of a run.
    """
    charts.check_picture(output, force)
    names: list[str | None] = list(run) if run else [None]
    found = [read(runs_dir, name) for name in dict.fromkeys(names)]
    lines = [line for log_ in found for line in curves.series(log_, what, x, unit, start)]
    if json:
        print_series(lines, what, x, curves.UNITS[unit] if what == "loss" else "")
        return
    label = f"loss, {curves.UNITS[unit]}" if what == "loss" else LABELS[what]
    drawn_runs = list(dict.fromkeys(line.run for line in lines))
    title = ui.visible(", ".join(drawn_runs), keep="")
    drawn = tuple(curve(line, drawn_runs, what) for line in lines)
    charts.show(Chart(title, x, label, drawn, log, start=start), width, height, output)


def read(runs_dir: Path, name: str | None) -> curves.Log:
    """The log of a run; what of it cannot be read is told."""
    log = curves.read_log(runs.find(runs_dir, name))
    if log.problem:
        ui.note(log.problem)
    return log


def curve(line: Series, names: list[str], what: str) -> Curve:
    """A series as it is drawn; it says its run's name where there are several."""
    parts = ([line.run] if len(names) > 1 else []) + ([line.name] if what == "loss" else [])
    name = ui.visible(" ".join(parts), keep="")
    return Curve(name, line.x, line.y, names.index(line.run), faint=line.name == "training")


def print_series(lines: list[Series], what: str, x: str, unit: str) -> None:
    """One object for each curve."""
    out = Output()
    for line in lines:
        facts = {"run": line.run, "curve": line.name, "what": what, "over": x}
        out.json(facts | ({"unit": unit} if unit else {}) | {"x": line.x, "y": line.y})
