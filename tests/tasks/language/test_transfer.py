"""Rows for tokens that another model lacks: the mean of their relatives, a bias by frequency."""

import numpy as np

from charrnn.data.config import DataConfig
from charrnn.tasks.language.transfer import descriptions, extended, grown, occurrences, old_ids
from charrnn.tokenizers.base import Tokenizer
from charrnn.tokenizers.char import CharTokenizer
from charrnn.tokenizers.word import WordTokenizer
from tests.support.tiny import random_weights, tiny_model


def weights_of(old: Tokenizer, new: Tokenizer, text: str) -> tuple[dict, dict]:  # type: ignore[type-arg]
    weights = random_weights(tiny_model(vocab_size=old.vocab_size))
    counts = occurrences(new.encode(text), new.vocab_size)
    return weights, grown(weights, old, new, counts)


def test_a_letter_with_a_mark_begins_like_its_base_letter() -> None:
    old = CharTokenizer.train(["abcdeABCDE .\n"])
    new = old.extended(["été"])
    before, after = weights_of(old, new, "été e")
    accented, base = new.encode("ée").tolist()
    np.testing.assert_array_equal(
        after["embedding.weight"][accented], before["embedding.weight"][base]
    )
    np.testing.assert_array_equal(after["output.weight"][accented], before["output.weight"][base])
    assert after["output.bias"][accented] > before["output.bias"][base]  # it is more frequent


def test_what_the_model_has_stays() -> None:
    old = CharTokenizer.train(["abc\n"])
    new = old.extended(["xyz"])
    assert new.characters.startswith(old.characters)
    before, after = weights_of(old, new, "xyz")
    np.testing.assert_array_equal(after["output.bias"][: old.vocab_size], before["output.bias"])
    assert after["layers.0.weight_hh_l0"] is before["layers.0.weight_hh_l0"]


def test_another_script_begins_like_letters_of_its_kind_and_not_below_them() -> None:
    old = CharTokenizer.train(["abcdefg 123\n"])
    new = old.extended(["жук"])
    before, after = weights_of(old, new, "жук")
    letters = old.encode("abcdefg")
    mean = before["embedding.weight"][letters].mean(axis=0)
    np.testing.assert_allclose(after["embedding.weight"][new.encode("ж")[0]], mean, rtol=1e-5)
    usual = before["output.bias"][letters].mean()
    np.testing.assert_allclose(after["output.bias"][new.encode("ж")[0]], usual, rtol=1e-5)


def test_a_word_begins_like_its_other_case_or_its_ending() -> None:
    old = WordTokenizer.train(["the cat was walking and talking\n" * 3])
    new = old.extended(["The jumping dog\n"], min_count=1)
    before, after = weights_of(old, new, "The jumping dog\n")
    row = {word: i for i, word in enumerate(new.words, 1)}
    rows = after["embedding.weight"]
    np.testing.assert_array_equal(rows[row["The"]], rows[row["the"]])
    both = before["embedding.weight"][[row[" walking"], row[" talking"]]].mean(axis=0)
    np.testing.assert_allclose(rows[row[" jumping"]], both, rtol=1e-5)


def test_the_end_of_documents_moves_and_keeps_its_row() -> None:
    blank = DataConfig(("a.txt",), documents="blank")
    old = extended(CharTokenizer.train(["ab\n"]), ["ab\n"], blank)
    new = extended(old, ["abc\n"], blank)
    assert old_ids(old, new)[new.start_id] == old.start_id
    assert extended(old, ["ab\n"], DataConfig(("a.txt",))).start_id == old.newline_id


def test_every_token_has_a_description_in_common_with_every_other() -> None:
    for token in ("a", "é", "\n", "\u4e00", " the", "12th", ""):
        assert list(descriptions(token))[-1] == ()
