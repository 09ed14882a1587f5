"""The program's outermost layer: help, versions, every error as one line with its exit code."""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn import errors
from charrnn.cli.main import COMMANDS, _wanted
from charrnn.errors import CharRNNError, CorpusError, InterruptedTraining
from tests.support.shell import ERROR, Shell

LIST_RUNS = "charrnn.cli.runs.list_runs"
"""What the command `runs` calls first."""

LEAVES = [kind for kind in CharRNNError.__subclasses__() if kind is not InterruptedTraining]


def breaking(error: BaseException) -> Callable[..., Any]:
    """A function that does nothing but raise this."""

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    return broken


def test_version_is_the_packages_own(trained: Shell) -> None:
    done = trained.run("--version").succeeded()
    assert (done.out, done.err) == (f"charrnn {charrnn.__version__}\n", "")


def test_python_m_charrnn_is_the_program(trained: Shell) -> None:
    done = trained.process("--version").succeeded()
    assert (done.out, done.err) == (f"charrnn {charrnn.__version__}\n", "")


def test_the_main_module_runs_only_as_a_program() -> None:
    tree = ast.parse(Path(charrnn.__file__).with_name("__main__.py").read_text())
    calls = [node for node in tree.body if isinstance(node, ast.Expr)]
    assert [type(node.value) for node in calls] == [ast.Constant]


def test_help_names_every_command_and_the_variables(trained: Shell) -> None:
    done = trained.run("--help").succeeded()
    for name in ("train", "sample", "evaluate", "runs", "checkpoints"):
        assert f"\n  {name} " in done.out
    assert "CHARRNN_TRAIN_HIDDEN_SIZE" in done.out
    assert "CHARRNN_RUNS" in done.out


@pytest.mark.parametrize("words", [(), ("checkpoints",)])
def test_no_command_shows_help_on_stderr_and_is_a_usage_error(
    words: tuple[str, ...], trained: Shell
) -> None:
    done = trained.run(*words)
    assert (done.code, done.raw) == (2, b"")
    assert done.err.rstrip("\n") == trained.run(*words, "--help").out.rstrip("\n")
    assert len(done.err.splitlines()) > 5


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (("nonsense",), "No such command 'nonsense'", "see charrnn --help"),
        (("--nonsense",), "No such option: --nonsense", "see charrnn --help"),
        (("sample", "--nonsense"), "No such option: --nonsense", "see charrnn sample --help"),
        (("sample", "--len", "3"), "No such option: --len", "see charrnn sample --help"),
        (("sample", "--length"), "'--length' requires an argument", "see charrnn --help"),
        (
            ("sample", "a", "b"),
            "2 models write together only with weights",
            "add --blend 1,1, or name one model",
        ),
        (
            ("score", "a", "b", "c"),
            "unexpected extra argument",
            "name several models with --blend, such as --blend 0.5,0.5",
        ),
        (("runs", "corpus"), "unexpected extra argument", "see charrnn runs --help"),
        (("checkpoints", "x"), "No such command 'x'", "see charrnn checkpoints --help"),
        (("runs", "--json=1"), "'--json' does not take a value", "see charrnn --help"),
        (("runs", "--runs-dir", "corpus.txt"), "is a file", "see charrnn runs --help"),
    ],
)
def test_usage_errors_are_one_line(
    words: tuple[str, ...], problem: str, remedy: str, trained: Shell
) -> None:
    line = trained.run(*words).failed(2)
    match = ERROR.fullmatch(line)
    assert match
    assert problem in match["problem"]
    assert remedy == match["remedy"]


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_is_a_line_and_its_exit_code(
    kind: type[CharRNNError], trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(kind("it broke", "fix it")))
    assert trained.run("runs").failed(kind.exit_code) == "charrnn: error: it broke; fix it\n"


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {kind.__name__: kind.exit_code for kind in LEAVES} == {
        "StorageError": 1, "UsageError": 2, "CorpusError": 3, "CheckpointError": 4,
        "DivergedError": 5, "RunLockedError": 6, "MemoryLimitError": 7,
    }  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143), (1, 129)])
