"""Options: all of them are walked; none may lack help, bounds, a default, a variable."""

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer

from charrnn.cli import evaluate, options, sample
from charrnn.cli import train as train_command
from charrnn.cli.chosen import chosen
from charrnn.cli.main import program
from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.config import DataConfig
from charrnn.inference.engine import default_threads
from charrnn.tasks import TASKS, get_task
from charrnn.training.planner.budget import Budget
from charrnn.training.request import make_request
from tests.support.shell import Shell

ROOT: Any = typer.main.get_command(program())


def leaves(command: Any = ROOT, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Words of the command line -> command, for all that do something themselves."""
    if not hasattr(command, "commands"):
        return {path: command}
    found: dict[tuple[str, ...], Any] = {}
    for name, below in command.commands.items():
        found |= leaves(below, (*path, name))
    return found


LEAVES = leaves()

OPTIONS = [
    (path, parameter)
    for path, command in LEAVES.items()
    for parameter in command.params
    if parameter.param_type_name == "option"
]

# A run records these of its text, and where it was planned anew; nobody types them.
NOT_OPTIONS = {"sources", "folders", "files", "restart_step", "reset_id", "source_vocab_size"}

VALUES = [(path, each) for path, each in OPTIONS if not each.is_flag]


def kind(parameter: Any) -> Any:
    """The Python type of an option's value."""
    return parameter.type_descriptor.annotation


NUMBERS = [(path, each) for path, each in VALUES if kind(each) in (int, float)]


def case_id(case: Any) -> str:
    """A readable name of a case."""
    return case.opts[0] if hasattr(case, "opts") else " ".join(case)


def every(cases: list[tuple[tuple[str, ...], Any]]) -> pytest.MarkDecorator:
    """One test for each option."""
    return pytest.mark.parametrize(("path", "parameter"), cases, ids=case_id)


@contextlib.contextmanager
def parsed(path: tuple[str, ...], *args: str) -> Iterator[dict[str, Any]]:
    """What a command line is understood as, without doing it."""
    with contextlib.ExitStack() as stack:
        settings = program().info.context_settings
        assert isinstance(settings, dict)
        context = ROOT.make_context("charrnn", list(path), **settings)
        command = ROOT
        for i, name in enumerate(path):
            stack.enter_context(context)
            command = command.commands[name]
            needed = ["x" for each in command.params if each.required]
            rest = list(path[i + 1 :] or (*args, *needed))
            context = command.make_context(name, rest, parent=context)
        yield context.params


def option(path: tuple[str, ...], name: str) -> Any:
    """The option of a command with this name."""
    return next(each for where, each in OPTIONS if where == path and f"--{name}" in each.opts)


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(ROOT.commands) >= {"train", "sample", "evaluate", "runs", "checkpoints"}
    assert set(ROOT.commands["checkpoints"].commands) >= {
        "list", "show", "prune", "export", "verify",
    }  # fmt: skip


@pytest.mark.parametrize("path", [(), ("checkpoints",), *LEAVES], ids=" ".join)
def test_every_command_has_help_that_opens_with_a_sentence(path: tuple[str, ...]) -> None:
    command = ROOT
    for name in path:
        command = command.commands[name]
    first = (command.help or "").strip().split("\n")[0]
    assert first[:1].isupper()
    assert len(first) > 20
    assert "." in command.help


@pytest.mark.parametrize("path", [(), ("checkpoints",), *LEAVES], ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_goes_to_stdout_and_lists_every_option(
    path: tuple[str, ...], flag: str, trained: Shell
) -> None:
    done = trained.run(*path, flag).succeeded()
    assert done.err == ""
    assert done.out.startswith(f"Usage: {' '.join(('charrnn', *path))} ")
    for where, parameter in OPTIONS:
        if where == path:
            assert parameter.opts[0] in done.out


@every([(path, each) for path, command in LEAVES.items() for each in command.params])
def test_every_option_and_argument_has_a_sentence_of_help(
    path: tuple[str, ...], parameter: Any
) -> None:
    assert len(parameter.help) > 10
    assert parameter.help.endswith(".")
    assert not parameter.hidden


@every(OPTIONS)
def test_options_are_words_with_dashes(path: tuple[str, ...], parameter: Any) -> None:
    for name in (*parameter.opts, *parameter.secondary_opts):
        assert re.fullmatch(r"--[a-z]+(-[a-z]+)*|-[a-z]", name)


@every(VALUES)
def test_every_option_with_a_value_states_its_default(
    path: tuple[str, ...], parameter: Any
) -> None:
    stated = parameter.show_default
    assert stated
    assert isinstance(stated, str) or parameter.default is not None


@every(NUMBERS)
def test_every_number_has_bounds_around_its_default(path: tuple[str, ...], parameter: Any) -> None:
    assert parameter.min is not None
    assert parameter.max is not None
    assert parameter.min < parameter.max
    if parameter.default is not None:
        assert parameter.min <= parameter.default <= parameter.max


@every(NUMBERS)
def test_both_bounds_can_be_given_and_nothing_beyond_them(
    path: tuple[str, ...], parameter: Any, trained: Shell
) -> None:
    for value in (parameter.min, parameter.max):
        with parsed(path, f"{parameter.opts[0]}={kind(parameter)(value)}") as values:
            assert values[parameter.name] == value
    step = 1 if kind(parameter) is int else 0.001
    beyond = [str(parameter.min - step), str(parameter.max + step)]
    if parameter.max + step == parameter.max:
        beyond[1] = "inf"
    for text in (*beyond, "nan", "inf", "-inf", "1e999", "", "x", "1,5", "0x10"):
        done = trained.run(*path, f"{parameter.opts[0]}={text}")
        done.failed(2, parameter.opts[0], " --help")


@every([case for case in NUMBERS if kind(case[1]) is int])
def test_whole_numbers_take_no_fractions(
    path: tuple[str, ...], parameter: Any, trained: Shell
) -> None:
    for text in ("1.5", "1e3", "2.0.0"):
        trained.run(*path, f"{parameter.opts[0]}={text}").failed(2, parameter.opts[0])


@every(OPTIONS)
def test_every_option_can_be_set_by_its_environment_variable(
    path: tuple[str, ...], parameter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "_".join((*path, parameter.opts[0].removeprefix("--")))
    variable = "CHARRNN_" + words.upper().replace("-", "_")
    if parameter.name == "runs_dir":
        variable = "CHARRNN_RUNS"
    text, value = example(parameter)
    with parsed(path) as values:
        assert values[parameter.name] != value
    monkeypatch.setenv(variable, text)
    with parsed(path) as values:
        assert values[parameter.name] == value


def example(parameter: Any) -> tuple[str, Any]:
    """A text for an option, and the value that it means, other than the default."""
    if parameter.is_flag:
        value = not parameter.default
        return str(int(value)), value
    if kind(parameter) in (int, float):
        value = parameter.min if parameter.min != parameter.default else parameter.max
        return str(kind(parameter)(value)), value
    if get_origin(kind(parameter)) is Literal:
        value = next(each for each in get_args(kind(parameter)) if each != parameter.default)
        return value, value
    if parameter.multiple or "list" in str(kind(parameter)):
        return "one two\nthree", ["one two", "three"]
    return ("odd", Path("odd")) if kind(parameter) is Path else ("odd", "odd")


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_TRAIN_HIDDEN_SIZE", "32")
    with parsed(("train",), "--hidden-size", "64") as values:
        assert values["hidden_size"] == 64


def test_a_variable_out_of_bounds_is_a_usage_error(trained: Shell) -> None:
    done = trained.run("sample", CHARRNN_SAMPLE_LENGTH="-5")
    done.failed(2, "--length")


def test_the_runs_folder_comes_from_option_variable_or_the_working_folder(
    trained: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained.run("runs", "--json").json[0]["run"] == "corpus"
    assert trained.run("runs", "--json", CHARRNN_RUNS=str(tmp_path)).json == []
    assert trained.run("runs", "--runs-dir", "runs", CHARRNN_RUNS=str(tmp_path)).raw != b""
    monkeypatch.delenv("CHARRNN_RUNS", raising=False)
    with parsed(("runs",)) as values:
        assert values["runs_dir"] == Path("runs")


FIELDS = [
    (config, item)
    for config in (ModelConfig, TrainConfig)
    for item in dataclasses.fields(config)
    # The data decides the first two, and a new plan of an old run the last.
    if item.name not in ("vocab_size", "reset_id", "restart_step")
]


@pytest.mark.parametrize(("config", "item"), FIELDS, ids=lambda case: getattr(case, "name", ""))
def test_every_field_of_a_config_has_its_option(
    config: type[Any], item: dataclasses.Field[Any]
) -> None:
    made = option(("train",), item.name.replace("_", "-"))
    assert made.help.startswith(item.metadata["help"].rstrip("."))
    assert made.default is None
    assert made.min == item.metadata.get("low")
    assert made.max == item.metadata.get("high")
    assert kind(made) is type(item.default)
    for choice in item.metadata.get("choices", ()):
        assert choice in made.help
    if type(item.default) is bool:
        assert made.secondary_opts == [f"--no-{item.name.replace('_', '-')}"]


def test_the_plan_is_given_every_field_but_size_of_vocabulary_and_steps() -> None:
    defaults = {
        item.name: item.default
        for config in (ModelConfig, TrainConfig)
        for item in fields_of(config)
        if item.name not in ("vocab_size", "steps", "restart_step", "reset_id")
    }
    options = defaults | {"vocab_size": 300, "steps": 9, "tokenizer": "subword"}
    request = make_request(("corpus.txt",), options)
    assert request.given == defaults
    assert (request.data.vocab_size, request.budget.steps) == (300, 9)


def test_the_library_is_given_the_options_that_are_fields_of_its_configs() -> None:
    names = dict.fromkeys(inspect.signature(train_command.train).parameters)
    tasks = [get_task(name) for name in TASKS]
    own = [kind for task in tasks for kind in (task.data_config, task.config)]
    fields = {item.name for kind in (*own, TrainConfig, Budget) for item in fields_of(kind)}
    # What the data decides is no option.
    decided = {"num_lags", "num_labels", "outputs", "part_buckets"}
    assert chosen(names).keys() == fields - NOT_OPTIONS - decided


def fields_of(config: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a config."""
    return dataclasses.fields(config)


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(DataConfig)])
def test_every_field_of_the_data_config_has_its_option_with_the_same_default(name: str) -> None:
    if name in NOT_OPTIONS:
        return
    assert name in chosen({name: None})
    made = option(("train",), name.replace("_", "-"))
    default = DataConfig.__dataclass_fields__[name].default
    stated = made.show_default if isinstance(made.show_default, str) else None
    assert (made.default or None) == (default or None) or stated == default


def test_fixed_defaults_in_help_are_those_of_the_configs(trained: Shell) -> None:
    words = " ".join(trained.run("train", "--help").out.split())
    assert "Newest checkpoints to keep, besides the best. [default: (3);" in words
    assert f"[default: ({TrainConfig().grad_clip})" in words
    assert "Recurrent cell: lstm, gru, rnn. [default: (planned)]" in words


@pytest.mark.parametrize("command", [train_command.train, evaluate.evaluate, sample.sample])
def test_the_run_and_runs_folder_options_are_the_shared_ones(command: Any) -> None:
    assert inspect.signature(command).parameters["runs_dir"].annotation is options.RunsDir


def complete(shell: Shell, words: str, runs: Path | None = None) -> list[str]:
    """What a shell would offer at the end of these words."""
    done = shell.run(
        _CHARRNN_COMPLETE="complete_bash", COMP_WORDS=words, CHARRNN_RUNS=str(runs or shell.runs),
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )  # fmt: skip
    return done.out.split()


@pytest.mark.parametrize(
    "command",
    ["sample", "evaluate", "checkpoints show", "plot", "plot corpus", "compare", "gradients"],
)
def test_completion_offers_the_names_of_runs(command: str, trained: Shell) -> None:
    assert complete(trained, f"charrnn {command} co") == ["corpus"]
    assert complete(trained, f"charrnn {command} x") == []


def test_completion_looks_in_the_runs_folder_that_was_given(trained: Shell, tmp_path: Path) -> None:
    words = f"charrnn sample --runs-dir {trained.runs} c"
    assert complete(trained, words, runs=tmp_path) == ["corpus"]
    assert complete(trained, "charrnn sample c", runs=tmp_path) == []


def test_threads_default_to_the_cores_there_are_at_most_four(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cores, threads in ((1, 1), (3, 3), (4, 4), (64, 4)):
        there = set(range(cores))
        monkeypatch.setattr("os.sched_getaffinity", lambda _, there=there: there)
        assert default_threads() == threads
    monkeypatch.delattr("os.sched_getaffinity")
    assert default_threads() == 2


def test_a_shell_completes_runs_options_and_checkpoints(trained: Shell) -> None:
    def completed(line: str) -> list[str]:
        words: dict[str, Any] = {"_CHARRNN_COMPLETE": "complete_bash", "COMP_WORDS": line}
        return trained.run(**words, COMP_CWORD=str(line.count(" "))).succeeded().out.split()

    assert completed("charrnn sample c") == ["corpus"]
    assert completed("charrnn sample corpus --checkpoint ") == ["best", "latest", "15", "20"]
    assert completed("charrnn sample corpus --checkpoint=1") == ["15"]
    assert completed("charrnn sample --top-") == ["--top-n-sigma", "--top-k", "--top-p"]
    assert completed("charrnn che") == ["checkpoints"]
