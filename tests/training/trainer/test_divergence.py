"""train(): numbers that are not finite are found, never saved, and rolled back once."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.errors import DivergedError
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.events import Evaluated, Finished, Progress, Warned, to_json
from charrnn.training.learner import Learner
from tests.support.trainings import EVAL, STEPS, a_run, bytes_of_step, carry_out, newest, plan_for


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, how: str, value: float = math.nan) -> None:
    """Let a training go wrong in its step of that number, from 1: the loss, gradient or weights."""
    real = Learner.advance

    def advance(self: Learner, flag: int = 0) -> int:
        mine = self.step + 1 == step
        if mine and how == "loss":
            forward = self.network.loss
            with monkeypatch.context() as patch:
                patch.setattr(
                    self.network, "loss", lambda *a: (forward(*a)[0] * value, *forward(*a)[1:])
                )
                return real(self, flag)
        if mine and how == "gradient":
            parameter = self.network.get_parameter("output.bias")
            handle = parameter.register_hook(lambda grad: grad * value)  # type: ignore[no-untyped-call]
            try:
                return real(self, flag)
            finally:
                handle.remove()
        flag = real(self, flag)
        if mine and "weight" in how:
            with torch.no_grad():
                name = "output.bias" if how == "weights" else "embedding.weight"
                target = self.network.get_parameter(name)
                target.view(-1)[0] = value
        return flag

    monkeypatch.setattr(Learner, "advance", advance)


@pytest.mark.parametrize("how", ["loss", "gradient", "weights", "a weight never used"])
@pytest.mark.parametrize("step", [1, 2, 4, 5, 6, 7, 10, 12, 13, 14])
def test_nothing_that_is_not_finite_is_ever_saved_or_reported(
    how: str, step: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, step, how)
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus), corpus, run)
    assert isinstance(result.error, DivergedError), result.error
    assert result.error.exit_code == 5
    assert all(entry.step < step for entry in run.entries())
    latest = run.latest()
    named = f"the checkpoint of step {latest.step} is intact" if latest else "below"
    assert named in result.error.remedy
    assert latest or "intact" not in result.error.remedy
    for entry in run.entries():
        files.load(entry.path, training=True)
    for event in result.events:
        json.dumps(to_json(event), allow_nan=False)


def spoil_once(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let a training go wrong in that step the first time it is taken."""
    real = Learner.advance
    spoiled: list[int] = []

    def advance(self: Learner, flag: int = 0) -> int:
        flag = real(self, flag)
        if self.step == step and not spoiled:
            spoiled.append(step)
            with torch.no_grad():
                self.network.get_parameter("output.bias")[0] = math.nan
        return flag

    monkeypatch.setattr(Learner, "advance", advance)


@pytest.mark.parametrize(("step", "back"), [(4, 0), (8, 6), (13, 12)])
def test_a_run_that_diverges_goes_back_once_with_half_the_rate(
    step: int, back: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_once(monkeypatch, step)
    run, plan = a_run(tmp_path), plan_for(corpus)
    result = carry_out(plan, corpus, run)
    assert result.error is None
    (warned,) = result.of(Warned)
    assert f"going on from step {back} with half the learning rate, 0.002" in warned.text
    assert result.of(Finished)[0].step == STEPS
    last = newest(run)
    assert last.training is not None
    half = plan.train_config.learning_rate / 2
    assert last.training.config == replace(plan.train_config, learning_rate=half)
    assert last.info.rollbacks == 1


def test_a_run_rolled_back_is_the_same_after_an_interruption(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, runs = plan_for(corpus), [a_run(tmp_path, "whole"), a_run(tmp_path, "stopped")]
    for run in runs:
        with monkeypatch.context() as patch:
            spoil_once(patch, 8)
            carry_out(plan, corpus, run, stop=11 if run is runs[1] else 0)
    start = newest(runs[1])
    assert start.training is not None
    carry_out(replace(plan, train_config=start.training.config), corpus, runs[1], start)
    assert bytes_of_step(runs[0], STEPS) == bytes_of_step(runs[1], STEPS)


def test_a_resumed_run_that_was_rolled_back_is_not_rolled_back_again(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    carry_out(plan, corpus, run, stop=7)
    start = newest(run)
    start = replace(start, info=replace(start.info, rollbacks=1))
    spoil_once(monkeypatch, 9)
    result = carry_out(plan, corpus, run, start)
    assert isinstance(result.error, DivergedError)
    assert result.of(Warned) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("how", ["loss", "gradient", "weights"])
def test_any_number_that_is_not_finite_is_found(
    how: str, value: float, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 3, how, value)
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus), corpus, run)
    assert isinstance(result.error, DivergedError)
    assert run.entries() == []
    assert how == "weights" or result.of(Progress) == []


def test_an_evaluation_of_weights_that_are_not_finite_is_not_reported(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no line of progress in between, the weights are looked at before they are evaluated."""
    spoil(monkeypatch, EVAL, "weights")
    plan = plan_for(corpus, train={"log_every": 1000})
    result = carry_out(plan, corpus, a_run(tmp_path))
    assert isinstance(result.error, DivergedError)
    assert "step 6: the weights" in result.error.problem
    assert result.of(Evaluated) == []


def test_a_diverged_run_that_is_stopped_has_diverged(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 2, "loss")
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus), corpus, run, stop=3)
    assert isinstance(result.error, DivergedError)
    assert run.entries() == []


def test_a_learning_rate_beyond_reason_still_saves_only_finite_numbers(
    corpus: Corpus, tmp_path: Path
) -> None:
    run = a_run(tmp_path)
    hasty = {"learning_rate": 10.0, "warmup_steps": 0, "grad_clip": 1e6}
    result = carry_out(plan_for(corpus, "rnn", train=hasty, residual=True), corpus, run)
    assert result.error is None or isinstance(result.error, DivergedError)
    for entry in run.entries():
        files.load(entry.path, training=True)
