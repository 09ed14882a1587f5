"""The manual: all commands and options, and nothing that roff would obey."""

import shutil
import subprocess
from pathlib import Path

import pytest

import charrnn
from charrnn.cli.grouped import GROUPS
from charrnn.cli.main import COMMANDS
from charrnn.cli.manual import _escaped
from tests.support.shell import Shell

MODULES = {path.stem for path in Path(charrnn.__file__).parent.joinpath("cli").glob("*.py")}


def test_each_command_is_in_one_group_and_has_a_module() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    assert set(COMMANDS) <= MODULES


def test_the_help_has_whole_sentences(trained: Shell) -> None:
    out = " ".join(trained.run("--help").succeeded().out.split())
    assert "how much, the longest spans, and where they are." in out


def test_the_manual_has_every_command_and_option(trained: Shell) -> None:
    page = trained.run("--man").succeeded().out
    assert page.startswith(f'.TH CHARRNN 1 "" "charrnn {charrnn.__version__}"')
    for name in COMMANDS:
        assert f"\n.SS charrnn {name} " in page
    for words in ("checkpoints export", r"\-\-hidden\-size", r"\-\-known\-words"):
        assert words in page
    requests = {line.split()[0] for line in page.split("\n") if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".TP", ".PP", ".B"}


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff, which formats manual pages")
def test_the_manual_is_formatted_without_a_warning(trained: Shell) -> None:
    page = trained.run("--man").succeeded().raw
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"charrnn" in done.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [(".so /etc/passwd", r"\&.so /etc/passwd"), ("'x", r"\&'x"), (r"a\b-c", r"a\eb\-c")],
)
def test_no_text_is_a_request(text: str, expected: str) -> None:
    assert _escaped(text) == expected
