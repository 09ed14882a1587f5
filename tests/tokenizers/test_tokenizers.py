"""Tokenizers: round trips and streaming over TOKENIZERS, and what each does with unusual text."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, CorpusError
from charrnn.tokenizers import TOKENIZERS, Tokenizer, from_json
from charrnn.tokenizers.base import id_type

TEXT = "The miller's cat sat.\nWho sat? The café cat, of course! 12-inch <unk>.\n" * 30

TRAINED: dict[str, Tokenizer] = {
    name: kind.train([TEXT], vocab_size=None if name == "word" else 310)
    for name, kind in TOKENIZERS.items()
}

LOSSLESS = ["char", "byte", "subword"]

ANY_TEXT = st.text(max_size=60) | st.text(alphabet="ab \n\r\t\0▁é€😀<>\u2028\ufeff", max_size=60)


def random_ids(name: str, seed: int, count: int = 400) -> list[int]:
    """Uniformly distributed ids, as an untrained model samples them."""
    ids: list[int] = (
        np.random.default_rng(seed).integers(TRAINED[name].vocab_size, size=count).tolist()
    )
    return ids


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=ANY_TEXT)
@settings(max_examples=150, deadline=None)
def test_any_text_comes_back(name: str, text: str) -> None:
    tokenizer = TRAINED[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(alphabet="The miller's cat sat.\nW?", max_size=80))
@settings(max_examples=100, deadline=None)
def test_words_join_back_unless_unknown(text: str) -> None:
    tokenizer = TRAINED["word"]
    ids = tokenizer.encode(text)
    if 0 not in ids:
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", TOKENIZERS)
def test_training_text_comes_back_and_uses_the_smallest_type(name: str) -> None:
    tokenizer = TRAINED[name]
    ids = tokenizer.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert ids.dtype == id_type(tokenizer.vocab_size)
    assert int(ids.max()) < tokenizer.vocab_size


@pytest.mark.parametrize("name", TOKENIZERS)
def test_unsampled_ids_are_exactly_absent_from_the_training_text(name: str) -> None:
    tokenizer = TRAINED[name]
    assert not set(tokenizer.unsampled) & set(tokenizer.encode(TEXT).tolist())


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("seed", range(5))
def test_stream_joins_to_decode_and_yields_complete_characters(name: str, seed: int) -> None:
    tokenizer = TRAINED[name]
    ids = random_ids(name, seed)
    pieces = list(tokenizer.stream(ids))
    assert "".join(pieces) == tokenizer.decode(ids)
    for piece in pieces:
        assert piece.encode().decode() == piece


@pytest.mark.parametrize("name", LOSSLESS)
def test_stream_holds_a_character_back_until_it_is_complete(name: str) -> None:
    tokenizer = TRAINED[name]
    ids = tokenizer.encode("😀")
    assert len(ids) > 1
    assert "".join(tokenizer.stream(ids)) == "😀"
    assert "😀" not in "".join(tokenizer.stream(ids[:-1]))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_json_round_trip(name: str) -> None:
    tokenizer = TRAINED[name]
    again = from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again.to_json() == tokenizer.to_json()
    assert again.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()
    assert again.newline_id == tokenizer.newline_id
    assert again.unsampled == tokenizer.unsampled


@pytest.mark.parametrize("name", TOKENIZERS)
def test_newline_id_is_the_id_of_a_newline(name: str) -> None:
    assert TRAINED[name].encode("\n").tolist() == [TRAINED[name].newline_id]


@pytest.mark.parametrize("name", ["char", "byte", "subword"])
def test_cutting_after_a_newline_changes_nothing(name: str) -> None:
    tokenizer = TRAINED[name]
    parts = [tokenizer.encode(line) for line in TEXT.splitlines(keepends=True)]
    assert np.concatenate(parts).tolist() == tokenizer.encode(TEXT).tolist()


def test_char_has_an_id_for_frequent_characters_and_encodes_the_rest_in_half_bytes() -> None:
    tokenizer = TOKENIZERS["char"].train(["aaab\n"], min_count=2)
    assert tokenizer.characters == "\na"
    assert tokenizer.encode("ab").tolist() == [17, 6, 2]  # 'b' is 0x62
    assert tokenizer.unsampled == []
    assert TOKENIZERS["char"].train(["ab"]).unsampled == list(range(16))


def test_char_decodes_a_half_byte_without_its_second_to_a_replacement_character() -> None:
    tokenizer = TOKENIZERS["char"].train(["ab"])
    assert tokenizer.decode([6, 17]) == "\ufffda"
    assert tokenizer.decode([6]) == ""


def test_word_keeps_the_most_frequent_and_replaces_others_by_unk() -> None:
    tokenizer = TOKENIZERS["word"].train(["a a a b b c\n"], vocab_size=4)
    assert tokenizer.vocab_size == 4
    assert tokenizer.decode(tokenizer.encode(" a b c\n")) == " a b <unk>\n"
    assert tokenizer.unsampled == [0]


def test_word_split_by_spaces_keeps_punctuation_on_words_and_ends_a_line_in_one_token() -> None:
    tokenizer = TOKENIZERS["word"].train([" mr. n't <unk> \n"], split="spaces")
    assert [tokenizer.decode([i]) for i in tokenizer.encode(" mr. n't <unk> \n")] == [
        " mr.", " n't", " <unk>", " \n",
    ]  # fmt: skip


def test_byte_encodes_bytes_that_are_not_text() -> None:
    raw = bytes(range(256))
    text = raw.decode("utf-8", "surrogateescape")
    assert TOKENIZERS["byte"].train([text]).encode(text).tobytes() == raw


def test_subword_learns_pieces_longer_than_a_character() -> None:
    assert len(TRAINED["subword"].encode(TEXT)) < 0.6 * len(TEXT)


def test_subword_size_too_small_names_the_smallest() -> None:
    with pytest.raises(CorpusError, match=r"--vocab-size 2[0-9][0-9] or more"):
        TOKENIZERS["subword"].train([TEXT], vocab_size=100)


def test_subword_size_too_large_is_a_corpus_error() -> None:
    with pytest.raises(CorpusError, match="smaller --vocab-size"):
        TOKENIZERS["subword"].train(["ab ab\n"], vocab_size=5000)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "pickle"},
        {"name": ["char"]},
        {"name": "char", "characters": "ab", "spells": False},
        {"name": "char", "characters": "\naa", "spells": False},
        {"name": "char", "characters": "\na\ud800", "spells": False},
        {"name": "char", "characters": "\na", "spells": 1},
        {"name": "byte", "unsampled": [256]},
        {"name": "byte", "unsampled": "all"},
        {"name": "word", "split": "letters", "words": ["\n"]},
        {"name": "word", "split": "spaces", "words": ["a"]},
        {"name": "word", "split": "spaces", "words": ["\n", "a", "a"]},
        {"name": "word", "split": "spaces", "words": ["\n", 3]},
        {"name": "word", "split": "spaces", "words": ["\n", "a\ud800"]},
        {"name": "subword", "vocab_size": 300, "model": "AAAA", "unsampled": []},
        {"name": "subword", "vocab_size": 300, "model": "!", "unsampled": []},
        {"name": "subword", "vocab_size": "300", "model": "", "unsampled": []},
        TRAINED["subword"].to_json() | {"vocab_size": 311},
    ],
)
def test_damaged_json_is_a_checkpoint_error(data: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="tokenizer is damaged"):
        from_json(data)


@pytest.mark.parametrize("model", ["\u00e9", "\ud800", "=", "!!!!", "QUJD", ""])
def test_an_invalid_sentencepiece_model_is_a_checkpoint_error(model: str) -> None:
    """The first two were found by the fuzzer: they are not even ASCII."""
    good = TRAINED["subword"].to_json()
    with pytest.raises(CheckpointError, match="sentencepiece model"):
        from_json(good | {"model": model})
