"""Sessions on a machine whose load the test decides, and the equal results of real ones."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from charrnn.inference.engine import Engine
from charrnn.inference.sessions import PATIENCE, TRIES, Sessions
from tests.support.tiny import random_weights, tiny_checkpoint


@dataclass
class Machine:
    """A clock that only sessions advance: a call takes `seconds(call, threads)`."""

    seconds: Callable[[int, int], float]
    now: float = 0.0
    calls: list[int] = field(default_factory=list)

    def make(self, threads: int) -> Any:
        """A session that takes its time."""
        machine = self

        class Session:
            def run(self, names: list[str], feed: dict[str, Any]) -> list[str]:
                machine.now += machine.seconds(len(machine.calls), threads)
                machine.calls.append(threads)
                return names

        return Session()


def carried_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, calls: int, *threads: int
) -> Sessions:
    monkeypatch.setattr("time.perf_counter", lambda: machine.now)
    sessions = Sessions(machine.make, threads)
    for _ in range(calls):
        assert sessions.run(["logits"], {"ids": np.zeros(1)}) == ["logits"]
    return sessions


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        (lambda call, threads: 1.0 / threads, 4),
        (lambda call, threads: 1.0 * threads, 1),
        (lambda call, threads: 1.0, 1),
        # Beside busy processes: twice as fast, but every third call waits for a partner.
        (lambda call, threads: 1.0 if threads == 1 else (50.0 if call % 3 == 0 else 0.5), 1),
    ],
    ids=["four are faster", "one is faster", "equal", "busy"],
)
def test_the_faster_number_of_threads_is_kept(
    seconds: Callable[[int, int], float], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(seconds)
    sessions = carried_out(machine, monkeypatch, 2 * TRIES + 5, 1, 4)
    assert sessions.threads == chosen
    assert machine.calls[:4] == [1, 4, 1, 4]
    assert machine.calls[2 * TRIES :] == [chosen] * 5


def test_a_load_that_comes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lambda call, threads: 0.5 if threads == 2 else 1.0)
    sessions = carried_out(machine, monkeypatch, 2 * TRIES, 1, 2)
    assert sessions.threads == 2
    machine.seconds = lambda call, threads: 50.0 if threads == 2 else 1.0
    for _ in range(PATIENCE + 2 * TRIES):
        sessions.run([], {"ids": np.zeros(1)})
    assert sessions.threads == 1


def test_a_number_that_was_given_is_not_questioned(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lambda call, threads: 9.0**call)
    carried_out(machine, monkeypatch, 50, 3)
    assert machine.calls == [3] * 50


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_number_of_threads_changes_no_bit(cell: str, precision: str) -> None:
    """So a choice by the clock does not change what a seed draws."""
    small = tiny_checkpoint(cell, training=False)
    config = replace(small.config, hidden_size=256)
    checkpoint = replace(small, config=config, weights=random_weights(config))
    ids = np.random.default_rng(0).integers(0, checkpoint.config.vocab_size, (100, 3))
    found = []
    for threads in (1, 2, 3):
        engine = Engine(checkpoint, threads, precision)
        read, state = engine.read(ids, engine.zero_state(3))
        stepped, _ = engine.step(ids[0], state)
        found.append((read.tobytes(), stepped.tobytes()))
    assert len(set(found)) == 1
