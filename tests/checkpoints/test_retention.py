"""A run's folder: the newest and the best are always kept."""

import errno
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.run import Run
from charrnn.errors import StorageError
from tests.support.disks import Recorder
from tests.support.runs import Scores, damage, put_all, steps
from tests.support.shell import flip
from tests.support.tiny import smallest_checkpoint


@pytest.mark.parametrize(
    ("scores", "keep", "left"),
    [
        ({1: 5.0, 2: 4.0, 3: 3.0, 4: 2.0}, 2, [3, 4]),
        ({1: 1.0, 2: 4.0, 3: 3.0, 4: 2.0}, 2, [1, 3, 4]),
        ({1: 1.0, 2: 1.0, 3: 1.0, 4: 2.0}, 1, [3, 4]),
        ({1: None, 2: None, 3: None}, 1, [3]),
        ({1: None, 2: 7.0, 3: None, 4: None}, 1, [2, 4]),
        ({1: 1.0, 2: 2.0}, 5, [1, 2]),
        ({1: 1.0, 2: 2.0, 3: 3.0}, 0, [1, 3]),
        ({1: 1.0, 2: 2.0, 3: 3.0}, -2, [1, 3]),
        ({}, 1, []),
    ],
)
def test_pruning_keeps_the_newest_and_the_best(
    run: Run, scores: Scores, keep: int, left: list[int]
) -> None:
    put_all(run, scores)
    removed, warnings = run.prune(keep)
    assert steps(run) == left
    assert removed == [run.path_of(step) for step in scores if step not in left]
    assert warnings == []


def test_unreadable_files_are_left_and_do_not_count(run: Run) -> None:
    put_all(run, {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 0.5})
    damage(run.path_of(5))
    damage(run.path_of(2))
    run.prune(1)
    assert steps(run) == [1, 2, 4, 5]


def test_a_file_that_cannot_be_removed_is_a_warning_and_the_others_are_removed(run: Run) -> None:
    put_all(run, {1: 3.0, 2: 3.0, 3: 3.0, 4: 1.0})
    removed, warnings = run.prune(1, Recorder(2, errno.EACCES))
    assert removed == [run.path_of(1), run.path_of(3)]
    assert warnings == [f"cannot remove {run.path_of(2)}: Permission denied"]
    assert steps(run) == [2, 4]


def test_a_disk_that_removes_nothing_only_causes_warnings(run: Run) -> None:
    put_all(run, {1: 3.0, 2: 3.0, 3: 1.0})
    removed, warnings = run.prune(1, Recorder(1, errno.EROFS, for_ever=True))
    assert (removed, len(warnings), steps(run)) == ([], 2, [1, 2, 3])


def test_a_save_is_complete_before_anything_is_deleted(run: Run) -> None:
    put_all(run, {1: 3.0, 2: 2.0})
    disk = Recorder()
    path, warnings = run.save(smallest_checkpoint(3, 1.0), 1, disk)
    assert (path, warnings) == (run.path_of(3), [])
    assert disk.operations[-4:] == ["rename", "sync_folder", "remove", "remove"]
    assert steps(run) == [3]
    assert checkpoint.load(path, training=True).info.step == 3


@pytest.mark.parametrize("number", range(1, 9))
def test_a_save_that_fails_deletes_nothing(run: Run, number: int) -> None:
    put_all(run, {1: 3.0, 2: 2.0})
    with pytest.raises(StorageError, match="No space left on device"):
        run.save(smallest_checkpoint(3, 1.0), 1, Recorder(number, errno.ENOSPC, for_ever=True))
    assert {1, 2} <= set(steps(run))


def test_a_save_warns_of_files_that_cannot_be_removed(run: Run) -> None:
    class Stubborn(Disk):
        def remove(self, path: Path) -> None:
            raise OSError(errno.EBUSY, "Device or resource busy")

    put_all(run, {1: 3.0})
    _, warnings = run.save(smallest_checkpoint(3, 1.0), 1, Stubborn())
    assert warnings == [f"cannot remove {run.path_of(1)}: Device or resource busy"]
    assert steps(run) == [1, 3]


def test_a_folder_that_cannot_be_listed_after_a_save_only_causes_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(folder: Path) -> Any:
        raise OSError(errno.EIO, "Input/output error", str(folder))

    put_all(run, {1: 3.0})
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        path, warnings = run.save(smallest_checkpoint(3, 1.0), 1)
    assert warnings == [f"cannot remove older checkpoints of {run.folder}: Input/output error"]
    assert (path, steps(run)) == (run.path_of(3), [1, 3])


