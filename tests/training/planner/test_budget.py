"""Budgets: one of minutes, epochs and steps."""

from types import SimpleNamespace
from typing import Any

import pytest

from charrnn.errors import UsageError
from charrnn.training.planner.budget import Budget, completing_seconds


@pytest.mark.parametrize(
    "budget",
    [
        {"minutes": 1.0, "epochs": 1.0},
        {"minutes": 1.0, "steps": 1},
        {"epochs": 1.0, "steps": 1},
        {"minutes": 1.0, "epochs": 1.0, "steps": 1},
    ],
)
def test_budgets_contradict_each_other(budget: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="contradict each other; give only one"):
        Budget(**budget)


@pytest.mark.parametrize("budget", [{}, {"minutes": 2.0}, {"epochs": 0.5}, {"steps": 7}])
def test_one_budget_or_none_is_fine(budget: dict[str, Any]) -> None:
    assert all(getattr(Budget(**budget), key) == value for key, value in budget.items())


@pytest.mark.parametrize(("asked", "left"), [(5.0, 5.0), (100.0, 30.0)])
def test_what_is_fitted_last_leaves_half_of_the_time_to_training(asked: float, left: float) -> None:
    task: Any = SimpleNamespace(completing_seconds=lambda dataset: asked)
    dataset: Any = None
    assert completing_seconds(task, dataset, minutes=1.0) == left
