"""`charrnn plot`: curves as text, as a picture, as JSON; of one run and of several."""

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell

CHART = re.compile(r"[│┤]")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with two runs of different cells, each with several lines of progress."""
    shell = Shell(tmp_path_factory.mktemp("two"))
    shell.write("corpus.txt", "the cat sat on a mat and saw a dog.\n" * 60)
    cadence = ("--log-every", "5", "--eval-every", "10", "--steps", "20", "--quiet")
    for name, cell in (("one", "lstm"), ("two", "gru")):
        shell.train("corpus.txt", "--name", name, "--cell", cell, *cadence).succeeded()
    return shell


def test_the_losses_of_the_last_run_are_drawn(two: Shell) -> None:
    done = two.run("plot").succeeded()
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[:2] == ["two", "loss, nats/char"]
    assert re.search(r" training \d\.\d{3}$", done.out, re.MULTILINE)
    assert re.search(r" validation \d\.\d{3}$", done.out, re.MULTILINE)
    assert lines[-1].strip() == "steps"


def test_several_runs_are_labelled_by_their_names(two: Shell) -> None:
    out = two.run("plot", "one", "two", "--width", "100").succeeded().out
    assert out.startswith("one, two\n")
    for name in ("one training", "one validation", "two training", "two validation"):
        assert name in out


def test_a_run_named_twice_is_drawn_once(two: Shell) -> None:
    assert two.run("plot", "one", "one").out == two.run("plot", "one").out


@pytest.mark.parametrize(
    ("what", "label"),
    [("loss", "loss, nats/char"), ("learning-rate", "learning rate"),
     ("grad-norm", "norm of the gradient before clipping, nats/token"),
     ("speed", "training speed, tokens/s")],
)  # fmt: skip
@pytest.mark.parametrize("x", ["steps", "epochs", "seconds"])
def test_everything_is_drawn_over_everything(what: str, label: str, x: str, two: Shell) -> None:
    lines = two.run("plot", "--what", what, "--x", x).succeeded().out.splitlines()
    assert lines[1] == label
    assert lines[-1].strip() == x


def test_json_is_the_series(two: Shell) -> None:
    done = two.run("plot", "one", "two", "--json").succeeded()
    assert [(o["run"], o["curve"]) for o in done.json] == [
        ("one", "training"), ("one", "validation"), ("two", "training"), ("two", "validation"),
    ]  # fmt: skip
    training, validation, *_ = done.json
    assert (training["x"], validation["x"]) == ([5, 10, 15, 20], [10, 20])
    events = Run(two.runs / "one").events()
    logged = [e["nats_per_char"] for e in events if e["event"] == "evaluated"]
    assert validation["y"] == pytest.approx(logged)
    assert training["y"] == pytest.approx([e["loss"] for e in events if e["event"] == "progress"])
    assert training["unit"] == "nats/char"
    assert training["over"] == "steps"


def test_units_and_beginnings(two: Shell) -> None:
    (_, nats), (_, bits) = (
        two.run("plot", "one", "--json", *words).json for words in ([], ["--unit", "bits"])
    )
    assert bits["y"] == pytest.approx([y * 1.4426950408889634 for y in nats["y"]])
    assert bits["unit"] == "bits/char"
    assert two.run("plot", "one", "--json", "--from", "11").json[0]["x"] == [15, 20]
    speed = two.run("plot", "--json", "--what", "speed").json
    assert [line["curve"] for line in speed] == ["speed"]
    assert "unit" not in speed[0]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
def test_text_fits_the_width(width: int, two: Shell) -> None:
    out = two.run("plot", "one", "two", "--width", width).succeeded().out  # type: ignore[arg-type]
    assert max(len(line) for line in out.splitlines() if CHART.search(line)) <= width
    named = two.run("plot", "one", "two", COLUMNS=str(width + 1)).out
    assert named == out


def test_a_pipe_gets_80_columns_and_no_colours(two: Shell) -> None:
    out = two.run("plot").out
    assert 60 < max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def in_terminal(shell: Shell, *args: str, **variables: str) -> str:
    """What a command writes when its stdout is a terminal."""
    leader, follower = pty.openpty()
    try:
        environment = shell.environment({"TERM": "xterm", "COLUMNS": "80"} | variables)
        subprocess.run(
            shell.command(*args), cwd=shell.folder, env=environment, stdout=follower, check=True,
            timeout=60,
        )  # fmt: skip
        os.close(follower)
        written = b""
        while block := _read(leader):
            written += block
    finally:
        os.close(leader)
    return written.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # which is how Linux reports the end of a terminal
        return b""


def test_a_terminal_gets_colours_unless_it_wants_none(two: Shell) -> None:
    plain = two.run("plot", "one", "two", COLUMNS="80").out
    assert "\x1b[36m" in in_terminal(two, "plot", "one", "two")
    assert in_terminal(two, "plot", "one", "two", NO_COLOR="1") == plain
    assert in_terminal(two, "plot", "one", "two", TERM="dumb") == plain


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("b.SVG", b"<?xml")])
def test_a_picture_is_written_and_named(
    name: str, magic: bytes, two: Shell, tmp_path: Path
) -> None:
    file = tmp_path / name
    done = two.run("plot", "one", "--output", file).succeeded()
    assert (done.out, done.err) == (f"{file}\n", "")
    assert file.read_bytes().startswith(magic)


def test_a_picture_is_overwritten_only_by_force(two: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    file.write_text("mine")
    two.run("plot", "-o", file).failed(2, f"{file} exists", "--force")
    assert file.read_text() == "mine"
    two.run("plot", "-o", file, "--force").succeeded()
    assert file.read_text() != "mine"


@pytest.mark.parametrize("name", ["a.gif", "a", "png", ".png"])
def test_other_pictures_are_refused(name: str, two: Shell) -> None:
    two.run("plot", "-o", name).failed(2, f"{name} is not the name of a picture", ".png or .svg")


def test_a_picture_without_matplotlib_is_one_line(
    two: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = two.run("plot", "-o", "x.png").failed(2, "a picture needs matplotlib")
    assert line.endswith("; install it with: pip install 'charrnn[plot]'\n")
    assert not (two.folder / "x.png").exists()
    two.run("plot").succeeded()


def test_a_picture_in_no_folder_is_one_line(two: Shell, tmp_path: Path) -> None:
    two.run("plot", "-o", tmp_path / "none" / "a.svg").failed(1, "cannot write")


def test_a_truncated_line_of_the_log_is_noted_once_on_stderr(two: Shell, tmp_path: Path) -> None:
    shutil.copytree(two.runs / "one", tmp_path / "torn")
    with (tmp_path / "torn" / "metrics.jsonl").open("a") as file:
        file.write('{"event": "prog')
    done = two.run("plot", tmp_path / "torn").succeeded()
    assert done.err == ("charrnn: note: left out 1 line of the log of torn: unreadable\n")
    assert done.out == two.run("plot", "one").out.replace("one", "torn", 1)


def test_odd_names_are_escaped(two: Shell, tmp_path: Path) -> None:
    for name in ("a\x1b[2J", "[red]"):
        shutil.copytree(two.runs / "one", tmp_path / name)
    out = two.run("plot", tmp_path / "a\x1b[2J", tmp_path / "[red]", "--width", "110").out
    assert "\x1b" not in out
    assert "a^[[2J validation" in out
    assert "[red] validation" in out


@pytest.mark.parametrize("words", [("nope",), ("one", "nope")])
def test_a_run_that_is_not_there_is_one_line(words: tuple[str, ...], two: Shell) -> None:
    two.run("plot", *words).failed(2, "there is no run nope", "one, two")


def test_a_run_without_a_log_is_one_line(two: Shell, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    shutil.copy(two.runs / "one" / "run.json", tmp_path / "new")
    two.run("plot", tmp_path / "new").failed(2, "the run new has logged no loss yet")
    two.run("plot", "one", "--from", "1000").failed(2, "no loss from 1000 steps on")


def test_a_resumed_run_is_one_curve(two: Shell, tmp_path: Path) -> None:
    shutil.copytree(two.runs / "one", tmp_path / "again")
    run = Run(tmp_path / "again")
    again = [e for e in run.events() if e["event"] == "planned" or 10 < e["step"] <= 20]
    for event in again:
        run.log(event | ({"step": 10} if event["event"] == "planned" else {}))
    (training, _) = two.run("plot", tmp_path / "again", "--json", "--x", "seconds").json
    assert len(training["x"]) == 4
    assert training["x"] == sorted(training["x"])
    assert json.loads(json.dumps(training)) == training
