"""`charrnn plot`: learning curves, in the terminal or as a picture."""

from pathlib import Path
from typing import Annotated, Literal

from charrnn.checkpoints.run import find_run
from charrnn.cli import terminal
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import Force, Json, RunsDir, option, run_names
from charrnn.cli.output import Output
from charrnn.cli.pages.page import Page, check_page, page, write_page
from charrnn.cli.pages.run_page import curves_section
from charrnn.cli.plotting import show
from charrnn.cli.plotting.chart import Chart, Curve
from charrnn.errors import UsageError
from charrnn.evaluation import learning_curves
from charrnn.evaluation.learning_curves import Series

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
        option(help="Quantity on the y axis."),
    ] = "loss",
    x: Annotated[
        Literal["steps", "epochs", "seconds"], option("--x", help="Quantity on the x axis.")
    ] = "steps",
    unit: Annotated[
        Literal["nats", "bits", "perplexity"],
        option(help="Unit of the loss, per character of the text."),
    ] = "nats",
    start: Annotated[
        float,
        option(
            "--from",
            # Typer derives the variable from the parameter, which cannot be called `from`.
            envvar="CHARRNN_PLOT_FROM",
            min=0,
            max=1e15,
            help="First x to show.",
        ),
    ] = 0.0,
    log: Annotated[bool, option("--log", help="Use a logarithmic y axis.")] = False,
    width: show.Width = None,
    height: show.Height = 22,
    output: show.Picture = None,
    html: Page = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Plot the learning curves of one or several runs.

    Each run has two curves of the loss: training (dotted, computed with dropout) and validation.
    Both are per character of the text, so that models with different tokenizers are comparable.
    Seconds are counted over all sessions of a run.
    """
    # An output that cannot be written is an error before the logs are read.
    show.check_picture(output, force)
    check_page(html, force)
    names: list[str | None] = list(run) if run else [None]
    found = [read(runs_dir, name) for name in dict.fromkeys(names)]
    lines = [line for log_ in found for line in learning_curves.series(log_, what, x, unit, start)]
    if json:
        is_text = {learning_curves.metric_of(log_) for log_ in found} == {learning_curves.NATS}
        shown = learning_curves.UNITS[unit] if what == "loss" and is_text else ""
        print_series(lines, what, x, shown)
        return
    metrics = sorted({learning_curves.metric_of(log_) for log_ in found})
    if metrics != [learning_curves.NATS] and "unit" in GIVEN.get():
        raise UsageError(f"--unit has no effect on {', '.join(metrics)}", "leave it out")
    label = label_of(what, unit, metrics)
    chart = _chart(lines, what, x, label, log, start)
    if html is not None:
        write_page(html, page(chart.title, "Learning curves", [curves_section([chart], "Curves")]))
        return
    show.show(chart, width, height, output)


def _chart(
    lines: list[Series], what: str, x: str, label: str, log: bool = False, start: float = 0.0
) -> Chart:
    """Series of one quantity -> a chart of them."""
    # The order of the runs, which numbers their colours.
    drawn_runs = list(dict.fromkeys(line.run for line in lines))
    # Names of folders may contain control characters, and a coloured chart is not escaped again.
    title = terminal.visible(", ".join(drawn_runs), keep="")
    drawn = tuple(curve(line, drawn_runs, what) for line in lines)
    return Chart(title, x, label, drawn, log, start=start)


def chart_of(logs: list[learning_curves.Log], what: str) -> Chart:
    """The logs of runs -> their chart of a quantity over the steps, as `plot` draws it."""
    lines = [each for log in logs for each in learning_curves.series(log, what, "steps", "nats", 0)]
    metrics = sorted({learning_curves.metric_of(log) for log in logs})
    return _chart(lines, what, "steps", label_of(what, "nats", metrics))


def label_of(what: str, unit: str, metrics: list[str]) -> str:
    """What the y axis of a quantity is called."""
    if what != "loss":
        return LABELS[what]
    if metrics != [learning_curves.NATS]:
        return f"validation: {', '.join(metrics)}; training: loss"
    return f"loss, {learning_curves.UNITS[unit]}"


def read(runs_dir: Path, name: str | None) -> learning_curves.Log:
    """The log of a run, with a note on unreadable lines."""
    log = learning_curves.read_log(find_run(runs_dir, name))
    if log.problem:
        terminal.note(log.problem)
    return log


def curve(line: Series, names: list[str], what: str) -> Curve:
    """A series -> a curve, with its run's name if there are several."""
    parts = ([line.run] if len(names) > 1 else []) + ([line.name] if what == "loss" else [])
    name = terminal.visible(" ".join(parts), keep="")
    return Curve(name, line.x, line.y, names.index(line.run), faint=line.name == "training")


def print_series(lines: list[Series], what: str, x: str, unit: str) -> None:
    """One object per curve."""
    out = Output()
    for line in lines:
        facts = {"run": line.run, "curve": line.name, "what": what, "over": x}
        out.json(facts | ({"unit": unit} if unit else {}) | {"x": line.x, "y": line.y})
