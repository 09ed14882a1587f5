"""Documents begin anew: in training, evaluation, scores, samples; all cells and tokenizers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.checkpoints.run import Run
from charrnn.config import CELLS, ModelConfig, config_to_json
from charrnn.data.config import DataConfig
from charrnn.data.reading import DOCUMENTS, Tally
from charrnn.data.sources import opened
from charrnn.errors import CheckpointError
from charrnn.evaluation.scores import log_probabilities, score_tokens
from charrnn.inference.engine import Engine
from charrnn.tasks import get_task
from charrnn.tasks.language import evaluate as evaluation
from charrnn.tasks.language.corpus import Corpus, prepare
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.network import from_weights
from charrnn.tokenizers import TOKENIZERS
from charrnn.tokenizers.documents import END
from charrnn.training.distributed import Group
from charrnn.training.learner import make_learner
from charrnn.training.planner.plan import Plan
from charrnn.training.trainer import train
from tests.support.tiny import random_weights, tiny_model, tiny_plan, tiny_train

TASK = get_task("language")

ALONE = Group(torch.device("cpu"))

SIZES = [("lstm", "char"), ("gru", "byte"), ("rnn", "word"), ("lstm", "subword"), ("lstm", "word")]
"""Cells and tokenizers: each cell and each tokenizer once at least."""


def poems(count: int = 30) -> str:
    """Documents of one to four lines between blank lines; one is as long as some windows."""
    draw = np.random.default_rng(4)
    words = ["the", "cat", "sat", "on", "a", "mill", "and", "so", "did", "we"]
    lines = [" ".join(draw.choice(words, draw.integers(1, 7))) for _ in range(4 * count)]
    cuts = [lines[4 * i : 4 * i + 1 + i % 4] for i in range(count)]
    return "\n\n".join("\n".join(each) for each in [*cuts, ["the mill " * 40] * 2]) + "\n"


def written(documents: str, count: int = 30) -> str:
    """The poems; as conversations they have the cat and the mill speak by turns; or tunes."""
    if documents == "tune":
        draw = np.random.default_rng(4)
        bars = (
            "|".join("".join(draw.choice(list("GABcde"), 4)) for _ in range(4)) for _ in [0] * count
        )
        return "\n\n".join(f"X:1\nM:2/4\nL:1/8\nK:G\n{each}|" for each in bars) + "\n"
    if documents != "chat":
        return poems(count)
    blocks = (block.split("\n") for block in poems(count).strip().split("\n\n"))
    names = ("cat", "mill")
    said = ("\n".join(f"{names[i % 2]}: {x}" for i, x in enumerate(each)) for each in blocks)
    return "\n\n".join(said) + "\n"


def corpus(folder: Path, documents: str, tokenizer: str = "char") -> Corpus:
    """A corpus of documents of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, text in enumerate(
        poems().split("\n\n") if documents == "file" else [written(documents)]
    ):
        files.append(folder / f"text{number}.txt")
        files[-1].write_text(text)
    size = 300 if tokenizer == "subword" else None
    asked = DataConfig(
        tuple(map(str, files)), documents=documents, tokenizer=tokenizer, vocab_size=size
    )
    return prepare(asked.for_new_run(), folder / "corpus")


def model(folder: Path, own: Corpus, cell: str = "lstm") -> LanguageModel:
    """A model with random weights for a corpus."""
    sizes = {"cell": cell, "num_layers": 2, "hidden_size": 8, "embedding_size": 8}
    config = TASK.model_config(own, sizes)
    info = CheckpointInfo(1, 0.1, own.fingerprint(), lines=own.lines)
    made = Checkpoint(config, own.tokenizer, random_weights(config), info)
    return LanguageModel(made, folder / "step-000000001.safetensors", threads=1)


