"""The subword tokenizer on large alphabets, small texts and texts that change on the way."""

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.tokenizers.char import MOST_CHARACTERS, CharTokenizer
from charrnn.tokenizers.subword import Sample, SubwordTokenizer, _learn

HINDI = "नमस्ते दुनिया क्या हाल है\n"


def zipf(characters: int, length: int, first: int = 0x4E00) -> str:
    """A text of so many different characters, with the frequencies of a language."""
    weights = 1 / np.arange(1, characters + 1)
    drawn = np.random.default_rng(0).choice(characters, length, p=weights / weights.sum())
    return "".join("\n" if i % 40 == 39 else chr(first + c) for i, c in enumerate(drawn.tolist()))


def longer(tokenizer: SubwordTokenizer) -> int:
    """Pieces that are longer than a character."""
    return sum(len(piece.decode("utf-8", "replace")) > 1 for piece in tokenizer._pieces[258:])


@pytest.mark.parametrize(
    ("characters", "length", "first"),
    [(2_100, 60_000, 0x4E00), (90, 4_000, 0x3041), (11_000, 60_000, 0xAC00), (500, 900, 0x12000)],
)
def test_the_default_size_works_for_every_alphabet(
    characters: int, length: int, first: int
) -> None:
    text = zipf(characters, length, first)
    tokenizer = SubwordTokenizer.train([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    # Never a vocabulary of characters alone: at least a third of its own pieces are longer.
    assert longer(tokenizer) >= (tokenizer.vocab_size - 258) / 3


@pytest.mark.parametrize("size", [260, 400, 900, 2_396])
def test_a_size_that_is_given_has_pieces_too(size: int) -> None:
    text = zipf(2_100, 30_000)
    tokenizer = SubwordTokenizer.train([text], vocab_size=size)
    assert tokenizer.vocab_size == size
    assert longer(tokenizer) >= (size - 258) // 3
    assert tokenizer.decode(tokenizer.encode(text[:500])) == text[:500]


@pytest.mark.parametrize("text", ["ab ab\n" * 50, "a" * 300, "ha\n" * 200])
def test_a_text_of_few_different_words_has_as_many_pieces_as_it_has(text: str) -> None:
    tokenizer = SubwordTokenizer.train([text])
    assert 258 < tokenizer.vocab_size < 512
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_an_error_of_sentencepiece_is_said_in_our_words() -> None:
    with pytest.raises(CorpusError) as caught:
        SubwordTokenizer.train(["ab ab\n" * 50], vocab_size=5_000)
    assert caught.value.remedy == "give a smaller --vocab-size: 264 or less"
    # The remedy works.
    assert SubwordTokenizer.train(["ab ab\n" * 50], vocab_size=264).vocab_size == 264
    with pytest.raises(CorpusError) as caught:
        _learn(["abc"], 200, 2_000)
    assert "INTERNAL" not in str(caught.value)
    with pytest.raises(CorpusError, match="line ends or NUL characters alone"):
        SubwordTokenizer.train(["\n" * 200])


def test_pieces_are_learned_from_all_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SubwordTokenizer, "sample_characters", 200_000)
    blocks = ["the quick brown fox jumps\n" * 20_000, HINDI * 8_000]
    tokenizer = SubwordTokenizer.train(blocks)
    assert len(tokenizer.encode(HINDI)) < 8
    assert "spread over the training part" in tokenizer.notes[0]
    tokenizer.learn_floor(tokenizer.encode("the fox\n" * 99 + HINDI))
    assert not set(tokenizer.unsampled) & set(tokenizer.encode(HINDI).tolist())


def test_a_sample_is_bounded_and_spread() -> None:
    sample = Sample(most=1 << 18, line_limit=100)
    for number in range(40):
        sample.add(chr(0x100 + number) * (1 << 16))
    assert sample.kept <= 1 << 18
    found = sorted({ord(part[0]) - 0x100 for part in sample.parts})
    assert found[0] == 0
    assert found[-1] >= 32
    assert set(np.diff(found)) == {found[1]}


def test_a_char_vocabulary_is_bounded_and_says_which_tokenizer_is_meant() -> None:
    drawn = np.random.default_rng(0).integers(0x20000, 0x20000 + 40_000, 60_000)
    text = "".join(map(chr, drawn.tolist()))
    tokenizer = CharTokenizer.train([text])
    assert tokenizer.vocab_size <= MOST_CHARACTERS + 16
    assert "--tokenizer subword or byte" in tokenizer.notes[0]
    assert tokenizer.decode(tokenizer.encode(text[:99])) == text[:99]
    # Who asks for a token for each is told too.
    every = CharTokenizer.train([text], min_count=1)
    assert every.vocab_size > 25_000
    assert "--tokenizer subword or byte" in every.notes[0]


def test_characters_that_occur_once_are_spelled_in_training_where_there_are_many() -> None:
    text = "ab" * 500 + "".join(chr(0x4E00 + i) for i in range(40))
    tokenizer = CharTokenizer.train([text])
    assert (tokenizer.encode(text) < 16).sum() == 40 * 6
    assert "40 of 42 characters" in tokenizer.notes[0]
    assert (CharTokenizer.train([text], min_count=1).encode(text) >= 16).all()
