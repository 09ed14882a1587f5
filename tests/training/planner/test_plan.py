"""Plans: what is given is kept, the rest fits text, time and processes; no model is trained."""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from charrnn.config import CELLS, ModelConfig, TrainConfig, num_parameters
from charrnn.data.token_arrays import Split
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.base import Dataset, Task
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.planner import plan as planner
from charrnn.training.planner.budget import Budget
from charrnn.training.planner.calibration import Speed
from charrnn.training.planner.heuristics import (
    EVALUATION_SHARE,
    EVALUATION_TOKENS,
    LARGE_VOCABULARY,
    MOST_EVALUATIONS,
    PARAMETERS_PER_TOKEN,
    SIZES,
    SLOW_TOKENS,
    SOAP_TOKENS_PER_PARAMETER,
    default_minutes,
    dropout,
    enough_tokens,
    evaluations,
    final_seconds,
    memory,
    most_epochs,
    overfitting,
)
from charrnn.training.planner.plan import Plan, make_plan
from charrnn.training.planner.presets import PRESETS, preset
from tests.support.tiny import LANGUAGE, tiny_corpus, tiny_model, tiny_tokenizer, tiny_train

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


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(planner, "calibrate", made)
    monkeypatch.setattr(planner, "best_precision", lambda *_: "bfloat16")
    return made


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
    problem = planner._problem(LANGUAGE, text(tokens), {}, Budget(), ALONE, None, began=0.0)
    return planner._model(problem, size)


KEPT: dict[str, Any] = {
    "cell": "gru",
    "num_layers": 3,
    "hidden_size": 40,
    "embedding_size": 24,
    "input_dropout": 0.11,
    "dropout": 0.12,
    "output_dropout": 0.13,
    "residual": False,
    "tie_weights": False,
    "variational": True,
    "embedding_dropout": 0.14,
    "weight_dropout": 0.15,
    "batch_size": 6,
    "seq_length": 20,
    "optimizer": "sgd",
    "learning_rate": 0.0123,
    "schedule": "steps",
    "warmup_steps": 17,
    "hold_steps": 18,
    "decay_every": 19,
    "decay_factor": 0.25,
    "weight_decay": 0.07,
    "grad_clip": 0.5,
    "average_from": 21,
    "output_penalty": 0.6,
    "change_penalty": 0.7,
    "init_scale": 0.8,
    "precision": "float32",
    "seed": 99,
    "eval_every": 33,
    "eval_tokens": 444,
    "final_eval": "pieces",
    "sample_every": 3,
    "save_every": 22,
    "log_every": 11,
    "keep": 5,
    "threads": 1,
}


def found(plan: Plan, name: str) -> Any:
    config = plan.model_config if hasattr(plan.model_config, name) else plan.train_config
    return getattr(config, name)


def test_every_option_is_tried_here() -> None:
    fields = ModelConfig.__dataclass_fields__.keys() | TrainConfig.__dataclass_fields__.keys()
    assert set(KEPT) == fields - {"vocab_size", "steps", "restart_step", "reset_id"}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("budget", [{}, {"minutes": 2.0}, {"epochs": 2.0}, {"steps": 100}])
def test_an_option_that_is_given_is_kept(name: str, budget: dict[str, Any]) -> None:
    assert found(planned(**{name: KEPT[name]}, **budget), name) == KEPT[name]


def test_all_options_given_together_are_kept() -> None:
    plan = planned(**KEPT, steps=123)
    assert {name: found(plan, name) for name in KEPT} == KEPT
    assert plan.train_config.steps == 123


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_options_given_are_kept(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(KEPT))))
    asked = {name: KEPT[name] for name in names}
    plan = planned(**asked, epochs=1.0)
    assert {name: found(plan, name) for name in names} == asked


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
    assert planned(2 * 10**9, minutes=1e5).train_config.steps == 10**9


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
    assert 4 <= shape.batch_size <= 8
    assert 8 <= shape.seq_length <= 64
    assert (plan.model_config.num_layers, plan.model_config.hidden_size) in SIZES
    smallest = plan.model_config.hidden_size == SIZES[0][1]
    assert smallest or num_parameters(plan.model_config) <= PARAMETERS_PER_TOKEN * train
    assert 1 <= shape.log_every <= shape.steps
    assert 1 <= shape.save_every <= shape.eval_every
    assert shape.warmup_steps <= shape.steps // 20
    assert plan.seconds > 0
    assert plan.memory > 350 * 2**20


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


