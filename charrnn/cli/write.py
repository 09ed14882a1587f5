"""`charrnn write`: a text written together with a model, a continuation at a time."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from charrnn import runs
from charrnn.cli.options import RunName, RunsDir, Threads, Which, default_threads, option
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.cli.desk import Desk

HELP = """\
Type more text and it is added, or one of these:
  (nothing)       accept the continuation and go on
  /again          draw another continuation
  /undo           take back the last addition
  /edit TEXT      replace the last addition
  /temp NUMBER    change the temperature
  /length NUMBER  change how many tokens are offered
  /show           show the whole text
  /save FILE      write the text to a new file
  /help           show this
  /quit           leave (so does the end of input)"""


def write(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    prompt: Annotated[str, option(help="How the text begins.", show_default="empty")] = "",
    temperature: Annotated[float, option(min=0, max=1e6, help="Wildness of the draws.")] = 0.8,
    length: Annotated[int, option(min=1, max=10**6, help="Tokens offered at a time.")] = 80,
    seed: Annotated[
        int | None, option(min=0, max=2**63 - 1, help="Seed of the draws.", show_default="random")
    ] = None,
    checkpoint: Which = "best",
    threads: Threads = None,
) -> None:
    """Write a text together with a model, in the terminal.

    It offers a continuation; you accept it, draw another, edit, undo, or type your own.
    """
    from charrnn.cli import ui
    from charrnn.cli.desk import Desk
    from charrnn.engine import Engine

    _, model = runs.load_checkpoint(runs_dir, run, checkpoint)
    engine = Engine(model, threads or default_threads())
    seed = secrets.randbits(32) if seed is None else seed
    desk = Desk(model.tokenizer, engine, prompt, temperature, length, seed)
    ui.say(HELP, "dim")
    while (line := ui.ask(desk.text[-400:], desk.offer)) is not None:
        try:
            if not _obey(desk, line):
                return
        except UsageError as error:
            ui.note(str(error))


def _obey(desk: "Desk", line: str) -> bool:
    """Do what a line says; False when it says to leave."""
    from charrnn.cli import ui

    command, _, rest = line.partition(" ")
    match command:
        case "":
            desk.accept()
        case "/again":
            desk.again()
        case "/undo":
            desk.undo()
        case "/edit":
            desk.edit(rest)
        case "/temp":
            desk.temperature = _number(rest, 0, 1e6)
            desk.again()
        case "/length":
            desk.length = int(_number(rest, 1, 1e6))
            desk.again()
        case "/show":
            ui.say(desk.text)
        case "/save":
            _save(desk.text, Path(rest.strip()))
        case "/quit":
            return False
        case _ if line.startswith("/"):
            ui.say(HELP, "dim")
        case _:
            desk.add(line)
    return True


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(f"{text.strip()!r} is no number", f"give one from {low:g} to {high:g}")
    return value


def _save(text: str, path: Path) -> None:
    from charrnn.cli import ui

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "give the name of a new file"
        ) from None
    ui.say(f"saved {path}")
