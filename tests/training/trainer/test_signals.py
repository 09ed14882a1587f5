"""train(): a signal saves, and the next session does what was left."""

import itertools
import signal
from pathlib import Path

import pytest

from charrnn.errors import InterruptedTraining
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.events import Evaluated, Event, Finished, Planned, Saved
from charrnn.training.trainer import train
from tests.support.trainings import (
    ALONE,
    EVAL,
    STEPS,
    a_run,
    bytes_of_step,
    carry_out,
    newest,
    plan_for,
)


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
