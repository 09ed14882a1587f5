"""Freed memory is kept on glibc, and nothing is done with other C libraries."""

import ctypes
import platform
import sys
from typing import Any

import pytest

from charrnn.models.device import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_keeps_freed_memory() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory()


@pytest.mark.parametrize("answers", [None, (1, 0), (0, 1)])
def test_other_c_libraries_are_left_alone(
    answers: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        """A C library without mallopt, or with one that refuses."""

    if answers:
        given = iter(answers)
        Library.mallopt = lambda self, *_: next(given)  # type: ignore[attr-defined]
    made: Any = lambda _: Library()  # noqa: E731
    monkeypatch.setattr(ctypes, "CDLL", made)
    assert not keep_freed_memory()


def test_on_other_systems_the_c_library_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert not keep_freed_memory()
