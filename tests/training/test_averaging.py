"""Weight averaging: which steps it covers, when it is applied, and that it can be restored."""

import pytest
import torch

from charrnn.config import averaged_steps
from charrnn.tasks.language.network import CharRNN, build
from charrnn.training.averaging import WeightAverage
from tests.support.tiny import tiny_model, tiny_train


def set_all(model: CharRNN, value: float) -> None:
    """Set every parameter to a value."""
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(value)


def values(model: CharRNN) -> set[float]:
    return {v for p in model.parameters() for v in p.detach().flatten().tolist()}


@pytest.mark.parametrize(("start", "step", "count"), [(0, 9, 0), (5, 5, 0), (5, 6, 1), (5, 9, 4)])
def test_an_average_covers_the_weights_after_its_first_step(
    start: int, step: int, count: int
) -> None:
    assert averaged_steps(tiny_train(average_from=start), step) == count


def test_the_average_is_applied_for_a_while_and_then_the_last_weights_are_back() -> None:
    model = build(tiny_model(), 0)
    average = WeightAverage(model, tiny_train(average_from=2))
    for step, value in enumerate([100.0, 50.0, 1.0, 2.0, 6.0], start=1):
        set_all(model, value)
        average.update(step)
    with average.applied(5):
        assert values(model) == {3.0}
    assert values(model) == {6.0}


def test_before_its_first_step_there_is_no_average() -> None:
    model = build(tiny_model(), 0)
    average = WeightAverage(model, tiny_train(average_from=2))
    set_all(model, 4.0)
    average.update(2)
    with average.applied(2):
        assert values(model) == {4.0}


def test_an_average_continues_from_a_checkpoint() -> None:
    model, again = build(tiny_model(), 0), build(tiny_model(), 0)
    config = tiny_train(average_from=1)
    whole, second = WeightAverage(model, config), WeightAverage(again, config)
    for step, value in enumerate([0.0, 1.0, 2.0], start=1):
        set_all(model, value)
        whole.update(step)
    with whole.applied(3):
        kept = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    second.restore(kept, 3)
    for each, average in ((model, whole), (again, second)):
        set_all(each, 9.0)
        average.update(4)
        with average.applied(4):
            assert values(each) == {4.0}
