"""train(): a run that is interrupted anywhere continues bit for bit."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import Checkpoint, digest
from charrnn.config import CELLS
from charrnn.models.device import has_bfloat16_lstm
from charrnn.tasks.language.corpus import Corpus
from tests.support.trainings import (
    EVAL,
    STEPS,
    Corpora,
    Result,
    a_run,
    bytes_of_step,
    carry_out,
    interrupted,
    newest,
    plan_for,
)

STOPS = {
    "mid interval, after an evaluation, around the epoch's edge": (3, 7, 9, 11),
    "at an evaluation, at a save, at the last step": (6, 10, 14),
}

EVERY_STEP = tuple(range(1, STEPS + 1))

MATRIX = list(itertools.product(CELLS, ["char", "subword"], [0.0, 0.5], [1, 2]))


@pytest.mark.parametrize(("cell", "tokenizer", "dropout", "layers"), MATRIX)
def test_an_interrupted_run_continues_bit_for_bit(
    cell: str, tokenizer: str, dropout: float, layers: int, corpora: Corpora, tmp_path: Path
) -> None:
    """Weights, moments, hidden state, loss so far: the files are equal byte for byte."""
    corpus = corpora(tokenizer)
    drops = {"input_dropout": dropout, "dropout": dropout, "output_dropout": dropout}
    plan = plan_for(corpus, cell, num_layers=layers, **drops)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    assert whole.error is None
    last = bytes_of_step(a_run(tmp_path, "whole"), STEPS)
    for where, stops in STOPS.items():
        run = a_run(tmp_path, f"stopped{stops}")
        result = interrupted(plan, corpus, run, stops)
        assert result.figures() == whole.figures(), where
        assert bytes_of_step(run, STEPS) == last, where


TECHNIQUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bfloat16": ({"precision": "bfloat16"}, {}),
    "sgd": ({"optimizer": "sgd", "schedule": "steps", "hold_steps": 5}, {}),
    "a sampled softmax": ({"sampled_softmax": 6}, {}),
    "an average from early on": ({"average_from": 2}, {}),
    "an average from late on": ({"average_from": 8, "optimizer": "sgd"}, {}),
    "penalties": ({"output_penalty": 2.0, "change_penalty": 1.0}, {}),
    "initial weights": ({"init_scale": 0.2}, {}),
    "variational": ({}, {"variational": True, "dropout": 0.3, "output_dropout": 0.3}),
    "weight dropout": ({}, {"weight_dropout": 0.5}),
    "embedding dropout": ({}, {"embedding_dropout": 0.3}),
    "a narrower top layer": ({}, {"tie_weights": True, "embedding_size": 6, "residual": True}),
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_matters_and_continues_bit_for_bit(
    name: str, corpus: Corpus, tmp_path: Path
) -> None:
    train, model = TECHNIQUES[name]
    plan = plan_for(corpus, train=train, **model)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    run = a_run(tmp_path, "stopped")
    result = interrupted(plan, corpus, run, (3, 7, 10))
    assert result.figures() == whole.figures()
    last = bytes_of_step(run, STEPS)
    assert last == bytes_of_step(a_run(tmp_path, "whole"), STEPS)
    plain = a_run(tmp_path, "plain")
    carry_out(plan_for(corpus), corpus, plain)
    # A processor that has no LSTM in bfloat16 trains it in float32, and resumes it all the same.
    matters = name != "bfloat16" or has_bfloat16_lstm()
    assert (digest(newest(run).weights) != digest(newest(plain).weights)) == matters


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_stopped_at_every_single_step_is_the_same_run(
    cell: str, corpus: Corpus, tmp_path: Path
) -> None:
    plan = plan_for(corpus, cell, dropout=0.5)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    run = a_run(tmp_path, "stopped")
    result = interrupted(plan, corpus, run, EVERY_STEP)
    assert result.figures() == whole.figures()
    for step in (EVAL, 2 * EVAL, STEPS):
        assert bytes_of_step(run, step) == bytes_of_step(a_run(tmp_path, "whole"), step)


@pytest.mark.parametrize("step", [5, 6, 10, 12])
def test_a_killed_run_continues_bit_for_bit_from_whatever_was_saved(
    step: int, corpus: Corpus, tmp_path: Path
) -> None:
    plan, run = plan_for(corpus, dropout=0.5), a_run(tmp_path)
    whole = carry_out(plan, corpus, run)
    last = bytes_of_step(run, STEPS)
    for entry in run.entries():
        if entry.step > step:
            entry.path.unlink()
    again = carry_out(plan, corpus, run, newest(run))
    assert bytes_of_step(run, STEPS) == last
    assert again.figures() == [figure for figure in whole.figures() if figure[1] > step]


def zeroed(arrays: files.Arrays) -> files.Arrays:
    return {name: np.zeros_like(array) for name, array in arrays.items()}


def without(found: Checkpoint, part: str) -> Checkpoint:
    """The checkpoint without one part of the state."""
    assert found.training is not None
    moments, state = found.training.moments, found.training.state
    first = {n: a for n, a in zeroed(moments).items() if n.startswith("exp_avg.")}
    second = {n: a for n, a in zeroed(moments).items() if n.startswith("exp_avg_sq.")}
    changes: dict[str, Any] = {
        "first moments": {"moments": moments | first},
        "second moments": {"moments": moments | second},
        "hidden state": {"state": zeroed(state)},
        "upper hidden state": {"state": state | zeroed({"1.h": state["1.h"]})},
        "cell state": {"state": state | zeroed({"0.c": state["0.c"]})},
        "loss_sum": {"loss_sum": 0.0},
        "loss_count": {"loss_count": found.training.loss_count + 1},
    }
    if part == "step":
        return replace(found, info=replace(found.info, step=found.info.step - 1))
    if part == "weights":
        names = {"output.bias": np.zeros_like(found.weights["output.bias"])}
        return replace(found, weights=found.weights | names)
    return replace(found, training=replace(found.training, **changes[part]))


PARTS = [
    "weights", "first moments", "second moments", "hidden state", "upper hidden state",
    "cell state", "step", "loss_sum", "loss_count",
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("stop", [3, 7])
def test_leaving_out_any_part_of_the_state_would_show(
    part: str, stop: int, corpus: Corpus, tmp_path: Path
) -> None:
    """The test of the tests above: what they compare does depend on each part."""
    plan = plan_for(corpus)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    run = a_run(tmp_path)
    before = carry_out(plan, corpus, run, stop=stop)
    after = carry_out(plan, corpus, run, without(newest(run), part))
    same_figures = Result(before.events + after.events).figures() == whole.figures()
    same_file = bytes_of_step(run, STEPS) == bytes_of_step(a_run(tmp_path, "whole"), STEPS)
    assert not same_figures
    assert same_file is (part in ("loss_sum", "loss_count"))


def test_leaving_out_no_part_shows_nothing(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    before = carry_out(plan, corpus, run, stop=7)
    after = carry_out(plan, corpus, run, newest(run))
    assert Result(before.events + after.events).figures() == whole.figures()


def test_reseeding_at_each_step_is_what_makes_dropout_come_back(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the interrupted run would drop other values than the whole one."""
    plan, run = plan_for(corpus, dropout=0.5), a_run(tmp_path)
    monkeypatch.setattr("charrnn.training.learner._seed", lambda seed, device: None)
    torch.default_generator.manual_seed(1)
    whole = carry_out(plan, corpus, a_run(tmp_path, "whole"))
    torch.default_generator.manual_seed(2)
    result = interrupted(plan, corpus, run, (3,))
    assert result.figures() != whole.figures()
