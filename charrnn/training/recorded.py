"""run.json: what a run records of how it was started, and what resuming needs of it."""

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn.checkpoints.checkpoint import ORIGINS, Checkpoint
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.origin import Origin
from charrnn.checkpoints.run import Run, next_turn
from charrnn.config import TrainConfig, read_config
from charrnn.data.config import DataConfig, data_config_from_json
from charrnn.errors import CheckpointError, UsageError
from charrnn.tasks import get_task
from charrnn.tasks.base import Dataset
from charrnn.training.changes import asked_of
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.restart import DROPOUTS
from charrnn.training.request import Request
from charrnn.training.versions import versions


def describe(
    request: Request, run: Run, dataset: Dataset, plan: Plan, origin: Origin | None
) -> dict[str, Any]:
    """The contents of run.json."""
    asked = asked_of(request)
    description = {
        "recipe": dataset.recipe(request.data),
        "corpus": dataset.fingerprint(),
        "plan": plan.to_json(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "turn": next_turn(run.folder.parent),
        "versions": versions(),
        **({"asked": asked} if asked else {}),
        **({ORIGINS: list(origin.origins)} if origin else {}),
    }
    # Absent for language models, whose run.json is older than tasks are.
    return description if request.task == LANGUAGE else {"task": request.task} | description


@dataclass(frozen=True)
class Recorded:
    """What run.json records of the data, the number of steps, and what the plan costs."""

    data: DataConfig
    steps: int
    costs: dict[str, Any] = field(default_factory=dict)
    restart: TrainConfig | None = None
    dropouts: Mapping[str, Any] = field(default_factory=dict)

    def plan_of(self, start: Checkpoint) -> Plan:
        """A checkpoint's plan. Its steps may differ from those that the costs are for."""
        assert start.training is not None
        model, train = start.config, start.training.config
        # A new plan was made at this checkpoint, and its process died before it saved another one.
        if self.restart and self.restart.restart_step == start.info.step:
            train, model = self.restart, dataclasses.replace(model, **self.dropouts)
        part = train.steps / self.steps
        costs = self.costs | {key: self.costs[key] * part for key in ("epochs", "seconds")}
        return Plan(model, train, **costs, task=start.task)


def read_description(run: Run, description: Mapping[str, Any]) -> Recorded:
    """run.json -> what resuming needs of it. CheckpointError if it is not there."""
    try:
        plan = description["plan"]
        costs = {key: float(plan[key]) for key in ("tokens_per_second", "epochs", "seconds")}
        # Runs of older versions have no most_steps.
        counts = {"memory": int(plan["memory"]), "most_steps": int(plan.get("most_steps", 0))}
        steps = max(1, int(plan["train"]["steps"]))
        kind = get_task(description.get("task", LANGUAGE)).data_config
        data = data_config_from_json(description["recipe"], kind)
        if not plan["train"].get("restart_step"):
            return Recorded(data, steps, costs | counts)
        dropouts = {name: plan["model"].get(name, 0.0) for name in DROPOUTS}
        restart = read_config(TrainConfig, plan["train"])
        return Recorded(data, steps, costs | counts, restart, dropouts)
    # A person may have edited the file; OverflowError is int() of an infinity.
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UsageError):
        raise CheckpointError(
            f"{run.folder / 'run.json'} does not say how the run was started", "start a new run"
        ) from None
