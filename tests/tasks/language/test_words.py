"""The words of a training text, kept beside it; of a file; of a vocabulary."""

import os
from pathlib import Path

import pytest

from charrnn import api
from charrnn.errors import CorpusError, UsageError
from charrnn.inference.word_automaton import find_words
from charrnn.tasks.language import words
from charrnn.tasks.language.words import WORDS_FILE, corpus_words, file_words
from tests.support.tiny import TEXT, tiny_corpus, tiny_run


@pytest.mark.parametrize("name", ["char", "byte", "word", "subword"])
def test_words_are_those_of_the_training_part(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "BLOCK", 50)
    corpus = tiny_corpus(tmp_path, name)
    found = corpus_words(corpus, tmp_path / "corpus")
    assert {"miller's", "The", "cat"} <= set(found) <= find_words(TEXT)


def test_words_are_kept_for_the_same_text_only(tmp_path: Path) -> None:
    corpus, folder = tiny_corpus(tmp_path), tmp_path / "corpus"
    found = corpus_words(corpus, folder)
    kept = folder / WORDS_FILE
    kept.write_text("\n".join([corpus.sha256, "other"]))
    assert corpus_words(corpus, folder) == ["other"]
    kept.write_text("0\nother")
    assert corpus_words(corpus, folder) == found
    kept.write_bytes(b"\xff")
    assert corpus_words(corpus, folder) == found


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    corpus, folder = tiny_corpus(tmp_path), tmp_path / "corpus"
    folder.chmod(0o500)
    try:
        assert corpus_words(corpus, folder)
    finally:
        folder.chmod(0o700)


def test_a_file_is_any_text(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("the cat\r\ncats,\n")
    assert file_words(str(path)) == ["cat", "cats", "the"]
    path.write_text("... !")
    with pytest.raises(UsageError, match="has no words"):
        file_words(str(path))
    with pytest.raises(CorpusError, match="there is no file"):
        file_words(str(tmp_path / "none.txt"))


def test_a_model_writes_known_words_and_one_without_its_text_says_so(tmp_path: Path) -> None:
    model = api.load(tiny_run(tmp_path), checkpoint="latest", threads=1)
    text = model.sample(length=60, seed=1, known_words=True)
    assert find_words(text.rpartition(" ")[0].rpartition("\n")[0]) <= {
        *model.words(),
        *(word[0].upper() + word[1:] for word in model.words()),
    }
    alone = api.load(model.save(tmp_path / "model.safetensors"), threads=1)
    with pytest.raises(CorpusError, match="is not next to it; give a text"):
        alone.sample(length=5, known_words=True)
    source = tmp_path / "tiny" / "text.txt"
    assert find_words(alone.sample(length=5, seed=1, known_words=source)) <= find_words(TEXT)


def test_the_vocabulary_of_a_word_model_is_words(tmp_path: Path) -> None:
    model = api.load(tiny_run(tmp_path, "word"), checkpoint="latest", threads=1)
    alone = api.load(model.save(tmp_path / "model.safetensors"), threads=1)
    assert "miller's" in alone.words()
