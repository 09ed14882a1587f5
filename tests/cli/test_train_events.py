"""`charrnn train`: the events that it reports and logs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.checkpoint import load
from charrnn.checkpoints.run import Run
from tests.support.left import first_checkpoint
from tests.support.shell import Shell, sentences

EVENTS = {
    "planned": {"event", "step", "run", "plan"},
    "progress": {
        "event", "step", "epoch", "loss", "bits_per_char", "learning_rate", "grad_norm",
        "tokens_per_second", "seconds", "seconds_left",
    },
    "evaluated": {
        "event", "step", "best", "sample", "seconds", "loss", "nats_per_char", "bits_per_char",
        "perplexity", "tokens", "characters", "nats",
    },
    "saved": {"event", "step", "path", "warnings", "seconds"},
    "finished": {"event", "step", "best", "best_step", "seconds"},
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[dict[str, Any]]]:
    """A training that reports its events as JSON."""
    shell = Shell(tmp_path_factory.mktemp("reported"))
    shell.write("corpus.txt", sentences())
    cadence = ("--log-every", "5", "--eval-every", "10", "--save-every", "5")
    done = shell.train("corpus.txt", "--steps", "20", *cadence, "--json", "--quiet").succeeded()
    assert done.err == ""
    return shell, done.json


def test_json_has_every_event_with_its_fields(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    assert {event["event"] for event in reported[1]} == set(EVENTS)
    for event in reported[1]:
        assert set(event) >= EVENTS[event["event"]], event["event"]


def test_json_has_events_in_their_order(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    order = [(event["event"], event["step"]) for event in reported[1]]
    assert order == [
        ("planned", 0),
        ("progress", 5), ("saved", 5),
        ("progress", 10), ("evaluated", 10), ("saved", 10),
        ("progress", 15), ("saved", 15),
        ("progress", 20), ("evaluated", 20), ("saved", 20),
        ("finished", 20),
    ]  # fmt: skip


def test_json_figures_agree_with_each_other(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    events = reported[1]
    evaluated = [event for event in events if event["event"] == "evaluated"]
    for event in evaluated:
        assert event["bits_per_char"] == pytest.approx(event["nats_per_char"] / math.log(2))
        assert event["perplexity"] == pytest.approx(math.exp(event["loss"]))
        assert event["characters"] == 300
    best = min(evaluated, key=lambda event: float(event["nats_per_char"]))
    assert events[-1]["best"] == best["nats_per_char"]
    assert events[-1]["best_step"] == best["step"]
    progress = [event for event in events if event["event"] == "progress"]
    assert [event["epoch"] for event in progress] == [
        pytest.approx(step * 64 / 2700) for step in (5, 10, 15, 20)
    ]
    assert progress[-1]["seconds_left"] == 0
    for event in events:
        if event["event"] == "saved":
            assert Path(event["path"]).name == f"step-{event['step']:09d}.safetensors"


def test_the_log_contains_the_same_events(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    shell, events = reported
    assert Run(shell.runs / "corpus").events() == events


def test_the_plan_that_is_reported_is_the_one_that_is_kept(
    reported: tuple[Shell, list[dict[str, Any]]],
) -> None:
    shell, events = reported
    plan = events[0]["plan"]
    assert plan["model"]["hidden_size"] == 8
    assert plan["train"]["steps"] == 20
    about = json.loads((shell.runs / "corpus" / "run.json").read_text())
    assert about["plan"] == plan
    assert about["recipe"]["sources"] == ["corpus.txt"]
    found = load(first_checkpoint(shell), training=True)
    assert found.training
    assert found.training.config.seq_length == plan["train"]["seq_length"] == 16


def test_without_a_terminal_progress_is_plain_lines_on_stderr(shell: Shell) -> None:
    done = shell.train("corpus.txt", "--steps", "4").succeeded()
    assert done.raw == b""
    assert "\x1b" not in done.err
    assert "\r" not in done.err
    lines = [line for line in done.err.splitlines() if line and not line.startswith("    ")]
    words = [line.split()[0] for line in lines]
    assert words[:6] == ["text", "model", "plan", "baselines", "run", "step"]
    assert words[-1] == "done"
    assert "step 4/4  epoch " in done.err
    assert "step 4: validation " in done.err
    assert done.err.rstrip().endswith("now try: charrnn sample " + str(shell.runs / "corpus"))
