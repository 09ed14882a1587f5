"""A run's folder: its entries, its latest and its best checkpoint, its description."""

import os
import shutil
import time
from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.best import best_of
from charrnn.checkpoints.checkpoint import CheckpointInfo
from charrnn.checkpoints.run import Entry, Run
from charrnn.errors import CheckpointError, StorageError, UsageError
from tests.support.disks import Recorder
from tests.support.runs import Scores, bytes_of, damage, put, put_all, steps
from tests.support.tiny import smallest_checkpoint


def test_a_run_is_its_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.name == "tale"
    monkeypatch.chdir(run.folder)
    assert Run(Path(".")).name == "tale"
    assert run.corpus_folder == run.folder / "corpus"
    assert run.metrics == run.folder / "metrics.jsonl"
    assert run.path_of(20).name == "step-000000020.safetensors"
    assert run.path_of(10**9).name == "step-1000000000.safetensors"


def test_entries_are_sorted_by_step(run: Run) -> None:
    put_all(run, {20: 1.5, 10**9: None, 3: 2.0})
    entries = run.entries()
    assert [entry.step for entry in entries] == [3, 20, 10**9]
    assert [entry.valid for entry in entries] == [2.0, 1.5, None]
    assert [entry.path for entry in entries] == [run.path_of(step) for step in (3, 20, 10**9)]
    assert entries[0].info == smallest_checkpoint(3, 2.0).info
    assert entries[0].problem == ""


@pytest.mark.parametrize(
    "name",
    [
        "step-20.safetensors",
        "step-000000020.safetensors.bak",
        "step-000000020 (copy).safetensors",
        "step-best.safetensors",
        ".step-000000020.safetensors.17.tmp",
        "Step-000000020.safetensors",
        "model.safetensors",
    ],
)
def test_files_with_other_names_are_not_entries(run: Run, name: str) -> None:
    (run.folder / name).write_bytes(bytes_of(20, 1.0))
    assert run.entries() == []
    assert run.latest() is run.best() is None


def test_an_unreadable_file_is_an_entry_with_its_problem(run: Run) -> None:
    damage(put(run, 5, 1.0))
    (entry,) = run.entries()
    assert entry.info is None
    assert entry.valid is None
    assert entry.problem.startswith(f"cannot use {run.path_of(5)}: it is truncated")


def test_latest_skips_an_unreadable_newest(run: Run) -> None:
    put_all(run, {10: 1.0, 20: 2.0, 30: 0.5})
    damage(run.path_of(30))
    latest, best = run.latest(), run.best()
    assert latest is not None
    assert best is not None
    assert (latest.step, best.step) == (20, 10)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({1: 2.0, 2: 1.0, 3: 3.0}, 2),
        ({1: 1.0, 2: 1.0, 3: 3.0}, 2),
        ({1: None, 2: 5.0, 3: None}, 2),
        ({1: None, 2: None}, 2),
        ({1: 0.0, 2: -0.0}, 2),
        ({1: 1e300, 2: None}, 1),
        ({1: 0, 2: 1}, 1),
    ],
)
def test_best_is_the_lowest_loss_and_the_later_of_equals(
    run: Run, scores: Scores, best: int
) -> None:
    put_all(run, scores)
    found = run.best()
    assert found is not None
    assert found.step == best


def test_without_readable_entries_there_is_no_best() -> None:
    assert best_of([]) is None
    assert best_of([Entry(Path("a"), 1, None, "broken")]) is None


def test_a_checkpoint_is_picked_by_word_or_step(run: Run) -> None:
    put_all(run, {10: 1.0, 20: 2.0, 30: None})
    picked = {which: run.pick(which).step for which in ("best", "latest", "10", "20", "30")}
    assert picked == {"best": 10, "latest": 30, "10": 10, "20": 20, "30": 30}


