"""Real pipes, files, terminals, closed descriptors: the output arrives, or its loss is reported."""

import contextlib
import itertools
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import ENDLESS, ERROR, PATIENCE, TINY, Shell, read_until, sentences

SAMPLE = ("sample", "--seed", "1", "--length", "200")

COLOURS = re.compile(rb"\x1b\[[0-9;]*m")

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@pytest.fixture(scope="module")
def output(trained: Shell) -> bytes:
    """What SAMPLE writes, taken in this process."""
    return trained.run(*SAMPLE).succeeded().raw


@pytest.mark.parametrize(
    "words",
    [("sample",), ("evaluate",), ("runs",), ("runs", "--json"), ("checkpoints", "list"),
     ("checkpoints", "show"), ("checkpoints", "verify"), ("--help",), ("--version",)],
    ids=" ".join,
)  # fmt: skip
def test_a_reader_that_has_left_ends_a_command_by_sigpipe(
    words: tuple[str, ...], trained: Shell
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    # Two from the start of their interpreter, the others forked: the handler is the program's.
    real = words in (("sample",), ("--version",))
    with trained.started(*words, quick=not real, stdout=writer) as child:
        os.close(writer)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == -signal.SIGPIPE
    assert err == b""


def test_head_takes_what_it_wants_and_leaves(trained: Shell) -> None:
    with trained.started("sample", "--length", "1000000000", quick=False) as child:
        head = subprocess.run(
            ["head", "-c", "10"], stdin=child.stdout, capture_output=True, check=True
        )
        assert child.stdout
        child.stdout.close()
        child.wait(PATIENCE)
        assert child.stderr
        assert child.stderr.read() == b""
    assert len(head.stdout) == 10
    assert child.returncode == -signal.SIGPIPE


def test_text_arrives_long_before_the_end(trained: Shell) -> None:
    with trained.started("sample", "--length", "1000000000", quick=False) as child:
        assert child.stdout
        assert os.read(child.stdout.fileno(), 64)
        assert child.poll() is None


def test_a_failing_command_keeps_its_own_code_in_a_pipe(trained: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with trained.started("sample", "nope", quick=False, stdout=writer) as child:
        os.close(writer)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert ERROR.fullmatch(err.decode())


@needs_full
@pytest.mark.parametrize(
    "words",
    [SAMPLE, (*SAMPLE, "--json"), ("evaluate",), ("runs",), ("checkpoints", "list"),
     ("checkpoints", "show"), ("--help",), ("train", "--help"), ("--version",)],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_under_stdout_is_one_line(words: tuple[str, ...], trained: Shell) -> None:
    done = trained.process(*words, redirect=">/dev/full")
    done.failed(1, "cannot write the output: No space left on device; ")


@needs_full
def test_a_full_disk_under_the_events_stops_a_training(shell: Shell) -> None:
    words = ("train", "corpus.txt", *TINY, "--steps", "3", "--json", "--quiet")
    shell.run(*words, device="1>/dev/full").failed(1, "cannot write the output: ")
    assert list(shell.runs.iterdir()) == []


@needs_full
def test_a_full_disk_under_stderr_does_not_stop_a_training(shell: Shell) -> None:
    words = ("train", "corpus.txt", *TINY, "--steps", "3")
    shell.run(*words, device="2>/dev/full").succeeded()
    assert shell.steps() == [3]


def test_a_reader_of_events_who_leaves_has_the_training_saved(shell: Shell) -> None:
    words = ("train", "corpus.txt", *ENDLESS, "--json", "--quiet", "--log-every", "1")
    with shell.started(*words) as child:
        read_until(child.stdout, b'"event": "progress"')
        assert child.stdout
        child.stdout.close()
        child.wait(PATIENCE)
        assert child.stderr
        line = child.stderr.read().decode()
    assert child.returncode == 128 + signal.SIGPIPE
    assert ERROR.fullmatch(line)
    assert f"it is saved; continue with: charrnn train --resume --name {shell.runs}" in line
    assert len(shell.steps()) == 1


def test_a_reader_of_progress_who_leaves_costs_nothing(shell: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = ("train", "corpus.txt", *TINY, "--steps", "20", "--json")
    with shell.started(*words, stderr=writer) as child:
        os.close(writer)
        out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    assert b'"event": "finished"' in out.splitlines()[-1]


CLOSED = [
    closed
    for count in range(4)
    for closed in itertools.combinations(("0<&-", "1>&-", "2>&-"), count)
]


@pytest.mark.parametrize("closed", CLOSED, ids=" ".join)
def test_closed_descriptors_lose_nothing_in_silence(
    closed: tuple[str, ...], trained: Shell
) -> None:
    before = {path: path.read_bytes() for path in trained.runs.rglob("*") if path.is_file()}
    words = ("sample", "--length", "5", "--seed", "1")
    done = trained.process(*words, redirect=" ".join(closed))
    if "1>&-" in closed:
        assert (done.code, done.raw) == (1, b"")
    else:
        assert (done.code, len(done.raw)) == (0, 6)
    if "1>&-" in closed and "2>&-" not in closed:
        done.failed(1, "cannot write the output: Bad file descriptor; ")
    else:
        assert done.err == ""
    assert {path: path.read_bytes() for path in before} == before


def test_a_prompt_from_a_closed_stdin_is_one_line(trained: Shell) -> None:
    done = trained.process("sample", "--prompt", "-", redirect="0<&-")
    assert done.code in (1, 2)
    done.failed(done.code, "Bad file descriptor; ")


def test_no_word_of_a_training_lands_in_a_file_of_its_run(shell: Shell) -> None:
    words = ("train", "corpus.txt", *TINY, "--steps", "3")
    shell.process(*words, redirect="0<&- 1>&- 2>&-").succeeded()
    shell.run("checkpoints", "verify").succeeded()
    assert (shell.runs / "corpus" / "lock").read_bytes() == b""
    events = Run(shell.runs / "corpus").events()
    assert len(events) == len((shell.runs / "corpus" / "metrics.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "bogus"},
        {"PYTHONIOENCODING": "ascii"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
        {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        {"CI": "true"},
        {"COLUMNS": "10"},
        {"PYTHONHASHSEED": "7"},
    ],
    ids=str,
)
def test_the_output_is_the_same_in_any_environment(
    variables: Any, trained: Shell, output: bytes
) -> None:
    done = trained.process(*SAMPLE, **variables).succeeded()
    assert (done.raw, done.err) == (output, "")


@pytest.mark.parametrize(
    "variables", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}], ids=str
)
def test_prompts_and_json_are_utf8_in_any_locale(variables: Any, trained: Shell) -> None:
    words = ("sample", "--seed", "1", "--length", "9", "--prompt", "é漢😀")
    done = trained.process(*words, "--json", **variables).succeeded()
    assert done.json[0]["prompt"] == "é漢😀"
    text = trained.process(*words, **variables).succeeded().out
    assert text.startswith("é漢😀")


def test_an_error_can_be_said_in_any_locale(trained: Shell) -> None:
    done = trained.process("sample", "é漢", PYTHONIOENCODING="ascii", LC_ALL="C")
    done.failed(2, "there is no run ")


def test_the_output_is_the_same_to_a_file(trained: Shell, output: bytes, tmp_path: Path) -> None:
    done = trained.process(*SAMPLE, redirect=f">{tmp_path / 'out'}").succeeded()
    assert (done.raw, done.err) == (b"", "")
    assert (tmp_path / "out").read_bytes() == output


def on_a_terminal(shell: Shell, *words: str) -> tuple[int, bytes]:
    """The exit code of a command in a terminal of its own, and what the terminal was sent."""
    reader, writer = pty.openpty()
    streams = {"stdin": writer, "stdout": writer, "stderr": writer}
    with shell.started(*words, quick=words[0] == "train", **streams) as child:
        os.close(writer)
        seen = b""
        with contextlib.suppress(OSError):  # which is how a terminal without a program ends
            while part := os.read(reader, 65_536):
                seen += part
        os.close(reader)
        code = child.wait(PATIENCE)
    return code, seen.replace(b"\r\n", b"\n")


def test_the_output_is_the_same_in_a_terminal(trained: Shell, output: bytes) -> None:
    assert on_a_terminal(trained, *SAMPLE) == (0, output)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run whose text, and so whose model, is full of control characters."""
    shell = Shell(tmp_path_factory.mktemp("hostile"))
    text = sentences().replace("a", "\x1b[31m").replace("o", "\x9b2J").replace("e", "\x07\r")
    shell.write("odd.txt", text)
    shell.train("odd.txt", "--steps", "20", "--quiet").succeeded()
    return shell


@pytest.mark.parametrize("json", [(), ("--json",)], ids=str)
def test_control_characters_are_escaped_in_a_terminal(
    json: tuple[str, ...], hostile: Shell
) -> None:
    raw = hostile.run(*SAMPLE, *json).raw
    code, seen = on_a_terminal(hostile, *SAMPLE, *json)
    assert code == 0
    for control, escaped in ((b"\x1b", b"^["), (b"\x9b", b"\\u009b"), (b"\x07", b"^G")):
        assert control not in seen
        if not json:
            assert control in raw
            assert escaped in seen


def test_a_prompt_with_control_characters_is_escaped_in_a_terminal(trained: Shell) -> None:
    words = ("sample", "--length", "0", "--prompt", "a\x1b[2Jb")
    code, seen = on_a_terminal(trained, *words)
    assert code == 0
    assert seen.endswith(b"a^[[2Jb\n")


def test_training_in_a_terminal_obeys_no_control_of_its_text(hostile: Shell) -> None:
    words = ("train", "odd.txt", *TINY, "--steps", "30", "--name", "a\x1b[2J")
    code, seen = on_a_terminal(hostile, *words)
    assert code == 0
    assert b"\x1b[31m" not in seen
    assert "\x9b".encode() not in seen
    assert b"\x07" not in seen
    assert b"done in " in seen


def screen(written: str) -> list[str]:
    """The lines of a terminal after it was sent this text."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.", written, re.DOTALL):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and part != "A":
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif len(part) == 1:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
    return lines


def test_in_a_terminal_the_end_of_a_training_is_a_line_of_its_own(shell: Shell) -> None:
    code, seen = on_a_terminal(shell, "train", "corpus.txt", *TINY, "--steps", "30")
    assert code == 0
    assert "━".encode() in seen
    *lines, done, rest = screen(seen.decode())
    assert rest == ""
    assert done.startswith("done in 0:0")
    assert done.endswith(f"now try: charrnn sample {shell.runs / 'corpus'}")
    assert not any("━" in line or "done in" in line for line in lines)


def test_an_error_in_a_terminal_is_coloured_but_not_by_its_text(trained: Shell) -> None:
    code, seen = on_a_terminal(trained, "sample", "[red]\x1b[2Jx")
    assert code == 2
    plain = COLOURS.sub(b"", seen)
    assert plain.startswith(b"charrnn: error: there is no run [red]^[[2Jx in ")
    assert b"\x1b" not in plain
    assert plain.count(b"\n") == 1


def test_tables_in_a_terminal_escape_names(copied: Shell) -> None:
    (copied.runs / "corpus").rename(copied.runs / "[red]\x1b[2J")
    code, seen = on_a_terminal(copied, "runs")
    plain = COLOURS.sub(b"", seen)
    assert code == 0
    assert b"[red]^[[2J" in plain
    assert b"\x1b" not in plain
