"""Baselines: each measures the same text in bits per character, exactly."""

import gzip
import lzma
import math
from pathlib import Path

import numpy as np
import pytest

from charrnn.tasks.language import baselines
from charrnn.tasks.language.baselines import NGram
from charrnn.tasks.language.baselines import baselines as measure
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import TEXT, tiny_corpus

SCORED = "The old cat sat.\nAnd who went round the mill?\n" * 3


def test_without_a_corpus_there_are_only_the_compressors() -> None:
    tokens = np.zeros(len(SCORED), np.uint8)
    assert [name for name, _ in measure(None, tokens, SCORED)] == ["gzip", "xz"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_baseline_is_exact(name: str, tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path, name)
    tokens = corpus.tokenizer.encode(SCORED)
    found = dict(measure(corpus, tokens, SCORED))
    assert list(found) == ["uniform", "5-gram", "gzip", "xz"]
    choices = corpus.tokenizer.vocab_size - len(corpus.tokenizer.unsampled)
    assert found["uniform"] == pytest.approx(math.log2(choices) * len(tokens) / len(SCORED))
    model = NGram(corpus.splits["train"].load(), corpus.tokenizer.vocab_size, order=5)
    bits = -np.log2(model.probabilities(tokens)).sum()
    assert found["5-gram"] == pytest.approx(bits / len(SCORED))
    raw = SCORED.encode()
    assert found["gzip"] == pytest.approx(8 * len(gzip.compress(raw, 9)) / len(raw))
    assert found["xz"] == pytest.approx(8 * len(lzma.compress(raw, preset=9)) / len(raw))


def test_a_text_like_the_corpus_is_predicted_better_than_by_a_uniform_guess(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path)
    found = dict(measure(corpus, corpus.tokenizer.encode(TEXT), TEXT))
    assert found["5-gram"] < 1 < 4 < found["uniform"]


def test_bits_are_per_character_and_not_per_byte() -> None:
    text = "é€" * 200
    found = dict(measure(None, np.zeros(400, np.uint8), text))
    assert found["gzip"] == 8 * len(gzip.compress(text.encode(), 9)) / 400


def test_undecodable_bytes_are_compressed_as_they_were() -> None:
    raw = np.random.default_rng(0).integers(128, 256, size=400, dtype=np.uint8).tobytes()
    text = raw.decode("utf-8", "surrogateescape")
    found = dict(measure(None, np.zeros(400, np.uint8), text))
    assert found["xz"] == 8 * len(lzma.compress(raw, preset=9)) / len(text) > 4


def test_only_so_many_tokens_of_a_large_corpus_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tiny_corpus(tmp_path)
    tokens = corpus.tokenizer.encode(SCORED)
    whole = dict(measure(corpus, tokens, SCORED))["5-gram"]
    monkeypatch.setattr(baselines, "MAX_COUNTED", 30)
    model = NGram(corpus.splits["train"].load()[:30], corpus.tokenizer.vocab_size)
    part = dict(measure(corpus, tokens, SCORED))["5-gram"]
    assert part == pytest.approx(-np.log2(model.probabilities(tokens)).sum() / len(SCORED))
    assert part > whole + 0.5


@pytest.mark.parametrize("seconds", [-1.0, 2.0**33, 1e15])
def test_a_wrong_clock_changes_nothing(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip file contains the time in 32 bits, and a clock may be outside 1970 to 2106."""
    tokens = np.zeros(len(SCORED), np.uint8)
    before = list(measure(None, tokens, SCORED))
    monkeypatch.setattr("time.time", lambda: seconds)
    assert list(measure(None, tokens, SCORED)) == before


@pytest.mark.parametrize("name", TOKENIZERS)
def test_one_character_repeated_has_no_baselines(name: str, tmp_path: Path) -> None:
    size = {"vocab_size": 265} if name == "subword" else {}
    corpus = tiny_corpus(tmp_path, name, "a" * 500 + "\nb" * 500, **size)
    for text in ("aaaa", "\n", "b"):
        assert dict(measure(corpus, corpus.tokenizer.encode(text), text)) == {}
    assert len(dict(measure(corpus, corpus.tokenizer.encode("ab"), "ab"))) == 4


def test_a_training_part_of_one_character_makes_no_uniform_guess(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path, "byte", "a" * 300 + "bc" * 10)
    found = dict(measure(corpus, corpus.tokenizer.encode("bcbc"), "bcbc"))
    assert list(found) == ["5-gram", "gzip", "xz"]
    assert found["5-gram"] > 5
