"""A run's folder: one writer, the newest and the best always kept, no clock used."""

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.best import best_of
from charrnn.checkpoints.checkpoint import CheckpointInfo
from charrnn.checkpoints.run import Entry, Run
from charrnn.errors import CheckpointError, RunLockedError, StorageError, UsageError
from tests.support.disks import Recorder
from tests.support.shell import flip
from tests.support.tiny import smallest_checkpoint

Scores = dict[int, float | None]


@cache
def bytes_of(step: int, valid: float | None) -> bytes:
    """A checkpoint file; made once, because making one takes a millisecond."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(smallest_checkpoint(step, valid, training=False), Path(folder, "a"))
        return Path(folder, "a").read_bytes()


def put(run: Run, step: int, valid: float | None = None) -> Path:
    """Put a checkpoint file into a run, as a save would have done."""
    run.path_of(step).write_bytes(bytes_of(step, valid))
    return run.path_of(step)


def put_all(run: Run, scores: Scores) -> None:
    for step, valid in scores.items():
        put(run, step, valid)


def damage(path: Path) -> None:
    """Make a checkpoint unreadable."""
    path.write_bytes(path.read_bytes()[:50])


def steps(run: Run) -> list[int]:
    return [entry.step for entry in run.entries()]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "tale"
    folder.mkdir()
    return Run(folder)


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


HOLDER = """
import sys, time
from pathlib import Path
from charrnn.checkpoints.run import Run
with Run(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(run: Run) -> "subprocess.Popen[bytes]":
    """Another process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("death", ["end", "kill"])
def test_a_lock_excludes_another_process_and_dies_with_it(run: Run, death: str) -> None:
    with holder(run) as process:
        with pytest.raises(RunLockedError, match="tale is being trained by another"), run.lock():
            pytest.fail("two holders")
        if death == "kill":
            process.send_signal(signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    with run.lock():
        pass


def test_a_lock_excludes_a_second_in_the_same_process(run: Run) -> None:
    with run.lock():
        with pytest.raises(RunLockedError), run.lock():
            pytest.fail("two holders")
        with pytest.raises(RunLockedError), Run(run.folder).lock():
            pytest.fail("the failed attempt released the lock")
    with run.lock():
        pass


def test_a_lock_is_released_when_its_block_fails(run: Run) -> None:
    for error in (ValueError("a"), KeyboardInterrupt()):
        with pytest.raises(type(error)), run.lock():
            raise error
    with run.lock():
        pass


def test_a_blocking_error_within_the_lock_is_not_mistaken_for_another_holder(run: Run) -> None:
    with pytest.raises(BlockingIOError), run.lock():
        raise BlockingIOError(errno.EAGAIN, "standard output would block")


def test_a_lock_on_a_deleted_run_is_a_storage_error(run: Run) -> None:
    run.folder.rmdir()
    with pytest.raises(StorageError, match=r"cannot write in .*: No such file.*"), run.lock():
        pytest.fail("no folder, no lock")
    assert not run.folder.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_the_lock_has_the_mode_that_the_umask_asks_for(run: Run, umask: int) -> None:
    before = os.umask(umask)
    try:
        with run.lock():
            assert [path.stat().st_mode & 0o777 for path in run.folder.iterdir()] == [
                0o666 & ~umask
            ]
    finally:
        os.umask(before)


def test_a_disk_without_locks_is_a_storage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match=r"cannot write in .*: No locks available"), run.lock():
        pytest.fail("no lock")
    assert len(os.listdir("/proc/self/fd")) == before


def test_taking_the_lock_removes_what_a_killed_writer_left(run: Run) -> None:
    put(run, 1)
    (run.folder / ".step-000000002.safetensors.99.tmp").write_bytes(b"half")
    with run.lock():
        assert sorted(os.listdir(run.folder)) == ["lock", "step-000000001.safetensors"]


def test_failing_to_take_the_lock_removes_nothing(run: Run) -> None:
    with run.lock():
        (run.folder / ".step-000000002.safetensors.99.tmp").write_bytes(b"half")
        with pytest.raises(RunLockedError), run.lock():
            pytest.fail("two holders")
        assert (run.folder / ".step-000000002.safetensors.99.tmp").exists()


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


def test_an_entry_has_the_step_of_its_file_name_and_the_info_of_its_header(run: Run) -> None:
    put(run, 5, 1.0).rename(run.path_of(7))
    (entry,) = run.entries()
    assert entry.step == 7
    assert isinstance(entry.info, CheckpointInfo)
    assert entry.info.step == 5


def test_no_intact_file_is_deleted_in_favour_of_one_that_is_intact_in_its_header_only(
    run: Run,
) -> None:
    """A file with damaged tensors neither counts as the best nor as one of the newest."""
    put_all(run, {1: 0.5, 2: 1.0, 3: 1.5, 4: 2.0, 5: 2.5})
    for step in (1, 5):
        flip(run.path_of(step))
    assert run.prune(1)[0] == [run.path_of(3)]
    assert steps(run) == [1, 2, 4, 5]


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
