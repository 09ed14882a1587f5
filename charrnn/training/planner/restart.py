"""A run that is given more: a new plan from where it is, by a warm restart of its schedule.

Weights, optimizer state and hidden state are kept, and the learning rate begins anew (Loshchilov &
Hutter 2017, "warm restarts"). The new plan counts its steps on from the old ones, so batches,
epochs and checkpoints continue, and the run is resumed exactly like any other.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.batches import steps_for
from charrnn.errors import UsageError
from charrnn.training.planner.heuristics import EVALUATION_SHARE
from charrnn.training.planner.plan import MOST_STEPS, Plan
from charrnn.training.planner.problem import ENDING_SECONDS

SCHEDULE_LENGTHS = ("warmup_steps", "hold_steps", "decay_every")
"""Lengths in steps that belong to the schedule, and shrink or grow with it."""

FIXED = ("steps", "batch_size", "seq_length", "optimizer", "init_scale", "seed", "restart_step")
"""Fields of TrainConfig that decide the data, the shapes of the state or the beginning."""

DROPOUTS = tuple(
    item.name for item in dataclasses.fields(ModelConfig) if item.name.endswith("dropout")
)

CHANGEABLE = {item.name for item in dataclasses.fields(TrainConfig)} - {*FIXED} | {*DROPOUTS}
"""Hyperparameters that a restart may change: those that change no shape and no batch."""

MIN_EVALUATIONS, MIN_LINES = 4, 20
"""Evaluations and progress lines of the new steps, at least, where there are that many steps."""


@dataclass(frozen=True)
class More:
    """How much more to train, by one of three measures, and hyperparameters to change.

    >>> More(minutes=10).given
    {}
    """

    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        measures = (self.minutes, self.steps, self.epochs)
        if sum(value is not None for value in measures) != 1:
            raise UsageError(
                "--more, --more-steps and --more-epochs are three measures of one thing",
                "give one of them",
            )
        # Written so that NaN, which compares as false, is refused too.
        if not all(0 < value < math.inf for value in measures if value is not None):
            raise UsageError("there is nothing more to train", "give a positive number")
        wrong = sorted(set(self.given) - CHANGEABLE)
        if wrong:
            option = "--" + wrong[0].replace("_", "-")
            raise UsageError(
                f"{option} cannot be changed in a run that goes on", "leave it out or start anew"
            )

    def num_steps(self, plan: Plan, tokens: int, speeds: list[float], seconds: float) -> int:
        """The number of new steps, at least 1.

        tokens: of the training split. speeds: tokens/s that were logged. seconds: what is left of
        the minutes.
        """
        per_step = plan.train_config.batch_size * plan.train_config.seq_length
        if self.steps:
            return self.steps
        if self.epochs:
            return steps_for(self.epochs, tokens, per_step, MOST_STEPS)
        speed = statistics.median(speeds) if speeds else plan.tokens_per_second
        left = max(0.0, seconds - ENDING_SECONDS) * (1 - EVALUATION_SHARE)
        # The trainer corrects the number as soon as it has seen the speed of today.
        return max(1, int(left * speed / per_step))


def restarted(plan: Plan, step: int, count: int, given: Mapping[str, Any]) -> Plan:
    """A plan -> the plan of `count` more steps after `step`, with a schedule that begins there.

    The lengths of the schedule keep their proportion to its whole; `given` overrides them.
    UsageError if there would be too many steps.
    """
    before = plan.train_config
    if step + count > MOST_STEPS:
        raise UsageError(
            f"{step + count:,} steps are more than the {MOST_STEPS:,} that a run can have",
            "give fewer",
        )
    part = count / max(1, before.steps - before.restart_step)
    changes: dict[str, Any] = {
        name: _scaled(getattr(before, name), part) for name in SCHEDULE_LENGTHS
    }
    changes["decay_every"] = max(1, changes["decay_every"])
    # The average begins anew: one that reached back beyond the restart would mix two descents.
    if before.average_from:
        length = _scaled(max(0, before.average_from - before.restart_step), part)
        changes["average_from"] = min(MOST_STEPS, step + max(1, length))
    every = max(1, math.ceil(count / MIN_EVALUATIONS))
    changes["eval_every"] = min(before.eval_every, every)
    changes["save_every"] = min(before.save_every, changes["eval_every"])
    changes["log_every"] = max(1, min(before.log_every, count // MIN_LINES))
    chosen = {name: value for name, value in given.items() if name not in DROPOUTS}
    train = replace(before, **(changes | chosen | {"restart_step": step, "steps": step + count}))
    model = replace(plan.model_config, **{n: given[n] for n in DROPOUTS if n in given})
    scale = train.steps / before.steps
    return replace(
        plan,
        model_config=model,
        train_config=train,
        epochs=plan.epochs * scale,
        seconds=plan.seconds * scale,
        # As for every number of steps that a user chose: it is obeyed, however much it overfits.
        most_steps=0,
    )


def _scaled(length: int, part: float) -> int:
    return min(MOST_STEPS, round(length * part))
