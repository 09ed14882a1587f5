"""train(): what is evaluated, what is best, what is kept."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import digest
from charrnn.tasks.language import task
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.evaluate import evaluate
from charrnn.tasks.language.network import from_weights
from charrnn.training.events import Evaluated, Finished, Saved
from charrnn.training.versions import versions
from tests.support.tiny import tiny_corpus
from tests.support.trainings import STEPS, Corpora, a_run, carry_out, interrupted, newest, plan_for


def test_what_is_evaluated_and_saved_is_the_average(corpus: Corpus, tmp_path: Path) -> None:
    """The average of the weights after steps 13 and 14, as two runs without it have them."""
    kept = {}
    for steps_kept in (13, 14):
        run = a_run(tmp_path, f"plain{steps_kept}")
        carry_out(plan_for(corpus, train={"save_every": 13}), corpus, run)
        kept[steps_kept] = files.load(run.path_of(steps_kept), training=True).weights
    run = a_run(tmp_path, "average")
    result = carry_out(plan_for(corpus, train={"average_from": 12}), corpus, run)
    found = newest(run)
    assert found.training is not None
    for name, array in found.weights.items():
        assert np.allclose(array, (kept[13][name] + kept[14][name]) / 2, atol=1e-6)
        assert np.array_equal(found.training.raw[name], kept[14][name])
    model = from_weights(found.config, found.weights)
    split = corpus.splits["valid"]
    score = evaluate(model, split.load(), split.characters, corpus.tokenizer.newline_id)
    assert result.of(Evaluated)[-1].score.nats == pytest.approx(score.nats)


def test_an_evaluation_is_of_the_weights_that_are_saved_with_it(
    corpus: Corpus, tmp_path: Path
) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    result = carry_out(plan, corpus, run)
    part = corpus.splits["valid"]
    for event in result.of(Evaluated):
        found = files.load(run.path_of(event.step))
        model = from_weights(found.config, found.weights)
        newline = corpus.tokenizer.newline_id
        assert event.score == evaluate(model, part.load(), part.characters, newline)
        assert found.info.valid == event.score.nats_per_char
    assert run.entries()[0].valid is None


def test_a_limit_of_tokens_limits_the_evaluation(corpus: Corpus, tmp_path: Path) -> None:
    part = corpus.splits["valid"]
    for limit, expected in ((50, 50), (0, part.tokens), (10**6, part.tokens)):
        plan = plan_for(corpus, train={"eval_tokens": limit})
        result = carry_out(plan, corpus, a_run(tmp_path, str(limit)))
        score = result.of(Evaluated)[0].score
        assert score.tokens == expected
        assert score.characters == round(part.characters * expected / part.tokens)


def test_samples_are_text_of_the_tokenizer(corpus: Corpus, tmp_path: Path) -> None:
    result = carry_out(plan_for(corpus), corpus, a_run(tmp_path))
    assert [len(event.sample) for event in result.of(Evaluated)] == [2, 2, 2]


def test_a_sample_of_a_corpus_of_lines_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "PREVIEW", replace(task.PREVIEW, length=300))
    corpus = tiny_corpus(tmp_path, lines=True)
    result = carry_out(plan_for(corpus), corpus, a_run(tmp_path))
    assert len(result.of(Evaluated)) == 3
    assert not any("\n" in event.sample for event in result.of(Evaluated))
    assert newest(a_run(tmp_path)).info.lines


def test_evaluating_more_often_changes_no_weight(corpus: Corpus, tmp_path: Path) -> None:
    final = []
    for every in (1, 3, 100):
        plan = plan_for(corpus, train={"eval_every": every}, dropout=0.5)
        run = a_run(tmp_path, str(every))
        carry_out(plan, corpus, run)
        final.append(digest(newest(run).weights))
    assert len(set(final)) == 1


def test_the_best_is_the_least_validation_loss(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus, train={"learning_rate": 0.05}), a_run(tmp_path)
    result = carry_out(plan, corpus, run)
    scores = {event.step: event.score.nats_per_char for event in result.of(Evaluated)}
    (end,) = result.of(Finished)
    assert end.best == min(scores.values())
    assert scores[end.best_step] == end.best
    entry = run.best()
    assert entry is not None
    assert entry.step == end.best_step
    so_far = math.inf
    for event in result.of(Evaluated):
        assert event.best is (event.score.nats_per_char <= so_far)
        so_far = min(so_far, event.score.nats_per_char)


def score_in_turn(monkeypatch: pytest.MonkeyPatch, *nats_per_char: float) -> None:
    """The next evaluations have these scores."""
    values = iter(nats_per_char)
    real = evaluate

    def scripted(*arguments: Any) -> Any:
        score = real(*arguments)
        return replace(score, nats=next(values) * score.characters)

    monkeypatch.setattr("charrnn.tasks.language.evaluate.evaluate", scripted)


def test_a_worse_evaluation_is_not_the_best(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_in_turn(monkeypatch, 3.0, 1.0, 2.0)
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus, train={"keep": 1}), corpus, run)
    assert [event.best for event in result.of(Evaluated)] == [True, True, False]
    assert result.of(Finished)[0].best == pytest.approx(1.0)
    assert result.of(Finished)[0].best_step == 12
    assert [entry.step for entry in run.entries()] == [12, 14]


def test_a_resumed_run_remembers_the_best_of_before(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_in_turn(monkeypatch, 1.0, 3.0, 2.0)
    result = interrupted(plan_for(corpus), corpus, a_run(tmp_path), (7,))
    assert [event.best for event in result.of(Evaluated)] == [True, False, False]
    (end,) = result.of(Finished)
    assert (end.best, end.best_step) == (pytest.approx(1.0), 6)


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_and_the_best_are_kept(keep: int, corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus, train={"keep": keep}), a_run(tmp_path)
    carry_out(plan, corpus, run)
    best = run.best()
    assert best is not None
    assert {entry.step for entry in run.entries()} == {5, 6, 10, 12, 14} - set(
        [5, 6, 10, 12, 14][:-keep]
    ) | {best.step}


def test_without_a_validation_part_checkpoints_are_saved_without_a_score(
    corpora: Corpora, tmp_path: Path
) -> None:
    whole = corpora("char")
    corpus = replace(whole, splits={"train": whole.splits["train"]})
    plan, run = plan_for(corpus), a_run(tmp_path)
    result = carry_out(plan, corpus, run)
    assert result.of(Evaluated) == []
    assert [event.step for event in result.of(Saved)] == [5, 10, 14]
    assert (result.of(Finished)[0].best, result.of(Finished)[0].best_step) == (None, 0)


def test_a_resumed_run_without_a_validation_part_has_no_best_step(
    corpora: Corpora, tmp_path: Path
) -> None:
    whole = corpora("char")
    corpus = replace(whole, splits={"train": whole.splits["train"]})
    result = interrupted(plan_for(corpus), corpus, a_run(tmp_path), (7,))
    assert (result.of(Finished)[0].best, result.of(Finished)[0].best_step) == (None, 0)


def test_a_checkpoint_records_what_it_was_trained_on(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    carry_out(plan, corpus, run)
    found = newest(run)
    assert found.config == plan.model_config
    assert found.training is not None
    assert found.training.config == plan.train_config
    assert found.info.corpus == corpus.fingerprint()
    assert found.info.versions == versions()
    assert found.info.step == STEPS
    assert found.info.epoch == pytest.approx(STEPS * 32 / corpus.splits["train"].tokens)
    assert found.tokenizer.to_json() == corpus.tokenizer.to_json()


def test_versions_name_what_exactness_depends_on() -> None:
    found = versions()
    assert found.keys() == {"torch", "numpy", "charrnn", "python", "machine"}
    assert found["torch"] == torch.__version__
    assert found["numpy"] == np.__version__
    assert all(isinstance(value, str) and value for value in found.values())
