"""What is found by names alone: the order of runs, and the steps of a run."""

from pathlib import Path

import pytest

from charrnn.checkpoints.listing import run_folders, steps_of, turn_of
from charrnn.checkpoints.run import create_run


def test_the_run_trained_last_is_the_last(tmp_path: Path) -> None:
    for name, turn in (("a", 3), ("c", 1), ("b", 1)):
        create_run(tmp_path, name).write_description({"turn": turn})
    (tmp_path / "no-run").mkdir()
    assert [folder.name for folder in run_folders(tmp_path)] == ["b", "c", "a"]
    assert run_folders(tmp_path / "missing") == []


@pytest.mark.parametrize("text", ["", "[]", "\xff", '{"turn": true}', '{"turn": "2"}'])
def test_a_run_that_cannot_be_read_has_turn_0(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    assert turn_of(tmp_path) == 0


def test_steps_are_sorted_as_numbers(tmp_path: Path) -> None:
    for step in (20, 1_000_000_000, 3):
        (tmp_path / f"step-{step:09d}.safetensors").touch()
    (tmp_path / "step-9.safetensors").touch()
    assert steps_of(tmp_path) == [3, 20, 1_000_000_000]
    assert steps_of(tmp_path / "missing") == []
