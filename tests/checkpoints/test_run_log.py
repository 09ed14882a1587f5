"""A run's folder: the log of its events."""

import json
import math
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from charrnn.errors import StorageError


def test_events_come_back_as_they_were_logged(run: Run) -> None:
    events: list[dict[str, Any]] = [
        {"event": "planned", "step": 0},
        {"event": "evaluated", "step": 5, "sample": "ü\u2028\x85\x0b\n\ud800"},
    ]
    assert run.events() == []
    for event in events:
        run.log(event)
    assert run.events() == events
    assert run.metrics.read_bytes().count(b"\n") == 2
    assert run.metrics.read_text().isascii()


@pytest.mark.parametrize(
    "rest",
    [b'{"event": "prog', b"{", b"\0\0\0\0", b"\xff\xfe\x80", b"null", b"3", b"[1]\n\n", b"\n"],
)
def test_a_line_that_is_not_an_event_is_left_out(run: Run, rest: bytes) -> None:
    run.log({"step": 1})
    run.metrics.write_bytes(run.metrics.read_bytes() + rest)
    assert run.events() == [{"step": 1}]


def test_a_truncated_last_line_loses_that_line_only(run: Run) -> None:
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 0.5})
    raw = run.metrics.read_bytes()
    third = raw.rindex(b"\n", 0, len(raw) - 1) + 1
    for length in range(third, len(raw) - 1):
        run.metrics.write_bytes(raw[:length])
        assert [event["step"] for event in run.events()] == [1, 2]


def test_a_log_that_cannot_be_written_is_a_storage_error(run: Run) -> None:
    run.metrics.symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"cannot write .*metrics\.jsonl: No space left.*; free"):
        run.log({"step": 1})


def test_rewinding_removes_events_that_will_be_logged_again(run: Run) -> None:
    events: list[dict[str, Any]] = [
        {"event": "planned"},
        {"step": 5},
        {"step": 10},
        {"step": 10, "saved": True},
        {"step": 11},
    ]
    for event in events:
        run.log(event)
    run.rewind(10)
    assert run.events() == events[:-1]
    run.rewind(4)
    assert run.events() == events[:1]
    run.log({"step": 5})
    assert run.events() == [events[0], {"step": 5}]


def test_rewinding_removes_a_truncated_line_so_that_the_next_is_intact(run: Run) -> None:
    run.log({"step": 5})
    with run.metrics.open("ab") as file:
        file.write(b'{"step": 6, "lo\xff')
    run.rewind(5)
    run.log({"step": 6})
    assert run.events() == [{"step": 5}, {"step": 6}]
    assert run.metrics.read_text().count("\n") == 2


def test_rewinding_an_empty_log_does_nothing(run: Run) -> None:
    run.rewind(10)
    assert run.events() == []


def test_losses_are_logged_to_the_last_bit(run: Run) -> None:
    loss = math.pi / 7
    run.log({"step": 1, "loss": loss})
    assert json.loads(run.metrics.read_text())["loss"] == loss