@pytest.mark.parametrize("tokens", [2, 10, 35])
def test_a_text_too_small_is_an_error_that_says_how_much_is_needed(tokens: int) -> None:
    with pytest.raises(CorpusError, match=f"has {tokens} tokens and --batch-size 4") as caught:
        planned(tokens)
    assert "needs 36" in caught.value.problem
    assert "make them smaller or give more text" in caught.value.remedy


def test_the_smallest_text_that_has_a_plan() -> None:
    plan = planned(36)
    assert (plan.train_config.batch_size, plan.train_config.seq_length) == (4, 8)


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        ({"batch_size": 1000}, "64,000"),
        ({"seq_length": 5000}, "20,004"),
        ({"batch_size": 3, "seq_length": 4000}, "12,003"),
    ],
)
def test_a_shape_too_large_for_the_text_is_an_error(asked: dict[str, Any], needs: str) -> None:
    with pytest.raises(CorpusError, match=r"the training part has 4,032 tokens") as caught:
        planned(4032, **asked)
    assert f"needs {needs}" in caught.value.problem


def test_a_shape_that_fits_the_text_exactly_is_taken() -> None:
    plan = planned(4 * 101, batch_size=4, seq_length=100)
    assert (plan.train_config.batch_size, plan.train_config.seq_length) == (4, 100)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 8, 32])
def test_a_planned_batch_can_be_shared_by_all_processes(world_size: int) -> None:
    plan = planned(group=Group(torch.device("cpu"), 0, world_size))
    assert plan.train_config.batch_size % world_size == 0
    assert plan.train_config.batch_size >= max(4, world_size)


@pytest.mark.parametrize(("batch_size", "world_size"), [(3, 2), (4, 3), (1, 2)])
def test_a_given_batch_that_cannot_be_shared_is_an_error(batch_size: int, world_size: int) -> None:
    group = Group(torch.device("cpu"), 0, world_size)
    words = f"--batch-size {batch_size} cannot be divided among {world_size} processes"
    with pytest.raises(UsageError, match=words):
        planned(batch_size=batch_size, group=group)


def test_a_given_batch_that_can_be_shared_is_kept() -> None:
    assert (
        planned(batch_size=6, group=Group(torch.device("cpu"), 0, 3)).train_config.batch_size == 6
    )


def test_larger_texts_have_larger_batches() -> None:
    shapes = [
        (plan.train_config.batch_size, plan.train_config.seq_length)
        for plan in (planned(tokens) for tokens in (100, 1000, 5000, 50_000, 10**7))
    ]
    assert shapes == sorted(shapes)
    assert (shapes[0], shapes[-1]) == ((4, 8), (8, 64))


def test_a_gpu_has_sizes_in_multiples_of_128_and_more_streams() -> None:
    gpu = Group(torch.device("cuda"))
    for minutes in (0.1, 1.0, 30.0):
        plan = planned(10**7, minutes=minutes, group=gpu)
        assert plan.model_config.hidden_size % 128 == 0
        assert plan.train_config.batch_size == 64


def test_the_vocabulary_is_that_of_the_tokenizer() -> None:
    assert planned().model_config.vocab_size == tiny_tokenizer().vocab_size


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_a_plan(cell: str) -> None:
    assert planned(cell=cell).model_config.cell == cell


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"hidden_size": 96}, 96),
        ({"embedding_size": 72}, 72),
        ({"hidden_size": 80, "embedding_size": 80}, 80),
    ],
)
@pytest.mark.parametrize("budget", [{"minutes": 1.0}, {"steps": 100}])
def test_tied_weights_follow_the_size_that_is_given(
    sizes: dict[str, Any], expected: int, budget: dict[str, Any]
) -> None:
    plan = planned(tie_weights=True, **sizes, **budget)
    assert (plan.model_config.hidden_size, plan.model_config.embedding_size) == (expected, expected)


