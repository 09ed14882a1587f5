"""The options of `train` and `plan` -> those that choose data, model and training."""

from typing import Any

from charrnn.cli.effects import GIVEN
from charrnn.errors import UsageError
from charrnn.training.effects import BUDGET


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """The values of all options -> those that choose data, model and training.

    The defaults of the command line are those of DataConfig: left out, they are not given.
    """
    given = GIVEN.get()
    return {
        name: value
        for name, value in values.items()
        if name not in NOT_CHOSEN and (name not in DEFAULTS or name in given or value is None)
    }


NOT_CHOSEN = (
    "corpus", "name", "runs_dir", "resume", "more", "more_steps", "more_epochs",
    "allow_changed_text", "task", "preset", "init_from", "device", "json", "quiet",
)  # fmt: skip
"""Options of the command itself, and those that the library takes as arguments of their own."""

DEFAULTS = {
    "lines": False, "encoding": "utf-8", "valid_fraction": 0.1,
    "test_fraction": 0.0,
}  # fmt: skip
"""The values of options that are not None when they are left out."""


def refuse_changes(values: dict[str, Any]) -> None:
    """UsageError for a budget or a preset with --more; `More` refuses the other options."""
    for name in ("preset", "init_from", *BUDGET):
        if values[name] is not None:
            label, more = GIVEN.get().get(name, "--" + name), BUDGET.get(name)
            raise UsageError(
                f"{label} is for a new run, and this one goes on",
                f"say {more} {values[name]:g} alone" if more else f"leave {label} out",
            )
