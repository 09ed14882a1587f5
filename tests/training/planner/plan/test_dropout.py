"""Plans: dropout grows with repetition and size."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import num_parameters
from charrnn.training.planner.heuristics import dropout, overfitting
from tests.support.plans import planned


@given(
    epochs=st.floats(0.001, 1e6), parameters=st.integers(1, 10**9), tokens=st.integers(50, 10**9)
)
@settings(max_examples=200, deadline=None)
def test_dropout_is_a_fraction_that_grows_with_repetition_and_size(
    epochs: float, parameters: int, tokens: int
) -> None:
    rate = dropout(epochs, parameters, tokens)
    assert 0.0 <= rate <= 0.5
    assert rate <= dropout(2 * epochs, parameters, tokens)
    assert rate <= dropout(epochs, 2 * parameters, tokens)
    assert rate >= dropout(epochs, parameters, 2 * tokens)


def test_dropout_exactly() -> None:
    assert dropout(6, 10**6, 10**6) == 0.0
    assert dropout(12, 10**6, 10**6) == 0.22
    assert dropout(24, 10**6, 10**6) == 0.44
    assert dropout(48, 10**6, 10**6) == 0.5
    assert dropout(12, 1, 16) == 0.11
    assert dropout(4, 10**6, 10**6, overfitting(10**6, "soap")) == 0.0
    assert dropout(8, 10**6, 10**6, overfitting(10**6, "soap")) == 0.22
    assert dropout(20, 10**6, 10**6, overfitting(10**6, "soap")) == 0.4
    assert dropout(36, 10**6, 10**6, overfitting(10**6, "soap")) == 0.5
    assert dropout(10**6, 10**6, 10) == 0.5


def test_planned_dropout_is_the_same_above_and_a_quarter_below() -> None:
    plan = planned(20_000, minutes=20)
    rate = dropout(
        plan.epochs, num_parameters(plan.model_config), 20_000, overfitting(20_000, "soap")
    )
    assert rate > 0.05
    assert plan.model_config.dropout == plan.model_config.output_dropout == rate
    assert plan.model_config.input_dropout == round(rate / 4, 2)


@pytest.mark.parametrize("name", ["input_dropout", "dropout", "output_dropout"])
def test_one_dropout_given_leaves_the_others_at_none(name: str) -> None:
    asked: dict[str, Any] = {name: 0.4}
    plan = planned(20_000, minutes=20, **asked)
    names = ("input_dropout", "dropout", "output_dropout")
    rates = {key: getattr(plan.model_config, key) for key in names}
    assert rates == {key: 0.4 if key == name else 0.0 for key in names}
