"""The program of the command line, and the one place that turns errors into exit codes."""

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Annotated, NoReturn

import typer

from charrnn import __version__
from charrnn.cli.completion import COMPLETE, asked_words
from charrnn.cli.effects import Checked
from charrnn.cli.grouped import Grouped
from charrnn.cli.manual import man_page
from charrnn.cli.options import option
from charrnn.cli.output import broken_pipe
from charrnn.cli.signals import clean_up_when_ended
from charrnn.cli.work import WorkLine
from charrnn.errors import (
    CharRNNError,
    InterruptedTraining,
    MemoryLimitError,
    StorageError,
    UsageError,
)

EPILOG = """Every option can also be set by an environment variable: CHARRNN_TRAIN_HIDDEN_SIZE for
train --hidden-size, and so on; CHARRNN_RUNS for the runs folder."""

# A context variable and not an argument: errors are handled in `run`, outside of typer's callback.
TRACEBACKS = ContextVar("TRACEBACKS", default=False)
"""Whether errors keep their tracebacks."""

COMMANDS = (
    "train", "plan", "sample", "forecast", "translate", "classify", "evaluate", "write", "chat",
    "serve", "score", "originality", "runs", "compare", "plot", "gradients", "neurons", "report",
    "checkpoints",
)  # fmt: skip
"""Commands in the order of the help. Each is a function of the module of the same name."""

SECONDS_TO_SPEAK = 3.0
"""How long a process leaves the word to the one of its training that says the error."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"charrnn {__version__}")
        raise typer.Exit


def _man(asked: bool) -> None:
    if asked:
        typer.echo(man_page(typer.main.get_command(program()), __version__), nl=False)
        raise typer.Exit


def main(
    version: Annotated[
        bool, option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    man: Annotated[
        bool, option("--man", callback=_man, is_eager=True, help="Print the manual for man(1).")
    ] = False,
    debug: Annotated[bool, option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Train recurrent language models on text, and generate text with them."""
    TRACEBACKS.set(debug)


