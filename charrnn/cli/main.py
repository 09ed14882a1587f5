"""`app`, and the one place that turns an error into a line and an exit code."""

import contextlib
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from charrnn import __version__
from charrnn.cli import checkpoints, evaluate, list_runs, sample, train
from charrnn.errors import CharRNNError, InterruptedTraining, MemoryLimitError, StorageError

EPILOG = """Every option can also be set by an environment variable: CHARRNN_TRAIN_HIDDEN_SIZE for
train --hidden-size, and so on; CHARRNN_RUNS for the runs folder."""

app = typer.Typer(
    name="charrnn",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "auto_envvar_prefix": "CHARRNN",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog=EPILOG,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Turn a text file into a recurrent language model, and the model back into text."""


app.command()(train.train)
app.command()(sample.sample)
app.command()(evaluate.evaluate)
app.command()(list_runs.runs)
app.add_typer(checkpoints.checkpoints, name="checkpoints", no_args_is_help=True)


def run() -> NoReturn:
    """Run the program named on the command line and leave with its exit code."""
    _guard_descriptors()
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        _die_of_sigpipe()
    except OSError as error:
        code = _report(StorageError(f"cannot write the output: {error.strerror}", "check it"))
    # Whatever is still in stdout's buffer cannot be written; Python would complain at exit.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stdout = None
    sys.exit(code)


def _run() -> int:
    debug = "--debug" in sys.argv[1:2]
    try:
        app(standalone_mode=False)
        return 0
    except (CharRNNError, MemoryError) as error:
        if debug:
            raise
        return _report(_known(error))
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return _report(InterruptedTraining(signal.SIGINT, "interrupted", "nothing was lost"))


def _known(error: CharRNNError | MemoryError) -> CharRNNError:
    if isinstance(error, CharRNNError):
        return error
    return MemoryLimitError("out of memory", "use a smaller model or text")


def _report(error: CharRNNError) -> int:
    from charrnn.cli import ui

    ui.error_line(error)
    return error.exit_code


def _usage(error: typer.TyperException) -> int:
    """A wrong option or argument, in one line."""
    from charrnn.cli import ui
    from charrnn.errors import UsageError

    message = str(getattr(error, "format_message", lambda: error)()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "charrnn"
    ui.error_line(UsageError(" ".join(message.split()), f"see {command} --help"))
    return 2


def _guard_descriptors() -> None:
    """Fill closed standard descriptors, so that no file of ours takes their place.

    They are opened the wrong way round: lost output is an error and not silence.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it lives as long as we do
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _die_of_sigpipe() -> NoReturn:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise SystemExit(128 + signal.SIGPIPE)
