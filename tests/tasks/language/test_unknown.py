"""Words without an id in a corpus: counted, priced, and given back to the baselines."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.data.config import DataConfig
from charrnn.tasks.language.baselines import baselines
from charrnn.tasks.language.corpus import Corpus, prepare, reopen
from charrnn.tasks.language.unknown import SUFFIX, original

TEXT = "".join(
    f"the miller number{i % 7} had {'cats' if i % 3 else 'dogs'} and a donkey{i}.\n"
    for i in range(120)
)


def made_of(folder: Path, text: str = TEXT, **options: Any) -> Corpus:
    (folder / "text.txt").write_text(text)
    config = DataConfig((str(folder / "text.txt"),), tokenizer="word", **options)
    return prepare(config, folder / "corpus")


@pytest.mark.parametrize("options", [{"vocab_size": 10}, {"min_count": 3}, {}])
def test_the_original_text_of_any_range_comes_back(tmp_path: Path, options: dict[str, Any]) -> None:
    corpus = made_of(tmp_path, **options)
    part = corpus.splits["valid"]
    whole = original(corpus.tokenizer, part, range(part.tokens))
    assert TEXT.endswith(whole)
    assert len(whole) == part.characters
    assert part.unknown > 0
    middle = part.tokens // 2
    halves = [range(middle), range(middle, part.tokens)]
    assert "".join(original(corpus.tokenizer, part, half) for half in halves) == whole


def test_the_price_of_a_split_is_that_of_its_words(tmp_path: Path) -> None:
    corpus = made_of(tmp_path, vocab_size=10)
    tokenizer, part = corpus.tokenizer, corpus.splits["valid"]
    words = tokenizer.spell_unknown(TEXT[-part.characters :])[1]
    assert part.unknown == len(words) == np.count_nonzero(part.load() == 0)
    assert part.unknown_nats == pytest.approx(sum(tokenizer.unknown_nats(words)))
    pricing = corpus.pricing("valid")
    score = pricing.score(10.0, part.tokens, part.characters, part.unknown)
    assert score.nats == pytest.approx(10.0 + part.unknown_nats)
    # Perplexity is of ids; the letters are in what is per character.
    assert score.loss == pytest.approx(10.0 / part.tokens)
    assert f"{part.unknown / part.tokens:.1%} <unk>" in score.summary()


def test_a_smaller_vocabulary_does_not_make_a_text_cheaper(tmp_path: Path) -> None:
    """Before, a word model of thirty words was ranked before a model of every character."""
    figures = {}
    for size in (8, 30):
        folder = tmp_path / str(size)
        folder.mkdir()
        corpus = made_of(folder, vocab_size=size)
        part, price = corpus.splits["valid"], corpus.pricing("valid")
        text = original(corpus.tokenizer, part, range(part.tokens))
        nats = price.unknown(part.load()) * price.unknown_nats
        figures[size] = dict(baselines(corpus, part.load(), text, unknown_nats=nats))
    # The compressors read the same original text, whatever the vocabulary.
    assert figures[8]["gzip"] == figures[30]["gzip"]
    assert figures[8]["5-gram"] > figures[30]["5-gram"] > 0.3


def test_a_reopened_corpus_knows_its_prices(tmp_path: Path) -> None:
    corpus = made_of(tmp_path, vocab_size=10)
    again = reopen(tmp_path / "corpus", corpus.tokenizer)
    assert again is not None
    assert again.splits == corpus.splits
    assert again.fingerprint()["unknown"]["valid"] == corpus.splits["valid"].unknown
    index = tmp_path / "corpus" / "corpus.json"
    for damage in (math.nan, "x", None, True):
        data = json.loads(index.read_text())
        data["splits"]["valid"]["unknown_nats"] = damage
        index.write_text(json.dumps(data))
        assert reopen(tmp_path / "corpus", corpus.tokenizer) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "[1]", "{}"])
def test_without_its_words_the_text_is_what_the_tokens_say(tmp_path: Path, damage: str) -> None:
    corpus = made_of(tmp_path, vocab_size=10)
    part = corpus.splits["valid"]
    part.path.with_suffix(SUFFIX).write_text(damage)
    assert " <unk>" in original(corpus.tokenizer, part, range(part.tokens))


def test_a_corpus_without_unknown_words_has_nothing_of_it(tmp_path: Path) -> None:
    corpus = made_of(tmp_path, "the cat sat on the mat\n" * 60)
    assert "unknown" not in corpus.fingerprint()
    assert not (tmp_path / "corpus" / f"valid{SUFFIX}").exists()
    assert "unknown" not in (tmp_path / "corpus" / "corpus.json").read_text()
