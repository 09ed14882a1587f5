"""Plans: how often and how much is evaluated."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.training.planner import plan as planner
from charrnn.training.planner.heuristics import (
    EVALUATION_SHARE,
    EVALUATION_TOKENS,
    MOST_EVALUATIONS,
    SLOW_TOKENS,
    evaluations,
    final_seconds,
)
from tests.support.plans import Machine, planned


@given(
    train=st.integers(100, 10**8),
    valid=st.integers(2, 10**7),
    minutes=st.floats(0.2, 600),
    power=st.floats(1e8, 1e12),
)
@settings(max_examples=150, deadline=None)
def test_evaluating_takes_its_fraction_of_the_time_at_most(
    train: int, valid: int, minutes: float, power: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "calibrate", Machine(power))
        plan = planned(train, valid, minutes=minutes)
    steps, each = plan.train_config.steps, plan.train_config.eval_tokens or valid
    times = math.ceil(steps / plan.train_config.eval_every)
    learned = steps * plan.train_config.batch_size * plan.train_config.seq_length
    allowed = 2 * EVALUATION_SHARE * learned
    assert each <= valid
    assert times * each <= max(allowed, 4 * EVALUATION_TOKENS) * 1.01
    assert 1 <= times <= MOST_EVALUATIONS


def test_a_small_validation_part_is_read_whole_and_often() -> None:
    plan = planned(1_000_000, 1000, minutes=5)
    assert plan.train_config.eval_tokens == 0
    assert math.ceil(plan.train_config.steps / plan.train_config.eval_every) >= 90
    # And shown as often as a person reads.
    shown = plan.train_config.eval_every * plan.train_config.sample_every
    assert plan.seconds / (plan.train_config.steps / shown) >= 5.9


def test_a_short_text_read_many_times_is_evaluated_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """6 kB and 300 epochs in nine seconds had two evaluations, long after the best step."""
    times, each = evaluations(600, 2e5, 9.0, parameters=60_000)
    assert (times >= 10, each) == (True, 0)
    assert evaluations(600, 2e5, 1e5)[0] == MOST_EVALUATIONS
    # A run whose plan may change is not evaluated in its first tenth.
    assert evaluations(600, 2e5, 9.0, parameters=60_000, changeable=True)[0] <= 10


def test_an_evaluation_takes_no_more_than_a_part_of_the_minutes() -> None:
    """A vocabulary of 85,000: 62,665 tokens at 900 a second took 45 of 18 seconds."""
    times, each = evaluations(62_665, 454.0, 5.0, 5_500_000, changeable=True)
    assert (times, each) == (1, SLOW_TOKENS)
    times, each = evaluations(62_665, 4540.0, 20.0, 5_500_000, changeable=True)
    assert (times, each) == (1, int(0.1 * 20 * 2 * 4540))
    # Nor does the end, which would read all of them twice.
    assert final_seconds(20_000, 454.0, 5.0, changeable=True) == (0.0, False)
    assert final_seconds(60_000, 454.0, 550.0, changeable=True) == (60_000 / 454, True)
    # Who asks for steps waits for a score that is worth something.
    assert evaluations(62_665, 454.0, 5.0, 5_500_000) == (1, EVALUATION_TOKENS)


def test_of_pieces_the_end_is_scored_on_the_whole_if_time_allows_it() -> None:
    assert planned(3_000_000, 300_000, minutes=1, power=1e9).train_config.final_eval != "beginning"
    assert final_seconds(100_000, 1e4, 60.0) == (10.0, True)
    assert final_seconds(10**8, 1e4, 60.0) == (0.0, False)
    assert final_seconds(600, 1e4, 60.0) == (0.0, True)
    # Who asks for steps is given the whole, however long it takes.
    plan = planned(10_000, 10**7, steps=20)
    assert plan.train_config.eval_tokens > 0
    assert plan.train_config.final_eval == "whole"
    assert planned(10_000, 1000, steps=20).train_config.final_eval == "beginning"  # never read


def test_of_a_huge_validation_part_a_fraction_is_read() -> None:
    plan = planned(100_000_000, 10_000_000, minutes=1)
    assert EVALUATION_TOKENS <= plan.train_config.eval_tokens < 1_000_000


def test_without_a_validation_part_nothing_is_limited() -> None:
    assert planned(100_000, None, minutes=1).train_config.eval_tokens == 0


def test_given_cadence_is_not_overruled_by_the_saving() -> None:
    plan = planned(steps=1000, eval_every=7)
    assert plan.train_config.save_every <= 7
