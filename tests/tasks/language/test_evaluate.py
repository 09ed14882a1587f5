"""Evaluation: each token once, as if read in one row; figures; torch as a stepper."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.config import CELLS
from charrnn.data.reading import Reading
from charrnn.data.token_arrays import evenly_spread
from charrnn.errors import CorpusError
from charrnn.evaluation.scores import Score, read_text, score_tokens
from charrnn.inference.engine import Engine
from charrnn.tasks.language import evaluate as evaluation
from charrnn.tasks.language.evaluate import (
    ROW_TOKENS,
    WARM_UP,
    WINDOW,
    TorchStepper,
    evaluate,
    evaluate_pieces,
)
from charrnn.tasks.language.network import CharRNN, build, from_weights
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import random_weights, tiny_checkpoint, tiny_model, tiny_tokenizer

START = 3


def made(cell: str = "lstm", **changes: Any) -> CharRNN:
    return build(tiny_model(cell, **changes), seed=1)


def tape(size: int, seed: int = 0) -> NDArray[np.unsignedinteger]:
    return np.random.default_rng(seed).integers(11, size=size).astype(np.uint8)


def naive(model: CharRNN, tokens: NDArray[np.unsignedinteger], start: int = START) -> float:
    """Nats of one row read from its first token to its last, in one call."""
    training = model.training
    model.eval()
    inputs = torch.tensor([[start, *tokens[:-1].tolist()]])
    with torch.no_grad():
        logs = model(inputs)[0][0].double().log_softmax(-1)
    model.train(training)
    return -float(logs[torch.arange(len(tokens)), torch.tensor(tokens.tolist())].sum())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW, 1000])
def test_a_short_text_is_read_in_one_row_exactly(cell: str, size: int) -> None:
    model, tokens = made(cell), tape(size)
    score = evaluate(model, tokens, 2 * size, START)
    assert score.nats == pytest.approx(naive(model, tokens), rel=1e-5)
    assert (score.tokens, score.characters) == (size, 2 * size)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "size", [2 * ROW_TOKENS - 1, 2 * ROW_TOKENS, 2 * ROW_TOKENS + 1, 3 * ROW_TOKENS + 777]
)
def test_a_long_text_cut_into_rows_scores_as_if_read_in_one(cell: str, size: int) -> None:
    model, tokens = made(cell), tape(size)
    score = evaluate(model, tokens, size, START)
    assert score.loss == pytest.approx(naive(model, tokens) / size, abs=1e-4)
    assert score.tokens == size


@pytest.mark.parametrize("size", [128, 129, 191, 192, 200, 640, 641, 997])
def test_many_short_rows_score_as_if_read_in_one(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of 64 tokens warmed up by 64: whatever divides what, the cuts do not matter."""
    monkeypatch.setattr(evaluation, "ROW_TOKENS", 64)
    monkeypatch.setattr(evaluation, "WINDOW", 64)
    monkeypatch.setattr(evaluation, "WARM_UP", 64)
    model, tokens = made(), tape(size)
    score = evaluate(model, tokens, size, START)
    assert score.loss == pytest.approx(naive(model, tokens) / size, abs=5e-4)


def test_warming_up_ends_with_a_window_and_never_begins_before_the_text() -> None:
    assert WARM_UP % WINDOW == 0
    assert ROW_TOKENS >= WARM_UP


class Counting(CharRNN):
    """A model with uniform predictions: each token costs ln 11 nats at every position."""

    def forward(self, ids: torch.Tensor, state: Any = None) -> Any:
        """Zeros for logits."""
        _, after = super().forward(ids, state)
        return torch.zeros(*ids.shape, self.config.vocab_size), after