def test_an_interruption_exits_as_a_shell_reports_its_signal(
    number: int, code: int, trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(InterruptedTraining(number, "stopped", "go on")))
    trained.run("runs").failed(code, "stopped; go on")


def test_ctrl_c_in_any_command_is_one_line_and_130(
    trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(KeyboardInterrupt()))
    trained.run("runs").failed(130, "interrupted; nothing was lost")


def test_running_out_of_memory_is_one_line(trained: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(MemoryError()))
    trained.run("runs").failed(7, "out of memory; ")


def test_an_unforeseen_failure_of_a_file_names_it(
    trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(PermissionError(13, "Permission denied", "/a/b")))
    trained.run("runs").failed(1, "cannot use /a/b: Permission denied; ")


def test_output_that_cannot_be_written_is_one_line(
    trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(OSError(28, "No space left on device")))
    trained.run("runs").failed(1, "cannot write the output: No space left on device; ")


@pytest.mark.parametrize(
    "text",
    [
        "[red]",
        "[/]",
        "[bold]x[/bold]",
        ":smile:",
        "a\nb",
        "\x1b[31mred",
        "a\rb",
        "\x9b2J",
        "\u2028",
    ],
)
def test_an_error_shows_odd_text_as_it_is_on_one_line(text: str, trained: Shell) -> None:
    done = trained.run("sample", f"no {text} run")
    line = done.failed(2)
    for control in ("\x1b", "\r", "\x9b", "\u2028"):
        assert control not in line
    escaped = {"a\nb": "a^Jb", "\x1b[31mred": "^[[31mred", "a\rb": "a^Mb", "\x9b2J": "\\u009b2J"}
    assert f"no {escaped.get(text, text)} run".replace("\u2028", "\\u2028") in line


def test_undecodable_arguments_are_shown(trained: Shell) -> None:
    trained.run("sample", "\udcff\udcfe").failed(2, r"there is no run \udcff\udcfe in")


def test_debug_shows_the_traceback(trained: Shell) -> None:
    with pytest.raises(errors.UsageError, match="there is no run nope"):
        trained.run("--debug", "sample", "nope")
    with pytest.raises(errors.UsageError):
        trained.run("sample", "nope", CHARRNN_DEBUG="1")
    trained.run("sample", "nope").failed(2)
    trained.run("sample", "nope", CHARRNN_DEBUG="0").failed(2)


def test_debug_leaves_usage_errors_one_line(trained: Shell) -> None:
    trained.run("--debug", "sample", "--nonsense").failed(2)


