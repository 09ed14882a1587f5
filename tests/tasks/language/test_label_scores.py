"""What `evaluate` says of each label, against the same figures text by text."""

import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn import api
from charrnn.checkpoints.run import Run
from charrnn.cli.evaluate import evaluate
from charrnn.tasks.language import label_scores
from charrnn.tasks.language.conditions import compare_labels, labels_of
from charrnn.tasks.language.label_scores import LabelScore, accuracy
from tests.support.tiny import tiny_run

LINES = "".join(f"en\tthe cat{i} sat\nfr\tle chat{i} dort\n" for i in range(40))


def trained(folder: Path, text: str = LINES, **options: Any) -> Run:
    """A run that has learned for a moment which words belong to which label."""
    source = folder / "labels.tsv"
    source.write_text(text)
    size: dict[str, Any] = {"hidden_size": 32, "num_layers": 1, "embedding_size": 16}
    return charrnn.train(
        source, runs_dir=folder, conditions=True, steps=100, threads=1, batch_size=8,
        seq_length=32, learning_rate=0.01, dropout=0.0, **size, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model of characters."""
    return trained(tmp_path_factory.mktemp("labels"))


def test_each_label_is_scored_as_its_texts_are_one_by_one(run: Run) -> None:
    model = api.load(run, checkpoint="latest", threads=1)
    corpus = model.corpus_or_error("none")
    lines = corpus.tokenizer.decode(corpus.splits["valid"].load().tolist()).splitlines()
    found = {each.label: each for each in model.label_scores()}
    assert set(found) == {"en", "fr"}
    for name, score in found.items():
        texts = [line.partition("\t")[2] for line in lines if line.startswith(name)]
        own = [model.with_label(name).score(text + "\n") for text in texts]
        assert score.texts == score.compared == len(texts)
        assert score.characters == sum(map(len, texts)) + len(texts)
        assert score.nats == pytest.approx(sum(each.nats for each in own), rel=1e-4)
        best = [next(iter(compare_labels(model, text, labels_of(model)))) for text in texts]
        assert score.right == best.count(name)
    assert accuracy(list(found.values())) == 1.0


def test_a_pipe_is_read_once_for_both_scores(run: Run, tmp_path: Path) -> None:
    pipe, text = tmp_path / "pipe", "en\tthe cat1 sat\nfr\tle chat2 dort\n"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(text,), daemon=True)
    writer.start()
    model = api.load(run, threads=1)
    read = model.read(file=pipe)
    score, labels = model.evaluate_read(read), model.label_scores_of(read)
    writer.join(10)
    assert score.characters == len(text)
    assert [each.texts for each in labels] == [1, 1]
    (tmp_path / "file").write_text(text)
    assert labels == model.label_scores(file=tmp_path / "file")


@pytest.mark.parametrize("name", ["byte", "word", "subword"])
def test_other_tokenizers_have_the_same_labels(name: str, tmp_path: Path) -> None:
    size = {"vocab_size": 280} if name == "subword" else {}
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefgh", k=5)) for _ in range(200)]
    lines = "".join(f"{('en', 'fr')[i % 2]}\t{word} {word}\n" for i, word in enumerate(words))
    text = LINES if name != "subword" else lines
    run = trained(tmp_path, text, tokenizer=name, **size)
    model = api.load(run, checkpoint="latest", threads=1)
    corpus = model.corpus_or_error("none")
    text = corpus.tokenizer.decode(corpus.splits["train"].load().tolist())
    found = {each.label: each for each in model.label_scores("train")}
    assert {k: v.texts for k, v in found.items()} == labels_of(model)
    without = corpus.splits["train"].characters - 3 * text.count("\n")
    assert sum(each.characters for each in found.values()) == pytest.approx(without)


def test_a_file_may_have_other_labels_and_lines_without_any(run: Run, tmp_path: Path) -> None:
    model = api.load(run, checkpoint="latest", threads=1)
    path = tmp_path / "new.tsv"
    path.write_text("de\tdie\nen\tthe cat1 sat\nno label\nen\t\n")
    found = {each.label: (each.texts, each.right) for each in model.label_scores(file=path)}
    assert found == {"de": (1, 0), "en": (1, 1)}
    path.write_text("no label at all\n")
    assert model.label_scores(file=path) == []


def test_a_model_in_a_label_has_the_scores_of_all(run: Run) -> None:
    model = api.load(run, checkpoint="latest", threads=1)
    assert model.with_label("en").label_scores() == model.label_scores()
    small = api.load(run, checkpoint="latest", threads=1, precision="int8")
    for one, other in zip(model.label_scores(), small.label_scores(), strict=True):
        assert one.nats == pytest.approx(other.nats, rel=0.1)


def test_few_of_many_texts_are_compared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    model = api.load(run, checkpoint="latest", threads=1)
    monkeypatch.setattr(label_scores, "COMPARED_TOKENS", 200)
    found = model.label_scores("train")
    assert 0 < sum(each.compared for each in found) < sum(each.texts for each in found) / 2
    monkeypatch.setattr(label_scores, "MOST_COMPARED", 1)
    assert accuracy(model.label_scores("train")) is None


def test_the_table_and_its_json(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    evaluate(str(run.folder), threads=1)
    first, header, *rows = capfd.readouterr().out.splitlines()
    assert "nats/char" in first
    assert header.split() == ["label", "texts", "nats/char", "accuracy"]
    assert {row.split()[0] for row in rows[:2]} == {"en", "fr"}
    assert rows[2].startswith("the label of a text is the likeliest one for 100.0% of ")
    evaluate(str(run.folder), threads=1, json=True)
    import json

    data = json.loads(capfd.readouterr().out)
    assert data["label_accuracy"] == 1.0
    assert set(data["labels"]["en"]) == {
        "texts", "characters", "nats_per_char", "compared", "right",
    }  # fmt: skip


def test_a_model_without_labels_has_no_table(tmp_path: Path) -> None:
    model = api.load(tiny_run(tmp_path), checkpoint="latest", threads=1)
    assert model.label_scores() == []
    assert accuracy([LabelScore("en", 1, 2.0, 3.0)]) is None