@pytest.mark.parametrize(("cell", "tokenizer"), SIZES)
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_score_and_evaluate_read_alike_and_sum_documents_that_begin_anew(
    cell: str, tokenizer: str, documents: str, tmp_path: Path
) -> None:
    own = model(tmp_path, corpus(tmp_path, documents, tokenizer), cell)
    file = tmp_path / "new.txt"
    file.write_text(written(documents, 12))
    reading = own.reading()
    with opened(file, reading) as found:
        each = list(reading.read(found, Tally()))
    assert len(each) == {"line": 32, "file": 1, "blank": 13, "chat": 13, "tune": 12}[documents]
    whole = own.score("".join(each))
    evaluated = own.evaluate(file=file)
    assert (whole.tokens, whole.characters) == (evaluated.tokens, evaluated.characters)
    assert whole.nats == pytest.approx(evaluated.nats, rel=1e-5)
    assert whole.nats == pytest.approx(sum(own.score(text).nats for text in each), rel=1e-6)
    carried = Checkpoint(
        ModelConfig(**config_to_json(own.checkpoint.config) | {"reset_id": -1}),
        own.tokenizer, own.checkpoint.weights, own.checkpoint.info,
    )  # fmt: skip
    if documents != "file":
        other = LanguageModel(carried, own.path, threads=1).evaluate(file=file)
        assert other.nats != pytest.approx(evaluated.nats, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_documents_are_read_side_by_side_and_each_from_its_beginning(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.evaluation.scores.DOCUMENT_TOKENS", 200)
    monkeypatch.setattr("charrnn.evaluation.scores.MOST_ROWS", 5)
    own = model(tmp_path, corpus(tmp_path, "blank"))
    engine = Engine(own.checkpoint, 1, precision)
    start = own.tokenizer.start_id
    tokens = own.tokenizer.encode(END.join(["a cat", "", "the mill " * 60, "so", "we sat"] * 3))
    found = np.concatenate(list(log_probabilities(engine, tokens, start)))
    state, last, wanted = engine.zero_state(1), start, []
    for token in tokens.tolist():
        state = engine.zero_state(1) if last == start else state
        logits, state = engine.step(np.array([last]), state)
        row = logits[0].astype(np.float64)
        wanted.append(row[token] - np.log(np.exp(row).sum()))
        last = token
    assert found.tolist() == pytest.approx(wanted, abs=1e-4)
    score = score_tokens(engine, tokens, 100, start)
    assert score.nats == pytest.approx(-sum(wanted), rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_the_engine_begins_anew_within_what_it_reads(cell: str, tmp_path: Path) -> None:
    own = model(tmp_path, corpus(tmp_path, "line"), cell)
    last = own.tokenizer.encode("\na cat sat").astype(np.int64)[:, None]
    before = own.tokenizer.encode("the mill\ncat\n" * 20 + "so").astype(np.int64)[:, None]
    state = own.engine.zero_state(1)
    alone, wanted = own.engine.read(last, state)
    # In one call and step by step, longer and shorter than what the sequence graph is built for.
    for more in (before, before[-3:]):
        logits, after = own.engine.read(np.concatenate([more, last]), state)
        np.testing.assert_allclose(logits[-len(last) :], alone, atol=1e-5)
        for a, b in zip(after, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_rows_of_an_evaluation_are_cut_between_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = model(tmp_path, corpus(tmp_path, "line"))
    tokens = own.tokenizer.encode("the cat\nsat on a mill\nand so\nwe did\n" * 20)
    network = from_weights(own.checkpoint.config, own.checkpoint.weights)
    start = own.tokenizer.start_id
    whole = evaluation.evaluate(network, tokens, len(tokens), start)
    monkeypatch.setattr(evaluation, "ROW_TOKENS", 60)
    # With so short a warm-up, a row that began inside a document would not know its beginning.
    monkeypatch.setattr(evaluation, "WARM_UP", 2)
    monkeypatch.setattr(evaluation, "WINDOW", 2)
    assert evaluation.evaluate(network, tokens, len(tokens), start).nats == pytest.approx(
        whole.nats, rel=1e-6
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_a_training_with_documents_resumes_to_the_bit(
    cell: str, documents: str, tmp_path: Path
) -> None:
    data = corpus(tmp_path, documents)
    config = TASK.model_config(
        data, {"cell": cell, "num_layers": 2, "hidden_size": 8, "embedding_size": 8, "dropout": 0.2}
    )
    assert config.reset_id == data.tokenizer.start_id
    plan = tiny_plan(config, tiny_train())
    whole = trained(plan, data, tmp_path / "whole")
    middle = checkpoint.load(whole.path_of(5), training=True)
    again = trained(plan, data, tmp_path / "again", middle)
    one, other = (checkpoint.load(run.path_of(14), training=True) for run in (whole, again))
    assert one.config.reset_id == other.config.reset_id == config.reset_id
    assert one.training is not None
    assert other.training is not None
    assert one.info.valid == other.info.valid
    for a, b in ((one.weights, other.weights), (one.training.state, other.training.state)):
        assert all(np.array_equal(a[name], b[name]) for name in a)


def trained(plan: Plan, data: Corpus, folder: Path, start: Checkpoint | None = None) -> Run:
    """A run of a plan."""
    folder.mkdir()
    run = Run(folder)
    list(train(plan, data, run, ALONE, start))
    return run


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_learns_from_documents_that_begin_anew(cell: str, tmp_path: Path) -> None:
    data = corpus(tmp_path, "line")
    sizes = {"cell": cell, "num_layers": 1, "hidden_size": 8, "embedding_size": 8}
    config = TASK.model_config(data, sizes)
    own = make_learner(TASK, data, config, tiny_train(), ALONE)
    plain = TASK.network(ModelConfig(**config_to_json(config) | {"reset_id": -1}))
    plain.load_state_dict(own.network.state_dict())
    # A first step leaves a state, which no document of the second step but the first has.
    own.advance()
    plain.load_state_dict(own.network.state_dict())
    own.take_loss()
    inputs, targets = map(torch.from_numpy, data.batches(4, 8, 0, 1)[1])
    nats = 0.0
    for row in range(4):
        state = [tuple(part[row : row + 1] for part in layer) for layer in own.state]
        for t in range(8):
            if inputs[row, t] == data.tokenizer.newline_id:
                state = plain.zero_state(1)
            part = (inputs[row : row + 1, t : t + 1], targets[row : row + 1, t : t + 1])
            loss, state, _ = plain.loss(part, state)
            nats += float(loss.detach())
    own.advance()
    assert own.take_loss() == pytest.approx(nats / 32, rel=1e-5)


def test_a_text_without_documents_carries_its_state_and_records_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(poems())
    # Lines without `documents` are those of earlier versions.
    for lines in (False, True):
        asked = DataConfig((str(tmp_path / "x"),), lines=lines)
        found = prepare(asked, tmp_path / f"lines {lines}")
        config = TASK.model_config(found, {})
        assert config.reset_id == -1
        assert "reset_id" not in config_to_json(config)


def test_a_sample_ends_with_its_document(tmp_path: Path) -> None:
    for documents in DOCUMENTS:
        own = model(tmp_path, corpus(tmp_path, documents))
        end = own.tokenizer.start_id
        bias = own.checkpoint.weights["output.bias"].copy()
        bias[end] += 1e4
        own.checkpoint.weights["output.bias"] = bias
        sure = LanguageModel(own.checkpoint, own.path, threads=1)
        # In a tune the end is no token that a bar allows before it is full.
        bars = {"bars": False} if documents == "tune" else {}
        assert sure.sample("X:1\n" if bars else "the", length=50, seed=1, **bars) == ""


def test_a_checkpoint_whose_documents_begin_at_another_id_is_refused(tmp_path: Path) -> None:
    own = model(tmp_path, corpus(tmp_path, "line"))
    other = {"reset_id": own.tokenizer.start_id + 1}
    wrong = ModelConfig(**config_to_json(own.checkpoint.config) | other)
    bad = Checkpoint(wrong, own.tokenizer, own.checkpoint.weights, own.checkpoint.info)
    checkpoint.save(bad, tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError, match="begins documents at another id"):
        checkpoint.load(tmp_path / "bad.safetensors")


def test_every_tokenizer_and_cell_is_tried_here() -> None:
    assert {cell for cell, _ in SIZES} == set(CELLS)
    assert {tokenizer for _, tokenizer in SIZES} == set(TOKENIZERS)
    assert tiny_model().reset_id == -1
