"""What reaches stdout: whole characters, in blocks or at once, and no loss that goes unnoticed."""

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli import output
from charrnn.cli.output import BLOCK, Output
from charrnn.errors import StorageError


class Descriptor:
    """A replacement for descriptor 1: keeps what it is given, a few bytes at a time if asked."""

    def __init__(self, at_once: int = 1 << 20) -> None:
        self.at_once = at_once
        self.calls: list[bytes] = []

    def write(self, number: int, data: memoryview) -> int:
        """Take some of the data."""
        assert number == 1
        part = bytes(data[: self.at_once])
        self.calls.append(part)
        return len(part)

    @property
    def written(self) -> bytes:
        """All that it took."""
        return b"".join(self.calls)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Descriptor:
    """A pipe in the place of stdout, and a clock that does not move."""
    return stand_in(monkeypatch, Descriptor(), terminal=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Descriptor:
    """A terminal in the place of stdout."""
    return stand_in(monkeypatch, Descriptor(), terminal=True)


def stand_in(monkeypatch: pytest.MonkeyPatch, place: Descriptor, terminal: bool) -> Descriptor:
    """Put it in the place of stdout, as `output` sees it, and nowhere else."""
    system = Named(name="posix", write=place.write, isatty=lambda number: terminal)
    monkeypatch.setattr(output, "os", system)
    monkeypatch.setattr(output, "time", Named(monotonic=lambda: 0.0))
    return place


class Named:
    """Functions by their names, in the place of a module."""

    def __init__(self, **functions: Any) -> None:
        self.__dict__.update(functions)


def test_a_pipe_gets_blocks(pipe: Descriptor) -> None:
    out = Output()
    out.write("x" * (BLOCK - 1))
    assert pipe.calls == []
    out.write("y")
    assert pipe.calls == [b"x" * (BLOCK - 1) + b"y"]
    out.write("z")
    assert len(pipe.calls) == 1
    out.flush()
    assert pipe.calls[1:] == [b"z"]


def test_a_pipe_waits_no_longer_than_a_moment(
    pipe: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(output, "time", Named(monotonic=lambda: now))
    out = Output()
    now = output.MAX_DELAY / 2
    out.write("a")
    assert pipe.calls == []
    now = output.MAX_DELAY
    out.write("b")
    assert pipe.calls == [b"ab"]
    now += output.MAX_DELAY / 2
    out.write("c")
    assert pipe.calls == [b"ab"]


def test_a_terminal_gets_text_at_once_and_escaped(terminal: Descriptor) -> None:
    out = Output()
    out.write("a\x1b[31m\n\tb")
    assert terminal.calls == [b"a^[[31m\n\tb"]


def test_a_pipe_gets_control_characters_raw(pipe: Descriptor) -> None:
    out = Output()
    out.write("a\x1b[31m\x00\x9b")
    out.flush()
    assert pipe.written == "a\x1b[31m\x00\x9b".encode()


def test_json_is_a_line_at_once_in_utf8(pipe: Descriptor) -> None:
    out = Output()
    out.json({"text": "é\n", "n": 1, "none": None})
    assert pipe.calls == [b'{"text": "\xc3\xa9\\n", "n": 1, "none": null}\n']


def test_json_keeps_its_place_behind_text(pipe: Descriptor) -> None:
    out = Output()
    out.write("first ")
    out.json({})
    assert pipe.calls == [b"first {}\n"]


def test_json_in_a_terminal_stays_a_line(terminal: Descriptor) -> None:
    Output().json({"text": "\x1b\x9b\n"})
    assert terminal.written == b'{"text": "\\u001b\\u009b\\n"}\n'


def test_nothing_held_writes_nothing(pipe: Descriptor) -> None:
    Output().flush()
    assert pipe.calls == []


def test_lone_surrogates_do_not_stop_the_output(pipe: Descriptor) -> None:
    out = Output()
    out.write("a\udcffb")
    out.flush()
    assert pipe.written == b"a?b"


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_a_pipe_that_takes_little_gets_all(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place = stand_in(monkeypatch, Descriptor(at_once), terminal=False)
    out = Output()
    out.write("é€😀" * 50)
    out.flush()
    assert place.written.decode() == "é€😀" * 50


@given(texts=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)))
@settings(max_examples=60, deadline=None)
def test_no_block_ends_within_a_character(texts: list[str]) -> None:
    place = Descriptor()
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, place, terminal=False)
        patch.setattr(output, "BLOCK", 16)
        out = Output()
        for text in texts:
            out.write(text)
        out.flush()
    for part in place.calls:
        part.decode()
    assert place.written.decode() == "".join(texts)


def failing(error: OSError) -> Callable[..., int]:
    """A write that fails."""

    def write(number: int, data: memoryview) -> int:
        raise error

    return write


def test_a_failure_is_a_storage_error(pipe: Descriptor, monkeypatch: pytest.MonkeyPatch) -> None:
    full = failing(OSError(28, os.strerror(28)))
    monkeypatch.setattr(output, "os", Named(name="posix", write=full, isatty=lambda number: False))
    out = Output()
    out.write("a")
    with pytest.raises(StorageError, match=r"cannot write the output: No space left on device; "):
        out.flush()


def test_a_reader_that_left_is_not_a_storage_error(
    pipe: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = failing(BrokenPipeError(32, os.strerror(32)))
    monkeypatch.setattr(output, "os", Named(name="posix", write=gone, isatty=lambda number: False))
    with pytest.raises(BrokenPipeError):
        Output().json({})


def test_what_python_has_buffered_goes_first(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = open(1, "w", closefd=False)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", stream)
    stream.write("printed ")
    out = Output()
    out.write("written\n")
    out.flush()
    assert capfd.readouterr().out == "printed written\n"
    stream.close()
