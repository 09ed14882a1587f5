"""Texts and labels <-> arrays."""

import json

import pytest

from charrnn.errors import CheckpointError
from charrnn.tasks.labels.encoder import LONGEST, Forms, LabelEncoder, parts
from tests.support.labels import NAMES, SENTENCES, SEVERAL, learned


def test_the_texts_decide_what_a_token_is() -> None:
    assert learned(SENTENCES).tokenizer.name == "word"
    assert learned(NAMES).tokenizer.name == "char"
    assert learned(SEVERAL).multiple
    assert not learned(SENTENCES).multiple


def test_a_word_without_an_id_has_parts_and_a_character_without_one_has_none() -> None:
    encoder = learned(SENTENCES)
    unknown, own = encoder.token(" catkin")
    assert unknown == encoder.tokenizer.vocab_size
    assert set(own) & set(encoder.parts_of(" cat"))
    assert (
        learned(NAMES).token(learned(NAMES).pieces("\u0416")[0])[0] == learned(NAMES).vocab_size - 1
    )


def test_a_text_of_no_tokens_is_one_without_an_id() -> None:
    for examples in (SENTENCES, NAMES):
        forms = Forms(learned(examples))
        assert forms.row(" \t ").tolist() == [0]
        assert forms.arrays()[0].tolist() == [learned(examples).vocab_size - 1]


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    encoder = learned(SENTENCES)
    found = encoder.pieces("look " + "at " * 100_000 + "dog")
    assert len(found) == LONGEST
    assert found[0] == " look"
    assert found[-1] == " dog"


def test_parts_are_bounded() -> None:
    assert len(parts("x" * 10_000)) == 24
    assert parts(" ") == []


def test_an_encoder_survives_json_and_a_damaged_one_is_refused() -> None:
    data = learned(SENTENCES).to_json()
    assert LabelEncoder.from_json(json.loads(json.dumps(data))).to_json() == data
    changes: list[dict[str, object]] = [
        {"labels": []}, {"labels": ["a", "a", "b"]}, {"labels": "abc"}, {"multiple": 1},
        {"part_buckets": 0}, {"part_buckets": True}, {"weights": [1.0]}, {"weights": [1.0, None]},
        {"weights": [float("nan"), 0.0]}, {"naive_bayes": None}, {"name": "x"}, {"tokenizer": []},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(CheckpointError):
            LabelEncoder.from_json(data | change)
