"""Long work is shown: on a terminal after a second, elsewhere every few seconds, else silence."""

import time

import pytest

from charrnn.activity import Work, activity, listen, track
from charrnn.cli import work
from charrnn.cli.work import WorkLine


def seconds_of_work(seconds: float) -> None:
    with activity("indexing", total=10) as report:
        report(4)
        time.sleep(seconds)


def test_work_that_takes_long_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work, "FIRST_PLAIN_SECONDS", 0.1)
    with WorkLine():
        seconds_of_work(0.8)
    assert capfd.readouterr().err.startswith("indexing 40%, 0:0")


def test_short_work_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with WorkLine():
        seconds_of_work(0.3)
    assert capfd.readouterr().err == ""


def test_other_processes_of_a_training_are_silent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work, "FIRST_PLAIN_SECONDS", 0.0)
    monkeypatch.setenv("RANK", "1")
    with WorkLine():
        seconds_of_work(0.5)
    assert capfd.readouterr().err == ""


def test_work_within_work_is_shown_instead_of_it_and_an_error_ends_both() -> None:
    seen: list[Work | None] = []

    def fail() -> None:
        with listen(seen.append), activity("outer"):
            assert list(track([3, 4], "inner", 7, size=float)) == [3, 4]
            assert seen[-1] == Work("outer")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [each and each.fraction for each in seen] == [None, 0.0, 3 / 7, 1.0, None, None]


def test_without_a_listener_work_is_only_done() -> None:
    assert list(track("abc", "reading")) == ["a", "b", "c"]
