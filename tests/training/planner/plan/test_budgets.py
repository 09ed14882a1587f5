"""Plans: minutes, epochs and steps are kept to, and as large a model as they pay for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.config import num_parameters
from charrnn.errors import UsageError
from charrnn.training.distributed import Group
from charrnn.training.planner import plan as planner
from charrnn.training.planner.budget import Budget
from charrnn.training.planner.calibration import Speed
from charrnn.training.planner.heuristics import (
    EVALUATION_SHARE,
    PARAMETERS_PER_TOKEN,
    SIZES,
    SOAP_TOKENS_PER_PARAMETER,
    default_minutes,
    enough_tokens,
    most_epochs,
)
from charrnn.training.planner.plan import make_plan
from tests.support.plans import ALONE, Machine, model_of, planned, text
from tests.support.tiny import LANGUAGE, tiny_corpus


@pytest.mark.parametrize("steps", [1, 5, 10_000])
def test_given_steps_are_the_steps(steps: int) -> None:
    plan = planned(steps=steps)
    assert plan.train_config.steps == steps
    per_step = plan.train_config.batch_size * plan.train_config.seq_length
    assert plan.epochs == pytest.approx(steps * per_step / 100_000)


@pytest.mark.parametrize("epochs", [0.5, 1.0, 3.0, 40.0])
def test_given_epochs_are_the_epochs_within_a_step(epochs: float) -> None:
    plan = planned(epochs=epochs)
    per_step = plan.train_config.batch_size * plan.train_config.seq_length
    assert abs(plan.train_config.steps - epochs * 100_000 / per_step) <= 0.5
    assert plan.epochs == pytest.approx(epochs, rel=0.02)


def test_the_least_epoch_is_a_step() -> None:
    assert planned(epochs=0.001, train=2000).train_config.steps == 1


@pytest.mark.parametrize("minutes", [0.5, 1.0, 5.0, 60.0])
def test_given_minutes_are_not_exceeded_and_are_used(minutes: float) -> None:
    plan = planned(2_000_000, 200_000, minutes=minutes)
    assert plan.seconds <= minutes * 60
    # What is left is for evaluating: the best and the last on the whole.
    assert plan.seconds >= minutes * 60 * 0.75 - 10


def test_no_time_is_too_long_for_the_count_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "calibrate", Machine(1e15))
    plan = planned(2 * 10**9, minutes=1e5, batch_size=8, seq_length=64)
    assert plan.train_config.steps == 10**9


def test_a_moment_is_still_a_step() -> None:
    """Not ten: on a slow machine these take many times what was asked for."""
    assert planned(minutes=0.01).train_config.steps == 1


@given(
    train=st.integers(50, 10**9),
    minutes=st.floats(0.1, 1000),
    power=st.floats(1e6, 1e13),
    valid=st.none() | st.integers(2, 10**8),
)
@settings(max_examples=150, deadline=None)
def test_any_text_and_machine_have_a_plan_that_fits(
    train: int, minutes: float, power: float, valid: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "calibrate", Machine(power))
        plan = planned(train, valid, minutes=minutes)
    shape = plan.train_config
    assert shape.batch_size * (shape.seq_length + 1) <= train
    assert 4 <= shape.batch_size <= 16
    assert 8 <= shape.seq_length <= 128
    assert (plan.model_config.num_layers, plan.model_config.hidden_size) in SIZES
    smallest = plan.model_config.hidden_size == SIZES[0][1]
    assert smallest or num_parameters(plan.model_config) <= PARAMETERS_PER_TOKEN * train
    assert 1 <= shape.log_every <= shape.steps
    assert 1 <= shape.save_every <= shape.eval_every
    assert shape.warmup_steps <= shape.steps // 20
    assert plan.seconds > 0
    assert plan.memory > 350 * 2**20


@pytest.mark.parametrize("tokens", [50, 200, 5000, 10**5, 10**6, 10**8])
def test_more_minutes_never_give_a_smaller_model(tokens: int) -> None:
    sizes = [
        num_parameters(planned(tokens, minutes=minutes).model_config)
        for minutes in (0.1, 0.3, 1, 2, 4, 8, 15, 30, 60, 120, 600, 6000)
    ]
    assert sizes == sorted(sizes)


@given(
    tokens=st.integers(50, 10**8),
    power=st.floats(1e6, 1e13),
    pair=st.tuples(st.floats(0.1, 1e4), st.floats(0.1, 1e4)),
)
@settings(max_examples=100, deadline=None)
def test_more_minutes_never_give_a_smaller_model_on_any_machine(
    tokens: int, power: float, pair: tuple[float, float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "calibrate", Machine(power))
        plans = [planned(tokens, minutes=minutes) for minutes in sorted(pair)]
    small, large = (num_parameters(plan.model_config) for plan in plans)
    assert small <= large


@pytest.mark.parametrize("kind", ["steps", "epochs"])
def test_a_longer_run_never_has_a_smaller_model(kind: str) -> None:
    asked: list[dict[str, Any]] = [{kind: 4**power} for power in range(9)]
    sizes = [num_parameters(planned(10**6, **each).model_config) for each in asked]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_minutes_do_make_a_difference() -> None:
    short, long = planned(10**7, minutes=0.5), planned(10**7, minutes=500)
    assert num_parameters(short.model_config) < num_parameters(long.model_config)


@pytest.mark.parametrize("minutes", [0.5, 2.0, 20.0])
def test_the_chosen_size_can_be_trained_and_the_next_cannot(
    minutes: float, machine: Machine
) -> None:
    plan = planned(10**8, minutes=minutes)
    index = SIZES.index((plan.model_config.num_layers, plan.model_config.hidden_size))

    def trainable(size: tuple[int, int]) -> bool:
        model = model_of(10**8, size)
        speed = machine.power / (num_parameters(model) + 10_000)
        return speed * minutes * 60 >= SOAP_TOKENS_PER_PARAMETER * num_parameters(model)

    assert 0 < index < len(SIZES) - 1
    assert trainable(SIZES[index])
    assert not trainable(SIZES[index + 1])


def test_no_model_is_measured_twice(machine: Machine) -> None:
    for given_size in ({}, {"hidden_size": 96}, {"num_layers": 2}):
        for minutes in (0.1, 1.0, 1e4):
            machine.measured.clear()
            planned(10**7, minutes=minutes, **given_size)
            assert len(machine.measured) == len(set(machine.measured))


def test_a_given_size_is_measured_once(machine: Machine) -> None:
    planned(minutes=1.0, hidden_size=96, num_layers=1)
    assert [model.hidden_size for model in machine.measured] == [96]


def test_the_speed_is_that_of_the_chosen_model(machine: Machine) -> None:
    for budget in ({"minutes": 3.0}, {"steps": 500}, {"epochs": 2.0}):
        plan = planned(10**6, **budget)
        bare = num_parameters(plan.model_config) + 10_000
        assert plan.tokens_per_second == pytest.approx(machine.power / bare)
        per_step = plan.train_config.batch_size * plan.train_config.seq_length
        training = plan.train_config.steps * per_step / plan.tokens_per_second
        assert plan.seconds == pytest.approx(training / (1 - EVALUATION_SHARE))


def test_every_process_goes_by_the_clock_of_the_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that differs by a step among processes would have them wait for each other."""
    sent: list[str] = []

    def broadcast(group: Group, text: str) -> str:
        sent.append(text)
        return "30.0"

    monkeypatch.setattr(Group, "broadcast", broadcast)
    plans = [
        make_plan(LANGUAGE, text(10**6), {}, Budget(minutes=2.0), group, None, began)
        for group in (ALONE, Group(ALONE.device, 1, 2))
        for began in (None, 5.0)
    ]
    assert all(plan == plans[0] for plan in plans)
    half = len(sent) // 2
    assert all(float(own) >= 0 for own in sent[:half])
    assert set(sent[half:]) == {""}
    monkeypatch.setattr(Group, "broadcast", lambda group, text: "75.0")
    assert planned(10**6, minutes=2.0).seconds < 0.6 * plans[0].seconds


