"""The steps that fit into the time that is left, and when a plan is made again."""

from typing import Any

import pytest

from charrnn.training.planner.heuristics import EVALUATION_SHARE
from charrnn.training.planner.time_budget import (
    RecentSpeed,
    Throughput,
    differs,
    may_replan,
)


def throughput(**changes: Any) -> Throughput:
    """100 of 1,000 steps in 10 seconds, one evaluation of a second, 90 seconds left."""
    steps = {"step": 100, "taken": 100, "evaluations": 1}
    seconds = {"training": 10.0, "evaluating": 1.0, "left": 90.0, "total": 101.0}
    return Throughput(**{**steps, **seconds, **changes})


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        # A step takes 0.1 s and its part of an evaluation 0.01 s; one is kept for the end.
        (throughput(), 100 + 809),
        (throughput(training=5.0), 100 + 1483),
        (throughput(evaluations=0, left=90 / (1 - EVALUATION_SHARE)), 1000),
        (throughput(evaluations=0, left=80 / (1 - EVALUATION_SHARE)), 900),
        # An evaluation that takes longer than that share: 90 seconds less 20 for it.
        (throughput(evaluations=0, first=20.0), 800),
        (throughput(step=600, left=45.0), 1000),
        (throughput(step=600, left=56.0), 1100),
    ],
)
def test_the_steps_that_are_left_fit_into_the_time_that_is_left(
    given: Throughput, steps: int
) -> None:
    assert given.steps(1000, eval_every=100) == steps


def test_little_is_left_as_it_is() -> None:
    seconds = [80.0 + n / 10 for n in range(400)]
    found = {throughput(left=left).steps(1000, 100) for left in seconds}
    assert 1000 in found
    assert not found & (set(range(990, 1011)) - {1000})


def test_nothing_is_concluded_from_the_first_steps() -> None:
    assert throughput(taken=29, training=2.9).steps(1000, 100) == 1000
    assert throughput(taken=30, training=2.9).steps(1000, 100) != 1000
    # By the time as well: three steps say much where each takes a second.
    assert throughput(taken=3, training=3.1).steps(1000, 100) < 200
    assert throughput(training=0.0).steps(1000, 100) == 1000


def test_there_is_no_number_of_steps_that_the_time_does_not_change() -> None:
    """Half and twice the plan's steps were bounds once, and broke the promise of the time."""
    assert throughput(left=9000.0, total=9011.0).steps(1000, 100) > 80_000
    assert throughput(left=1.0).steps(1000, 100) < 150


def test_the_rate_falls_within_a_tail_that_is_short_in_steps_and_in_seconds() -> None:
    # A twentieth of the steps, even where there is no time; what is left may be less.
    assert throughput(left=1.0, step=700).steps(1000, 100) == 735
    assert throughput(left=1.0, step=990).steps(1000, 100) == 1000
    assert throughput(left=1.0, step=700).steps(720, 100) == 720
    # Steps of a second: four are what 4% of the time allow.
    slow = throughput(left=1.0, step=700, taken=10, evaluating=0.1)
    assert slow.steps(1000, 10**6) == 700 + 4
    assert throughput(left=-50.0, step=700).steps(1000, 100) == 701


def test_without_a_validation_part_no_time_is_kept_for_it() -> None:
    without = throughput(evaluations=0, evaluating=0.0, left=80.0, validates=False)
    assert without.steps(1000, 100) == 900


def test_the_past_that_counts_is_half_as_long_as_the_future() -> None:
    recent = RecentSpeed(total=100.0)
    for second in range(1, 51):
        # Ten steps a second at first, one from the thirtieth on.
        recent.add(second, 10 * min(second, 30) + max(0, second - 30))
    assert recent.over(50, 320, left=80.0) == (320 - 100, 40.0)
    assert recent.over(50, 320, left=20.0) == (10, 10.0)
    assert recent.over(50, 320, left=0.1) == (2, 2.0)


def test_a_run_of_weeks_remembers_some_thousands_of_moments() -> None:
    recent = RecentSpeed(total=1e6)
    for second in range(10**6):
        recent.add(float(second), second)
    assert len(recent.marks) < 2100


@pytest.mark.parametrize(
    ("seconds", "total", "open_"),
    [(1, 6, True), (4, 6, False), (19, 120, True), (21, 120, False), (350, 3600, True)],
)
def test_a_young_run_may_be_planned_again(seconds: float, total: float, open_: bool) -> None:
    assert may_replan(seconds, total) == open_


@pytest.mark.parametrize("speed", [0, 40, 210])
def test_half_and_twice_the_speed_are_another_machine(speed: float) -> None:
    assert differs(speed, 100)
    assert not differs(75, 100)
    assert not differs(150, 100)