def test_tied_weights_alone_follow_the_planned_size() -> None:
    plan = planned(10**7, tie_weights=True, minutes=5)
    assert plan.model_config.embedding_size == plan.model_config.hidden_size
    assert (plan.model_config.num_layers, plan.model_config.hidden_size) in SIZES


def test_tied_weights_of_one_layer_and_two_given_sizes_are_an_error() -> None:
    with pytest.raises(UsageError, match="tied weights of one layer need equal sizes"):
        planned(tie_weights=True, hidden_size=64, embedding_size=32, num_layers=1)


def test_a_large_vocabulary_ties_its_weights_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not planned().model_config.tie_weights
    monkeypatch.setattr(
        "charrnn.training.planner.heuristics.LARGE_VOCABULARY", tiny_tokenizer().vocab_size
    )
    tied = planned().model_config
    assert tied.tie_weights
    assert tied.embedding_size == tied.hidden_size
    assert not planned(tie_weights=False).model_config.tie_weights
    assert LARGE_VOCABULARY > 300


@pytest.mark.parametrize("most", [60_000, 400_000, 10**7])
@pytest.mark.parametrize("budget", [{"minutes": 1e4}, {"steps": 10**6}])
def test_no_model_is_larger_than_allowed(most: int, budget: dict[str, Any]) -> None:
    plan = planned(10**8, max_parameters=most, **budget)
    assert most / 8 < plan.parameters <= most


def test_fewer_parameters_than_the_smallest_model_has_are_an_error() -> None:
    with pytest.raises(UsageError, match="and --max-parameters is 1,000") as caught:
        planned(max_parameters=1000)
    assert "--hidden-size" in caught.value.remedy


def test_a_given_precision_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "best_precision", lambda *_: "bfloat16")
    assert planned(precision="float32").train_config.precision == "float32"


def test_the_precision_is_the_best() -> None:
    assert planned().train_config.precision == "bfloat16"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_planned_unchanged(name: str) -> None:
    plan, known = planned(20_000, preset=name), preset(name)
    assert plan.epochs == pytest.approx(known.epochs, rel=0.05)
    assert {key: found(plan, key) for key in known.given} == known.given
    assert plan.train_config.warmup_steps == 0


def test_the_decays_of_a_preset_are_at_its_epochs() -> None:
    train = planned(20 * 20 * 100, preset="ptb-small").train_config
    assert (train.hold_steps, train.decay_every, train.decay_factor) == (500, 100, 0.5)
    assert train.average_from == 0
    assert train.steps == 1300


def test_the_average_of_a_preset_begins_at_its_epoch() -> None:
    assert planned(20 * 70 * 10, preset="awd-lstm").train_config.average_from == 600


def test_what_is_given_comes_before_the_preset() -> None:
    plan = planned(20_000, preset="ptb-small", hidden_size=24, hold_steps=3, epochs=2.0)
    assert plan.model_config.hidden_size == 24
    assert plan.train_config.hold_steps == 3
    assert plan.epochs == pytest.approx(2.0, rel=0.1)
    assert plan.model_config.embedding_size == 200


def test_a_preset_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UsageError, match="there is no preset 'ptb'; choose from ptb-small"):
        preset("ptb")


def test_a_value_out_of_bounds_is_an_error_that_names_the_option() -> None:
    with pytest.raises(UsageError, match="--hidden-size is 0"):
        planned(hidden_size=0)


def test_layers_are_residual_unless_the_user_says_otherwise() -> None:
    assert planned().model_config.residual
    assert not planned(residual=False).model_config.residual


@pytest.mark.parametrize(("hidden", "rate"), [(64, 0.016), (256, 0.008), (1024, 0.004)])
def test_larger_models_have_lower_learning_rates(hidden: int, rate: float) -> None:
    plan = planned(10**7, hidden_size=hidden, steps=10)
    assert plan.train_config.learning_rate == pytest.approx(rate)


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
    assert enough_tokens(500_000, 10**6, "soap") == 3 * 500_000
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


