"""Plans: of a large vocabulary a step computes a part."""

from pathlib import Path
from typing import Any

import pytest
import torch

import charrnn
from charrnn.checkpoints.run import Run
from charrnn.errors import UsageError
from charrnn.training.distributed import Group
from tests.support.plans import planned
from tests.support.shell import sentences

HEURISTICS = "charrnn.training.planner.heuristics"


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary of the plans is large, and a step computes seven of its tokens."""
    monkeypatch.setattr(f"{HEURISTICS}.SAMPLED_VOCABULARY", 20)
    monkeypatch.setattr(f"{HEURISTICS}.SAMPLED_TOKENS", 7)


def test_a_small_vocabulary_is_computed_whole() -> None:
    assert planned().train_config.sampled_softmax == 0


@pytest.mark.usefixtures("small_is_large")
def test_a_large_one_in_part_unless_it_is_asked_for() -> None:
    assert planned().train_config.sampled_softmax == 7
    assert planned(sampled_softmax=0).train_config.sampled_softmax == 0
    assert planned(sampled_softmax=9).train_config.sampled_softmax == 9
    cuda = Group(torch.device("cuda"))
    assert planned(group=cuda).train_config.sampled_softmax == 0


@pytest.mark.usefixtures("small_is_large")
def test_a_preset_is_as_published() -> None:
    assert planned(20_000, preset="ptb-small").train_config.sampled_softmax == 0


@pytest.mark.usefixtures("small_is_large")
def test_evaluations_are_expected_to_take_as_long_as_training() -> None:
    whole, part = (planned(steps=9_000, sampled_softmax=n).train_config for n in (0, 7))
    assert part.eval_every > 1.5 * whole.eval_every


def test_a_run_learns_and_says_what_has_no_effect(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text(sentences(12_000))
    asked: dict[str, Any] = {"runs_dir": tmp_path, "tokenizer": "word", "steps": 200, "threads": 1}

    def loss(run: Run) -> float:
        return charrnn.load(run, threads=1).evaluate().loss

    part = charrnn.train(source, name="part", sampled_softmax=12, **asked)
    assert loss(part) < 0.6 * loss(charrnn.train(source, name="one", **asked | {"steps": 1}))
    asked |= {"steps": 2, "sampled_softmax": 5_000}
    notes: list[str] = []
    charrnn.train(source, name="all", on_note=notes.append, **asked)
    assert any("--sampled-softmax has no effect on a vocabulary" in note for note in notes)


def test_other_tasks_refuse_it(tmp_path: Path) -> None:
    source = tmp_path / "pairs.tsv"
    source.write_text("a b\tb a\n" * 50)
    with pytest.raises(UsageError, match="sampled-softmax is no option of the task pairs"):
        charrnn.train(source, task="pairs", sampled_softmax=5, runs_dir=tmp_path)


@pytest.mark.usefixtures("small_is_large")
def test_a_long_text_of_words_is_learned_by_soap_in_larger_steps_with_less_dropout() -> None:
    plan = planned(600_000, 60_000, epochs=30)
    train, model = plan.train_config, plan.model_config
    assert (train.optimizer, train.batch_size, train.seq_length) == ("soap", 16, 64)
    assert model.dropout == model.output_dropout == 0.35
    assert model.input_dropout < 0.35


def test_a_long_text_of_characters_that_is_read_as_often_is_not() -> None:
    plan = planned(600_000, 60_000, epochs=30)
    train = plan.train_config
    assert (train.optimizer, train.batch_size, train.seq_length) == ("adamw", 8, 64)
    assert plan.model_config.dropout > 0.35
