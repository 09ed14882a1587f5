"""What a shell offers: the same as typer, which builds all of the program, and at once."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import _completion_classes as classes
from typer._completion_shared import get_completion_script

from charrnn.checkpoints.listing import recorded_labels
from charrnn.checkpoints.run import create_run
from charrnn.cli.completion import COMPLETE, TABLE, answer, asked_words
from charrnn.cli.main import program
from tests.support.completion_table import table

SHELLS: dict[str, Any] = {
    "bash": classes.BashComplete,
    "zsh": classes.ZshComplete,
    "fish": classes.FishComplete,
}


@pytest.fixture(scope="module")
def root() -> Any:
    """The program with all its commands."""
    return typer.main.get_command(program())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the environment of a question about a line -> the environment."""

    def ask(shell: str, line: str) -> dict[str, str]:
        found = {
            COMPLETE: f"complete_{shell}",
            "COMP_WORDS": line.replace(" ", "\n"),
            "COMP_CWORD": str(line.count(" ")),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        return found

    return ask


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one called `own`, of the labels `Jane Austen` and `Poe`."""
    root = tmp_path_factory.mktemp("labelled")
    run = create_run(root, "own")
    run.write_description({"turn": 1})
    facts = {"corpus": {"conditions": {"Poe": 19, "Jane Austen": 1500}}}
    header = json.dumps({"__metadata__": {"charrnn": json.dumps({"facts": facts})}}).encode()
    for step in (20, 1000):
        run.path_of(step).write_bytes(struct.pack("<Q", len(header)) + header)
    return root


def commands(node: Any, path: str = "charrnn") -> Iterator[tuple[str, Any]]:
    yield path, node
    for name, each in getattr(node, "commands", {}).items():
        yield from commands(each, f"{path} {name}")


def same(text: str, other: str) -> bool:
    """Whether they say the same; typer breaks long help, and --help and -h come in any order."""
    first, second = (sorted(re.sub(r"[()']", " ", each).split()) for each in (text, other))
    return first == second


def test_the_table_is_that_of_the_commands() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "run: make docs"


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_offered_as_typer_offers_it(shell: str, root: Any, asked: Any) -> None:
    peer = SHELLS[shell](root, {}, "charrnn", COMPLETE)
    for path, _ in commands(root):
        for last in ("", "-"):
            found = answer(asked(shell, f"{path} {last}"))
            assert found is not None
            assert same(found[0], peer.complete()), (path, last)


def test_the_values_of_every_option_are_those_of_typer(
    root: Any, asked: Any, monkeypatch: pytest.MonkeyPatch, labelled: Path
) -> None:
    monkeypatch.setenv("CHARRNN_RUNS", str(labelled))
    peer, counted = SHELLS["fish"](root, {}, "charrnn", COMPLETE), 0
    for path, node in commands(root):
        context = typer.Context(node)
        for param in node.params:
            for name in (name for name in param.opts if name.startswith("-") and not param.is_flag):
                found = answer(asked("fish", f"{path} {name} "))
                # Typer itself would read the whole line for each, which takes 60 ms.
                items = map(peer.format_completion, param.shell_complete(context, ""))
                assert found == ("\n".join(items) + "\n", 0), (path, name)
                counted += found != ("\n", 0)
    assert counted > 40


@pytest.mark.parametrize(
    "line",
    [
        "charrnn train a.txt --cell gru --ce", "charrnn train --cell=gru --cell",
        "charrnn sample --top-k --to", "charrnn sample --prompt a --pro", "charrnn train -- --ce",
        "charrnn checkpoints show own --checkpoint=", "charrnn plot own ", "charrnn sample own ",
        "charrnn sample -- ", "charrnn --debug ru", "charrnn --debug runs --", "charrnn compare --",
        "charrnn train --no-conditions --", "charrnn sample --checkpoint l",
        "charrnn sample --runs-dir ", "charrnn sample --runs-dir nowhere ",
        "charrnn sample 'o", "charrnn sample --label J",
    ],
)  # fmt: skip
def test_lines_that_go_on_are_read_as_typer_reads_them(
    line: str, root: Any, asked: Any, monkeypatch: pytest.MonkeyPatch, labelled: Path
) -> None:
    monkeypatch.setenv("CHARRNN_RUNS", str(labelled))
    found = answer(asked("fish", line))
    assert found is not None
    assert same(found[0], SHELLS["fish"](root, {}, "charrnn", COMPLETE).complete())


@pytest.mark.parametrize("line", ["charrnn nope --", "charrnn sample --nope x ", "charrnn -x sa"])
def test_what_the_table_does_not_know_is_left_to_typer(line: str, asked: Any) -> None:
    assert answer(asked("bash", line)) is None
    assert answer(asked("powershell", "charrnn ")) is None


def test_bash_parts_a_value_from_its_option(asked: Any) -> None:
    assert asked_words(asked("bash", "charrnn train --cell = l")) == (["train", "--cell"], "l")
    assert asked_words(asked("bash", "charrnn train --cell =")) == (["train", "--cell"], "")
    assert asked_words(asked("bash", "charrnn sample = l")) == (["sample", "="], "l")


def test_labels_are_offered_with_their_documents(
    asked: Any, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_RUNS", str(labelled))
    line = "charrnn sample own --label "
    assert answer(asked("fish", line)) == ("Jane Austen\t1,500 documents\nPoe\t19 documents\n", 0)
    assert answer(asked("bash", line)) == ("Jane\\ Austen\nPoe\n", 0)
    assert answer(asked("bash", line + "'J")) == ("Jane Austen\n", 0)
    assert answer(asked("bash", line + "x")) == ("\n", 0)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{}", b"\4\0\0\0\0\0\0\0null"]
)
def test_a_file_that_is_no_checkpoint_has_no_labels(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(raw)
    os.mkfifo(tmp_path / "pipe")
    assert recorded_labels(path) == recorded_labels(tmp_path / "pipe") == {}
    assert recorded_labels(tmp_path / "none") == {}


ASK = {
    "bash": "COMP_WORDS=({line} ''); COMP_CWORD=3; _charrnn_completion charrnn; "
    "printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "fish": "complete -C '{line} '",
    # Its own function would draw a menu.
    "zsh": "_arguments() {{ print -r -- $@ }}; words=({line} ''); CURRENT=4; _charrnn_completion",
}
"""How to ask each shell's function without a terminal."""

WITHOUT_TYPER = """#!{python}
import sys
sys.path.insert(0, {root!r})
sys.modules["typer"] = sys.modules["numpy"] = None
from charrnn.cli.entry import run
run()
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_is_answered_without_the_program(
    shell: str, labelled: Path, tmp_path: Path
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    entry = tmp_path / "charrnn"
    root = str(Path(__file__).parents[2])
    entry.write_text(WITHOUT_TYPER.format(python=sys.executable, root=root))
    entry.chmod(0o755)
    script = get_completion_script(prog_name="charrnn", complete_var=COMPLETE, shell=shell)
    before = "compdef() { }\n" if shell == "zsh" else ""
    (tmp_path / "script").write_text(f"{before}{script}\n")
    asking = ASK[shell].format(line="charrnn sample --label")
    own = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CHARRNN_RUNS": str(labelled),
    }
    done = subprocess.run(
        [shell, "-c", f"source {tmp_path}/script; {asking}"],
        env=own, capture_output=True, text=True, check=True,
    )  # fmt: skip
    offered = {
        "bash": "Jane\\ Austen\nPoe\n",
        "fish": "Jane Austen\t1,500 documents\nPoe\t19 documents\n",
        "zsh": '*: :(("Jane Austen":"1,500 documents" "Poe":"19 documents"))\n',
    }
    assert done.stdout == offered[shell], done.stderr
