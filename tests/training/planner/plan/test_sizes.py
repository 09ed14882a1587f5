"""Plans: sizes of models, their parameters, their memory, their threads."""

import itertools
import json
from typing import Any

import pytest
import torch

from charrnn.config import ModelConfig, TrainConfig, num_parameters
from charrnn.errors import UsageError
from charrnn.training.distributed import Group
from charrnn.training.planner import plan as planner
from charrnn.training.planner.calibration import Speed
from charrnn.training.planner.heuristics import SIZES, memory
from tests.support.plans import ALONE, model_of, planned
from tests.support.tiny import tiny_model, tiny_train


@pytest.mark.parametrize("most", [60_000, 400_000, 10**7])
@pytest.mark.parametrize("budget", [{"minutes": 1e4}, {"steps": 10**6}])
def test_no_model_is_larger_than_allowed(most: int, budget: dict[str, Any]) -> None:
    plan = planned(10**8, max_parameters=most, **budget)
    assert most / 8 < plan.parameters <= most


def test_fewer_parameters_than_the_smallest_model_has_are_an_error() -> None:
    with pytest.raises(UsageError, match="and --max-parameters is 1,000") as caught:
        planned(max_parameters=1000)
    assert "--hidden-size" in caught.value.remedy


def test_layers_are_residual_unless_the_user_says_otherwise() -> None:
    assert planned().model_config.residual
    assert not planned(residual=False).model_config.residual


@pytest.mark.parametrize(("hidden", "rate"), [(64, 0.016), (256, 0.008), (1024, 0.004)])
def test_larger_models_have_lower_learning_rates(hidden: int, rate: float) -> None:
    plan = planned(10**7, hidden_size=hidden, steps=10)
    assert plan.train_config.learning_rate == pytest.approx(rate)


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
