"""train(): its events in their order, and that a plan decides everything."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import digest
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.events import Evaluated, Event, Finished, Planned, Progress, Saved
from charrnn.training.optimizer import learning_rate
from charrnn.training.trainer import train
from tests.support.trainings import (
    ALONE,
    STEPS,
    Corpora,
    a_run,
    bytes_of_step,
    carry_out,
    newest,
    plan_for,
)


def test_events_come_in_order_when_they_are_due(corpus: Corpus, tmp_path: Path) -> None:
    result = carry_out(plan_for(corpus), corpus, a_run(tmp_path))
    assert [(type(event).__name__, event.step) for event in result.events] == [
        ("Planned", 0),
        ("Progress", 4),
        ("Saved", 5),
        ("Evaluated", 6),
        ("Saved", 6),
        ("Progress", 8),
        ("Saved", 10),
        ("Progress", 12),
        ("Evaluated", 12),
        ("Saved", 12),
        ("Progress", 14),
        ("Evaluated", 14),
        ("Saved", 14),
        ("Finished", 14),
    ]


def test_the_first_event_is_the_plan(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    first = next(train(plan, corpus, run, ALONE))
    assert isinstance(first, Planned)
    assert replace(first, baselines={}) == Planned(plan, 0, str(run.folder))
    assert run.entries() == []


def test_the_plan_comes_with_baselines_for_the_loss(corpus: Corpus, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (planned,) = carry_out(plan_for(corpus), corpus, run).of(Planned)
    assert list(planned.baselines) == ["uniform", "5-gram", "gzip", "xz"]
    size = corpus.tokenizer.vocab_size - len(corpus.tokenizer.unsampled)
    assert planned.baselines["uniform"] == pytest.approx(math.log(size), rel=0.05)
    assert planned.baselines["5-gram"] < planned.baselines["uniform"]
    (again,) = carry_out(plan_for(corpus), corpus, run, newest(run)).of(Planned)
    assert again.baselines == {}


def test_progress_says_where_the_run_is(corpus: Corpus, tmp_path: Path) -> None:
    plan = plan_for(corpus)
    part = corpus.splits["train"]
    result = carry_out(plan, corpus, a_run(tmp_path))
    for event in result.of(Progress):
        assert event.epoch == pytest.approx(event.step * 32 / part.tokens)
        assert event.learning_rate == learning_rate(event.step - 1, plan.train_config)
        bits = event.loss * part.tokens / part.characters / math.log(2)
        assert event.metrics["bits_per_char"] == pytest.approx(bits)
        assert event.grad_norm > 0
        assert event.tokens_per_second > 0
        assert event.seconds_left >= 0
    assert result.of(Progress)[-1].seconds_left == 0
    assert result.of(Progress)[0].loss == pytest.approx(
        math.log(corpus.tokenizer.vocab_size), rel=0.2
    )


def test_bits_per_character_are_of_the_text_whatever_the_tokens(
    corpora: Corpora, tmp_path: Path
) -> None:
    corpus = corpora("subword")
    part = corpus.splits["train"]
    event = carry_out(plan_for(corpus), corpus, a_run(tmp_path)).of(Progress)[0]
    assert part.tokens < part.characters
    assert event.metrics["bits_per_char"] < event.loss / math.log(2)


def test_the_loss_of_a_line_is_the_mean_of_its_steps(corpus: Corpus, tmp_path: Path) -> None:
    each = carry_out(plan_for(corpus, train={"log_every": 1}), corpus, a_run(tmp_path, "each"))
    losses = [event.loss for event in each.of(Progress)]
    assert len(losses) == STEPS
    result = carry_out(plan_for(corpus), corpus, a_run(tmp_path))
    means = [np.mean(losses[a:b]) for a, b in ((0, 4), (4, 8), (8, 12), (12, 14))]
    assert [event.loss for event in result.of(Progress)] == pytest.approx(means, rel=1e-12)


def test_the_threads_of_the_plan_are_used(corpus: Corpus, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    next(train(plan_for(corpus, train={"threads": 2}), corpus, a_run(tmp_path), ALONE))
    assert torch.get_num_threads() == 2


def test_a_batch_that_the_processes_cannot_divide_is_refused_before_anything(
    corpus: Corpus, tmp_path: Path
) -> None:
    plan, run = plan_for(corpus, train={"batch_size": 3}), a_run(tmp_path)
    pair = Group(torch.device("cpu"), 0, 2)
    with pytest.raises(UsageError, match="--batch-size 3 cannot be divided among 2 processes"):
        next(train(plan, corpus, run, pair))


def test_closing_the_iterator_stops_the_training(corpus: Corpus, tmp_path: Path) -> None:
    events: Iterator[Event] = train(plan_for(corpus), corpus, run := a_run(tmp_path), ALONE)
    for event in events:
        if isinstance(event, Saved):
            break
    events.close()  # type: ignore[attr-defined]
    assert [entry.step for entry in run.entries()] == [5]


def test_two_people_with_one_plan_have_one_model(corpus: Corpus, tmp_path: Path) -> None:
    plan = plan_for(corpus, dropout=0.3)
    for name in ("a", "b"):
        carry_out(plan, corpus, a_run(tmp_path, name))
    first, second = (bytes_of_step(a_run(tmp_path, name), STEPS) for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("field", ["seed", "learning_rate", "weight_decay", "grad_clip"])
def test_another_plan_is_another_model(field: str, corpus: Corpus, tmp_path: Path) -> None:
    other: dict[str, Any] = {
        "seed": 1, "learning_rate": 0.001, "weight_decay": 0.9, "grad_clip": 0.001,
    }  # fmt: skip
    plans = [plan_for(corpus), plan_for(corpus, train={field: other[field]})]
    weights = []
    for index, plan in enumerate(plans):
        run = a_run(tmp_path, str(index))
        carry_out(plan, corpus, run)
        weights.append(digest(newest(run).weights))
    assert weights[0] != weights[1]


def test_one_step_is_a_whole_run(corpus: Corpus, tmp_path: Path) -> None:
    result = carry_out(plan_for(corpus, train={"steps": 1}), corpus, a_run(tmp_path))
    assert [type(e) for e in result.events] == [Planned, Progress, Evaluated, Saved, Finished]


def test_configs_come_back_from_a_checkpoint_equal(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus, "gru", residual=True), a_run(tmp_path)
    carry_out(plan, corpus, run, stop=2)
    found = newest(run)
    assert isinstance(found.config, ModelConfig)
    assert found.training is not None
    assert isinstance(found.training.config, TrainConfig)
    assert (found.config, found.training.config) == (plan.model_config, plan.train_config)