WITHOUT_TORCH = """
import sys
from charrnn.cli.main import run
try:
    run()
except SystemExit as left:
    loaded = [name for name in ("torch", "onnxruntime") if name in sys.modules]
    open("modules", "w").write(f"{left.code} {' '.join(loaded)}")
"""


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        (("--version",), False),
        (("train", "--help"), False),
        (("runs",), False),
        (("checkpoints", "list"), False),
        (("checkpoints", "show"), False),
        (("checkpoints", "verify"), False),
        (("plot",), False),
        (("plot", "--output", "a.svg"), False),
        (("compare",), False),
        (("sample", "--length", "3"), True),
    ],
    ids=str,
)
def test_commands_that_need_no_torch_do_not_import_it(
    words: tuple[str, ...], engine: bool, trained: Shell, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    environment = trained.environment({})
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    code, *modules = (tmp_path / "modules").read_text().split()
    assert code == "0"
    assert "torch" not in modules
    assert ("onnxruntime" in modules) is engine


@pytest.mark.parametrize(
    "words",
    [("runs",), ("runs", "--json"), ("plot",), ("compare",), ("checkpoints", "list"),
     ("evaluate",), ("sample",), ("checkpoints", "show"), ("checkpoints", "verify"),
     ("--version",), ("--help",)],
    ids=" ".join,
)  # fmt: skip
def test_what_goes_well_says_nothing_on_stderr(words: tuple[str, ...], trained: Shell) -> None:
    done = trained.run(*words).succeeded()
    assert done.err == ""
    assert done.raw.endswith(b"\n")


UNFORESEEN = [KeyError("it"), ValueError("a\nb"), ZeroDivisionError(), RecursionError("deep")]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_is_one_line_too(
    error: Exception, trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(error))
    line = trained.run("runs").failed(1, f"internal error: {type(error).__name__}")
    assert line.endswith("; run again with --debug and report it\n")


@pytest.mark.parametrize("error", [KeyError("it"), PermissionError(13, "no", "/a/b")])
def test_debug_shows_the_traceback_of_an_unforeseen_error(
    error: Exception, trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST_RUNS, breaking(error))
    with pytest.raises(type(error)):
        trained.run("--debug", "runs")


def test_every_command_is_a_name_of_its_module() -> None:
    for name in COMMANDS:
        assert hasattr(importlib.import_module(f"charrnn.cli.{name}"), name)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["sample", "runs"], ["sample"]),
        (["--debug", "plot"], ["plot"]),
        (["checkpoints", "list"], ["checkpoints"]),
        (["--help"], list(COMMANDS)),
        ([], list(COMMANDS)),
        (["samples"], list(COMMANDS)),
    ],
)
def test_only_the_command_that_is_asked_for_is_imported(
    words: list[str], wanted: list[str]
) -> None:
    assert list(_wanted(words)) == wanted


def test_sampling_imports_no_other_command() -> None:
    code = (
        "import sys; sys.argv = ['charrnn', 'sample', '--help']\n"
        "from charrnn.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n"
        "    assert 'charrnn.cli.sample' in sys.modules\n"
        "    assert not {'charrnn.cli.plot', 'charrnn.cli.checkpoints'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--temperature" in done.stdout


def test_what_another_process_has_told_is_not_said_again(
    trained: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.main.SECONDS_TO_SPEAK", 0.0)
    error = CorpusError("the text is gone", "bring it back")
    monkeypatch.setattr("charrnn.api.load", breaking(error))
    file = tmp_path / "error.json"
    variables = {"TORCHELASTIC_ERROR_FILE": str(file)}
    trained.run("sample", stdin=b"", device="", **variables).failed(3, "the text is gone")
    # In the format of torchrun, which prints the call stack of the root cause.
    message = json.loads(file.read_text())["message"]
    line = "charrnn: error: the text is gone; bring it back"
    assert (message["message"], message["extraInfo"]["py_callstack"]) == (line, line)
    assert message["extraInfo"]["timestamp"].isdigit()
    error.is_reported = True
    done = trained.run("sample", stdin=b"", device="", **variables)
    assert (done.code, done.raw, done.err) == (3, b"", "")


@pytest.mark.parametrize("words", [("train", "--nonsense"), ("train",)], ids=str)
def test_processes_that_read_the_same_options_refuse_them_once(
    words: tuple[str, ...], trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.main.SECONDS_TO_SPEAK", 0.0)
    # As in a process that has read its options and nothing more.
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)
    trained.run(*words, stdin=b"", device="", LOCAL_RANK="0", RANK="2").failed(
        2, "charrnn: error: "
    )
    done = trained.run(*words, stdin=b"", device="", LOCAL_RANK="1", RANK="3")
    assert (done.code, done.raw, done.err) == (2, b"", "")


def test_an_error_file_that_cannot_be_written_is_no_other_error(trained: Shell) -> None:
    variables = {"TORCHELASTIC_ERROR_FILE": "/no/where/error.json"}
    trained.run("sample", "nope", stdin=b"", device="", **variables).failed(2, "no run nope")
