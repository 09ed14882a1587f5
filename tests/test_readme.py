"""The README tells the truth: its commands exist, its example runs, its files are there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from charrnn import checkpoint
from charrnn.cli.main import program
from charrnn.config import GATES
from charrnn.sampling import FILTERS, NUMBERS
from charrnn.tokenizer import TOKENIZERS
from tests.tiny import tiny_checkpoint

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """The names of all commands."""
    import typer.main

    group: Any = typer.main.get_command(program())
    return sorted(group.commands)


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"charrnn {name}" in README


@pytest.mark.parametrize("name", [*TOKENIZERS, *GATES, *FILTERS])
def test_every_tokenizer_cell_and_filter_is_in_a_table(name: str) -> None:
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_a_filter_is_named(name: str) -> None:
    assert f"--{name.replace('_', '-')}`" in README


def test_options_named_in_the_readme_exist() -> None:
    import typer.main

    group: Any = typer.main.get_command(program())
    every = [*group.commands.values(), *group.commands["checkpoints"].commands.values(), group]
    known = {o for command in every for p in command.params for o in [*p.opts, *p.secondary_opts]}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    elsewhere = {"--nproc-per-node", "--help"}
    assert named - known - elsewhere == set()


def test_the_python_example_runs(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    checkpoint.save(tiny_checkpoint().slim(), tmp_path / "fables.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", example[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert done.stderr == ""
    assert len(done.stdout) > 50


def test_modules_in_reading_order_are_all_there_are() -> None:
    place = README.index("In reading order:")
    told = set(re.findall(r"`([\w/]+(?:\.py|/))`", README[place : README.index("\n\n", place)]))
    package = ROOT / "charrnn"
    found = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    found |= {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    assert told == found


def test_files_named_in_the_readme_exist() -> None:
    for name in re.findall(r"\b(?:corpora|benchmarks|tests|charrnn|docs)/[\w/.]+\w", README):
        assert (ROOT / name).exists(), name


def test_set_up_is_two_commands_that_ci_runs_too() -> None:
    first = re.findall(r"^    pip install \. && charrnn train .*$", README, re.MULTILINE)
    second = re.findall(r"^    pip install .*pytest.*$", README, re.MULTILINE)
    assert len(first) == len(second) == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_dependencies_say_why_they_are_there() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for needed in tomllib.loads(text)["project"]["dependencies"]:
        line = next(line for line in text.splitlines() if f'"{needed}"' in line)
        assert len(line.partition("#")[2].split()) >= 3, needed


def test_no_place_for_output_is_empty() -> None:
    for place in re.findall(r"<!-- output: \w+ -->\n(.*?)(?=\n\S)", README, re.DOTALL):
        assert place.strip()
