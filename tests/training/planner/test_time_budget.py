"""Keeping a time: the steps that fit, and trainings on a clock that runs as the tests want."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import InterruptedTraining
from charrnn.tasks.language import task
from charrnn.tasks.language.corpus import Corpus
from charrnn.training import trainer
from charrnn.training.distributed import Group
from charrnn.training.events import Event, Finished, Revised, to_json
from charrnn.training.learner import Learner
from charrnn.training.optimizer import learning_rate
from charrnn.training.planner.heuristics import EVALUATION_SHARE
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.time_budget import Throughput
from charrnn.training.trainer import train
from tests.support.shell import Shell
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train

ALONE = Group(torch.device("cpu"))


def throughput(**changes: Any) -> Throughput:
    """100 of 1,000 steps in 10 seconds, one evaluation of a second, 90 seconds left."""
    steps = {"step": 100, "taken": 100, "evaluations": 1}
    seconds = {"training": 10.0, "evaluating": 1.0, "left": 90.0}
    return Throughput(**{**steps, **seconds, **changes})


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        # A step takes 0.1 s and its part of an evaluation 0.01 s; one is kept for the end.
        (throughput(), 100 + 809),
        (throughput(training=5.0), 100 + 1483),
        (throughput(evaluations=0, left=90 / (1 - EVALUATION_SHARE)), 1000),
        (throughput(evaluations=0, left=80 / (1 - EVALUATION_SHARE)), 900),
        (throughput(step=600, left=45.0), 1000),
        (throughput(step=600, left=56.0), 1100),
    ],
)
def test_the_steps_that_are_left_fit_into_the_time_that_is_left(
    given: Throughput, steps: int
) -> None:
    assert given.steps(1000, 1000, eval_every=100) == steps


def test_little_is_left_as_it_is() -> None:
    seconds = [80.0 + n / 10 for n in range(400)]
    found = {throughput(left=left).steps(1000, 1000, 100) for left in seconds}
    assert 1000 in found
    assert not found & (set(range(990, 1011)) - {1000})


def test_nothing_is_concluded_from_the_first_steps() -> None:
    assert throughput(taken=29).steps(1000, 1000, 100) == 1000
    assert throughput(taken=30).steps(1000, 1000, 100) != 1000
    assert throughput(training=0.0).steps(1000, 1000, 100) == 1000


def test_the_plan_is_for_so_many_steps_and_not_for_ten_times_as_many() -> None:
    assert throughput(left=1e9).steps(1000, 1000, 100) == 2000
    assert throughput(left=-5.0).steps(1000, 1000, 100) == 500
    # The rate falls within a twentieth, even where there is no time; what is left may be less.
    assert throughput(left=-5.0, step=700).steps(1000, 1000, 100) == 735
    assert throughput(left=-5.0, step=990).steps(1000, 1000, 100) == 1000
    assert throughput(left=-5.0, step=700).steps(1000, 720, 100) == 720


def test_without_a_validation_part_no_time_is_kept_for_it() -> None:
    without = throughput(evaluations=0, evaluating=0.0, left=80.0, validates=False)
    assert without.steps(1000, 1000, 100) == 900


@dataclass
class Machine:
    """A clock that only training and evaluating advance; `slow(step)` is how much slower it is."""

    slow: Callable[[int], float] = lambda step: 1.0
    now: float = 1000.0
    rates: list[float] = field(default_factory=list)

    def read(self) -> float:
        """The time; who only looks at the clock sees it go on by a microsecond."""
        self.now += 1e-6
        return self.now

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step takes 10 ms, an evaluation 50."""
        advance, score = Learner.advance, trainer.Trainer._score

        def slowly(learner: Learner, flag: int = 0) -> int:
            self.now += 0.01 * self.slow(learner.step)
            self.rates.append(learning_rate(learner.step, learner.config))
            return advance(learner, flag)

        def evaluated(own: trainer.Trainer) -> Any:
            self.now += 0.05 * self.slow(own.learner.step)
            return score(own)

        monkeypatch.setattr("time.perf_counter", self.read)
        monkeypatch.setattr(Learner, "advance", slowly)
        monkeypatch.setattr(trainer.Trainer, "_score", evaluated)
        monkeypatch.setattr(task, "PREVIEW", replace(task.PREVIEW, length=2))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return tiny_corpus(tmp_path, valid_fraction=0.5)


def plan_of(corpus: Corpus) -> Plan:
    """200 steps, which take 2 seconds and 10 evaluations of 50 ms."""
    model = tiny_model("rnn", vocab_size=corpus.tokenizer.vocab_size, num_layers=1)
    cadence = {"steps": 200, "eval_every": 20, "save_every": 50, "log_every": 5, "warmup_steps": 10}
    return tiny_plan(model, tiny_train(**cadence))