def test_memory_of_a_training_exactly() -> None:
    model = tiny_model("rnn", vocab_size=10, num_layers=1)
    parameters = 80 + 64 + 64 + 8 + 8 + 80 + 10
    per_token = 8 * 14 + 8 * 4 + 3 * 10
    expected = 4 * (7 * parameters + 4 * 8 * per_token) + 350 * 2**20
    assert num_parameters(model) == parameters
    assert memory(model, tiny_train(), parameters, evaluates=False) == expected
    # A window of 32 rows: gates, input and output of a layer, and all logits twice.
    evaluating = 4 * 32 * 256 * (4 * 8 + 2 * 8 + 2 * 10)
    assert memory(model, tiny_train(), parameters) == expected + evaluating
    # SOAP: a covariance and a basis of two matrices, three times each.
    soap = memory(model, tiny_train(optimizer="soap"), parameters, evaluates=False)
    assert soap == expected + 4 * 3 * (2 * 2 * 8 * 8)


def test_texts_are_trained_by_soap_unless_another_optimizer_is_given() -> None:
    assert planned(steps=10).train_config.optimizer == "soap"
    assert planned(steps=10, optimizer="adamw").train_config.optimizer == "adamw"


def test_memory_of_many_words_does_not_grow_with_all_their_logits() -> None:
    """101,256 ids took 6.7 GB to evaluate, of which the plan knew nothing."""
    model = tiny_model(vocab_size=101_256)
    train = tiny_train()
    with_it = memory(model, train, 0)
    assert 10**7 < with_it - memory(model, train, 0, evaluates=False) < 3 * 10**8


def test_memory_grows_with_everything() -> None:
    def needed(model: ModelConfig, train: TrainConfig) -> int:
        return memory(model, train, num_parameters(model))

    base = needed(tiny_model(), tiny_train())
    for name in ("vocab_size", "num_layers", "hidden_size", "embedding_size"):
        changes: dict[str, Any] = {name: 20}
        model = tiny_model("lstm", **changes)
        assert needed(model, tiny_train()) > base, name
    for name in ("batch_size", "seq_length"):
        assert needed(tiny_model(), tiny_train(**{name: 20})) > base, name


def test_a_plan_as_json_is_its_configs_and_costs() -> None:
    plan = planned(steps=10)
    data = json.loads(json.dumps(plan.to_json()))
    assert data.keys() == {
        "model", "train", "tokens_per_second", "epochs", "seconds", "memory", "most_steps",
        "parameters",
    }  # fmt: skip
    assert data["parameters"] == plan.parameters == num_parameters(plan.model_config)
    assert ModelConfig(**data["model"]) == plan.model_config
    assert TrainConfig(**data["train"]) == plan.train_config


def test_the_same_asking_has_the_same_plan() -> None:
    assert planned(minutes=3.0) == planned(minutes=3.0)


def test_sizes_grow() -> None:
    models = [model_of(10**6, size) for size in SIZES]
    counts = [num_parameters(model) for model in models]
    assert all(a < b for a, b in itertools.pairwise(counts))


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


@pytest.mark.parametrize(
    ("asked", "group", "counts"),
    [
        ({}, ALONE, (1, 2, 4)),
        ({"threads": 3}, ALONE, (3,)),
        ({}, Group(torch.device("cpu"), 0, 2), (4,)),
    ],
    ids=["measured", "given", "several processes"],
)
@pytest.mark.parametrize("budget", [{"minutes": 1.0}, {"steps": 100}, {"epochs": 1.0}])
def test_the_number_of_threads_is_the_measured_one_unless_it_is_given(
    asked: dict[str, Any],
    group: Group,
    counts: tuple[int, ...],
    budget: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(4)
    tried: list[tuple[int, ...]] = []

    def calibrated(*given: Any) -> Speed:
        tried.append(given[-1])
        return Speed(1e4, given[-1][-1] // 2 or 1, busy=True)

    monkeypatch.setattr(planner, "calibrate", calibrated)
    plan = planned(group=group, **asked, **budget)
    assert set(tried) == {counts}
    assert plan.train_config.threads == (counts[-1] // 2 or 1)
    assert plan.busy
    assert plan.adaptive == (len(counts) > 1)
    assert plan.to_json().get("adaptive", False) == plan.adaptive


def test_a_plan_of_an_idle_machine_and_a_given_number_of_threads_has_the_keys_of_before() -> None:
    assert not {"adaptive", "busy"} & planned(threads=1).to_json().keys()


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
