"""train(): out of memory, full disks and other failures keep what was saved."""

from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.atomic import Disk
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import MemoryLimitError, StorageError
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.events import Saved
from charrnn.training.learner import Learner
from tests.support.trainings import EVAL, a_run, carry_out, plan_for


class Watching(Disk):
    """A disk on which no tensor that is not finite may be given its name."""

    def rename(self, source: Path, target: Path) -> None:
        """Look before."""
        found = files.load(source, training=True)  # it would refuse what is not finite
        assert found.training is not None
        super().rename(source, target)


MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("error", MEMORY, ids=["python", "gpu", "cpu"])
@pytest.mark.parametrize("where", ["__init__", "advance", "training_state", "weights"])
def test_out_of_memory_says_what_to_make_smaller(
    error: Exception, where: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Learner, where, fail)
    plan = plan_for(corpus)
    result = carry_out(plan, corpus, a_run(tmp_path))
    assert isinstance(result.error, MemoryLimitError)
    assert f"training {plan.parameters:,} parameters" in result.error.problem
    assert type(error).__name__ in result.error.problem
    assert "--batch-size, --seq-length or --hidden-size" in result.error.remedy


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("odd"), KeyError("gone")])
def test_an_error_that_is_no_lack_of_memory_stays_what_it_is(
    error: Exception, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Learner, "advance", fail)
    assert carry_out(plan_for(corpus), corpus, a_run(tmp_path)).error is error


def test_a_disk_that_is_full_ends_the_run_and_keeps_what_was_saved(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    real = Run.save

    class Full(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

    def save(self: Run, model: Checkpoint, keep: int) -> Any:
        full = model.info.step > EVAL
        return real(self, model, keep, Full()) if full else real(self, model, keep)

    monkeypatch.setattr(Run, "save", save)
    result = carry_out(plan_for(corpus), corpus, run)
    assert isinstance(result.error, StorageError)
    assert "No space left on device" in result.error.problem
    assert [entry.step for entry in run.entries()] == [5, 6]


def test_every_file_is_finite_before_it_has_its_name(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.save
    monkeypatch.setattr(Run, "save", lambda self, model, keep: real(self, model, keep, Watching()))
    result = carry_out(plan_for(corpus, dropout=0.5), corpus, a_run(tmp_path))
    assert result.error is None
    assert len(result.of(Saved)) == 5


def test_what_could_not_be_removed_is_reported_and_does_not_end_the_run(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sticky(Disk):
        def remove(self, path: Path) -> None:
            raise OSError(1, "Operation not permitted")

    real = Run.save
    monkeypatch.setattr(Run, "save", lambda self, model, keep: real(self, model, keep, Sticky()))
    result = carry_out(plan_for(corpus, train={"keep": 1}), corpus, a_run(tmp_path))
    assert result.error is None
    assert any("cannot remove" in line for event in result.of(Saved) for line in event.warnings)
