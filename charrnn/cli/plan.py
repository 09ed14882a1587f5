"""`charrnn plan`: what `charrnn train` would do with a text, without doing it."""

import inspect
import tempfile
import time
from pathlib import Path
from typing import Any

from charrnn.cli import train
from charrnn.cli.chosen import chosen
from charrnn.cli.output import Output

NOT_PLANNED = (
    "name", "resume", "more", "more_steps", "more_epochs", "quiet",
    "allow_changed_text",
)  # fmt: skip
"""Options of `train` that a plan does not depend on."""


def plan(**values: Any) -> None:
    """Show what train would do with a text, without training.

    The options are those of train. A few training steps are run to measure this machine.
    """
    # Reading the text counts as part of --minutes, as in a training.
    began = time.perf_counter()
    from charrnn.cli import terminal
    from charrnn.cli.progress import dataset_lines, hint, plan_lines
    from charrnn.training.recognition import other_task
    from charrnn.training.request import idle_options, make_request
    from charrnn.training.session import plan_run

    sources = tuple(values["corpus"])
    request = make_request(
        sources, chosen(values), values["preset"], values["task"], values["init_from"]
    )
    out = Output()
    with tempfile.TemporaryDirectory() as folder:
        dataset, made = plan_run(request, Path(folder), values["device"], began, values["runs_dir"])
    for text in (*idle_options(request, made), *other_task(request.task, request.data)):
        terminal.note(text)
    if values["json"]:
        out.json(made.to_json())
        return
    train_config = made.train_config
    for line in (*dataset_lines(dataset, train_config), *plan_lines(made), hint(made)):
        out.write(f"{line}\n")
    out.flush()


def _signature() -> inspect.Signature:
    """The signature that typer reads: train's, with the text required."""
    own = inspect.signature(train.train)
    kept = [p for name, p in own.parameters.items() if name not in NOT_PLANNED]
    # In train the text may be missing, because --resume needs none.
    kept[0] = kept[0].replace(default=inspect.Parameter.empty)
    return own.replace(parameters=kept)


# Typer reads the signature for names and defaults, and the annotations for types and help. Made
# from train's, so that an option of train is one of plan without a second list.
plan.__signature__ = _signature()  # type: ignore[attr-defined]
plan.__annotations__ = {
    name: kind for name, kind in train.train.__annotations__.items() if name not in NOT_PLANNED
}
