"""Plans: what is given is kept, and what a preset gives."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.config import CELLS, ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.training.planner import plan as planner
from charrnn.training.planner.heuristics import LARGE_VOCABULARY, SIZES
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.presets import PRESETS, preset
from tests.support.plans import planned
from tests.support.tiny import tiny_tokenizer

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
    "sampled_softmax": 2,
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
