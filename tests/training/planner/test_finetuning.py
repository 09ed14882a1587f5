"""The planner's rules for a run that begins with another model."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.planner import heuristics
from charrnn.training.planner.finetuning import DROPOUTS, FEWEST_EPOCHS, FineTuning, advice
from tests.support.tiny import LANGUAGE, smallest_checkpoint, tiny_corpus, tiny_model


def dropouts_of(
    own: FineTuning, corpus: Corpus, epochs: float, given: Collection[str] = ()
) -> dict[str, Any]:
    """The dropout that is planned for a tiny model."""
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    found = own.overfitting(corpus.size("train"), "soap")
    return heuristics.dropouts(LANGUAGE, corpus, model, given, epochs, found)


def test_the_rate_is_below_that_of_a_new_model_and_falls_with_the_width() -> None:
    own = FineTuning(0.0)
    rates = [own.learning_rate(units) for units in (64, 256, 1024)]
    assert rates == sorted(rates, reverse=True)
    for rate, units in zip(rates, (64, 256, 1024), strict=True):
        assert 0 < rate < heuristics.learning_rate(units) / 2


def test_a_short_text_ends_the_training_before_it_overfits() -> None:
    own = FineTuning(0.0)
    assert own.most_epochs(1_000) < own.most_epochs(1_000_000)
    assert own.most_epochs(65_000) < heuristics.most_epochs(65_000) / 2


def test_a_large_model_reads_a_known_text_fewer_times_than_a_small_one() -> None:
    small, large, huge = (FineTuning(0.0, size) for size in (500_000, 2_000_000, 10**9))
    assert small.most_epochs(65_000) > 2 * large.most_epochs(65_000)
    assert huge.most_epochs(65_000) == FEWEST_EPOCHS
    assert FineTuning(0.0, 10**6).most_epochs(10**7) == FineTuning(0.0).most_epochs(10**7)
    assert FineTuning(1.0, 10**9).most_epochs(65_000) == heuristics.most_epochs(65_000)


def test_many_epochs_bring_no_more_dropout_than_the_weights_can_take(tmp_path: Path) -> None:
    own, corpus = FineTuning(0.0), tiny_corpus(tmp_path)
    planned = [dropouts_of(own, corpus, epochs) for epochs in (1, 200)]
    assert planned[0]["dropout"] == 0
    assert 0 < planned[1]["dropout"] <= DROPOUTS[0]
    assert dropouts_of(own, corpus, 200, {"dropout": 0.5}) == {}


def test_a_large_model_has_dropout_after_fewer_epochs(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path)
    large = FineTuning(0.0, 100 * corpus.size("train"))
    small = FineTuning(0.0, corpus.size("train"))
    assert dropouts_of(small, corpus, 6)["dropout"] == 0
    assert 0 < dropouts_of(large, corpus, 6)["dropout"] <= DROPOUTS[0]


def test_a_model_that_knows_nothing_of_the_text_is_planned_like_a_new_one(tmp_path: Path) -> None:
    model, corpus = smallest_checkpoint(training=False), tiny_corpus(tmp_path)
    found = advice(LANGUAGE, corpus, model, Group(torch.device("cpu")))
    assert found == FineTuning(1.0, LANGUAGE.num_parameters(model.config))
    assert found.optimizer(60_000, 1e6, 65) == "adamw"
    assert found.most_epochs(65_000) == heuristics.most_epochs(65_000)
