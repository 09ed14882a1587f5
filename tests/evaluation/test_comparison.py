"""Runs side by side: which settings differ, which run is best, when losses do not compare."""

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


def described(folder: Path, name: str = "a", model: Any = None, **recipe: Any) -> Run:
    """A run that was described and told nothing yet."""
    run = Run(folder / name)
    run.folder.mkdir()
    plan = tiny_plan(model or tiny_model(), tiny_train()).to_json()
    told = {"sources": ["x.txt"], "tokenizer": "char", "vocab_size": None, "lines": False} | recipe
    about = {"plan": plan, "recipe": told, "corpus": {"sha256": recipe.get("sha", "0")}}
    run.write_description(about | {"versions": {"torch": "2.0"}})
    return run


def told(run: Run, *events: dict[str, Any]) -> Run:
    """The run, after it told these events."""
    for event in events:
        run.log(event)
    return run


def test_the_end_of_a_run(tmp_path: Path) -> None:
    run = told(
        described(tmp_path), planned(), progress(4, 1.0, tokens_per_second=100.0),
        evaluated(4, 1.1, 1.5), progress(8, 2.0, tokens_per_second=300.0),
        evaluated(8, 2.1, 1.25), progress(12, 3.0, tokens_per_second=110.0),
        evaluated(12, 3.1, 1.75),
    )  # fmt: skip
    end = summarize(run).outcome
    assert end.best_nats_per_char == pytest.approx(1.25)
    assert (end.best_step, end.step, end.epochs) == (8, 12, 3.0)
    assert (end.seconds, end.tokens_per_second) == (3.1, 110.0)
    assert end.parameters == tiny_plan(tiny_model(), tiny_train()).parameters


def test_the_later_of_two_equal_losses_is_the_best(tmp_path: Path) -> None:
    run = told(described(tmp_path), evaluated(4, 1.0, 1.5), evaluated(8, 2.0, 1.5))
    assert summarize(run).outcome.best_step == 8


def test_a_run_that_told_nothing_has_no_end_yet(tmp_path: Path) -> None:
    end = summarize(described(tmp_path)).outcome
    assert end.best_nats_per_char is end.best_step is end.epochs is end.tokens_per_second is None
    assert (end.step, end.seconds) == (0, 0.0)


def test_only_what_differs_is_named(tmp_path: Path) -> None:
    one = summarize(described(tmp_path, "one", tiny_model("gru", hidden_size=16)))
    two = summarize(described(tmp_path, "two", tiny_model("rnn", hidden_size=16), tokenizer="word"))
    assert differing([one, two]) == ["tokenizer", "cell"]
    assert differing([one, one]) == []
    assert two.to_json(["cell"])["settings"] == {"cell": "rnn"}
    assert json.loads(json.dumps(one.to_json([])))["run"] == "one"


def test_a_setting_that_one_run_does_not_know_differs(tmp_path: Path) -> None:
    one, two = (
        summarize(described(tmp_path, "one")),
        summarize(described(tmp_path, "two", new_option=1)),
    )
    assert differing([one, two]) == ["new_option"]
    assert one.to_json(["new_option"])["settings"] == {"new_option": None}


def test_best_first_and_those_without_a_loss_last(tmp_path: Path) -> None:
    losses = {"none": None, "worse": 2.0, "zero": 0.0, "better": 1.0}
    entrants = [
        summarize(
            told(described(tmp_path, name), *([] if loss is None else [evaluated(4, 1.0, loss)]))
        )
        for name, loss in losses.items()
    ]
    assert [each.run for each in best_first(entrants)] == ["zero", "better", "worse", "none"]


@pytest.mark.parametrize(
    ("change", "same"),
    [({"sha": "1"}, False), ({"valid_fraction": 0.2}, False), ({"lines": True}, False),
     ({"valid": ["v.txt"]}, False), ({"tokenizer": "word"}, True), ({"sources": ["y.txt"]}, True)],
    ids=str,
)  # fmt: skip
def test_losses_compare_when_the_text_is_the_same(
    change: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    one, two = (
        summarize(described(tmp_path, "one")),
        summarize(described(tmp_path, "two", **change)),
    )
    assert same_text([one, two]) is same


def test_what_decides_that_are_settings_that_exist() -> None:
    known = {*DataConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__, "text_sha256"}
    assert set(SAME_TEXT) <= known


@pytest.mark.parametrize("part", ["plan", "recipe", "corpus", "versions"])
def test_an_odd_part_of_a_description_is_left_out(part: str, tmp_path: Path) -> None:
    run = described(tmp_path)
    run.write_description(run.description() | {part: [1]})
    assert summarize(run).run == "a"


def test_a_description_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    run = described(tmp_path)
    (run.folder / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"cannot read .*run\.json"):
        summarize(run)
