"""README.md and the pages under docs/ describe the program as it is."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import COMMANDS, PLACE, pages
from charrnn.cli.main import program
from charrnn.config import CELLS
from charrnn.inference.sampling import FILTERS, PARAMETERS
from charrnn.tokenizers import TOKENIZERS

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in pages()}
COMMANDS_PAGE, TRAINING, SAMPLING = (
    PAGES[name] for name in ("commands.md", "training.md", "sampling.md")
)

OF_OTHER_PROGRAMS = {
    *("--nproc-per-node", "--help", "--long", "--trials", "--strict", "--options"),
    *("--spec", "--extra-index-url", "--no-cache-dir"),
    *("--tag", "--rm", "--interactive", "--tty", "--volume", "--network", "--publish"),
}
"""Options of torchrun, tests.torture, mkdocs, llm, pipx, pip and podman."""

MODELS = {"charrnn/fables", "charrnn/shop"}
"""Runs as llm names them, which look like files."""


def group() -> Any:
    """The command line program as a click group."""
    import typer.main

    return typer.main.get_command(program())


@pytest.mark.parametrize("name", sorted(group().commands))
def test_every_command_is_in_the_readme_and_has_a_section(name: str) -> None:
    assert f"(docs/commands.md#charrnn-{name})" in README
    assert f"\n## charrnn {name}\n" in COMMANDS_PAGE


@pytest.mark.parametrize("name", sorted(group().commands["checkpoints"].commands))
def test_every_command_for_checkpoints_is_described(name: str) -> None:
    assert f"**`checkpoints {name}`**" in COMMANDS_PAGE


@pytest.mark.parametrize("name", [*TOKENIZERS, *CELLS])
def test_every_tokenizer_and_cell_is_in_a_table(name: str) -> None:
    assert f"\n| `{name}` |" in TRAINING


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_in_the_table_and_explained(name: str) -> None:
    assert f"\n| `{name}` |" in SAMPLING
    assert f"\n* **{name}**" in SAMPLING


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_a_filter_is_named(name: str) -> None:
    assert f"`--{name.replace('_', '-')}`" in SAMPLING


@pytest.mark.parametrize("page", PAGES)
def test_options_named_on_a_page_exist(page: str) -> None:
    every = [
        group(),
        *group().commands.values(),
        *group().commands["checkpoints"].commands.values(),
    ]
    known = {o for command in every for p in command.params for o in [*p.opts, *p.secondary_opts]}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGES[page]))
    if page == "extending.md":  # which adds some, in its examples, by a parameter of that name
        added = re.findall(r"\b(\w+)(?:=Parameter\(|: \w+ = _number\()", PAGES[page])
        known |= {f"--{name.replace('_', '-')}" for name in added}
    assert named - known - OF_OTHER_PROGRAMS == set()


@pytest.mark.parametrize("page", PAGES)
def test_files_named_on_a_page_exist(page: str) -> None:
    pattern = r"(?<![\w./-])(?:corpora|benchmarks|tests|charrnn|docs)/[\w/.-]*\w"
    added = re.findall(r"<!-- new file (\S+) -->", PAGES[page])  # by an example
    for name in re.findall(pattern, PAGES[page]):
        assert (ROOT / name).exists() or name in {*added, *MODELS}, name


def test_every_package_is_in_the_readme() -> None:
    named = set(re.findall(r"^\| `charrnn/(\w+)(?:/|\.py)` \|", README, re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "charrnn").glob("*/__init__.py")}
    assert named - {"api"} == packages


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


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


def test_every_place_for_output_is_filled_from_a_command() -> None:
    places = [place for text in PAGES.values() for place in PLACE.finditer(text)]
    assert {place[1] for place in places} == set(COMMANDS)
    for place in places:
        assert len(place[0].splitlines()) > 2, f"{place[1]} is empty: run benchmarks/readme.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_with_output_are_shown_on_a_page(name: str) -> None:
    last = COMMANDS[name].split(" && ")[-1]
    assert any(last in text for text in PAGES.values()), last


def test_the_recording_needs_nothing_from_the_network() -> None:
    recording = (ROOT / "docs" / "recording.svg").read_text()
    assert re.findall(r"https?://[^\"]+", recording) == ["http://www.w3.org/2000/svg"]