def test_the_most_epochs_of_a_text_exactly() -> None:
    assert most_epochs(10) == most_epochs(1_000) == 16.0
    assert most_epochs(10**6) == pytest.approx(96.4, abs=0.1)
    for tokens in (10**3, 10**5, 10**8):
        assert most_epochs(14 * tokens) == pytest.approx(2 * most_epochs(tokens), rel=0.01)
        assert most_epochs(tokens, "soap") == most_epochs(tokens) / 2


def test_a_size_is_worth_its_time_from_so_many_tokens_on() -> None:
    assert enough_tokens(500_000, 60_000, "adamw") == 3.5 * 500_000
    assert enough_tokens(500_000, 10**6, "soap") == 2.4 * 500_000
    assert enough_tokens(500_000, 60_000, "soap") == 8 * 60_000


@pytest.mark.parametrize("tokens", [2_000, 20_000, 200_000])
def test_a_long_time_is_not_spent_on_overfitting_a_short_text(
    tokens: int, machine: Machine
) -> None:
    plan = planned(tokens, minutes=1_000.0)
    assert plan.epochs == pytest.approx(most_epochs(tokens, "soap"), rel=0.02)
    assert plan.exhausted
    assert plan.train_config.steps == plan.most_steps
    assert not planned(tokens, minutes=0.02).exhausted
    for budget in ({"steps": 10**6}, {"epochs": 500.0}):
        insisted = planned(tokens, **budget)
        assert insisted.most_steps == 0
        assert insisted.epochs >= 499


