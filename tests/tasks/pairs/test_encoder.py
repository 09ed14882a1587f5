"""Pairs <-> ids: the choice of tokenizers, and what is copied."""

import pytest

from charrnn.errors import CheckpointError, UsageError
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.encoder import LONGEST, PairEncoder, learn
from charrnn.tasks.pairs.reading import Pair
from tests.support.pairs import PAIRS, SPLIT, learned

SENTENCES = [
    Pair(f"the man number {n} sees a house and a dog in the street", f"der mann {n} sieht ein haus")
    for n in range(40)
]


@pytest.mark.parametrize("pairs", [PAIRS, SPLIT, SENTENCES], ids=["char", "symbols", "subword"])
@pytest.mark.parametrize("tokenizer", ["auto", "char", "byte", "word", "subword"])
def test_texts_come_back_from_their_ids(pairs: list[Pair], tokenizer: str) -> None:
    encoder = learned(pairs, tokenizer)
    for source, target in pairs:
        ids, copied, cut = encoder.encode_source(source)
        assert ids[-1] == encoder.source.end_id
        assert not cut
        assert encoder.source.decode(ids[:-1].tolist(), copied) == source
        again = encoder.encode_target(target, source)
        if encoder.target.copy_id not in again:
            assert encoder.target.decode(again[:-1].tolist()) == target


def test_the_texts_decide_the_tokenizers() -> None:
    assert learned(PAIRS).words() == "31 char tokens of both sides"
    assert learned(SPLIT).words() == "16 symbol -> 32 char tokens"
    assert learned(SENTENCES).source.tokenizer.name == "subword"


def test_no_option_of_a_tokenizer_is_taken_without_effect() -> None:
    sized = learn(PairsDataConfig(("x",), vocab_size=290), PAIRS)
    assert sized.words() == "290 subword tokens of both sides"
    assert learn(PairsDataConfig(("x",), min_count=2), PAIRS).source.tokenizer.name == "char"
    for options in ({"min_count": 2}, {"split_words": "spaces"}):
        with pytest.raises(UsageError, match="which suit these texts"):
            learn(PairsDataConfig(("x",), **options), SENTENCES)


def test_what_has_no_id_is_copied() -> None:
    encoder = learned(PAIRS)
    ids, copied, _ = encoder.encode_source("aéfß")
    assert (ids == encoder.source.copy_id).tolist() == [False, True, False, True, False]
    assert copied == ["é", "ß"]
    assert encoder.target.decode([encoder.target.copy_id] * 2, copied) == "éß"


def test_only_what_the_source_has_is_to_be_copied_by_a_target() -> None:
    encoder = learned(PAIRS)
    assert encoder.target.copy_id in encoder.encode_target("é", "aé")
    assert encoder.target.copy_id not in encoder.encode_target("é", "a")


def test_a_source_of_any_length_is_cut() -> None:
    encoder = learned(PAIRS)
    ids, copied, cut = encoder.encode_source("é" * 1_000_000)
    assert cut
    assert len(ids) == LONGEST + 1
    assert len(copied) == LONGEST


@pytest.mark.parametrize("pairs", [PAIRS, SPLIT])
def test_an_encoder_survives_json(pairs: list[Pair]) -> None:
    encoder = learned(pairs)
    again = PairEncoder.from_json(encoder.to_json())
    assert again.to_json() == encoder.to_json()
    assert again.shared == encoder.shared
    assert (again.vocab_size, again.source_vocab_size) == (
        encoder.vocab_size, encoder.source_vocab_size,
    )  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        {"name": "x"}, {"source": None}, {"source": {"name": "x"}}, {"target": 7},
        {"ratio": -1}, {"ratio": "2"}, {"ratio": float("nan")}, {"ratio": True}, {"ratio": None},
    ],
)  # fmt: skip
def test_damaged_json_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(CheckpointError):
        PairEncoder.from_json(learned(PAIRS).to_json() | damage)