def program(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands; only their modules are imported."""
    app = typer.Typer(
        name="charrnn",
        cls=Grouped,
        no_args_is_help=True,
        # Plain help: brackets in it are no markup, and `--help` need not import rich.
        rich_markup_mode=None,
        # An error is one line, printed by `run`; typer would print a traceback in a box.
        pretty_exceptions_enable=False,
        context_settings={
            "auto_envvar_prefix": "CHARRNN",
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "show_default": True,
        },
        epilog=EPILOG,
    )
    app.callback()(main)
    # Registers the tasks, so that every command can read the checkpoints of each.
    importlib.import_module("charrnn.tasks")
    for name in names:
        command = getattr(importlib.import_module(f"charrnn.cli.{name}"), name)
        # Only `checkpoints` has commands of its own.
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, no_args_is_help=True)
        else:
            app.command(cls=Checked)(command)
    return app


def _words() -> list[str]:
    """The words of the line to run, or of the line that a shell asks to complete."""
    return asked_words(os.environ)[0] if COMPLETE in os.environ else sys.argv[1:]


def _wanted(words: Sequence[str]) -> Iterable[str]:
    """Command line -> the command it names, so that the others are not imported."""
    # Options before the command take no values, so the first word without a dash is the command.
    first = next((word for word in words if not word.startswith("-")), "")
    # Help, completion of a command's name and the message on an unknown one need all of them.
    return [first] if first in COMMANDS else COMMANDS


def run() -> NoReturn:
    """Run the program named on the command line and exit with its code."""
    _guard_descriptors()
    # When the reader of a pipe leaves, end at once and silently, like any filter.
    broken_pipe(signal.SIG_DFL)
    clean_up_when_ended()
    try:
        code = _run()
        # Here, where a full disk is still an error line and an exit code.
        sys.stdout.flush()
    except BrokenPipeError:
        # Only where there is no SIGPIPE; typer ends with this code, too.
        code = 1
    except OSError as error:
        if TRACEBACKS.get():
            raise
        # Files that the program opens itself have handlers closer by; without a name it is stdout.
        what = f"use {error.filename}" if error.filename else "write the output"
        code = _report(StorageError(f"cannot {what}: {error.strerror}", "check it"))
    # What is still buffered cannot be written; Python would report that at exit.
    sys.stdout = sys.stderr = None
    sys.exit(code)


def _run() -> int:
    interrupted = 128 + signal.SIGINT
    try:
        app = program(_wanted(_words()))
        # Otherwise typer would print errors itself and exit with codes of its own.
        with WorkLine():
            code = app(prog_name="charrnn", standalone_mode=False) or 0
    except (CharRNNError, MemoryError) as error:
        if TRACEBACKS.get():
            raise
        return _report(_known(error))
    except typer.TyperException as error:
        return _report_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = interrupted
    except Exception as error:
        # `run` handles an OSError, because its own flush of stdout can raise one too.
        if TRACEBACKS.get() or isinstance(error, OSError):
            raise
        return _report(_internal(error))
    # Typer itself returns this code after a Ctrl-C.
    if code == interrupted:
        # Training handles its signals itself; the other commands have nothing to lose.
        _report(InterruptedTraining(signal.SIGINT, "interrupted", "nothing was lost"))
    return int(code)


def _known(error: CharRNNError | MemoryError) -> CharRNNError:
    if isinstance(error, CharRNNError):
        return error
    return MemoryLimitError("out of memory", "use a smaller model or text")


def _internal(error: Exception) -> CharRNNError:
    """An error of the program itself."""
    what = type(error).__name__ + (f": {error}" if str(error) else "")
    return CharRNNError(f"internal error: {what}", "run again with --debug and report it")


def _report(error: CharRNNError) -> int:
    from charrnn.cli import terminal

    if error.is_reported or _is_said_by_another(error):
        _record(error, SECONDS_TO_SPEAK)
        # torchrun ends all as soon as one has ended, and that should be the one that says why.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(error.exit_code))
        time.sleep(SECONDS_TO_SPEAK)
    else:
        _record(error)
        terminal.error_line(error)
    return error.exit_code


def _is_said_by_another(error: CharRNNError) -> bool:
    """Whether this process is one of several of torchrun, which all read the same options."""
    before_training = "torch.distributed" not in sys.modules
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    return isinstance(error, UsageError) and before_training and not is_first


def _record(error: CharRNNError, seconds: float = 0.0) -> None:
    """Tell torchrun, which prints it instead of where to read about tracebacks.

    seconds: until this process ends; torchrun takes the first that ended for the root cause. The
    format is that of torch.distributed.elastic.multiprocessing.errors.
    """
    if file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        line = f"charrnn: error: {error}"
        more = {"py_callstack": line, "timestamp": str(int(time.time() + seconds))}
        # Not written is not known, and no other error.
        with contextlib.suppress(OSError), open(file, "w", encoding="utf-8") as out:
            json.dump({"message": {"message": line, "extraInfo": more}}, out)


def _report_usage(error: typer.TyperException) -> int:
    """A wrong option or argument, in one line."""
    from charrnn.cli import terminal

    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # which Typer does not export
        # The message is the whole help. It is not what was asked for, so it goes to stderr.
        terminal.say(message)
        return 2
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "charrnn"
    problem = " ".join(message.split()).rstrip(".")
    return _report(UsageError(problem, f"see {command} --help"))


def _guard_descriptors() -> None:
    """Open closed standard descriptors on /dev/null, so that no later file takes their place.

    They are opened in the wrong mode: lost output is then an error and not silence.
    """
    # POSIX gives a new file the lowest free descriptor: with stdout closed (1>&-), the next file
    # opened would be descriptor 1, and output would be written into a checkpoint or a log. In this
    # order each os.open gets the descriptor that was found closed.
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)
    # Python sets these to None for descriptors that were closed when it started.
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open for life
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
