"""Plans for texts and machines that are not there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from charrnn.config import ModelConfig, num_parameters
from charrnn.data.token_arrays import Split
from charrnn.tasks.base import Dataset, Task
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.planner import plan as planner
from charrnn.training.planner.budget import Budget
from charrnn.training.planner.calibration import Speed
from charrnn.training.planner.plan import Plan, make_plan
from charrnn.training.planner.presets import preset
from charrnn.training.planner.problem import problem_of
from tests.support.tiny import LANGUAGE, tiny_tokenizer

ALONE = Group(torch.device("cpu"))

BUDGET = ("minutes", "epochs", "steps", "max_parameters")

NOWHERE = Path("nowhere.npy")


class Machine:
    """A machine that trains so many parameter-tokens a second; it remembers what was measured."""

    def __init__(self, power: float = 3e9) -> None:
        self.power = power
        self.measured: list[ModelConfig] = []

    def __call__(
        self,
        task: Task,
        dataset: Dataset,
        model: ModelConfig,
        train: Mapping[str, Any],
        group: Group,
        times: float = 1.0,
        counts: tuple[int, ...] = (),
    ) -> Speed:
        """The speed of a model, in place of `calibrate`."""
        self.measured.append(model)
        threads = counts[-1] if counts else train["threads"]
        return Speed(self.power / (num_parameters(model) + 10_000), threads)


def text(train: int, valid: int | None = None) -> Corpus:
    """A corpus of so many tokens, none of them there."""
    parts = {"train": train} if valid is None else {"train": train, "valid": valid}
    splits = {name: Split(NOWHERE, count, count) for name, count in parts.items()}
    return Corpus(tiny_tokenizer(), splits, "0" * 64, train, False)


class Together(Group):
    """One of several processes, of which this test has no other."""

    def broadcast(self, text: str) -> str:
        """What rank 0 has, as if it had come by the network."""
        return text or "0.5"


def planned(train: int = 100_000, valid: int | None = 10_000, **asked: Any) -> Plan:
    """A plan; what is asked for may be a budget, the group, or fields of the configs."""
    budget = Budget(**{key: asked.pop(key, None) for key in BUDGET})
    group, known = asked.pop("group", ALONE), asked.pop("preset", None)
    if group.world_size > 1:
        group = Together(group.device, group.rank, group.world_size)
    chosen = preset(known) if known else None
    return make_plan(LANGUAGE, text(train, valid), asked, budget, group, chosen)


def model_of(tokens: int, size: tuple[int, int]) -> ModelConfig:
    """The planner's model of so many layers and units for a text of so many tokens."""
    problem = problem_of(LANGUAGE, text(tokens), {}, Budget(), ALONE, None, began=0.0)
    return planner._model(problem, size)
