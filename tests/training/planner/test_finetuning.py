"""The planner's rules for a run that begins with another model."""

from charrnn.training.planner import heuristics
from charrnn.training.planner.finetuning import advice
from tests.support.tiny import smallest_checkpoint


def test_the_rate_is_below_that_of_a_new_model_and_falls_with_the_width() -> None:
    own = advice(smallest_checkpoint(training=False))
    rates = [own.learning_rate(units) for units in (64, 256, 1024)]
    assert rates == sorted(rates, reverse=True)
    for rate, units in zip(rates, (64, 256, 1024), strict=True):
        assert 0 < rate < heuristics.learning_rate(units) / 2


def test_a_short_text_ends_the_training_before_it_overfits() -> None:
    own = advice(smallest_checkpoint(training=False))
    assert own.most_epochs(1_000) < own.most_epochs(1_000_000)
