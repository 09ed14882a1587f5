"""The mean of weights: which it is of, when it is shown, and that it comes back."""

import pytest
import torch

from charrnn.config import averaged_steps
from charrnn.tasks.language.network import CharRNN, build
from charrnn.training.averaging import WeightAverage
from tests.support.tiny import tiny_model, tiny_train


def moved(model: CharRNN, value: float) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(value)


def values(model: CharRNN) -> set[float]:
    return {v for p in model.parameters() for v in p.detach().flatten().tolist()}


@pytest.mark.parametrize(("start", "step", "count"), [(0, 9, 0), (5, 5, 0), (5, 6, 1), (5, 9, 4)])
def test_a_mean_is_of_the_weights_after_its_first_step(start: int, step: int, count: int) -> None:
    assert averaged_steps(tiny_train(average_from=start), step) == count


def test_the_mean_is_shown_for_a_while_and_then_the_last_weights_again() -> None:
    model = build(tiny_model(), 0)
    mean = WeightAverage(model, tiny_train(average_from=2))
    for step, value in enumerate([100.0, 50.0, 1.0, 2.0, 6.0], start=1):
        moved(model, value)
        mean.update(step)
    with mean.applied(5):
        assert values(model) == {3.0}
    assert values(model) == {6.0}


def test_before_its_first_step_there_is_no_mean() -> None:
    model = build(tiny_model(), 0)
    mean = WeightAverage(model, tiny_train(average_from=2))
    moved(model, 4.0)
    mean.update(2)
    with mean.applied(2):
        assert values(model) == {4.0}


def test_a_mean_goes_on_from_a_checkpoint() -> None:
    model, again = build(tiny_model(), 0), build(tiny_model(), 0)
    config = tiny_train(average_from=1)
    whole, second = WeightAverage(model, config), WeightAverage(again, config)
    for step, value in enumerate([0.0, 1.0, 2.0], start=1):
        moved(model, value)
        whole.update(step)
    with whole.applied(3):
        kept = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    second.restore(kept, 3)
    for each, mean in ((model, whole), (again, second)):
        moved(each, 9.0)
        mean.update(4)
        with mean.applied(4):
            assert values(each) == {4.0}
