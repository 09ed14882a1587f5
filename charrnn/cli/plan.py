"""`charrnn plan`: what `charrnn train` would do with a text, without doing it."""

import inspect
import tempfile
from pathlib import Path
from typing import Any

from charrnn.cli import train
from charrnn.cli.output import Output

NOT_PLANNED = ("name", "runs_dir", "resume", "quiet")
"""Options of `train` that a plan does not hang on."""


def plan(**values: Any) -> None:
    """Show the plan that train would make of a text, and train nothing.

    It takes train's options. A few steps are run to measure this machine.
    """
    from charrnn import corpus
    from charrnn.cli.narrator import corpus_lines, hint, plan_lines
    from charrnn.distributed import join, leave
    from charrnn.planning import Budget, make_plan

    unused = {"name": None, "runs_dir": Path("runs"), "resume": False, "quiet": False}
    request = train.request(values | unused)
    out = Output()
    group = join(request.device)
    try:
        with tempfile.TemporaryDirectory() as folder:
            text = corpus.prepare(corpus.Recipe(**request.recipe), Path(folder))
            budget = Budget(**request.budget)
            made = make_plan(text, request.given, budget, group, request.preset, request.began)
    finally:
        leave(group)
    if request.json:
        out.json(made.to_json())
        return
    for line in (*corpus_lines(text, made.train.eval_tokens), *plan_lines(made), hint(made)):
        out.write(f"{line}\n")
    out.flush()


def _options_of_train() -> inspect.Signature:
    """The signature that the command line reads: train's, the text required."""
    own = inspect.signature(train.train)
    kept = [p for name, p in own.parameters.items() if name not in NOT_PLANNED]
    kept[0] = kept[0].replace(default=inspect.Parameter.empty)
    return own.replace(parameters=kept)


plan.__signature__ = _options_of_train()  # type: ignore[attr-defined]
plan.__annotations__ = {
    name: kind for name, kind in train.train.__annotations__.items() if name not in NOT_PLANNED
}