@given(size=st.integers(1, 700), row=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_token_is_counted_once(size: int, row: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ROW_TOKENS", row)
        score = evaluate(Counting(tiny_model("rnn", num_layers=1)), tape(size), size, START)
    assert score.nats == pytest.approx(size * math.log(11), rel=1e-6)


@given(size=st.integers(1, 500), rows=st.integers(1, 9), start=st.integers(0, 10))
@settings(max_examples=80, deadline=None)
def test_windows_score_each_position_once_after_its_own_token(
    size: int, rows: int, start: int
) -> None:
    tokens, length = tape(size, 1), math.ceil(size / rows)
    parts = [range(row * length, min((row + 1) * length, size)) for row in range(rows)]
    seen: list[tuple[int, int, int]] = []
    for offset in range(-WARM_UP, length, WINDOW):
        stop = min(offset + WINDOW, 0 if offset < 0 else length)
        inputs, targets, scored = evaluation._window(tokens, parts, range(offset, stop), start)
        assert inputs.shape == targets.shape == scored.shape
        assert not (scored.any() and offset < 0)
        row, column = np.nonzero(scored)
        positions = (row * length + offset + column).tolist()
        seen += zip(positions, inputs[scored].tolist(), targets[scored].tolist(), strict=True)
    before = [start, *tokens.tolist()]
    assert sorted(seen) == list(zip(range(size), before, tokens.tolist(), strict=False))


@given(size=st.integers(2, 5000), limit=st.integers(1, 5000), pieces=st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_pieces_are_as_many_tokens_as_asked_from_the_beginning_to_the_end(
    size: int, limit: int, pieces: int
) -> None:
    parts = evenly_spread(size, limit, pieces)
    read = [position for part in parts for position in part]
    assert len(read) == len(set(read)) == min(size, limit)
    assert read == sorted(read)
    assert read[0] == 0
    assert len(parts) == 1 or read[-1] == size - 1
    assert max(map(len, parts)) == len(parts[0]) <= min(map(len, parts)) + 1


def drifting(size: int = 40_000) -> NDArray[np.unsignedinteger]:
    """A text whose second half has other tokens than its first."""
    return np.concatenate([tape(size // 2) % 3, 5 + tape(size // 2) % 6]).astype(np.uint8)


@pytest.mark.parametrize("limit", [100, 2000, 39_000])
def test_a_part_of_a_drifting_text_is_read_in_pieces_of_all_of_it(limit: int) -> None:
    model, tokens = made(), drifting()
    with torch.no_grad():
        model.output.bias[:3] += 4.0  # it knows the first half alone
    whole = evaluate(model, tokens, len(tokens), START)
    pieces = evaluate_pieces(model, tokens, len(tokens), START, limit)
    beginning = evaluate(model, tokens[:limit], limit, START)
    assert pieces.tokens == limit
    assert pieces.loss == pytest.approx(whole.loss, rel=0.1)
    if limit < len(tokens) // 2:
        assert beginning.loss < 0.5 * whole.loss


def test_pieces_are_scored_as_in_the_whole_text() -> None:
    """A piece is warmed up on what comes before it."""
    model, tokens = made(), tape(6000)
    parts = evenly_spread(6000, 900, 8)
    inputs = torch.tensor([[START, *tokens[:-1].tolist()]])
    with torch.no_grad():
        logs = model.eval()(inputs)[0][0].double().log_softmax(-1)
    read = [position for part in parts for position in part]
    expected = -float(logs[torch.tensor(read), torch.tensor(tokens[read].tolist())].sum())
    found = evaluate_pieces(model, tokens, 6000, START, 900)
    assert found.nats == pytest.approx(expected, rel=1e-4)
    assert (found.tokens, found.characters) == (900, 900)


def test_a_large_vocabulary_is_scored_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = made(), tape(3000)
    plain = evaluate(model, tokens, 3000, START)
    monkeypatch.setattr("charrnn.tasks.language.network.LARGE_VOCABULARY", 2)
    assert evaluate(model, tokens, 3000, START).nats == pytest.approx(plain.nats, rel=1e-6)


def test_evaluating_many_words_takes_little_memory() -> None:
    """In a process of its own: of 60,000 ids, 3,000 rows of logits would take 720 MB."""
    script = """
import resource, numpy as np
from charrnn.config import ModelConfig
from charrnn.tasks.language.evaluate import TorchStepper, evaluate
from charrnn.tasks.language.network import CharRNN
from tests.support.tiny import tiny_tokenizer
import torch
torch.set_num_threads(1)  # several would wait for each other where other tests run
sizes = dict(num_layers=1, hidden_size=4, embedding_size=4)
network = CharRNN(ModelConfig(vocab_size=60_000, **sizes))
evaluate(network, np.arange(9, dtype=np.uint16), 9, 3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
evaluate(network, np.arange(3000, dtype=np.uint16), 3000, 3)
stepper = TorchStepper(network, tiny_tokenizer())
stepper.read_prompt(np.arange(1000)[:, None], stepper.zero_state(1))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150


@pytest.mark.parametrize("size", [500, 2 * ROW_TOKENS + 5])
@pytest.mark.parametrize("training", [False, True])
def test_the_mode_of_the_model_neither_matters_nor_changes(size: int, training: bool) -> None:
    model, tokens = made(dropout=0.5, input_dropout=0.5, output_dropout=0.5), tape(size)
    model.train(training)
    first = evaluate(model, tokens, size, START)
    assert model.training is training
    assert evaluate(model, tokens, size, START) == first
    assert first.loss == pytest.approx(naive(model, tokens) / size, abs=1e-4)


def test_evaluating_leaves_no_gradient_and_changes_neither_weights_nor_random_state() -> None:
    model, tokens = made(dropout=0.5), tape(300)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    numbers = torch.random.get_rng_state()
    evaluate(model, tokens, 300, START)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), numbers)


def test_the_first_token_is_scored_as_what_follows_the_start() -> None:
    model, tokens = made(), tape(1)
    for start in (0, 5):
        found = evaluate(model, tokens, 1, start).nats
        assert found == pytest.approx(naive(model, tokens, start), abs=1e-5)
    assert evaluate(model, tokens, 1, 0).nats != evaluate(model, tokens, 1, 5).nats


def test_tokens_may_be_mapped_from_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "valid.npy", tape(400))
    mapped = np.load(tmp_path / "valid.npy", mmap_mode="r")
    model = made()
    assert evaluate(model, mapped, 400, START) == evaluate(model, tape(400), 400, START)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 2 * ROW_TOKENS + 9])
def test_the_engine_scores_as_torch_does(cell: str, size: int) -> None:
    checkpoint = tiny_checkpoint(cell, training=False)
    model = from_weights(checkpoint.config, checkpoint.weights)
    tokens = np.random.default_rng(0).integers(checkpoint.config.vocab_size, size=size)
    ids = tokens.astype(np.uint8)
    by_engine = score_tokens(Engine(checkpoint, threads=1), ids, 3 * size, START)
    by_torch = evaluate(model, ids, 3 * size, START)
    assert by_engine.loss == pytest.approx(by_torch.loss, abs=1e-4)
    assert (by_engine.tokens, by_engine.characters) == (size, 3 * size)


def test_figures_of_a_score_exactly() -> None:
    score = Score(nats=20 * math.log(2), tokens=10, characters=40)
    assert score.loss == pytest.approx(2 * math.log(2))
    assert score.nats_per_char == pytest.approx(0.5 * math.log(2))
    assert score.bits_per_char == pytest.approx(0.5)
    assert score.perplexity == pytest.approx(4.0)


def test_a_score_as_json_has_fields_and_figures() -> None:
    score = Score(nats=8.0, tokens=4, characters=16)
    data = json.loads(json.dumps(score.to_json()))
    assert data == {
        "nats": 8.0,
        "tokens": 4,
        "characters": 16,
        "loss": 2.0,
        "nats_per_char": 0.5,
        "bits_per_char": 0.5 / math.log(2),
        "perplexity": math.exp(2.0),
    }


def test_a_very_high_loss_has_a_finite_perplexity() -> None:
    score = Score(nats=1e9, tokens=1, characters=1)
    assert score.loss == 1e9
    assert math.isfinite(score.perplexity)


STEPPED = [
    {"num_layers": 1},
    {"num_layers": 2, "residual": True},
    {"num_layers": 2, "tie_weights": True},
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("changes", STEPPED)
def test_the_stepper_equals_the_model_token_by_token(cell: str, changes: dict[str, Any]) -> None:
    config = tiny_model(cell, **changes)
    model = from_weights(config, random_weights(config))
    stepper = TorchStepper(model, tiny_tokenizer())
    ids = tape(12).reshape(6, 2).astype(np.int64)  # (T, B)
    with torch.no_grad():
        whole, last = model(torch.from_numpy(ids.T.copy()))
    state = stepper.zero_state(2)
    for t in range(6):
        logits, state = stepper.step(ids[t], state)
        assert logits.dtype == np.float32
        assert np.allclose(logits, whole[:, t].numpy(), atol=1e-5)
    flat = [part.numpy() for layer in last for part in layer]
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(state, flat, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_the_stepper_reads_a_prompt_as_it_steps(cell: str) -> None:
    stepper = TorchStepper(made(cell), tiny_tokenizer())
    ids = tape(12).reshape(4, 3).astype(np.int64)
    logits, state = stepper.read_prompt(ids, stepper.zero_state(3))
    other = stepper.zero_state(3)
    for row in ids:
        stepped, other = stepper.step(row, other)
    assert np.allclose(logits, stepped, atol=1e-5)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(state, other, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_the_steppers_state_is_plain_arrays_that_can_be_picked_by_row(cell: str) -> None:
    stepper = TorchStepper(made(cell), tiny_tokenizer())
    _, state = stepper.read_prompt(tape(3)[:, None], stepper.zero_state(1))
    wide = [np.repeat(part, 3, 0) for part in state]
    logits, after = stepper.step(np.array([1, 2, 3]), wide)
    assert logits.shape == (3, 11)
    alone, _ = stepper.step(np.array([2]), [part[1:2] for part in wide])
    assert np.allclose(alone[0], logits[1], atol=1e-5)
    assert all(part.shape == (3, 8) for part in after)


@pytest.mark.parametrize("training", [False, True])
def test_the_stepper_applies_no_dropout_and_restores_the_mode(training: bool) -> None:
    model = made(dropout=0.5, output_dropout=0.5).train(training)
    stepper = TorchStepper(model, tiny_tokenizer())
    results = [stepper.step(np.array([4]), stepper.zero_state(1))[0] for _ in range(2)]
    assert results[0].tolist() == results[1].tolist()
    assert model.training is training


Writer = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Put bytes into a file of that name."""

    def put(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return put


@pytest.mark.parametrize("name", TOKENIZERS)
def test_reading_a_text_counts_its_characters(name: str, write: Writer) -> None:
    text = "The old cat sat.\nWho sat?\n"
    tokenizer = tiny_tokenizer(name)
    tokens, characters, _ = read_text(write("a.txt", text.encode()), tokenizer, Reading())
    assert characters == len(text)
    assert tokenizer.decode(tokens.tolist()) == text


def test_reading_unknown_characters_counts_characters_and_not_tokens(write: Writer) -> None:
    tokenizer = tiny_tokenizer("char")
    tokens, characters, _ = read_text(write("a.txt", "né😀".encode()), tokenizer, Reading())
    assert characters == 3
    assert len(tokens) == 1 + 2 * 2 + 4 * 2


def test_reading_in_another_encoding(write: Writer) -> None:
    tokenizer = tiny_tokenizer("char")
    tokens, characters, _ = read_text(
        write("a.txt", "café".encode("latin-1")), tokenizer, Reading("latin-1")
    )
    assert characters == 4
    assert tokenizer.decode(tokens.tolist()) == "café"


def test_only_the_byte_tokenizer_reads_undecodable_bytes(write: Writer) -> None:
    path = write("a.dat", b"ab\xff\0")
    tokens, characters, _ = read_text(path, tiny_tokenizer("byte"), Reading(exact=True))
    assert tokens.tolist() == [97, 98, 255, 0]
    assert characters == 4
    with pytest.raises(CorpusError, match="not valid utf-8 at byte 2"):
        read_text(path, tiny_tokenizer("char"), Reading())


def test_an_empty_file_is_an_error_that_names_it(write: Writer) -> None:
    with pytest.raises(CorpusError, match=r"empty\.txt is empty"):
        read_text(write("empty.txt", b""), tiny_tokenizer("char"), Reading())


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no file or folder .*gone\.txt"):
        read_text(tmp_path / "gone.txt", tiny_tokenizer("char"), Reading())
