"""Evaluations of a part: pieces during training, the whole at the end, and death in the middle."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.run import Run
from charrnn.errors import InterruptedTraining
from charrnn.tasks.language import task
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.evaluate import evaluate
from charrnn.tasks.language.network import from_weights
from charrnn.training.distributed import Group
from charrnn.training.events import Evaluated, Event, Finished, Saved, Warned, to_json
from charrnn.training.planner.plan import Plan
from charrnn.training.trainer import train
from charrnn.training.validation import MARKER
from tests.support.tiny import TEXT, tiny_corpus, tiny_model, tiny_plan, tiny_train

ALONE = Group(torch.device("cpu"))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A text whose last half, which validates, ends unlike it begins."""
    monkeypatch.setattr(task, "PREVIEW", replace(task.PREVIEW, length=2))
    half = len(TEXT)
    drifting = TEXT + TEXT[: half // 2] + "WHOSAT!tac" * (half // 20)
    return tiny_corpus(tmp_path / "text", "char", drifting, valid_fraction=0.5)


def plan_for(corpus: Corpus, **changes: Any) -> Plan:
    config = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    fields = {"eval_tokens": 60, "final_eval": "whole", "learning_rate": 0.05, "eval_every": 4}
    return tiny_plan(config, tiny_train(**fields | changes))


def carry_out(
    plan: Plan, corpus: Corpus, run: Run, resume: bool = False, stop: int = 0
) -> list[Event]:
    run.folder.mkdir(exist_ok=True)
    latest = run.latest() if resume else None
    start = files.load(latest.path, training=True) if latest else None
    step, found = start.info.step if start else 0, []
    asked = iter(range(step + 1, 100))
    events = train(plan, corpus, run, ALONE, start, lambda: 15 if next(asked) == stop else 0)
    with contextlib.suppress(InterruptedTraining):
        for event in events:
            found.append(event)
    return found


def whole_score(run: Run, step: int, corpus: Corpus) -> float:
    saved = files.load(run.path_of(step))
    part = corpus.splits["valid"]
    network = from_weights(saved.config, saved.weights)
    tokens, start = part.load(), corpus.tokenizer.start_id
    return evaluate(network, tokens, part.characters, start, corpus.pricing("valid")).value


def test_the_end_is_scored_on_the_whole(corpus: Corpus, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    found = carry_out(plan_for(corpus), corpus, run)
    scores = [e for e in found if isinstance(e, Evaluated)]
    assert all(e.score.to_json()["tokens"] == 60 for e in scores if e.pieces)
    ends = {e.step: e.score.value for e in scores if not e.pieces}
    assert 14 in ends
    for step, value in ends.items():
        assert value == pytest.approx(whole_score(run, step, corpus))
        assert files.read_info(run.path_of(step)).valid == value
    (finished,) = [e for e in found if isinstance(e, Finished)]
    assert (finished.best, finished.pieces) == (min(ends.values()), False)
    best = run.best()
    assert best is not None
    assert (best.step, best.valid) == (finished.best_step, finished.best)
    assert "pieces" not in to_json(finished)


def timeless(event: Event) -> Finished:
    """The last event of a training, without the seconds that it took."""
    assert isinstance(event, Finished)
    return replace(event, seconds=0)


@pytest.mark.parametrize("stop", [3, 4, 8, 13, 14])
def test_an_interrupted_run_ends_the_same(stop: int, corpus: Corpus, tmp_path: Path) -> None:
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    a = carry_out(plan_for(corpus), corpus, whole)
    carry_out(plan_for(corpus), corpus, run, stop=stop)
    b = carry_out(plan_for(corpus), corpus, run, resume=True)
    assert timeless(a[-1]) == timeless(b[-1])
    for step in (4, 8, 12, 14):
        assert run.path_of(step).read_bytes() == whole.path_of(step).read_bytes(), step


def test_the_best_by_pieces_is_rescored_even_if_it_is_earlier(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([1.0, 3.0, 2.0, 2.5])
    real = task.LanguageTask.evaluate

    def scripted(self: Any, network: Any, dataset: Any, split: str, limit: int = 0) -> Any:
        score = real(self, network, dataset, split, limit)
        return replace(score, nats=next(values) * score.characters) if limit else score

    monkeypatch.setattr(task.LanguageTask, "evaluate", scripted)
    run = Run(tmp_path / "run")
    found = carry_out(plan_for(corpus, keep=1), corpus, run)
    ends = {e.step for e in found if isinstance(e, Evaluated) and not e.pieces}
    assert ends == {4, 14}
    again = carry_out(plan_for(corpus, keep=1), corpus, run, resume=True)
    assert not any(isinstance(e, Evaluated) for e in again)
    assert timeless(again[-1]) == timeless(found[-1])


class Death(BaseException):
    """What stands for the death of the process."""


@pytest.mark.parametrize("step", [4, 14])
def test_a_death_in_an_evaluation_loses_nothing_and_is_not_repeated_for_ever(
    step: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")
    real = task.LanguageTask.evaluate
    trained: list[int] = []

    def deadly(self: Any, network: Any, dataset: Any, split: str, limit: int = 0) -> Any:
        marked = json.loads((run.folder / MARKER).read_text())
        if marked["step"] == step:
            trained.append(step)
            raise Death
        return real(self, network, dataset, split, limit)

    monkeypatch.setattr(task.LanguageTask, "evaluate", deadly)
    for attempt in (1, 2):
        with pytest.raises(Death):
            carry_out(plan_for(corpus), corpus, run, resume=True)
        # A real death leaves the marker behind; an exception takes it away.
        (run.folder / MARKER).write_text(json.dumps({"step": step, "begun": attempt}))
        latest = run.latest()
        assert latest is not None
        assert latest.step == step
    found = carry_out(plan_for(corpus), corpus, run, resume=True)
    assert isinstance(found[-1], Finished)
    assert any(isinstance(e, Warned) and "left out" in e.text for e in found)
    assert len(trained) == 2


def test_an_evaluation_without_memory_is_left_out_with_a_word(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(task.LanguageTask, "evaluate", hungry)
    run = Run(tmp_path / "run")
    found = carry_out(plan_for(corpus), corpus, run)
    warned = [e.text for e in found if isinstance(e, Warned)]
    assert any("takes more memory than there is" in text for text in warned)
    assert isinstance(found[-1], Finished)
    assert found[-1].best is None
    assert {e.step for e in found if isinstance(e, Saved)} >= {4, 8, 12, 14}


def test_runs_of_version_0_1_read_the_beginning(corpus: Corpus, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    found = carry_out(plan_for(corpus, final_eval="beginning"), corpus, run)
    assert not any(e.pieces for e in found if isinstance(e, Evaluated))
    assert all(b"valid_pieces" not in entry.path.read_bytes() for entry in run.entries())