@pytest.mark.parametrize("which", ["40", "000000010", "1", "-10", "10.0", "Best", "", "worst"])
def test_a_missing_step_cannot_be_picked(run: Run, which: str) -> None:
    put_all(run, {10: 1.0, 20: 2.0})
    with pytest.raises(UsageError) as caught:
        run.pick(which)
    assert caught.value.problem == f"the run tale has no checkpoint {which}"
    assert caught.value.remedy == "choose best, latest or one of its steps: 10, 20"


@pytest.mark.parametrize("which", ["best", "latest", "3"])
def test_nothing_can_be_picked_from_an_empty_run(run: Run, which: str) -> None:
    with pytest.raises(UsageError, match=f"no checkpoint {which}; .* its steps: none yet"):
        run.pick(which)


def test_an_unreadable_step_can_be_picked_but_is_not_suggested(run: Run) -> None:
    put_all(run, {10: 1.0, 20: 2.0})
    damage(run.path_of(20))
    assert run.pick("20").problem
    with pytest.raises(UsageError, match=r"its steps: 10$"):
        run.pick("30")


def test_clocks_and_dates_of_files_have_no_effect(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(run, {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0})
    for step, date in {1: 4e9, 2: 0.0, 3: 2e9, 4: 1.0}.items():
        os.utime(run.path_of(step), (date, date))
    for clock in ("time", "monotonic", "time_ns", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: 0)
    latest, best = run.latest(), run.best()
    assert latest is not None
    assert best is not None
    assert (latest.step, best.step) == (4, 1)
    assert [path.name[-13:-12] for path in run.prune(2)[0]] == ["2"]


def test_a_copied_run_is_the_same_run(run: Run) -> None:
    put_all(run, {1: 1.0, 2: 2.0})
    shutil.copytree(run.folder, run.folder.parent / "copy", copy_function=shutil.copyfile)
    copy = Run(run.folder.parent / "copy")
    assert [entry.info for entry in copy.entries()] == [entry.info for entry in run.entries()]


def test_a_description_is_written_and_read(run: Run) -> None:
    description = {"recipe": {"sources": ["ü.txt"]}, "turn": 3}
    run.write_description(description)
    assert run.description() == description
    text = (run.folder / "run.json").read_text()
    assert text.isascii()
    assert text.endswith("}\n")


def test_a_description_that_cannot_be_written_leaves_the_older(run: Run) -> None:
    run.write_description({"turn": 1})
    with pytest.raises(StorageError, match=r"cannot write .*run\.json: Input/output error"):
        run.write_description({"turn": 2}, Recorder(3))
    assert run.description() == {"turn": 1}


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1]", b"null", b'"run"', b"3"])
def test_an_invalid_description_is_a_checkpoint_error(run: Run, text: bytes) -> None:
    (run.folder / "run.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"run\.json.*; start a new run"):
        run.description()


def test_a_run_without_a_description_is_a_checkpoint_error(run: Run) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*run\.json: .*No such file"):
        run.description()


def test_an_entry_has_the_step_of_its_file_name_and_the_info_of_its_header(run: Run) -> None:
    put(run, 5, 1.0).rename(run.path_of(7))
    (entry,) = run.entries()
    assert entry.step == 7
    assert isinstance(entry.info, CheckpointInfo)
    assert entry.info.step == 5


def test_a_file_is_verified_once_and_not_at_every_save(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(run, {1: 1.0, 2: 2.0})
    read: list[int] = []
    load = checkpoint.load

    def noted(path: Path, training: bool = False) -> checkpoint.Checkpoint:
        read.append(int(path.stem[5:]))
        return load(path, training)

    monkeypatch.setattr(checkpoint, "load", noted)
    for step in (3, 4, 5):
        run.save(smallest_checkpoint(step, 3.0), 2)
    assert sorted(read) == [1, 2]
    assert steps(run) == [1, 4, 5]


def test_a_file_pruned_while_the_folder_is_listed_is_not_an_entry(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(run, {1: 1.0, 2: 2.0})
    read = checkpoint.read_info

    def late(path: Path) -> CheckpointInfo:
        if path == run.path_of(1):
            path.unlink()
        return read(path)

    monkeypatch.setattr(checkpoint, "read_info", late)
    assert steps(run) == [2]