@pytest.mark.parametrize(
    ("characters", "minutes"),
    [(100, 1.0), (300_000, 1.0), (600_000, 2.0), (3_000_000, 10.0), (10**9, 10.0)],
)
def test_the_default_is_from_one_minute_to_ten(characters: int, minutes: float) -> None:
    assert default_minutes(characters) == minutes


def test_without_a_budget_it_is_the_default_number_of_minutes() -> None:
    given = planned(1_000_000, 200_000, minutes=4.0)
    # Which of both it was is recorded, for the hint at another number of minutes.
    assert replace(planned(1_000_000, 200_000), minutes=4.0) == given


@given(steps=st.integers(1, 10**6), power=st.floats(1e6, 1e12))
@settings(max_examples=60, deadline=None)
def test_the_last_step_is_always_logged_and_saved_in_time(steps: int, power: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "calibrate", Machine(power))
        plan = planned(steps=steps)
    seconds = plan.train_config.batch_size * plan.train_config.seq_length / plan.tokens_per_second
    assume(seconds < 300)
    assert plan.train_config.save_every * seconds <= 300
    assert plan.train_config.log_every <= max(1, steps // 20)


def test_too_many_epochs_are_reported_in_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the most that is offered can be had."""
    corpus = tiny_corpus(tmp_path)
    monkeypatch.setattr(planner, "calibrate", Machine())
    given = {"hidden_size": 8, "batch_size": 1, "seq_length": 1}
    with pytest.raises(UsageError, match=r"--epochs 1e\+09 takes [\d,]+ steps") as caught:
        make_plan(LANGUAGE, corpus, given, Budget(epochs=1e9), ALONE)
    assert "--steps" not in str(caught.value)
    most = float(caught.value.remedy.split()[2])
    plan = make_plan(LANGUAGE, corpus, given, Budget(epochs=most), ALONE)
    assert 0.99e9 < plan.train_config.steps <= 1e9


@pytest.mark.parametrize("cost", [0.0, 1.0, 8.0])
def test_measuring_does_not_use_up_the_time_that_is_planned(
    cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look costs so many seconds, on a machine so slow that only the smallest model fits."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    made = Machine(4e7)

    def calibrated(*given: Any) -> Speed:
        nonlocal now
        now += cost
        return made(*given)

    monkeypatch.setattr(planner, "calibrate", calibrated)
    plan = make_plan(LANGUAGE, text(10**6), {}, Budget(minutes=0.4), ALONE, None, 0.0)
    assert now <= 0.2 * 24 + max(1.0, cost)
    assert plan.parameters == min(num_parameters(model_of(10**6, size)) for size in SIZES)
    assert plan.seconds >= 24 - now - 5