def test_what_was_just_saved_is_never_deleted_for_a_later_step_left_over(run: Run) -> None:
    """As when the newest file is damaged in its tensors, and the one before it is resumed."""
    put_all(run, {10: 1.0, 20: 1.5})
    run.save(smallest_checkpoint(15, 2.0), 1)
    assert steps(run) == [10, 15, 20]


def test_a_save_over_a_damaged_file_replaces_it(run: Run) -> None:
    put_all(run, {10: 1.0, 20: 2.0})
    damage(run.path_of(20))
    run.save(smallest_checkpoint(20, 0.5), 3)
    latest = run.latest()
    assert latest is not None
    assert (latest.step, latest.valid) == (20, 0.5)


@given(
    scores=st.dictionaries(
        st.integers(0, 12), st.none() | st.sampled_from([0.5, 1.0, 1.5, 2.0]), max_size=8
    ),
    keep=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_newest_and_best_survive_any_pruning(scores: Scores, keep: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        put_all(run, scores)
        best, latest = run.best(), run.latest()
        removed, _ = run.prune(keep)
        left = steps(run)
        assert (run.best(), run.latest()) == (best, latest)
        assert left[-max(1, keep) :] == sorted(scores)[-max(1, keep) :]
        assert len(left) <= max(1, keep) + 1
        assert len(left) + len(removed) == len(scores)
        assert run.prune(keep) == ([], [])


class Retention(RuleBasedStateMachine):
    """A run that is saved, damaged, resumed from its newest readable checkpoint, and pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.run = Run(Path(self.folder.name))
        self.scores: Scores = {}
        self.step = 0
        self.keep = 2

    def teardown(self) -> None:
        """Delete the folder."""
        self.folder.cleanup()

    @rule(ahead=st.integers(1, 3), valid=st.none() | st.sampled_from([0.5, 1.0, 1.5]))
    def save(self, ahead: int, valid: float | None) -> None:
        """Continue for some steps and save."""
        self.step += ahead
        best, latest = self.run.best(), self.run.latest()
        path, _ = self.run.save(smallest_checkpoint(self.step, valid, training=False), self.keep)
        self.scores[self.step] = valid
        kept = {entry.path for entry in self.run.entries()}
        assert path in kept
        if latest is not None and latest.step > self.step:
            assert latest.path in kept
        if best is not None and best.valid is not None and best.path != path:
            assert best.path in kept or (valid is not None and valid <= best.valid)

    @rule()
    def resume(self) -> None:
        """Go back to the newest readable checkpoint."""
        latest = self.run.latest()
        self.step = latest.step if latest else 0

    @rule(draw=st.randoms())
    def step_back(self, draw: random.Random) -> None:
        """Go back to any checkpoint, as when newer ones are intact in their headers only."""
        readable = [entry.step for entry in self.run.entries() if entry.info]
        self.step = draw.choice(readable) if readable else 0

    @rule(draw=st.randoms())
    def crash(self, draw: random.Random) -> None:
        """Damage a file and leave a temporary file behind."""
        if entries := self.run.entries():
            entry = draw.choice(entries)
            damage(entry.path)
            self.scores.pop(entry.step, None)
        (self.run.folder / ".step.1.tmp").touch()
        with self.run.lock():
            assert not (self.run.folder / ".step.1.tmp").exists()

    @rule(keep=st.integers(1, 4))
    def prune(self, keep: int) -> None:
        """Change the number of checkpoints to keep."""
        self.keep = keep
        self.run.prune(keep)

    @invariant()
    def readable_files_have_the_scores_they_were_saved_with(self) -> None:
        """The score of each readable file is the one it was saved with."""
        for entry in self.run.entries():
            if entry.info:
                assert entry.valid == self.scores[entry.step]

    @invariant()
    def best_is_the_best_of_the_readable_files(self) -> None:
        """No readable file is better than the best."""
        best = self.run.best()
        scores = [e.valid for e in self.run.entries() if e.valid is not None]
        assert not scores or (best is not None and best.valid == min(scores))


Retention.TestCase.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)

TestRetention = Retention.TestCase


def test_no_intact_file_is_deleted_in_favour_of_one_that_is_intact_in_its_header_only(
    run: Run,
) -> None:
    """A file with damaged tensors neither counts as the best nor as one of the newest."""
    put_all(run, {1: 0.5, 2: 1.0, 3: 1.5, 4: 2.0, 5: 2.5})
    for step in (1, 5):
        flip(run.path_of(step))
    assert run.prune(1)[0] == [run.path_of(3)]
    assert steps(run) == [1, 2, 4, 5]
