"""Events as JSON: every kind has its name and step, and every number can be read back."""

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest

from charrnn.evaluation.scores import Score
from charrnn.training.events import (
    Evaluated,
    Event,
    Finished,
    Planned,
    Progress,
    Revised,
    Saved,
    Warned,
    to_json,
)
from tests.support.tiny import tiny_model, tiny_plan, tiny_train

PROGRESS = Progress(
    step=50,
    epoch=0.5,
    loss=1.25,
    metrics={"bits_per_char": 1.75},
    learning_rate=0.004,
    grad_norm=0.3,
    tokens_per_second=12_000.0,
    seconds=3.5,
    seconds_left=96.5,
)

SCORE = Score(nats=8.0, tokens=4, characters=16)

EVALUATED = Evaluated(step=100, score=SCORE, best=True, sample='a "line"\n', seconds=7.0)

SAVED = Saved(step=100, path=Path("runs/a/step-000000100.safetensors"), warnings=("w",), seconds=8)

PLANNED = Planned(plan=tiny_plan(tiny_model(), tiny_train()), step=3, run="runs/a")

FINISHED = Finished(step=200, best=1.5, best_step=100, epochs=2.5, seconds=60.0)

WARNED = Warned(step=100, text="the gradient explodes", seconds=7.5)

REVISED = Revised(step=100, plan=PLANNED.plan.with_steps(20), seconds=7.5)

ALL: list[Event] = [PLANNED, PROGRESS, EVALUATED, SAVED, WARNED, REVISED, FINISHED]


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event in ALL} == set(get_args(Event))


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_an_event_begins_with_its_name_and_step_and_is_plain_json(event: Event) -> None:
    data = to_json(event)
    assert list(data)[:2] == ["event", "step"]
    assert data["event"] == type(event).__name__.lower()
    assert data["step"] == event.step
    again: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
    assert again.keys() == data.keys()


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_events_are_values(event: Event) -> None:
    with pytest.raises(AttributeError):
        event.step = 1  # type: ignore[misc]


def test_progress_is_its_fields() -> None:
    assert to_json(PROGRESS) == {
        "event": "progress",
        "step": 50,
        "epoch": 0.5,
        "loss": 1.25,
        "bits_per_char": 1.75,
        "learning_rate": 0.004,
        "grad_norm": 0.3,
        "tokens_per_second": 12_000.0,
        "seconds": 3.5,
        "seconds_left": 96.5,
    }


def test_an_evaluation_has_the_figures_of_its_score_on_one_level() -> None:
    assert to_json(EVALUATED) == {
        "event": "evaluated",
        "step": 100,
        "best": True,
        "sample": 'a "line"\n',
        "seconds": 7.0,
        "nats": 8.0,
        "tokens": 4,
        "characters": 16,
        "loss": 2.0,
        "nats_per_char": 0.5,
        "bits_per_char": 0.5 / math.log(2),
        "perplexity": math.exp(2.0),
    }


def test_a_saved_checkpoint_is_a_path_in_text() -> None:
    data = to_json(SAVED)
    assert data["path"] == "runs/a/step-000000100.safetensors"
    assert json.loads(json.dumps(data))["warnings"] == ["w"]


def test_a_plan_is_logged_completely() -> None:
    data = to_json(PLANNED)
    assert data.keys() == {"event", "step", "run", "plan", "beside"}
    assert data["run"] == "runs/a"
    assert data["plan"] == PLANNED.plan.to_json()
    assert data["plan"]["model"]["hidden_size"] == 8
    assert data["plan"]["train"]["steps"] == 14
    assert data["plan"]["parameters"] == PLANNED.plan.parameters


def test_the_end_without_validation_has_no_best() -> None:
    data = json.loads(
        json.dumps(to_json(Finished(step=9, best=None, best_step=0, epochs=0.5, seconds=1.0)))
    )
    assert data == {
        "event": "finished", "step": 9, "best": None, "best_step": 0, "epochs": 0.5, "seconds": 1.0,
    }  # fmt: skip
