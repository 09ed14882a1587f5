"""train(): its events, and that a run interrupted anywhere continues bit for bit."""

import itertools
import json
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.checkpoint import Checkpoint, digest
from charrnn.checkpoints.run import Run
from charrnn.config import CELLS, ModelConfig, TrainConfig
from charrnn.errors import (
    DivergedError,
    InterruptedTraining,
    MemoryLimitError,
    StorageError,
    UsageError,
)
from charrnn.tasks.language import task
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.evaluate import evaluate
from charrnn.tasks.language.network import from_weights
from charrnn.training.distributed import Group
from charrnn.training.events import (
    Evaluated,
    Event,
    Finished,
    Planned,
    Progress,
    Saved,
    Warned,
    to_json,
)
from charrnn.training.learner import Learner
from charrnn.training.optimizer import learning_rate
from charrnn.training.planner.plan import Plan
from charrnn.training.trainer import train
from charrnn.training.versions import versions
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train

ALONE = Group(torch.device("cpu"))

STEPS, LOG, EVAL, SAVE = 14, 4, 6, 5
"""The run of these tests: lines at 4, 8, 12, 14; evaluations at 6, 12, 14; saves at 5, 10 too."""

Corpora = Callable[[str], Corpus]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    """The tiny text under each tokenizer, prepared once; an epoch of it is 5 to 10 steps."""

    @cache
    def made(tokenizer: str) -> Corpus:
        corpus = tiny_corpus(tmp_path_factory.mktemp(tokenizer), tokenizer, valid_fraction=0.5)
        assert corpus.splits["train"].tokens <= 10 * 4 * 8
        return corpus

    return made


