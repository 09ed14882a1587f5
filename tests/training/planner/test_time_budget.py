"""Keeping a time: the steps that fit, and trainings on a clock that runs as the tests want."""

import itertools
import shutil
import subprocess
import sys
import time
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
from charrnn.training.distributed import Group
from charrnn.training.events import (
    Evaluated,
    Event,
    Finished,
    Planned,
    Revised,
    Saved,
    Warned,
    to_json,
)
from charrnn.training.learner import Learner
from charrnn.training.optimizer import learning_rate
from charrnn.training.planner import plan as planner
from charrnn.training.planner.calibration import Speed
from charrnn.training.planner.plan import Plan
from charrnn.training.trainer import train
from charrnn.training.validation import Validation
from tests.support.shell import Shell
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train

ALONE = Group(torch.device("cpu"))


@dataclass
class Machine:
    """A clock that only training and evaluating advance; `slow(step)` is how much slower it is.

    scale: of the seconds of a step and an evaluation; computes: whether steps change weights.
    """

    slow: Callable[[int], float] = lambda step: 1.0
    scale: float = 1.0
    now: float = 1000.0
    rates: list[float] = field(default_factory=list)
    step: int = 0
    computes: bool = True

    def read(self) -> float:
        """The time; who only looks at the clock sees it go on by a microsecond."""
        self.now += 1e-6
        return self.now

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step takes 10 ms, an evaluation 50."""
        advance, score = Learner.advance, Validation._score

        def slowly(learner: Learner, flag: int = 0) -> int:
            self.now += 0.01 * self.scale * self.slow(learner.step)
            self.step = learner.step
            self.rates.append(learning_rate(learner.step, learner.config))
            if self.computes or learner.step == 0:
                return advance(learner, flag)
            learner.loss_count += 1
            learner.step += 1
            return flag

        def evaluated(own: Validation, *given: Any) -> Any:
            self.now += 0.05 * self.scale * self.slow(self.step)
            return score(own, *given)

        monkeypatch.setattr("time.perf_counter", self.read)
        monkeypatch.setattr(Learner, "advance", slowly)
        monkeypatch.setattr(Validation, "_score", evaluated)
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
    "ten times slower": lambda step: 10.0,
    "ten times faster": lambda step: 0.1,
    "a load that stays from the middle on": lambda step: 1.0 if step < 110 else 12.0,
    "a load that comes near the end": lambda step: 1.0 if step < 170 else 20.0,
    "a load that goes": lambda step: 15.0 if step < 8 else 1.0,
    "a load that comes and goes": lambda step: 8.0 if 40 <= step < 50 or 90 <= step < 95 else 1.0,
    "now slow, now fast": lambda step: 0.7 if step // 15 % 2 else 1.4,
}


@pytest.mark.parametrize("scale", [1.0, 40.0], ids=["seconds", "minutes"])
@pytest.mark.parametrize("slow", SPEEDS.values(), ids=SPEEDS)
def test_a_training_takes_the_time_it_was_given(
    scale: float,
    slow: Callable[[int], float],
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(slow, scale, computes=False)
    machine.install(monkeypatch)
    asked = 2.5 * scale
    seen = list(events(corpus, Run(tmp_path / "run"), until=machine.now + asked))
    # Within a tenth, and the last evaluation, which may take many times as long as before.
    took, late = machine.now - 1000.0, 0.05 * scale * slow(machine.step)
    assert 0.9 * asked < took < 1.1 * asked + late
    end = seen[-1]
    assert isinstance(end, Finished)
    kept = last(Run(tmp_path / "run"))
    assert kept.training is not None
    assert end.step == kept.info.step == kept.training.config.steps
    revised = [event.plan.train_config.steps for event in seen if isinstance(event, Revised)]
    assert (revised[-1] if revised else 200) == end.step
    # The rate rises, and falls to nothing at the end, wherever that has come to be.
    assert max(machine.rates) == machine.rates[9]
    assert machine.rates[-1] < 0.03 * machine.rates[9]


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


def test_baselines_are_left_out_with_a_word_where_the_time_is_over(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a dozen busy processes they took longer than the training was to take."""
    machine = Machine(lambda step: 1.0)
    machine.install(monkeypatch)
    for name, until in (("late", machine.now), ("early", machine.now + 2.5)):
        run = Run(tmp_path / name)
        run.folder.mkdir()
        first, second = itertools.islice(train(plan_of(corpus), corpus, run, ALONE, until=until), 2)
        assert isinstance(first, Planned)
        late = isinstance(second, Warned) and "baselines" in second.text
        assert (first.baselines == {}, late) == (name == "late", name == "late")


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
    """Bit for bit what it would have come to, with fewer than half of the steps planned."""
    machine = Machine(lambda step: 1.0 if step < 20 else 5.0)
    machine.install(monkeypatch)
    whole, parted = Run(tmp_path / "whole"), Run(tmp_path / "parted")
    seen = list(events(corpus, whole, until=machine.now + 2.0))
    stop = max(event.step for event in seen if isinstance(event, Revised)) + 1
    assert 20 < stop < last(whole).info.step < 100
    machine.now = 1000.0
    list(events(corpus, parted, machine.now + 2.0, stop=stop))
    list(events(corpus, parted, None, last(parted)))
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
    # With SOAP fewer epochs would do, in less than this time.
    words = ("--minutes", "0.1", "--log-every", "20", "--quiet", "--optimizer", "adamw")
    shell.train("corpus.txt", *words, "--json").succeeded()
    run = Run(shell.runs / "corpus")
    kept = last(run)
    assert kept.training is not None
    revised = [event["steps"] for event in run.events() if event["event"] == "revised"]
    assert revised
    assert machine.now - 1000.0 == pytest.approx(6.0, rel=0.07)
    assert revised[-1] == kept.info.step == kept.training.config.steps
    assert run.description()["plan"]["train"]["steps"] == kept.info.step


