"""Models of labelled documents: what they learn, and what they write and score in a label."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn import api
from charrnn.checkpoints.listing import recorded_labels
from charrnn.checkpoints.run import Run
from charrnn.data.config import DataConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.inference import state_file
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.onnx_document import document, use
from charrnn.tasks.language.conditions import (
    Conditioned,
    compare_labels,
    labels_of,
    parse_labels,
    posterior,
)
from charrnn.tasks.language.copies import CorpusSearch
from charrnn.tasks.language.corpus import prepare
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.originality import known_lines, text_of
from charrnn.tasks.language.words import corpus_words
from tests.support.shell import Shell

LINES = "".join(f"en\tthe cat{i} sat\nfr\tle chat{i} dort\n" for i in range(40))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model that has learned for a moment which words belong to which label."""
    folder = tmp_path_factory.mktemp("conditions")
    source = folder / "labels.tsv"
    source.write_text(LINES)
    size: dict[str, Any] = {
        "hidden_size": 32,
        "num_layers": 1,
        "embedding_size": 16,
        "dropout": 0.0,
    }
    return charrnn.train(
        source, runs_dir=folder, conditions=True, steps=150, threads=1, batch_size=8,
        seq_length=32, learning_rate=0.01, **size,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(run: Run) -> LanguageModel:
    """The model of that run."""
    return api.load(run, checkpoint="latest", threads=1)


def test_a_text_is_written_in_its_label(model: LanguageModel) -> None:
    assert model.with_label("en").sample(length=3, greedy=True) == "the"
    assert model.with_label("fr").sample(length=2, greedy=True) == "le"
    assert model.sample(length=3, greedy=True)[2:3] == "\t"


def test_the_label_of_a_text_is_the_likelier_one(model: LanguageModel) -> None:
    assert next(iter(compare_labels(model, "the cat7 sat", labels_of(model)))) == "en"
    found = compare_labels(model, "le chat7 dort", labels_of(model))
    assert next(iter(found)) == "fr"
    assert sum(posterior(found).values()) == pytest.approx(1, abs=1e-5)


def test_a_score_in_a_label_is_that_of_the_text_after_it(model: LanguageModel) -> None:
    tokens, whole = model.log_probabilities("fr\tle chat\nfr\tla\n")
    own = model.with_label("fr").log_probabilities("le chat\nla\n")[1]
    begins = np.concatenate([whole[3:11], whole[14:17]])
    np.testing.assert_allclose(own, begins, atol=1e-4)
    assert len(tokens) == 17


def test_between_labels_it_writes_the_mean_of_both(model: LanguageModel) -> None:
    mixed = Conditioned(model, {"en": 3, "fr": 1})
    both = [model.with_label(name) for name in ("en", "fr")]
    ids = begin(model.tokenizer, "l").ids[:, None]
    raw = sum(
        share * each.engine.read_prompt(ids, each.engine.zero_state(1))[0]
        for share, each in zip((0.75, 0.25), both, strict=True)
    )
    found = mixed.engine.read_prompt(ids, mixed.engine.zero_state(1))[0]
    np.testing.assert_allclose(found, raw, atol=1e-4)
    assert mixed.sample(length=8, seed=1) == mixed.sample(length=8, seed=1)
    assert model.with_label(en=1.0, fr=1e-9).sample(length=9, seed=1) == model.with_label(
        "en"
    ).sample(length=9, seed=1)


def test_a_saved_state_goes_on_in_its_label(model: LanguageModel, tmp_path: Path) -> None:
    own = model.with_label("fr")
    start = begin(own.tokenizer, "")
    whole = "".join(c.text for c in own.generate([start], SamplingParams(9, seed=2)))
    first = list(own.generate([start], SamplingParams(4, seed=2, resumable=True)))
    end = first[-1].end
    assert end is not None
    state_file.save(tmp_path / "x.state", end, 2, own.checkpoint)
    again, _ = state_file.load(tmp_path / "x.state", own.checkpoint)
    second = own.generate([again], SamplingParams(5, seed=2))
    assert "".join(c.text for c in [*first, *second]) == whole


def test_an_exported_model_has_its_labels(model: LanguageModel, tmp_path: Path) -> None:
    alone = api.load(model.save(tmp_path / "x.safetensors"), threads=1)
    assert set(labels_of(alone)) == {"en", "fr"}
    text = alone.with_label("fr").sample(length=9, seed=1)
    assert text == model.with_label("fr").sample(length=9, seed=1)


def test_words_and_lines_are_those_of_the_text(run: Run, model: LanguageModel) -> None:
    corpus = model.corpus_or_error("none")
    assert "en" not in corpus_words(corpus, run.corpus_folder)
    assert known_lines(corpus)("the cat7 sat")
    assert "cat7 sat" not in model.with_label("en").sample(length=12, greedy=True, novel=True)


def test_a_shell_finds_the_labels_that_the_model_has(model: LanguageModel) -> None:
    assert model.path is not None
    assert recorded_labels(model.path) == labels_of(model)


def test_copies_are_those_of_the_texts_and_not_of_labels(run: Run, model: LanguageModel) -> None:
    corpus = model.corpus_or_error("none")
    search = CorpusSearch(corpus, run.corpus_folder, run.description())
    assert [copy.length for copy in search.copies("the cat7 sat", 8)] == [12]
    assert search.copies("en\tthe c", 5)
    assert search.copies("en\tthe c", 5)[0].begin == 3
    text = "".join(text_of(corpus, part) for part in corpus.splits)
    assert "\t" not in text
    assert "fr" not in text
    shell = Shell(run.folder.parent)
    for given in ("en\tthe cat7 sat\n", "the cat7 sat\n"):
        done = shell.run(
            "originality", "-", "--run", run.folder, "--shortest", "8", "--json",
            stdin=given.encode(),
        )  # fmt: skip
        (found,) = done.succeeded().json
        assert (found["characters"], found["longest"] >= 12) == (13, True)
        assert found["spans"][0]["line"] == 15


def test_an_onnx_file_says_how_a_label_is_given(model: LanguageModel, tmp_path: Path) -> None:
    assert use(model.checkpoint)["labels"] == labels_of(model)
    said = document(model.checkpoint, by_sequence=True)
    assert "LABELS. Each document was learned as a label" in said
    # As the file says: start_id, the ids of the label and a tab, the text.
    engine, tokenizer = model.engine, model.tokenizer
    ids = np.array([tokenizer.start_id, *tokenizer.encode("fr\tl").tolist()])[:, None]
    found = engine.read_prompt(ids, engine.zero_state(1))[0]
    own = model.with_label("fr")
    start = begin(own.tokenizer, "l").ids[:, None]
    np.testing.assert_allclose(
        own.engine.read_prompt(start, own.engine.zero_state(1))[0], found, atol=1e-5
    )


def test_labels_are_parsed_and_unknown_ones_refused_with_the_nearest(model: LanguageModel) -> None:
    assert parse_labels(["en=0.7", "fr=3"], model) == {"en": 0.7, "fr": 3.0}
    for text, why in (("fn", "the nearest are"), ("en=x", "no number"), ("", "no label ''")):
        with pytest.raises(UsageError, match=why):
            parse_labels([text], model)
    for weight in (0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="a weight of the blend"):
            Conditioned(model, {"en": weight, "fr": 1.0})
    with pytest.raises(UsageError, match="only a text in a file"):
        model.with_label("en").evaluate()


def test_each_folder_is_a_label(tmp_path: Path) -> None:
    for label in ("keats", "byron"):
        for number in range(6):
            path = tmp_path / "poems" / label / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{label} wrote\nline {number}\n" * 3)
    config = DataConfig((str(tmp_path / "poems"),), conditions=True, folders="text").for_new_run()
    corpus = prepare(config, tmp_path / "corpus")
    assert corpus.documents == "file"
    assert set(corpus.conditions) == {"keats", "byron"}
    text = corpus.tokenizer.decode(corpus.splits["valid"].load().tolist())
    assert text.startswith(("keats\tkeats wrote", "byron\tbyron wrote"))


def test_labels_of_validation_alone_are_said(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(LINES)
    (tmp_path / "valid.tsv").write_text("de\tdie Katze\nen\tthe cat\n" * 9)
    config = DataConfig(
        (str(tmp_path / "train.tsv"),), valid=(str(tmp_path / "valid.tsv"),), conditions=True
    ).for_new_run()
    corpus = prepare(config, tmp_path / "corpus")
    said = "1 label of the valid part is not in the training part: de"
    assert any(said in note for note in corpus.notes)
    assert set(corpus.conditions) == {"en", "fr"}


def test_a_text_without_labels_and_a_chat_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no label here\n" * 30)
    with pytest.raises(CorpusError, match="has no label; write each document as label<TAB>text"):
        prepare(
            DataConfig((str(tmp_path / "text.txt"),), conditions=True).for_new_run(),
            tmp_path / "corpus",
        )
    with pytest.raises(UsageError, match="contradict each other"):
        DataConfig(("x",), conditions=True, chat=True)


def test_a_model_without_labels_says_so(tmp_path: Path) -> None:
    from tests.support.tiny import tiny_run

    plain = api.load(tiny_run(tmp_path), checkpoint="latest", threads=1)
    with pytest.raises(UsageError, match="has no labels"):
        plain.with_label("en")


def test_a_text_is_scored_in_a_label(run: Run, shell: Shell) -> None:
    name, file = str(run.folder), shell.write("fr.txt", "le chat7 dort\n")
    own, other = (
        shell.run("score", name, file, "--label", label, "--json", "--no-yardsticks").json[0]
        for label in ("fr", "en")
    )
    assert own["bits_per_char"] < other["bits_per_char"] - 0.3
    assert own["characters"] == len("le chat7 dort\n")
    shell.run("score", name, file, "--label", "fr", "--labels").failed(2, "contradict each other")
    shell.run("score", name, file, "--label", "de").failed(2, "no label 'de'")
    blend = shell.run("score", name, name, file, "--blend", "1,1", "--label", "fr")
    blend.failed(2, "--label has no effect on a blend")
