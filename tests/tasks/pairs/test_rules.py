"""The planner's rules for pairs."""

from pathlib import Path

import pytest

from charrnn.config import ModelConfig
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.dataset import Pairs, prepare
from charrnn.tasks.pairs.rules import dropouts, embedding_size, learning_rate, most_epochs
from tests.support.pairs import write_pairs


@pytest.fixture
def dataset(tmp_path: Path) -> Pairs:
    source = write_pairs(tmp_path / "x.tsv")
    return prepare(PairsDataConfig((str(source),)), tmp_path / "corpus")


def test_more_pairs_are_worth_fewer_epochs() -> None:
    epochs = [most_epochs(pairs) for pairs in (10, 3_600, 29_000, 10**7)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 200


def test_wider_layers_learn_more_slowly() -> None:
    assert learning_rate(96) > learning_rate(320) > learning_rate(1024) > 0


def test_few_epochs_need_no_dropout_and_characters_less_than_words(dataset: Pairs) -> None:
    words, characters = ModelConfig(vocab_size=5000), ModelConfig(vocab_size=50)
    assert set(dropouts(dataset, words, 2).values()) == {0.0}
    assert set(dropouts(dataset, characters, 4).values()) == {0.0}
    assert set(dropouts(dataset, words, 100).values()) == {0.3}
    assert set(dropouts(dataset, characters, 13).values()) == {0.1}


def test_any_number_of_units_has_an_embedding() -> None:
    assert [embedding_size(units) for units in (8, 192, 200, 4096)] == [16, 96, 100, 256]
