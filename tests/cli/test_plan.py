"""`charrnn plan`: train's plan, shown and not carried out."""

import inspect
from pathlib import Path

import pytest

from charrnn.cli import plan, train
from charrnn.errors import UsageError
from charrnn.training.planner.presets import PRESETS
from charrnn.training.request import make_request
from tests.support.shell import TINY, Shell

BY_THE_CLOCK = ("eval_every", "sample_every", "save_every", "log_every")
"""Cadences, which hang on the speed that was measured."""


def test_its_options_are_those_of_train_that_a_plan_depends_on() -> None:
    plan_options = inspect.signature(plan.plan).parameters
    train_options = inspect.signature(train.train).parameters
    assert set(train_options) - set(plan_options) == set(plan.NOT_PLANNED)
    assert set(plan_options) <= set(train_options)
    assert plan_options["corpus"].default is inspect.Parameter.empty


def test_a_plan_is_lines_on_stdout_and_leaves_nothing(shell: Shell) -> None:
    before = sorted(Path.cwd().rglob("*"))
    done = shell.run("plan", "corpus.txt", *TINY, "--steps", "40").succeeded()
    # A busy machine shows progress, and is mentioned.
    assert [line for line in done.err.splitlines() if not line.startswith("measuring ")] == []
    lines = [line for line in done.out.splitlines() if "machine is busy" not in line]
    assert [line.split()[0] for line in lines] == ["text", "model", "plan", "better:"]
    assert "lstm, 1 x 8 units" in lines[1]
    assert lines[2].startswith("plan    40 steps of 4 x 16 tokens, ")
    assert "better: --minutes " in lines[3]
    assert sorted(Path.cwd().rglob("*")) == before


def test_as_json_it_is_what_train_then_does(shell: Shell) -> None:
    (planned,) = shell.run("plan", "corpus.txt", *TINY, "--steps", "4", "--json").succeeded().json
    events = shell.train("corpus.txt", "--steps", "4", "--json").succeeded().json
    assert events[0]["event"] == "planned"
    for key in ("model", "train"):
        for name, value in planned[key].items():
            if name not in (*BY_THE_CLOCK, "precision"):
                assert events[0]["plan"][key][name] == value, name


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_in_the_plan(name: str, shell: Shell) -> None:
    small = ("--hidden-size", "8", "--embedding-size", "8", "--batch-size", "2", "--threads", "1")
    shape = ("--seq-length", "4", "--epochs", "2")
    (planned,) = (
        shell.run("plan", "corpus.txt", "--preset", name, *small, *shape, "--json").succeeded().json
    )
    assert planned["train"]["optimizer"] == "sgd"
    assert planned["model"]["num_layers"] == PRESETS[name].given["num_layers"]
    assert planned["epochs"] == pytest.approx(2.0, rel=0.1)


def test_without_a_text_it_says_how_it_is_used(shell: Shell) -> None:
    shell.run("plan").failed(2, "Missing argument 'corpus'", "charrnn plan --help")


def test_a_text_that_is_not_there(shell: Shell) -> None:
    shell.run("plan", "gone.txt").failed(3, "gone.txt")


def test_a_preset_that_is_not_known(shell: Shell) -> None:
    shell.run("plan", "corpus.txt", "--preset", "ptb").failed(2, "no preset 'ptb'", "ptb-small")


def test_a_preset_gives_way_to_what_is_given_and_not_to_defaults(shell: Shell) -> None:
    common = ("--preset", "ptb-small", *TINY, "--epochs", "1")
    words = shell.run("plan", "corpus.txt", *common).succeeded().out
    assert " word tokens" in words
    letters = shell.run("plan", "corpus.txt", *common, "--tokenizer", "char").succeeded().out
    assert " char tokens" in letters


def test_options_of_a_presets_tokenizer_have_an_effect() -> None:
    options = {"vocab_size": 300}
    request = make_request(("corpus.txt",), options, "ptb-small")
    assert (request.data.tokenizer, request.data.vocab_size) == ("word", 300)
    with pytest.raises(UsageError, match="--vocab-size has no effect"):
        make_request(("corpus.txt",), options)
    # Pairs choose a tokenizer by their texts.
    assert make_request(("pairs.tsv",), options, task="pairs").data.vocab_size == 300


def test_a_resumed_run_takes_no_preset(shell: Shell) -> None:
    shell.train("corpus.txt", "--steps", "4", "--quiet").succeeded()
    shell.run("train", "--resume", "--preset", "ptb-small").failed(2, "--preset", "cannot be")


def test_an_unknown_task_is_one_line(shell: Shell) -> None:
    words = ("plan", "corpus.txt", *TINY, "--task", "nope")
    shell.run(*words).failed(2, "there is no task 'nope'; choose from language")


def test_the_task_of_a_plan_is_language_modelling_by_default(shell: Shell) -> None:
    words = ("plan", "corpus.txt", *TINY, "--steps", "4", "--json")
    (default,) = shell.run(*words).succeeded().json
    (given,) = shell.run(*words, "--task", "language").succeeded().json
    assert given.keys() - {"busy"} == default.keys() - {"busy"}
    for each in (given, default):
        for name in BY_THE_CLOCK:
            del each["train"][name]
    assert (given["model"], given["train"]) == (default["model"], default["train"])
