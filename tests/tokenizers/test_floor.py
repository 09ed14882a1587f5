"""What ids cost that training held never or hardly ever: a distribution, finite and stored."""

import json
import math
from typing import Any

import numpy as np
import pytest

from charrnn.errors import CheckpointError
from charrnn.tokenizers import TOKENIZERS, Tokenizer, from_json
from charrnn.tokenizers.floor import Floor, learn

TEXT = "The miller's cat sat on the mat, and the dog sat too.\n" * 80


def learned(name: str, text: str, **options: Any) -> Tokenizer:
    """A tokenizer of a text, with the floor that the whole text gives it."""
    tokenizer: Tokenizer = TOKENIZERS[name].train([text], **options)
    tokenizer.learn_floor(tokenizer.encode(text))
    return tokenizer


def untaught(tokenizer: Tokenizer, text: str) -> float:
    """The nats of a text by a network that is sure that no rare id can follow."""
    assert tokenizer.floor is not None
    ids = tokenizer.encode(text).astype(np.int64)
    common = tokenizer.vocab_size - len(tokenizer.floor.rare)
    network = np.where(tokenizer.floor.is_rare[ids], 100.0, math.log(common))
    previous = np.concatenate([[tokenizer.newline_id], ids[:-1]])
    return float(tokenizer.floor.nats(network, previous, ids).sum())


@pytest.mark.parametrize("name", ["char", "byte", "subword"])
@pytest.mark.parametrize(("character", "most"), [("é", 35), ("字", 45), ("😀", 60), ("क", 45)])
def test_a_character_that_training_never_held_costs_a_bounded_number_of_nats(
    name: str, character: str, most: float
) -> None:
    """Before, each of its parts cost what the network made of an id that it never saw."""
    assert untaught(learned(name, TEXT), character) < most


def test_the_unknown_word_that_training_never_held_has_a_floor() -> None:
    tokenizer = learned("word", TEXT, min_count=1)
    assert tokenizer.floor is not None
    assert 0 in tokenizer.floor.rare
    assert untaught(tokenizer, " dragon") < 10


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_probabilities_after_every_id_sum_to_one(name: str) -> None:
    tokenizer = learned(name, TEXT)
    floor, size = tokenizer.floor, tokenizer.vocab_size
    assert floor is not None
    logits = np.random.default_rng(0).normal(size=size)
    network = np.log(np.exp(logits).sum()) - logits
    for previous in {0, 1, size // 2, size - 1, tokenizer.newline_id}:
        nats = floor.nats(network, np.full(size, previous), np.arange(size))
        # The network's own share of rare ids is a part of theirs, so the sum is exact.
        assert np.exp(-nats).sum() == pytest.approx(1.0)


def test_words_that_occur_once_give_the_unknown_word_its_probability() -> None:
    """Good 1953: so much of a new text is new as of this one occurs once."""
    text = "a b c d " * 100 + " ".join(f"once{i}x" for i in range(50))
    few, many = learned("word", "a b c d " * 113, min_count=1), learned("word", text, min_count=1)
    assert untaught(few, " new") - untaught(many, " new") > math.log(10)


def test_a_trained_id_keeps_its_probability_but_for_a_thousandth() -> None:
    floor = learned("byte", TEXT).floor
    assert floor is not None
    assert floor.nats(np.array([1.0]), np.array([97]), np.array([98]))[0] == pytest.approx(
        1.0, abs=1e-3
    )


def test_unseen_ids_are_those_of_the_whole_array_and_not_of_its_beginning() -> None:
    tokens = np.zeros(9_000_000, np.uint8)
    tokens[-1] = 3
    unseen, floor = learn(tokens, 5, parts=[])
    assert unseen == [1, 2, 4]
    assert floor is not None
    assert floor.rare == (1, 2, 4)


@pytest.mark.parametrize("parts", [[], [0, 1], [0, 1, 2, 3]])
@pytest.mark.parametrize("tokens", [[0], [0, 1], [0, 1, 0, 1, 2]])
def test_the_shortest_texts_have_a_finite_floor(tokens: list[int], parts: list[int]) -> None:
    unseen, floor = learn(np.array(tokens, np.uint8), 4, parts)
    assert 3 in unseen
    assert floor is not None
    nats = floor.nats(np.full(16, 50.0), np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4))
    assert np.isfinite(nats).all()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_floor_comes_back_from_json_and_is_absent_in_old_files(name: str) -> None:
    tokenizer = learned(name, TEXT)
    data = json.loads(json.dumps(tokenizer.to_json()))
    again = from_json(data)
    assert again.floor == tokenizer.floor
    assert again.unsampled == tokenizer.unsampled
    assert again.to_json() == tokenizer.to_json()
    del data["floor"]
    assert from_json(data).floor is None


@pytest.mark.parametrize(
    "damage",
    [
        None, [], {"rare": [0]}, {"rare": [], "counts": [[0, 1], [0, 1]]},
        {"rare": [0], "counts": [[2, 1], [0, 1]]}, {"rare": [0], "counts": [[0, 1]]},
        {"rare": [1, 0], "counts": [[0, 1], [0, 1]]}, {"rare": [0], "counts": [[0, 2**60], [0, 1]]},
        {"rare": [True], "counts": [[0, 1], [0, 1]]}, {"rare": [10**9], "counts": [[0, 1], [0, 1]]},
        {"rare": [0], "counts": [[0.0, 1], [0, 1]]}, {"rare": [0], "counts": [3, 4]},
    ],
)  # fmt: skip
def test_a_damaged_floor_is_a_checkpoint_error(damage: Any) -> None:
    data = learned("byte", TEXT).to_json() | {"floor": damage}
    with pytest.raises(CheckpointError, match="tokenizer is damaged"):
        from_json(data)


def test_a_floor_of_a_small_vocabulary_by_hand() -> None:
    # 8 tokens after a whole one, of which none was rare: (0 + 1) / (8 + 2); of 2 after a part,
    # 1 was: (1 + 1) / (2 + 2). Two rare ids share each.
    floor = Floor(4, rare=(0, 1), parts=(1,), counts=((0, 8), (1, 2)))
    sure = np.full(4, 1e9)
    nats = floor.nats(sure, np.array([2, 3, 1, 1]), np.array([0, 1, 0, 1]))
    assert np.exp(-nats) == pytest.approx([0.05, 0.05, 0.25, 0.25])
    assert np.exp(-floor.nats(np.zeros(2), np.array([2, 1]), np.array([2, 2]))) == pytest.approx(
        [0.9, 0.5]
    )
