"""A log as curves: sessions joined, repeated steps counted once, invalid fields ignored."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from charrnn.errors import UsageError
from charrnn.evaluation.learning_curves import (
    AXES,
    FIELDS,
    QUANTITIES,
    UNITS,
    Log,
    finite,
    read_log,
    series,
)
from charrnn.evaluation.scores import Score
from charrnn.training.events import Evaluated, Progress, to_json

PLAN = {"epochs": 10.0, "train": {"steps": 100}}


def planned(step: int = 0) -> dict[str, Any]:
    """The first event of a session."""
    return {"event": "planned", "step": step, "run": "a", "plan": PLAN}


def progress(step: int, seconds: float, nats: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A progress event; an epoch is 4 steps."""
    event = Progress(
        step, step / 4, 9.0, {"bits_per_char": nats / math.log(2)}, 0.1, 0.2, 1e3, seconds, 0.0
    )
    return to_json(event) | changes


def evaluated(step: int, seconds: float, nats: float = 2.0) -> dict[str, Any]:
    """An evaluation, of tokens of two characters."""
    return to_json(Evaluated(step, Score(10 * nats, 5, 10), True, "", seconds))


def log_of(folder: Path, *events: Any) -> Log:
    """The log of a run with these events; a string is a literal line."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    return read_log(Run(folder))


def points(log: Log, *args: Any, **named: Any) -> dict[str, list[tuple[float, Any]]]:
    """Name of a curve -> its points."""
    return {c.name: list(zip(c.x, c.y, strict=True)) for c in series(log, *args, **named)}


def test_the_fields_of_curves_are_fields_of_events() -> None:
    assert set(FIELDS.values()) < progress(1, 1).keys()
    assert {"bits_per_char"} <= progress(1, 1).keys() & evaluated(1, 1).keys()
    assert set(QUANTITIES) == {"loss", *FIELDS}


def test_losses_are_per_character_for_any_tokenizer(tmp_path: Path) -> None:
    found = points(log_of(tmp_path, planned(), progress(2, 1.0, 1.5), evaluated(3, 2.0, 1.25)))
    assert found.keys() == {"training", "validation"}
    assert found["training"] == [(2, pytest.approx(1.5))]
    assert found["validation"] == [(3, pytest.approx(1.25))]


@pytest.mark.parametrize(
    ("unit", "value"), [("nats", 2.0), ("bits", 2 / math.log(2)), ("perplexity", math.exp(2))]
)
def test_units_of_the_loss(unit: str, value: float, tmp_path: Path) -> None:
    assert unit in UNITS
    found = points(log_of(tmp_path, progress(1, 1.0, 2.0)), unit=unit)
    assert found["training"] == [(1, pytest.approx(value))]


@pytest.mark.parametrize(("axis", "x"), [("steps", 8), ("epochs", 2.0), ("seconds", 5.5)])
def test_axes(axis: str, x: float, tmp_path: Path) -> None:
    assert axis in AXES
    log = log_of(tmp_path, progress(8, 5.5), evaluated(8, 5.5))
    assert {name: line[0][0] for name, line in points(log, axis=axis).items()} == {
        "training": x, "validation": x,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "value"), [("learning-rate", 0.1), ("grad-norm", 0.2), ("speed", 1e3)]
)
def test_other_quantities_have_one_curve(quantity: str, value: float, tmp_path: Path) -> None:
    log = log_of(tmp_path, progress(1, 1.0), evaluated(2, 2.0))
    assert points(log, quantity) == {quantity: [(1, value)]}


def test_epochs_come_from_the_plan_if_there_is_no_progress_event(tmp_path: Path) -> None:
    log = log_of(tmp_path, planned(), evaluated(50, 1.0))
    assert points(log, axis="epochs")["validation"][0][0] == 5.0
    bare = log_of(tmp_path, evaluated(50, 1.0))
    assert bare.epochs_per_step is None
    with pytest.raises(UsageError, match="has logged no loss yet"):
        series(bare, axis="epochs")


def test_seconds_of_several_sessions_add_up(tmp_path: Path) -> None:
    log = log_of(
        tmp_path, planned(), progress(2, 1.0), progress(4, 2.0),
        planned(4), progress(6, 0.5), progress(8, 1.5),
    )  # fmt: skip
    assert [x for x, _ in points(log, axis="seconds")["training"]] == [1.0, 2.0, 2.5, 3.5]


def test_steps_that_a_resumed_training_repeated_count_once(tmp_path: Path) -> None:
    log = log_of(
        tmp_path, planned(), progress(2, 1.0, 9.0), progress(4, 2.0, 9.5), evaluated(5, 3.0),
        planned(2), progress(4, 0.5, 8.0), progress(6, 1.5, 7.0),
    )  # fmt: skip
    assert points(log) == {
        "training": [(2, pytest.approx(9.0)), (4, pytest.approx(8.0)), (6, pytest.approx(7.0))]
    }
    assert [x for x, _ in points(log, axis="seconds")["training"]] == [1.0, 1.5, 2.5]


def test_a_session_without_its_first_event_is_recognized_by_its_clock(tmp_path: Path) -> None:
    log = log_of(tmp_path, progress(2, 1.0), progress(4, 2.0, 9.0), progress(4, 0.5, 8.0))
    assert points(log) == {"training": [(2, pytest.approx(1.0)), (4, pytest.approx(8.0))]}
    assert [x for x, _ in points(log, axis="seconds")["training"]] == [1.0, 1.5]


def test_events_of_other_kinds_or_without_seconds_do_not_change_the_clock(tmp_path: Path) -> None:
    bare = progress(6, 0.0)
    del bare["seconds"]
    other = {"event": "drawn", "step": 5, "seconds": 0.1}
    log = log_of(tmp_path, progress(2, 1.0), progress(4, 2.0), other, bare, progress(8, 4.0))
    assert points(log, axis="seconds")["training"] == [
        (seconds, pytest.approx(1.0)) for seconds in (1.0, 2.0, 2.0, 4.0)
    ]


def test_the_later_of_two_at_one_step_counts(tmp_path: Path) -> None:
    log = log_of(tmp_path, progress(2, 1.0, 3.0), progress(2, 1.5, 4.0))
    assert points(log)["training"] == [(2, pytest.approx(4.0))]


@pytest.mark.parametrize("line", ['{"event": "progr', "\x00\x00", "[1]", "nonsense", "3"])
def test_an_unreadable_line_is_left_out_and_counted(line: str, tmp_path: Path) -> None:
    log = log_of(tmp_path, progress(2, 1.0), line)
    assert log.unreadable == 1
    assert len(log.events) == 1


@pytest.mark.parametrize("length", [1, 10, 100])
def test_a_truncated_log_is_read_up_to_its_end(length: int, tmp_path: Path) -> None:
    log_of(tmp_path, progress(2, 1.0), progress(4, 2.0))
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-length])
    log = read_log(Run(tmp_path))
    assert [logged.step for logged in log.events] == [2]
    assert log.unreadable == 1


@pytest.mark.parametrize("value", [None, "1", True, math.nan, math.inf, [1], {}])
def test_values_that_are_not_finite_numbers_are_ignored(value: Any, tmp_path: Path) -> None:
    assert finite(value) is None
    invalid = progress(4, 2.0, learning_rate=value, bits_per_char=value)
    log = log_of(tmp_path, progress(2, 1.0), invalid, evaluated(2, 1.0) | {"step": value})
    assert points(log, "learning-rate")["learning-rate"] == [(2, 0.1)]
    assert list(points(log)) == ["training"]
    assert len(points(log)["training"]) == 1


@pytest.mark.parametrize("plan", [None, 3, {}, {"train": 1}, {"train": {"steps": 0}, "epochs": 1}])
def test_an_invalid_plan_is_ignored(plan: Any, tmp_path: Path) -> None:
    log = log_of(tmp_path, planned() | {"plan": plan}, evaluated(2, 1.0))
    assert log.epochs_per_step is None
    assert points(log)["validation"] == [(2, pytest.approx(2.0))]


def test_curves_can_start_later(tmp_path: Path) -> None:
    events = [progress(2, 0.2), evaluated(2, 0.2), progress(4, 0.4), progress(6, 0.6)]
    log = log_of(tmp_path, *events)
    assert {k: [x for x, _ in v] for k, v in points(log, start=4).items()} == {"training": [4, 6]}
    assert [x for x, _ in points(log, axis="seconds", start=0.5)["training"]] == [0.6]
    with pytest.raises(
        UsageError, match="has logged no loss from 7 steps on yet; leave it out, or"
    ):
        series(log, start=7)


def test_a_run_without_events_is_a_usage_error(tmp_path: Path) -> None:
    log = read_log(Run(tmp_path))
    assert (log.events, log.unreadable) == ((), 0)
    with pytest.raises(UsageError, match=f"the run {tmp_path.name} has logged no grad-norm yet"):
        series(log, "grad-norm")
