"""Signals: a training is asked to save and stop, and left at once when asked twice."""

import contextlib
import io
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import atomic
from charrnn.checkpoints.run import Run
from charrnn.cli.signals import ENDING, STOPPING, Interrupts, clean_up_when_ended
from charrnn.errors import InterruptedTraining
from tests.support.shell import ENDLESS, ERROR, PATIENCE, TINY, Shell, read_until, wait_for

NUMBERS = pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)

WORD = "saving and stopping; once more to leave at once without saving\n"


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """The signals' handlers as they were before."""
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGPIPE)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_stopping_signals_are_those_of_the_contract() -> None:
    assert {128 + number for number in STOPPING} == {130, 143, 129}


@NUMBERS
def test_before_training_a_signal_stops_at_once(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with handlers_kept(), interrupts.listen(), pytest.raises(InterruptedTraining) as caught:
        signal.raise_signal(number)
    assert caught.value.problem == "stopped before training began"
    assert caught.value.exit_code == 128 + number


@NUMBERS
def test_while_training_a_signal_asks_with_a_word(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupts = Interrupts()
    interrupts.deferring = True
    with handlers_kept(), interrupts.listen():
        signal.raise_signal(number)
    assert interrupts.number == number
    assert capsys.readouterr() == ("", WORD)


@NUMBERS
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once_with_its_own_code(
    first: signal.Signals, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Left(BaseException):
        """The process would be gone."""

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)
    interrupts = Interrupts()
    interrupts.deferring = True
    with handlers_kept(), interrupts.listen():
        signal.raise_signal(first)
        with pytest.raises(Left) as caught:
            signal.raise_signal(number)
    assert caught.value.args == (128 + number,)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with Interrupts().listen():
        during = [signal.getsignal(number) for number in STOPPING]
    assert [signal.getsignal(number) for number in STOPPING] == before
    assert not set(map(str, during)) & set(map(str, before))


def test_handlers_are_put_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with pytest.raises(ZeroDivisionError), Interrupts().listen():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in STOPPING] == before


@NUMBERS
def test_what_nohup_ignores_stays_ignored(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with handlers_kept():
        signal.signal(number, signal.SIG_IGN)
        with interrupts.listen():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    assert interrupts.number == 0


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_that_ends_a_command_removes_temporary_files_first(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    raised: list[tuple[int, object]] = []
    left = tmp_path / ".jig.mid.17.tmp"
    left.touch()
    monkeypatch.setattr(atomic, "UNFINISHED", {left})
    with handlers_kept():
        signal.signal(number, signal.SIG_DFL)
        clean_up_when_ended()
        raise_signal = signal.raise_signal
        monkeypatch.setattr(
            signal, "raise_signal", lambda n: raised.append((n, signal.getsignal(n)))
        )
        raise_signal(number)
    # It then does what it would have done.
    assert raised == [(number, signal.SIG_DFL)]
    assert not left.exists()


def test_what_nohup_ignores_ends_no_command() -> None:
    with handlers_kept():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        clean_up_when_ended()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_training_ignores_readers_who_leave_from_its_start(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def start_run(*_: object) -> None:
        seen.append(signal.getsignal(signal.SIGPIPE))

    monkeypatch.setattr("charrnn.training.session.start_run", start_run)
    shell.run("train", "corpus.txt").succeeded()
    assert seen == [signal.SIG_IGN]


def test_a_signal_in_the_middle_of_a_line_to_stderr_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(io.RawIOBase):
        """A pipe whose write a signal breaks into."""

        def __init__(self) -> None:
            self.taken = b""

        def writable(self) -> bool:
            """It is."""
            return True

        def write(self, data: Any) -> int:
            """Take the data, after a signal."""
            if not self.taken:
                self.taken = bytes(data)
                signal.raise_signal(signal.SIGTERM)
            return len(data)

    stream = io.TextIOWrapper(io.BufferedWriter(Slow()), "utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    interrupts = Interrupts()
    interrupts.deferring = True
    with handlers_kept(), interrupts.listen():
        stream.write("step 1")
        stream.flush()
    assert interrupts.number == signal.SIGTERM


def after_events(count: int, act: Callable[[], None]) -> Callable[..., None]:
    """Run.log, that acts after so many events."""
    original, seen = Run.log, [0]

    def log(run: Run, event: Any) -> None:
        original(run, event)
        seen[0] += 1
        if seen[0] == count:
            act()

    return log


CADENCE = ("--steps", "30", "--log-every", "1", "--save-every", "10", "--eval-every", "20")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, trained: Shell) -> str:
    """The weights of a training that nothing stopped."""
    shell = Shell(tmp_path_factory.mktemp("whole"))
    shell.write("corpus.txt", (trained.folder / "corpus.txt").read_bytes())
    shell.train("corpus.txt", *CADENCE, "--output-dropout", "0.3", "--quiet").succeeded()
    return shell.weights()


@NUMBERS
@pytest.mark.parametrize("events", [1, 9, 14, 24])
def test_a_stopped_training_is_saved_and_goes_on_as_if_it_had_not_been(
    number: signal.Signals,
    events: int,
    whole: str,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", after_events(events, lambda: signal.raise_signal(number)))
        done = shell.train("corpus.txt", *CADENCE, "--output-dropout", "0.3", "--quiet")
    assert done.code == 128 + number
    word, line = done.err.splitlines(keepends=True)
    assert word == WORD
    assert line == (
        f"charrnn: error: stopped at step {max(shell.steps())} of 30; it is saved; "
        f"continue with: charrnn train --resume --name {shell.runs / 'corpus'}\n"
    )
    shell.run("train", "--resume", "--quiet").succeeded()
    assert shell.weights() == whole
    steps = [event["step"] for event in Run(shell.runs / "corpus").events()]
    assert steps == sorted(steps)
    assert steps[-1] == 30


def test_a_signal_after_the_last_step_changes_nothing(
    whole: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_the_end(run: Run, event: Any) -> None:
        if event["event"] == "finished":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "log", at_the_end)
    shell.train("corpus.txt", *CADENCE, "--output-dropout", "0.3", "--quiet").succeeded()
    assert shell.weights() == whole


@NUMBERS
def test_a_signal_before_training_leaves_nothing(number: signal.Signals, shell: Shell) -> None:
    with shell.started("train", "-", *ENDLESS, stdin=-1) as child:
        wait_for(shell.runs / "stdin" / "corpus", child)
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (128 + number, b"")
    # On a machine that stands still for seconds, what takes so long is said before.
    match = ERROR.fullmatch(err.decode().splitlines(keepends=True)[-1])
    assert match, err
    assert match["problem"] == "stopped before training began"
    assert list(shell.runs.iterdir()) == []


def test_a_signal_to_a_real_training_saves_it(shell: Shell) -> None:
    with shell.started("train", "corpus.txt", *ENDLESS, "--json") as child:
        read_until(child.stdout, b'"event": "progress"')
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 143
    *_, word, line = err.decode().splitlines(keepends=True)
    assert word == WORD
    assert f"it is saved; continue with: charrnn train --resume --name {shell.runs}" in line
    assert b'"event": "saved"' in out.splitlines()[-1]
    assert len(shell.steps()) == 1


def test_a_second_signal_to_a_real_training_leaves_it_at_once(shell: Shell) -> None:
    with shell.started("train", "corpus.txt", *ENDLESS, "--json") as child:
        read_until(child.stdout, b'"event": "progress"')
        # Stopped it takes both in the same moment, so that it cannot have saved between them.
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            child.send_signal(number)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 143
    assert err.decode().endswith(WORD)
    assert shell.steps() == []


def test_a_terminal_that_is_closed_costs_no_work(shell: Shell) -> None:
    leader, follower = pty.openpty()
    words = ("train", "corpus.txt", *ENDLESS)
    with shell.started(*words, stdin=follower, stdout=follower, stderr=follower) as child:
        os.close(follower)
        read = b""
        while b"step 1/" not in read and b"/10,000,000" not in read:
            read += os.read(leader, 1000)
        os.close(leader)
        child.send_signal(signal.SIGHUP)
        assert child.wait(PATIENCE) == 129
    assert len(shell.steps()) == 1


def test_ctrl_c_while_a_sample_is_written_is_one_line(trained: Shell) -> None:
    with trained.started("sample", "--length", "1000000000", quick=False) as child:
        assert child.stdout
        assert child.stdout.read(100)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert err.decode() == "charrnn: error: interrupted; nothing was lost\n"


def test_kill_9_loses_nothing_that_was_announced(shell: Shell, tmp_path: Path) -> None:
    cadences = ("--save-every", "20", "--eval-every", "50")
    steps = ("--steps", "400", *cadences, "--output-dropout", "0.2")
    other = Shell(tmp_path / "other")
    other.write("corpus.txt", (shell.folder / "corpus.txt").read_bytes())
    other.train("corpus.txt", *steps, "--quiet").succeeded()
    with shell.started("train", "corpus.txt", *steps, *TINY, "--json", "--log-every", "1") as child:
        read_until(child.stdout, b'"step": 60, "path"')
        child.send_signal(signal.SIGKILL)
        assert child.wait(PATIENCE) == -signal.SIGKILL
    assert 60 <= max(shell.steps()) < 400
    done = shell.run("train", "--resume", "--json").succeeded()
    assert done.json[0]["event"] == "planned"
    assert done.json[0]["step"] >= 60
    assert shell.weights() == other.weights()
    assert not list(shell.runs.glob("corpus/.*.tmp"))
