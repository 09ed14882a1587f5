"""A run that is given more: its new plan, as a function of the old one and of how much more."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import UsageError
from charrnn.training.optimizer import learning_rate
from charrnn.training.planner.plan import MOST_STEPS
from charrnn.training.planner.restart import More, restarted
from tests.support.tiny import tiny_model, tiny_plan, tiny_train


def plan(**changes: object):  # type: ignore[no-untyped-def]
    return tiny_plan(tiny_model(), tiny_train(steps=100, warmup_steps=10, **changes))


def test_the_rate_of_the_new_steps_is_that_of_a_run_of_their_own() -> None:
    new = restarted(plan(), 100, 50, {}).train_config
    alone = tiny_train(steps=50, warmup_steps=5)
    assert [learning_rate(100 + k, new) for k in range(50)] == [
        learning_rate(k, alone) for k in range(50)
    ]
    assert new.steps == 150
    assert learning_rate(150, new) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "steps"])
@given(step=st.integers(1, 500), count=st.integers(20, 500))
@settings(max_examples=50, deadline=None)
def test_a_restart_starts_at_the_peak_and_ends_as_low_as_the_first_plan(
    schedule: str, step: int, count: int
) -> None:
    before = tiny_train(
        steps=200, warmup_steps=0, schedule=schedule, hold_steps=100, decay_every=20
    )
    new = restarted(tiny_plan(tiny_model(), before), step, count, {}).train_config
    assert learning_rate(step, new) == pytest.approx(before.learning_rate, rel=0.51)
    assert learning_rate(step + count, new) <= learning_rate(200, before) * 2 + 1e-12


def test_a_second_restart_is_measured_by_the_first() -> None:
    once = restarted(plan(), 100, 50, {})
    twice = restarted(once, 150, 100, {}).train_config
    assert (twice.restart_step, twice.steps, twice.warmup_steps) == (150, 250, 10)


def test_an_average_begins_anew() -> None:
    new = restarted(plan(average_from=60), 100, 50, {}).train_config
    assert new.average_from == 130


def test_hyperparameters_can_be_changed_but_not_shapes() -> None:
    more = More(steps=10, given={"learning_rate": 0.5, "dropout": 0.25, "warmup_steps": 1})
    new = restarted(plan(), 100, 10, more.given)
    assert new.train_config.learning_rate == 0.5
    assert new.train_config.warmup_steps == 1
    assert new.model_config == replace(tiny_model(), dropout=0.25)
    for name in ("hidden_size", "cell", "batch_size", "tokenizer", "optimizer", "restart_step"):
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} cannot be changed"):
            More(steps=10, given={name: 3})


@pytest.mark.parametrize("measures", [{}, {"minutes": 1, "steps": 3}, {"steps": 3, "epochs": 1.0}])
def test_one_measure_is_given(measures: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="three measures"):
        More(**measures)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_the_measure_is_a_positive_number(value: float) -> None:
    with pytest.raises(UsageError, match="nothing more to train"):
        More(minutes=value)


def test_the_number_of_steps_follows_from_the_measure() -> None:
    old = plan(batch_size=4, seq_length=8)
    assert More(steps=7).num_steps(old, 640, [], 0.0) == 7
    assert More(epochs=2.5).num_steps(old, 640, [], 0.0) == 50
    minutes = More(minutes=1).num_steps(old, 640, [320.0, 3200.0, 3200.0], 61.0)
    assert 4000 <= minutes <= 6000
    # No time at all is still a step, and without a log the plan's speed counts.
    assert More(minutes=1).num_steps(old, 640, [], 0.0) == 1


def test_a_run_has_a_largest_number_of_steps() -> None:
    with pytest.raises(UsageError, match="than the 1,000,000,000"):
        restarted(plan(), 100, MOST_STEPS, {})


def test_a_short_restart_is_logged_and_evaluated_several_times() -> None:
    new = restarted(plan(eval_every=100, save_every=100, log_every=50), 100, 40, {}).train_config
    assert (new.eval_every, new.save_every, new.log_every) == (10, 10, 2)
