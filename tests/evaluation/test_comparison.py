"""Comparing runs: settings that differ, the best run, and losses that are not comparable."""

import json
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from charrnn.config import TrainConfig
from charrnn.data.config import DataConfig
from charrnn.errors import CheckpointError
from charrnn.evaluation.comparison import SAME_TEXT, best_first, differing, same_text, summarize
from tests.evaluation.test_learning_curves import evaluated, planned, progress
from tests.support.tiny import tiny_model, tiny_plan, tiny_train


def described(folder: Path, name: str = "a", model: Any = None, **changes: Any) -> Run:
    """A run with a description and an empty log."""
    run = Run(folder / name)
    run.folder.mkdir()
    plan = tiny_plan(model or tiny_model(), tiny_train()).to_json()
    data = {"sources": ["x.txt"], "tokenizer": "char", "vocab_size": None, "lines": False} | changes
    about = {"plan": plan, "recipe": data, "corpus": {"sha256": changes.get("sha", "0")}}
    run.write_description(about | {"versions": {"torch": "2.0"}})
    return run


def logged(run: Run, *events: dict[str, Any]) -> Run:
    """The run, after it logged these events."""
    for event in events:
        run.log(event)
    return run


def test_the_outcome_of_a_run(tmp_path: Path) -> None:
    run = logged(
        described(tmp_path), planned(), progress(4, 1.0, tokens_per_second=100.0),
        evaluated(4, 1.1, 1.5), progress(8, 2.0, tokens_per_second=300.0),
        evaluated(8, 2.1, 1.25), progress(12, 3.0, tokens_per_second=110.0),
        evaluated(12, 3.1, 1.75),
    )  # fmt: skip
    outcome = summarize(run).outcome
    assert outcome.best_nats_per_char == pytest.approx(1.25)
    assert (outcome.best_step, outcome.step, outcome.epochs) == (8, 12, 3.0)
    assert (outcome.seconds, outcome.tokens_per_second) == (3.1, 110.0)
    assert outcome.parameters == tiny_plan(tiny_model(), tiny_train()).parameters


def test_the_later_of_two_equal_losses_is_the_best(tmp_path: Path) -> None:
    run = logged(described(tmp_path), evaluated(4, 1.0, 1.5), evaluated(8, 2.0, 1.5))
    assert summarize(run).outcome.best_step == 8


def test_a_run_without_events_has_an_empty_outcome(tmp_path: Path) -> None:
    outcome = summarize(described(tmp_path)).outcome
    assert (
        outcome.best_nats_per_char
        is outcome.best_step
        is outcome.epochs
        is outcome.tokens_per_second
        is None
    )
    assert (outcome.step, outcome.seconds) == (0, 0.0)


def test_only_settings_that_differ_are_named(tmp_path: Path) -> None:
    one = summarize(described(tmp_path, "one", tiny_model("gru", hidden_size=16)))
    two = summarize(described(tmp_path, "two", tiny_model("rnn", hidden_size=16), tokenizer="word"))
    assert differing([one, two]) == ["tokenizer", "cell"]
    assert differing([one, one]) == []
    assert two.to_json(["cell"])["settings"] == {"cell": "rnn"}
    assert json.loads(json.dumps(one.to_json([])))["run"] == "one"


def test_a_setting_that_one_run_lacks_differs(tmp_path: Path) -> None:
    one, two = (
        summarize(described(tmp_path, "one")),
        summarize(described(tmp_path, "two", new_option=1)),
    )
    assert differing([one, two]) == ["new_option"]
    assert one.to_json(["new_option"])["settings"] == {"new_option": None}


def test_runs_are_sorted_by_loss_and_those_without_one_come_last(tmp_path: Path) -> None:
    losses = {"none": None, "worse": 2.0, "zero": 0.0, "better": 1.0}
    runs = [
        summarize(
            logged(described(tmp_path, name), *([] if loss is None else [evaluated(4, 1.0, loss)]))
        )
        for name, loss in losses.items()
    ]
    assert [each.run for each in best_first(runs)] == ["zero", "better", "worse", "none"]


def test_runs_of_different_texts_are_not_ranked(tmp_path: Path) -> None:
    values = {"one": ("0", 3.0), "two": ("1", 1.0), "three": ("0", 2.0), "four": ("1", 0.5)}
    runs = [
        summarize(logged(described(tmp_path, name, sha=sha), evaluated(1, 1.0, value)))
        for name, (sha, value) in values.items()
    ]
    assert [each.run for each in best_first(runs)] == ["three", "one", "four", "two"]


@pytest.mark.parametrize(
    ("change", "same"),
    [({"sha": "1"}, False), ({"valid_fraction": 0.2}, False), ({"lines": True}, False),
     ({"valid": ["v.txt"]}, False), ({"tokenizer": "word"}, True), ({"sources": ["y.txt"]}, True)],
    ids=str,
)  # fmt: skip
def test_losses_are_comparable_if_the_text_is_the_same(
    change: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    one, two = (
        summarize(described(tmp_path, "one")),
        summarize(described(tmp_path, "two", **change)),
    )
    assert same_text([one, two]) is same


def test_the_settings_that_decide_it_exist() -> None:
    known = {*DataConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__, "text_sha256"}
    assert set(SAME_TEXT) <= known


@pytest.mark.parametrize("part", ["plan", "recipe", "corpus", "versions"])
def test_an_invalid_part_of_a_description_is_ignored(part: str, tmp_path: Path) -> None:
    run = described(tmp_path)
    run.write_description(run.description() | {part: [1]})
    assert summarize(run).run == "a"


def test_a_description_that_cannot_be_parsed_is_an_error(tmp_path: Path) -> None:
    run = described(tmp_path)
    (run.folder / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"cannot read .*run\.json"):
        summarize(run)
