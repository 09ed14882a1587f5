"""Scoring by the engine: each token once, whatever the block size, and equal to torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS
from charrnn.evaluation.scores import Score, log_probabilities, score_tokens
from charrnn.inference.engine import READ_LENGTH, Engine
from charrnn.inference.sampling.base import log_softmax
from charrnn.tasks.language.evaluate import evaluate
from charrnn.tasks.language.network import from_weights
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import TEXT, smallest_checkpoint

SIZES = [1, 2, READ_LENGTH - 1, READ_LENGTH, READ_LENGTH + 1, 3 * READ_LENGTH + 7]


def small_model(cell: str = "lstm", tokenizer: str = "char") -> Checkpoint:
    """A model with random weights that computes quickly."""
    return smallest_checkpoint(training=False, cell=cell, tokenizer=tokenizer, hidden_size=8)


def random_tokens(model: Checkpoint, size: int) -> NDArray[np.unsignedinteger]:
    """Random tokens of the model's vocabulary."""
    ids = np.random.default_rng(size).integers(model.config.vocab_size, size=size)
    return ids.astype(np.uint16)


def one_by_one(engine: Engine, tokens: NDArray[np.unsignedinteger], start_id: int) -> list[float]:
    """The log-probabilities, computed one step at a time."""
    state, last, found = engine.zero_state(1), start_id, []
    for token in tokens.tolist():
        logits, state = engine.step(np.array([last]), state)
        row = logits[0].astype(np.float64)
        found.append(float(row[token] - row.max() - np.log(np.exp(row - row.max()).sum())))
        last = token
    return found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", SIZES)
def test_blocks_concatenate_to_the_result_of_single_steps(cell: str, size: int) -> None:
    model = small_model(cell)
    engine, tokens = Engine(model, threads=1), random_tokens(model, size)
    blocks = list(log_probabilities(engine, tokens, 3))
    lengths = [len(block) for block in blocks]
    assert all(length == READ_LENGTH for length in lengths[:-1])
    assert sum(lengths) == size
    assert np.concatenate(blocks).dtype == np.float64
    assert np.concatenate(blocks).tolist() == pytest.approx(one_by_one(engine, tokens, 3), abs=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_engine_and_the_evaluation_agree(cell: str, tokenizer: str) -> None:
    model = small_model(cell, tokenizer)
    tokens, newline = model.tokenizer.encode(TEXT), model.tokenizer.newline_id
    by_engine = score_tokens(Engine(model, threads=1), tokens, len(TEXT), newline)
    torch_model = from_weights(model.config, model.weights)
    by_torch = evaluate(torch_model, tokens, len(TEXT), newline)
    assert (by_engine.tokens, by_engine.characters) == (by_torch.tokens, by_torch.characters)
    assert by_engine.loss == pytest.approx(by_torch.loss, abs=1e-4)
    assert by_engine.bits_per_char == pytest.approx(by_torch.bits_per_char, abs=1e-4)


def test_the_first_token_is_predicted_from_the_start_alone() -> None:
    model = small_model()
    engine, tokens = Engine(model, threads=1), random_tokens(model, 5)
    first = [next(log_probabilities(engine, tokens, start))[0] for start in (0, 1, 2)]
    assert len(set(first)) == 3
    assert next(log_probabilities(engine, tokens[:1], 1)).tolist() == pytest.approx([first[1]])


def test_a_token_is_predicted_from_earlier_tokens_only() -> None:
    model = small_model()
    engine, tokens = Engine(model, threads=1), random_tokens(model, 300)
    base = np.concatenate(list(log_probabilities(engine, tokens, 0)))
    changed = tokens.copy()
    changed[200] = (changed[200] + 1) % model.config.vocab_size
    other = np.concatenate(list(log_probabilities(engine, changed, 0)))
    assert np.allclose(other[:200], base[:200], atol=1e-6)
    assert not np.allclose(other[201:210], base[201:210], atol=1e-6)


def test_no_tokens_give_no_blocks() -> None:
    model = small_model()
    assert list(log_probabilities(Engine(model, threads=1), random_tokens(model, 0), 0)) == []


def test_probabilities_of_all_tokens_sum_to_one() -> None:
    model = small_model()
    engine, size = Engine(model, threads=1), model.config.vocab_size
    total = 0.0
    for token in range(size):
        ids = np.array([4, 5, token], np.uint8)
        total += math.exp(float(next(log_probabilities(engine, ids, 0))[-1]))
    assert total == pytest.approx(1.0, abs=1e-6)


@given(
    rows=st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4), min_size=1, max_size=5
    )
)
@settings(max_examples=100, deadline=None)
def test_log_softmax_equals_that_of_torch(rows: list[list[float]]) -> None:
    logits = np.array(rows, np.float32)
    found = log_softmax(logits)
    expected = torch.from_numpy(logits).double().log_softmax(-1).numpy()
    assert found.dtype == np.float64
    assert np.allclose(found, expected, atol=1e-2, rtol=1e-9)
    assert np.allclose(np.exp(found).sum(axis=1), 1.0)
    assert (found <= 0).all()


@pytest.mark.parametrize("shift", [-1e30, -100.0, 0.0, 100.0, 1e30])
def test_log_softmax_does_not_overflow_and_ignores_a_shift(shift: float) -> None:
    found = log_softmax(np.full((2, 4), shift, np.float32))
    assert found.tolist() == [[pytest.approx(-math.log(4))] * 4] * 2


def test_log_softmax_of_a_ruled_out_token_is_minus_infinity() -> None:
    found = log_softmax(np.array([[0.0, -np.inf, 0.0]], np.float32))
    assert found[0].tolist() == pytest.approx([-math.log(2), -math.inf, -math.log(2)])


def test_a_score_is_the_sum_of_its_blocks() -> None:
    model = small_model()
    engine, tokens = Engine(model, threads=1), random_tokens(model, 700)
    score = score_tokens(engine, tokens, 350, 2)
    nats = -sum(one_by_one(engine, tokens, 2))
    assert score.nats == pytest.approx(nats, rel=1e-5)
    assert score == Score(score.nats, 700, 350)
    assert score.bits_per_char == pytest.approx(nats / 350 / math.log(2), rel=1e-5)