@pytest.fixture
def corpus(corpora: Corpora) -> Corpus:
    return corpora("char")


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show two tokens at an evaluation instead of a paragraph."""
    monkeypatch.setattr(task, "PREVIEW", replace(task.PREVIEW, length=2))


def plan_for(corpus: Corpus, cell: str = "lstm", train: Any = None, **model: Any) -> Plan:
    """A plan of 14 steps."""
    cadence = {"steps": STEPS, "log_every": LOG, "eval_every": EVAL, "save_every": SAVE}
    config = tiny_model(cell, vocab_size=corpus.tokenizer.vocab_size, **model)
    return tiny_plan(config, tiny_train(**cadence | (train or {})))


def a_run(folder: Path, name: str = "run") -> Run:
    (folder / name).mkdir(exist_ok=True)
    return Run(folder / name)


@dataclass
class Result:
    """The events of one session or several, and how the last one ended."""

    events: list[Event]
    error: Exception | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def figures(self) -> list[tuple[Any, ...]]:
        """Every figure of the training itself: no clock, no path."""
        figures: list[tuple[Any, ...]] = []
        for event in self.events:
            if isinstance(event, Progress):
                numbers = (event.loss, event.metrics, event.learning_rate, event.grad_norm)
                figures.append(("progress", event.step, event.epoch, *numbers))
            if isinstance(event, Evaluated):
                figures.append(("evaluated", event.step, event.score, event.best, event.sample))
        return figures


def carry_out(
    plan: Plan, corpus: Corpus, run: Run, start: Checkpoint | None = None, stop: int = 0
) -> Result:
    """Train until a signal comes during step `stop`, 0 for none, or until anything goes wrong."""
    asked = itertools.count((start.info.step if start else 0) + 1)
    result = Result([])
    events = train(
        plan, corpus, run, ALONE, start, lambda: signal.SIGTERM if next(asked) == stop else 0
    )
    try:
        for event in events:
            result.events.append(event)
    except Exception as error:
        result.error = error
    return result


def newest(run: Run) -> Checkpoint:
    entry = run.latest()
    assert entry is not None
    return files.load(entry.path, training=True)


def interrupted(plan: Plan, corpus: Corpus, run: Run, stops: tuple[int, ...]) -> Result:
    """The events of a run stopped at each of these steps and resumed from its file."""
    result: list[Event] = []
    for stop in (*stops, 0):
        start = newest(run) if result else None
        part = carry_out(plan, corpus, run, start, stop)
        result += part.events
        assert isinstance(part.error, InterruptedTraining) if stop else part.error is None
    return Result(result)


def bytes_of_step(run: Run, step: int) -> bytes:
    return run.path_of(step).read_bytes()


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
    assert digest(newest(run).weights) != digest(newest(plain).weights)


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


def test_a_worse_evaluation_is_not_the_best(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([3.0, 1.0, 2.0])
    real = evaluate

    def scripted(*arguments: Any) -> Any:
        score = real(*arguments)
        return replace(score, nats=next(values) * score.characters)

    monkeypatch.setattr("charrnn.tasks.language.evaluate.evaluate", scripted)
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus, train={"keep": 1}), corpus, run)
    assert [event.best for event in result.of(Evaluated)] == [True, True, False]
    assert result.of(Finished)[0].best == pytest.approx(1.0)
    assert result.of(Finished)[0].best_step == 12
    assert [entry.step for entry in run.entries()] == [12, 14]


def test_a_resumed_run_remembers_the_best_of_before(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([1.0, 3.0, 2.0])
    real = evaluate

    def scripted(*arguments: Any) -> Any:
        score = real(*arguments)
        return replace(score, nats=next(values) * score.characters)

    monkeypatch.setattr("charrnn.tasks.language.evaluate.evaluate", scripted)
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_continue(
    number: signal.Signals, corpus: Corpus, tmp_path: Path
) -> None:
    run = a_run(tmp_path, "mine")
    asked = itertools.count(1)
    events = train(
        plan_for(corpus), corpus, run, ALONE, None, lambda: number if next(asked) == 3 else 0
    )
    result: list[Event] = []
    with pytest.raises(InterruptedTraining, match="stopped at step 3 of 14; it is saved") as caught:
        result += events
    assert caught.value.exit_code == 128 + number
    assert f"charrnn train --resume --name {run.folder}" in caught.value.remedy
    assert newest(run).info.step == 3


def test_a_signal_at_an_evaluation_saves_at_once_and_evaluates_when_resumed(
    corpus: Corpus, tmp_path: Path
) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    first = carry_out(plan, corpus, run, stop=EVAL)
    assert first.of(Evaluated) == []
    assert first.of(Saved)[-1].step == EVAL
    assert newest(run).info.valid is None
    second = carry_out(plan, corpus, run, newest(run))
    assert [(type(e).__name__, e.step) for e in second.events[:3]] == [
        ("Planned", EVAL), ("Evaluated", EVAL), ("Saved", EVAL),
    ]  # fmt: skip
    assert run.entries()[1].valid is not None


def test_a_signal_at_the_last_step_leaves_the_last_evaluation_to_the_next_session(
    corpus: Corpus, tmp_path: Path
) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    first = carry_out(plan, corpus, run, stop=STEPS)
    assert isinstance(first.error, InterruptedTraining)
    assert first.of(Finished) == []
    second = carry_out(plan, corpus, run, newest(run))
    assert [type(event) for event in second.events] == [Planned, Evaluated, Saved, Finished]


def test_a_finished_run_that_is_resumed_is_finished(corpus: Corpus, tmp_path: Path) -> None:
    plan, run = plan_for(corpus), a_run(tmp_path)
    first = carry_out(plan, corpus, run)
    before = bytes_of_step(run, STEPS)
    second = carry_out(plan, corpus, run, newest(run))
    assert [type(event) for event in second.events] == [Planned, Finished]
    assert second.of(Finished)[0].best == first.of(Finished)[0].best
    assert second.of(Finished)[0].best_step == first.of(Finished)[0].best_step
    assert bytes_of_step(run, STEPS) == before


def test_a_signal_before_the_first_step_saves_one_step(corpus: Corpus, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    result = carry_out(plan_for(corpus), corpus, run, stop=1)
    assert isinstance(result.error, InterruptedTraining)
    assert [entry.step for entry in run.entries()] == [1]


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


class Watching(Disk):
    """A disk on which no tensor that is not finite may be given its name."""

    def rename(self, source: Path, target: Path) -> None:
        """Look before."""
        found = files.load(source, training=True)  # it would refuse what is not finite
        assert found.training is not None
        super().rename(source, target)


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


MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("error", MEMORY, ids=["python", "gpu", "cpu"])
@pytest.mark.parametrize("where", ["__init__", "advance", "training_state", "weights"])
def test_out_of_memory_says_what_to_make_smaller(
    error: Exception, where: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Learner, where, fail)
    plan = plan_for(corpus)
    result = carry_out(plan, corpus, a_run(tmp_path))
    assert isinstance(result.error, MemoryLimitError)
    assert f"training {plan.parameters:,} parameters" in result.error.problem
    assert type(error).__name__ in result.error.problem
    assert "--batch-size, --seq-length or --hidden-size" in result.error.remedy


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("odd"), KeyError("gone")])
def test_an_error_that_is_no_lack_of_memory_stays_what_it_is(
    error: Exception, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Learner, "advance", fail)
    assert carry_out(plan_for(corpus), corpus, a_run(tmp_path)).error is error


def test_a_disk_that_is_full_ends_the_run_and_keeps_what_was_saved(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    real = Run.save

    class Full(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

    def save(self: Run, model: Checkpoint, keep: int) -> Any:
        full = model.info.step > EVAL
        return real(self, model, keep, Full()) if full else real(self, model, keep)

    monkeypatch.setattr(Run, "save", save)
    result = carry_out(plan_for(corpus), corpus, run)
    assert isinstance(result.error, StorageError)
    assert "No space left on device" in result.error.problem
    assert [entry.step for entry in run.entries()] == [5, 6]


def test_every_file_is_finite_before_it_has_its_name(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.save
    monkeypatch.setattr(Run, "save", lambda self, model, keep: real(self, model, keep, Watching()))
    result = carry_out(plan_for(corpus, dropout=0.5), corpus, a_run(tmp_path))
    assert result.error is None
    assert len(result.of(Saved)) == 5


def test_what_could_not_be_removed_is_reported_and_does_not_end_the_run(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sticky(Disk):
        def remove(self, path: Path) -> None:
            raise OSError(1, "Operation not permitted")

    real = Run.save
    monkeypatch.setattr(Run, "save", lambda self, model, keep: real(self, model, keep, Sticky()))
    result = carry_out(plan_for(corpus, train={"keep": 1}), corpus, a_run(tmp_path))
    assert result.error is None
    assert any("cannot remove" in line for event in result.of(Saved) for line in event.warnings)


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
