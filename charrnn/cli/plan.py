"""`charrnn plan`: what `charrnn train` would do with a text, without doing it."""

import inspect
import tempfile
import time
from pathlib import Path
from typing import Any

from charrnn.cli import train
from charrnn.cli.output import Output

NOT_PLANNED = ("name", "runs_dir", "resume", "quiet")
"""Options of `train` that a plan does not depend on."""


def plan(**values: Any) -> None:
    """Show the plan that train would make for a text, without training.

    It takes train's options. A few steps are run to measure this machine.
    """
    began = time.perf_counter()
    from charrnn.cli.progress import dataset_lines, hint, plan_lines
    from charrnn.training.session import make_request, plan_run

    sources = tuple(values["corpus"])
    request = make_request(sources, train.chosen(values), values["preset"], values["task"])
    out = Output()
    with tempfile.TemporaryDirectory() as folder:
        dataset, made = plan_run(request, Path(folder), values["device"], began)
    if values["json"]:
        out.json(made.to_json())
        return
    limit = made.train_config.eval_tokens
    for line in (*dataset_lines(dataset, limit), *plan_lines(made), hint(made)):
        out.write(f"{line}\n")
    out.flush()


def _signature() -> inspect.Signature:
    """The signature that typer reads: train's, with the text required."""
    own = inspect.signature(train.train)
    kept = [p for name, p in own.parameters.items() if name not in NOT_PLANNED]
    kept[0] = kept[0].replace(default=inspect.Parameter.empty)
    return own.replace(parameters=kept)


plan.__signature__ = _signature()  # type: ignore[attr-defined]
plan.__annotations__ = {
    name: kind for name, kind in train.train.__annotations__.items() if name not in NOT_PLANNED
}