def planned_again(plans: list[float], corpus: Corpus, run: Run, machine: Machine) -> list[Event]:
    """The events of 100 seconds; `plans` has the tokens/s that each plan assumes."""

    def make(tokens_per_second: float) -> Plan:
        plan = replace(plan_of(corpus), tokens_per_second=tokens_per_second)
        return plan.with_steps(max(10, int(90 * tokens_per_second / 32)))

    run.folder.mkdir()
    rest = iter(plans[1:])
    return list(
        train(
            make(plans[0]),
            corpus,
            run,
            ALONE,
            until=machine.now + 100.0,
            replan=lambda: make(next(rest)),
        )
    )


@pytest.mark.parametrize(
    ("planned", "word"), [(8.0, "10.0 times faster"), (800.0, "10.0 times slower")]
)
def test_a_plan_of_a_bad_minute_is_made_again_in_the_first_seconds(
    planned: float, word: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load was there during calibration and is gone, and the other way round."""
    machine = Machine(scale=40.0)  # 0.4 s for 32 tokens: 80 tokens/s
    machine.install(monkeypatch)
    run = Run(tmp_path / "run")
    seen = planned_again([planned, 80.0], corpus, run, machine)
    kinds = [type(event) for event in seen]
    assert kinds.count(Planned) == 2
    second = kinds.index(Planned, 1)
    assert not {Saved, Evaluated} & set(kinds[:second])
    assert seen[second + 1].text.startswith(f"training was {word} than planned")  # type: ignore[union-attr]
    assert seen[second].step == seen[second + 1].step == 0
    assert seen[-1].step > 150
    assert 90.0 < machine.now - 1000.0 < 110.0
    assert [e["event"] for e in run.events()] == []


def test_a_machine_that_stays_as_it_is_is_planned_once(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(scale=40.0)
    machine.install(monkeypatch)
    seen = planned_again([55.0], corpus, Run(tmp_path / "run"), machine)
    assert sum(isinstance(event, Planned) for event in seen) == 1


def test_plans_that_are_always_wrong_do_not_start_a_run_again_for_ever(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(scale=40.0)
    machine.install(monkeypatch)
    wrong = [800.0, 800.0, 800.0]
    seen = planned_again(wrong, corpus, Run(tmp_path / "run"), machine)
    assert sum(isinstance(event, Planned) for event in seen) == 3
    assert isinstance(seen[-1], Finished)
    assert machine.now - 1000.0 < 112.0


def test_nothing_is_planned_again_once_something_was_saved(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(lambda step: 1.0 if step < 70 else 5.0, scale=8.0)
    machine.install(monkeypatch)
    # An evaluation and a checkpoint at step 40, and slow from step 70 on: within 20 seconds.
    seen = planned_again([400.0], corpus, Run(tmp_path / "run"), machine)
    assert sum(isinstance(event, Planned) for event in seen) == 1
    assert machine.now - 1000.0 < 110.0


def test_threads_that_change_on_the_way_are_recorded_and_resumed_bit_for_bit(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(scale=40.0)
    torch.set_num_threads(2)
    plan = replace(plan_of(corpus), adaptive=True, tokens_per_second=80.0)
    plan = replace(plan, train_config=replace(plan.train_config, threads=2, save_every=10))
    whole, parted = Run(tmp_path / "whole"), Run(tmp_path / "parted")
    machine.slow = lambda step: 30.0 if step > 50 and torch.get_num_threads() == 2 else 1.0
    machine.install(monkeypatch)
    whole.folder.mkdir()
    seen = list(train(plan, corpus, whole, ALONE))
    changed = [event.step for event in seen if isinstance(event, Revised)]
    assert len(changed) == 1
    assert "going on with 1 thread" in next(e.text for e in seen if isinstance(e, Warned))
    for step, threads in ((50, 2), (100, 1), (200, 1)):
        config = files.load(whole.path_of(step), training=True).training.config  # type: ignore[union-attr]
        assert config.threads == threads
    shutil.copytree(whole.folder, parted.folder)
    for entry in parted.entries():
        if entry.step > 100:
            entry.path.unlink()
    start = last(parted)
    assert start.training is not None
    old = replace(plan, train_config=start.training.config, adaptive=False)
    list(train(old, corpus, parted, ALONE, start))
    assert files.digest(last(parted).weights) == files.digest(last(whole).weights)


def test_a_time_is_kept_beside_busy_processes(shell: Shell) -> None:
    """On the real clock, once: six seconds, and what reading, planning and saving may take."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        began = time.perf_counter()
        # Large enough that the first plan is far from what four busy processes leave of it.
        size = ("--hidden-size", "128", "--num-layers", "2", "--max-parameters", "1000000")
        shell.run("train", "corpus.txt", *size, "--minutes", "0.1", "--quiet").succeeded()
        assert time.perf_counter() - began < 6.0 * 1.1 + 5.0
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_log_and_the_description_of_a_run_planned_again_are_of_the_second_plan(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    machine.install(monkeypatch)
    # A step of 8 x 8 tokens takes 10 ms: 6,400 tokens/s, after a first plan for a hundredth.
    speeds = iter([Speed(64.0, 1, busy=True), *[Speed(6400.0, 1)] * 20])
    monkeypatch.setattr(planner, "calibrate", lambda *_: next(speeds))
    size = ("--batch-size", "8", "--seq-length", "8", "--hidden-size", "8", "--num-layers", "1")
    shell.run("train", "corpus.txt", *size, "--minutes", "0.1", "--quiet").succeeded()
    run = Run(shell.runs / "corpus")
    logged = run.events()
    assert [event["event"] for event in logged[:2]] == ["planned", "warned"]
    assert "planned again" in logged[1]["text"]
    assert sum(event["event"] == "planned" for event in logged) == 1
    assert run.description()["plan"]["tokens_per_second"] == 6400.0
    assert "busy" not in run.description()["plan"]
    kept = last(run)
    assert kept.training is not None
    assert run.description()["plan"]["train"]["steps"] == kept.info.step > 300
    steps = [event["step"] for event in logged]
    assert steps == sorted(steps)
