"""Adapting to a text: each window scored before it is learned from; the model stays as it was."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.activity import listen
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.mixture import Mixture
from charrnn.config import CELLS
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation.scores import AdaptedScore, Pricing
from charrnn.inference.ngram_model import sorted_followers
from charrnn.tasks.language import adapting
from charrnn.tasks.language.adapting import (
    DECAY,
    LARGEST_RATE,
    LARGEST_STEP,
    WINDOW,
    AdaptingNetwork,
    Follower,
)
from charrnn.tasks.language.blend import Blend
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from charrnn.tokenizers.floor import Floor
from tests.support.tiny import TEXT, tiny_checkpoint


def model_of(cell: str = "lstm", tokenizer: str = "char", **fields: Any) -> LanguageModel:
    """A model of random weights."""
    return LanguageModel(
        tiny_checkpoint(cell, tokenizer, training=False, **fields), Path("m.safetensors"), 1
    )


def mixed(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint, mixed with the n-grams of TEXT."""
    followers = sorted_followers(checkpoint.tokenizer.encode(TEXT), 3)
    return replace(checkpoint, mixture=Mixture(followers, (2, 4), (0.8, 0.2, 0.3)))


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_nothing_is_learned_from_before_it_is_scored(cell: str, mix: bool) -> None:
    made = model_of(cell).checkpoint
    model = LanguageModel(mixed(made) if mix else made, Path("m.safetensors"), 1)
    # Of one window the score is the static one, whatever it would teach.
    text = TEXT[:WINDOW]
    assert len(model.tokenizer.encode(text)) == WINDOW
    assert model.score(text, adapt=True).nats == pytest.approx(model.score(text).nats, rel=1e-5)
    # What comes later has no part in the price of what is read before.
    network, other = (AdaptingNetwork(model.checkpoint, 0) for _ in range(2))
    tokens = model.tokenizer.encode(TEXT)[: 3 * WINDOW]
    first = [network.read(part)[1] for part in np.split(tokens, 3)]
    again = [other.read(part)[1] for part in np.split(tokens, 3)[:2]]
    other.read(tokens[:WINDOW])
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_that_repeats_itself_is_learned_and_the_model_stays(cell: str, name: str) -> None:
    model = model_of(cell, name)
    before = {k: v.copy() for k, v in model.checkpoint.weights.items()}
    static = model.score(TEXT)
    found = model.score(TEXT, adapt=1.0)
    assert isinstance(found, AdaptedScore)
    assert (found.tokens, found.characters) == (static.tokens, static.characters)
    assert found.nats < static.nats - 5
    assert model.score(TEXT) == static
    assert model.score(TEXT, adapt=1.0) == found
    for key, array in model.checkpoint.weights.items():
        assert np.array_equal(array, before[key])


def test_a_mixture_adapts_as_a_whole() -> None:
    model = LanguageModel(mixed(model_of().checkpoint), Path("m.safetensors"), 1)
    static, found = model.score(TEXT), model.score(TEXT, adapt=1.0)
    assert found.nats < static.nats - 10
    # What the network learns beside the n-grams is not what it learns alone.
    alone = LanguageModel(replace(model.checkpoint, mixture=None), Path("m.safetensors"), 1)
    assert found.nats < alone.score(TEXT, adapt=1.0).nats


def test_a_rate_near_nothing_gives_the_static_figure_and_documents_begin_anew() -> None:
    for reset_id in (-1, 3):
        model = model_of(reset_id=reset_id)
        static = model.score(TEXT).nats
        assert model.score(TEXT, adapt=1e-6).nats == pytest.approx(static, rel=1e-4)


@pytest.mark.parametrize("name", ["word", "char", "byte"])
def test_unknown_words_and_rare_ids_cost_what_they_cost_without_adapting(name: str) -> None:
    model = model_of(tokenizer=name)
    text = "The mill and the Zeppelin went round, 42 times.\n"
    static, found = model.score(text), model.score(text, adapt=1e-6)
    assert found.nats == pytest.approx(static.nats, rel=1e-5)
    assert found.unknown == static.unknown
    assert found.unknown_nats == pytest.approx(static.unknown_nats)
    assert (found.unknown > 0) == (name == "word")
    tokens = model.tokenizer.encode(TEXT)
    rare = (int(tokens[0]), int(tokens[0]) + 1)
    floor = Floor(model.tokenizer.vocab_size, rare, parts=(), counts=((3, 9), (0, 0)))
    read = tokens, len(TEXT), Pricing(floor)
    static, found = model.evaluate_read(read, "cpu"), model.evaluate_read(read, "cpu", 1e-6)
    assert found.nats == pytest.approx(static.nats, rel=1e-4)


def test_a_step_has_a_largest_size_and_the_way_back_a_share() -> None:
    follower = Follower(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.zeros(2))
    for steps in range(1, 1000):
        follower.step(torch.tensor([0.0, 1e-6]), steps, 0.01)
    # Without a gradient a weight returns to where training left it, the faster the farther.
    assert float(follower.weights[0]) == pytest.approx(1 + 2 * (1 - DECAY) ** 999, rel=1e-4)
    before = float(follower.weights[1])
    follower.step(torch.tensor([0.0, 1e6]), 1000, 0.01)
    moved = before - float(follower.weights[1])
    assert moved == pytest.approx(0.01 * LARGEST_STEP, rel=0.1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("rate", [LARGEST_RATE, 0.01])
def test_no_rate_and_no_text_leads_to_a_figure_that_is_no_number(cell: str, rate: float) -> None:
    model = model_of(cell)
    for text in (TEXT * 4, "a" * 999, "T"):
        assert math.isfinite(model.score(text, adapt=rate).nats)


@pytest.mark.parametrize("adapt", [0, -1.0, math.nan, math.inf, 11, None, "x"])
def test_a_rate_out_of_range_is_an_error(adapt: Any) -> None:
    with pytest.raises(UsageError, match="adapt is"):
        model_of().score(TEXT, adapt=adapt)


def test_what_cannot_adapt_says_so() -> None:
    with pytest.raises(CorpusError, match="the text is empty"):
        model_of().score("", adapt=True)
    small = LanguageModel(model_of().checkpoint, Path("m.safetensors"), 1, "int8")
    with pytest.raises(UsageError, match="int8 cannot adapt"):
        small.score(TEXT, adapt=True)
    with pytest.raises(UsageError, match="a blend"):
        Blend([model_of(), model_of()]).score(TEXT, adapt=True)


def test_the_work_is_shown_and_can_be_interrupted() -> None:
    model, seen, threads = model_of(), [], torch.get_num_threads()

    def stop(work: Any) -> None:
        seen.append(work)
        if work and work.done > WINDOW:
            raise KeyboardInterrupt

    static = model.score(TEXT)
    with listen(stop), pytest.raises(KeyboardInterrupt):
        model.score(TEXT, adapt=True)
    assert seen[0].what == "adapting to the text"
    assert seen[0].total == static.tokens
    assert torch.get_num_threads() == threads
    assert model.score(TEXT) == static


def test_running_out_of_memory_names_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(adapting, "AdaptingNetwork", broken)
    with pytest.raises(Exception, match="leave --adapt out"):
        model_of().score(TEXT, adapt=True)


def test_adapted_figures_have_names_of_their_own() -> None:
    found = model_of().score(TEXT, adapt=True)
    assert all(name.startswith("adapted_") for name in found.to_json())
    assert "adapted" in found.summary()