def events(
    corpus: Corpus, run: Run, until: float | None, start: Checkpoint | None = None, stop: int = 0
) -> Iterator[Event]:
    """The events of the run, or of its resumption, up to a signal when it is at step `stop`."""
    run.folder.mkdir(exist_ok=True)
    plan = plan_of(corpus)
    if start is not None and start.training is not None:
        plan = replace(plan, train_config=start.training.config)
    asked = iter(range(start.info.step + 1 if start else 1, 10**6))
    seen = train(plan, corpus, run, ALONE, start, lambda: 15 * (next(asked) == stop), until)
    if stop:
        with pytest.raises(InterruptedTraining):
            yield from seen
    else:
        yield from seen


def last(run: Run) -> Checkpoint:
    entry = run.latest()
    assert entry is not None
    return files.load(entry.path, training=True)


SPEEDS = {
    "as planned": lambda step: 1.0,
    "slower by half": lambda step: 1.5,
    "faster": lambda step: 0.6,
    "slower after a while": lambda step: 1.0 if step < 90 else 1.7,
    "faster after a while": lambda step: 1.0 if step < 120 else 0.6,
    "now slow, now fast": lambda step: 0.7 if step // 15 % 2 else 1.4,
}


@pytest.mark.parametrize("slow", SPEEDS.values(), ids=SPEEDS)
def test_a_training_takes_the_time_it_was_given(
    slow: Callable[[int], float],
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(slow)
    machine.install(monkeypatch)
    seen = list(events(corpus, Run(tmp_path / "run"), until=machine.now + 2.5))
    assert machine.now - 1000.0 == pytest.approx(2.5, rel=0.07)
    end = seen[-1]
    assert isinstance(end, Finished)
    kept = last(Run(tmp_path / "run"))
    assert kept.training is not None
    assert end.step == kept.info.step == kept.training.config.steps
    revised = [event.plan.train_config.steps for event in seen if isinstance(event, Revised)]
    assert (revised[-1] if revised else 200) == end.step
    # The rate rises, and falls to nothing at the end, wherever that has come to be.
    assert max(machine.rates) == machine.rates[9]
    assert machine.rates[-1] < 0.01 * machine.rates[9]


def test_a_fast_machine_reads_a_short_text_no_longer_than_it_improves(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(lambda step: 0.5)
    machine.install(monkeypatch)
    plan = replace(plan_of(corpus), most_steps=210)
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    seen = list(train(plan, corpus, run, ALONE, until=machine.now + 2.5))
    assert seen[-1].step == 210


def test_without_a_time_the_steps_are_the_plans(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(lambda step: 3.0)
    machine.install(monkeypatch)
    seen = list(events(corpus, Run(tmp_path / "run"), until=None))
    assert not any(isinstance(event, Revised) for event in seen)
    assert seen[-1].step == 200


def test_a_resumed_run_has_the_steps_that_it_was_given_last(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit what it would have come to: the time is so short that half the steps remain."""
    machine = Machine()
    machine.install(monkeypatch)
    whole, parted = Run(tmp_path / "whole"), Run(tmp_path / "parted")
    seen = list(events(corpus, whole, until=machine.now + 0.5))
    assert max(event.step for event in seen if isinstance(event, Revised)) < 60
    list(events(corpus, parted, machine.now + 0.5, stop=60))
    list(events(corpus, parted, None, last(parted)))
    assert last(whole).info.step == 100
    assert last(parted).info.step == last(whole).info.step
    assert last(parted).training.raw == last(whole).training.raw == {}  # type: ignore[union-attr]
    for name, weights in last(whole).weights.items():
        assert (last(parted).weights[name] == weights).all()


def test_a_revision_is_an_event(corpus: Corpus) -> None:
    event = Revised(7, plan_of(corpus).with_steps(150), 1.5)
    assert to_json(event) == {"event": "revised", "step": 7, "steps": 150, "seconds": 1.5}
    assert event.plan.epochs == 0.75 * plan_of(corpus).epochs


def test_the_program_keeps_a_time_and_records_the_steps(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    machine.install(monkeypatch)
    words = ("--minutes", "0.1", "--log-every", "20", "--quiet")
    shell.train("corpus.txt", *words, "--json").succeeded()
    run = Run(shell.runs / "corpus")
    kept = last(run)
    assert kept.training is not None
    revised = [event["steps"] for event in run.events() if event["event"] == "revised"]
    assert revised
    assert machine.now - 1000.0 == pytest.approx(6.0, rel=0.07)
    assert revised[-1] == kept.info.step == kept.training.config.steps
    assert run.description()["plan"]["train"]["steps"] == kept.info.step
