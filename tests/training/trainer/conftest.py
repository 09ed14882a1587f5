"""Corpora that are prepared once for a file of tests, and short samples at evaluations."""

from dataclasses import replace
from functools import cache

import pytest

from charrnn.tasks.language import task
from charrnn.tasks.language.corpus import Corpus
from tests.support.tiny import tiny_corpus
from tests.support.trainings import Corpora


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    """The tiny text under each tokenizer, prepared once; an epoch of it is 5 to 10 steps."""

    @cache
    def made(tokenizer: str) -> Corpus:
        corpus = tiny_corpus(tmp_path_factory.mktemp(tokenizer), tokenizer, valid_fraction=0.5)
        assert corpus.splits["train"].tokens <= 10 * 4 * 8
        return corpus

    return made


@pytest.fixture
def corpus(corpora: Corpora) -> Corpus:
    return corpora("char")


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show two tokens at an evaluation instead of a paragraph."""
    monkeypatch.setattr(task, "PREVIEW", replace(task.PREVIEW, length=2))
