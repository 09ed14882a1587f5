"""The error tree: its drawing, its exit codes, its one-line wording."""

import re
import signal

import pytest

from charrnn import errors
from charrnn.errors import CharRNNError, InterruptedTraining

LEAVES = [
    kind
    for kind in CharRNNError.__subclasses__()
    if kind.__module__ == errors.__name__ and kind is not InterruptedTraining
]

CODES = {
    "StorageError": 1,
    "UsageError": 2,
    "CorpusError": 3,
    "CheckpointError": 4,
    "DivergedError": 5,
    "RunLockedError": 6,
    "MemoryLimitError": 7,
}


def test_every_leaf_has_the_exit_code_that_scripts_rely_on() -> None:
    assert {kind.__name__: kind.exit_code for kind in LEAVES} == CODES


def test_the_drawing_at_the_top_shows_every_class_with_its_code() -> None:
    drawn = dict(re.findall(r"^[├└]── (\w+) +(\d+)", errors.__doc__ or "", re.MULTILINE))
    interrupted = drawn.pop("InterruptedTraining")
    assert interrupted == "128"
    assert {name: int(code) for name, code in drawn.items()} == CODES


@pytest.mark.parametrize("kind", LEAVES)
def test_a_leaf_is_one_line_of_problem_and_remedy(kind: type[CharRNNError]) -> None:
    error = kind("the disk is full", "free some space")
    assert isinstance(error, CharRNNError)
    assert str(error) == "the disk is full; free some space"
    assert (error.problem, error.remedy) == ("the disk is full", "free some space")


@pytest.mark.parametrize("kind", LEAVES)
def test_a_leaf_is_a_direct_subclass_of_the_root_and_documents_itself(
    kind: type[CharRNNError],
) -> None:
    assert kind.__bases__ == (CharRNNError,)
    assert (kind.__doc__ or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_exits_as_a_shell_reports_its_signal(number: int, code: int) -> None:
    error = InterruptedTraining(number, "stopped", "resume")
    assert error.exit_code == code
    assert str(error) == "stopped; resume"


def test_one_interrupt_does_not_change_the_code_of_the_next() -> None:
    first = InterruptedTraining(signal.SIGINT, "a", "b")
    InterruptedTraining(signal.SIGTERM, "a", "b")
    assert first.exit_code == 130
    assert InterruptedTraining.exit_code == CharRNNError.exit_code == 1
