"""Runs as models of the `llm` command: the real program of PyPI, in this process."""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from charrnn import api
from charrnn.errors import UsageError
from tests.support.served import chat_run, other_run, text_run

llm = pytest.importorskip("llm", reason="llm is not installed: pip install 'charrnn[llm]'")
from click.testing import CliRunner  # noqa: E402
from llm.cli import cli  # noqa: E402

from charrnn.serving import llm_plugin  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: a text, a chat, numbers, one that is damaged."""
    root = tmp_path_factory.mktemp("served") / "runs"
    text_run(root)
    chat_run(root)
    other_run(root)
    (other_run(root, "damaged").folder / "run.json").write_text("{")
    return root


@pytest.fixture(autouse=True)
def home(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """The plugin is registered, the runs are found, and llm logs into a folder of the test."""
    # Plugins that happen to be installed are no part of the test; llm has this switch for it.
    with mock.patch.object(sys, "_called_from_test", True, create=True):
        llm.plugins.load_plugins()
    # Where the program is installed with its entry point, llm has found it when it was imported.
    if llm.plugins.pm.get_plugin("charrnn") is not None:
        llm.plugins.pm.unregister(name="charrnn")
    llm.plugins.pm.register(llm_plugin, "charrnn")
    own = {"CHARRNN_RUNS": str(folder), "LLM_USER_PATH": str(tmp_path)}
    with mock.patch.dict(os.environ, own):
        yield tmp_path
    llm.plugins.pm.unregister(llm_plugin)


def run(*args: str, stdin: str | None = None) -> str:
    """What a command of llm prints."""
    done = CliRunner().invoke(cli, list(args), input=stdin)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def failed(*args: str) -> str:
    """The error of a command of llm."""
    done = CliRunner().invoke(cli, list(args))
    assert done.exit_code == 1
    return str(done.output)


def greedy(*more: str) -> list[str]:
    return ["-o", "temperature", "0", "-o", "max_tokens", "12", *more]


def test_language_models_are_listed_and_other_runs_are_not() -> None:
    names = [line.split(": ")[1] for line in run("models").splitlines() if "charrnn" in line]
    assert sorted(names) == ["charrnn/fables", "charrnn/shop"]
    assert "temperature: float" in run("models", "--options", "-m", "charrnn/fables")


def test_a_prompt_is_continued_as_by_sample(folder: Path) -> None:
    model = api.load("fables", runs_dir=folder)
    expected = model.sample("The old cat", length=12, seed=3, top_k=4)
    options = ["-o", "seed", "3", "-o", "top_k", "4", "-o", "max_tokens", "12"]
    assert run("-m", "charrnn/fables", "The old cat", *options) == expected + "\n"
    assert run("-m", "charrnn/fables", "The old cat", "--no-stream", *options) == expected + "\n"


def test_stop_and_constraints_are_those_of_sample(folder: Path) -> None:
    model = api.load("fables", runs_dir=folder)
    whole = model.sample("The", length=12, seed=1)
    found = run("-m", "charrnn/fables", "The", *("-o", "seed", "1"), "-o", "stop", whole[5])
    assert found == whole[: whole.index(whole[5])] + "\n"
    assert set(run("-m", "charrnn/fables", "The", "-o", "allow", "at")) <= set("at\n")


def test_a_conversation_of_texts_is_one_text(folder: Path) -> None:
    model = api.load("fables", runs_dir=folder)
    first = run("-m", "charrnn/fables", "The mill", *greedy()).removesuffix("\n")
    second = run("-c", " And", *greedy()).removesuffix("\n")
    assert second == model.sample(f"The mill{first} And", length=12, greedy=True)


def test_the_log_has_options_and_tokens() -> None:
    run("-m", "charrnn/fables", "The mill", *greedy())
    (logged,) = json.loads(run("logs", "-m", "charrnn/fables", "--json"))
    assert logged["options_json"] == {"temperature": 0.0, "max_tokens": 12}
    assert (logged["input_tokens"], logged["output_tokens"]) == (8, 12)


def test_a_chat_answers_and_reads_what_was_said_before(folder: Path) -> None:
    chat = api.load("shop", runs_dir=folder).chat(greedy=True, max_length=12)
    expected = [chat.reply("how are you"), chat.reply("good")]
    out = run("chat", "-m", "charrnn/shop", *greedy(), stdin="how are you\ngood\nquit\n")
    for reply in expected:
        assert reply in out
    first = run("-m", "charrnn/shop", "how are you", *greedy())
    assert [first, run("-c", "good", *greedy())] == [f"{reply}\n" for reply in expected]


def test_wrong_options_are_errors_of_one_line() -> None:
    assert "greater than or equal to 0" in failed("-m", "charrnn/fables", "x", "-o", "top_p", "-1")
    assert "no system messages" in failed("-m", "charrnn/fables", "x", "-s", "be brief")
    assert "nobody in the chat" in failed("-m", "charrnn/shop", "x", "-o", "name", "Eve")
    assert "relevance" in failed("-m", "charrnn/fables", "x", "-o", "relevance", "0.5")


def test_a_run_that_is_not_trained_yet_is_an_error_of_its_own(folder: Path) -> None:
    from charrnn.checkpoints.run import Run

    model: Any = llm_plugin.RunOfTexts(Run(folder / "numbers"))
    with pytest.raises(UsageError, match="no checkpoint best"):
        model.prompt("x").text()


def test_the_entry_point_names_the_plugin() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["entry-points"]["llm"] == {"charrnn": llm_plugin.__name__}
