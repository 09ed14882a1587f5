"""`charrnn write`: a text written together with a model, one continuation at a time."""

import contextlib
import functools
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from charrnn.checkpoints.atomic import write_durably
from charrnn.cli import terminal
from charrnn.cli.chain import SAMPLERS, Samplers, add_chain, constraints_of, given_values, order_of
from charrnn.cli.draft import Chain, Draft
from charrnn.cli.line_editor import LineReader, line_reader
from charrnn.cli.models import BlendWeights, Labels, More, Steers, written_by
from charrnn.cli.options import Mix, RunName, RunsDir, Threads, Which, option
from charrnn.errors import InterruptedTraining, StorageError, UsageError
from charrnn.inference.engine import TextModel
from charrnn.inference.sampling import resolve

HELP = """\
Type more text to add it, exactly as you type it, or one of these:
  (nothing)       accept the continuation
  /again          draw another continuation
  /undo           take back the last change
  /redo           bring back what /undo took
  /edit TEXT      replace the last addition; without TEXT, change it in the line
  /newline        add a line break
  //TEXT          add text that begins with a slash
  /temp NUMBER    change the temperature
  /length NUMBER  change how many tokens are offered
  /show           show the whole text
  /save FILE      write the text to a new file; without FILE, again to the last
  /help           show this
  /quit           leave; text that was not saved is kept in a file that is named"""

SHOWN = 400
"""Characters of the end of the text shown before an offer; it is enough to go on from."""


def write(
    run: RunName = None,
    more: More = None,
    runs_dir: RunsDir = Path("runs"),
    blend: BlendWeights = None,
    label: Labels = None,
    steer: Steers = None,
    prompt: Annotated[str, option(help="Beginning of the text.", show_default="empty")] = "",
    prompt_file: Annotated[
        Path | None, option(help="A text file to go on with.", show_default="none")
    ] = None,
    temperature: Annotated[
        float, option(min=0, max=1e6, help="Temperature of the continuations.")
    ] = 0.8,
    length: Annotated[int, option(min=1, max=10**6, help="Tokens of each continuation.")] = 80,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the random draws.", show_default="random"),
    ] = None,
    samplers: Samplers = SAMPLERS,
    checkpoint: Which = "best",
    mix: Mix = None,
    adapt: Annotated[
        bool,
        option("--adapt", help="Let a copy of the model learn from the text as it is written."),
    ] = False,
    threads: Threads = None,
    **values: Any,
) -> None:
    """Write a text together with a model, in the terminal.

    It offers a continuation; you accept it, ask for another, edit, undo, or type your own.
    """
    from charrnn.cli.prompts import STDIN, note_unfinished, note_unseen, read_prompt

    if STDIN in (prompt, str(prompt_file)):
        raise UsageError(
            "stdin is where the lines are typed", "give the text by --prompt-file FILE"
        )
    constraints = constraints_of(values)
    prompt = read_prompt(prompt, prompt_file, escapes=False)
    how = {"checkpoint": checkpoint, "runs_dir": runs_dir, "threads": threads, "mix": mix}
    model = written_by([run, *(more or ())], blend, label or [], how, steer or ())
    note_unseen([prompt], model.tokenizer)
    seed = secrets.randbits(32) if seed is None else seed
    note_unfinished([prompt], model, constraints)
    writer: TextModel = model
    follow: dict[str, Any] = {}
    if adapt:
        from charrnn.tasks.language.following import FollowingModel

        writer = following = FollowingModel(model)
        follow = {"follow": following.follow}
    chain = Chain(
        given_values({**values, "temperature": temperature}),
        order_of(samplers),
        functools.partial(model.filters, constraints),
        constraints.writes_characters,
        **follow,
    )
    # A filter that does not exist, or cannot be satisfied, is an error before anything is offered.
    resolve(chain.values, chain.order)
    draft = Draft(writer, prompt, temperature, length, seed, chain)
    terminal.say(HELP, "dim")
    lines = line_reader()
    try:
        with _raised_signals(lines):
            Session(draft, lines).run()
    # However the session ends, by an error of the program too, the text outlives it.
    finally:
        if draft.unsaved:
            _keep(draft.text, model.path.parent)


class Session:
    """Shows offers and obeys lines, until the writer leaves."""

    def __init__(self, draft: Draft, lines: LineReader) -> None:
        self._draft, self._lines = draft, lines
        self._files: dict[Path, bytes] = {}

    def run(self) -> None:
        """Read lines to the end of input or /quit."""
        start: str | None = ""
        while start is not None:
            terminal.show_offer(_end_of(self._draft.text), self._draft.offer)
            if self._draft.ended:
                terminal.say("(here the model ends the text)", "dim")
            line: str | None = ""
            try:
                line = self._lines.read(start)
                start = None if line is None else self._obey(line)
            # A mistyped command costs the writer neither the text nor, in a terminal, the line.
            except (UsageError, StorageError) as error:
                terminal.note(str(error))
                start = line

    def _obey(self, line: str) -> str | None:
        """Do what a line says -> how the next line begins, None to leave."""
        # Only a line without any character accepts: blanks are text.
        if not line:
            self._draft.accept()
        elif line.startswith("//") or not line.startswith("/"):
            self._draft.add(line.removeprefix("/"))
        else:
            return self._command(*line.partition(" ")[::2])
        return ""

    def _command(self, command: str, rest: str) -> str | None:
        """Do what a command says -> how the next line begins, None to leave."""
        draft, known = self._draft, (*SIMPLE, "/quit")
        match command:
            case "/edit" if rest:
                draft.edit(rest)
            case "/edit" if self._lines.editable:
                return f"/edit {draft.last_addition}"
            case "/edit":
                raise UsageError("/edit has no text", "give it after a blank")
            case "/temp":
                draft.temperature = number_of(rest, 0, 1e6)
                draft.again()
            case "/length":
                draft.length = int(number_of(rest, 1, 1e6, whole=True))
                draft.again()
            case "/save":
                self._save(rest.strip())
            # Perhaps it is no command but text, which is not to be guessed.
            case _ if rest or command not in known:
                what = "takes nothing after it" if command in known else "is not a command"
                remedy = "/help lists them; // begins text with a slash"
                raise UsageError(f"{command} {what}", remedy)
            case "/quit":
                return None
            case _:
                SIMPLE[command](draft)
        return ""

    def _save(self, name: str) -> None:
        """Write the text to a new file, or again to the one that this session wrote last."""
        files = self._files
        if not name and not files:
            raise UsageError("/save has no file", "give the name of a new one after a blank")
        path = Path(name).expanduser() if name else list(files)[-1]
        data = _as_file(self._draft.text)
        try:
            # What another program has changed since then is not this session's to replace.
            if path in files and path.read_bytes() == files[path]:
                write_durably(path, [data])
            else:
                write_new(path, data)
        except OSError as error:
            raise UsageError(
                f"cannot write {path}: {error.strerror}", "give the name of a new file"
            ) from None
        files.pop(path, None)
        files[path] = data
        self._draft.saved()
        terminal.say(f"saved {path}")


def _end_of(text: str) -> str:
    """The end of a text, from the beginning of a word where there is one."""
    if len(text) <= SHOWN:
        return text
    end = text[-SHOWN:]
    word = end.find(" ") + 1
    return "..." + end[word if word < SHOWN // 2 else 0 :]


def number_of(text: str, low: float, high: float, whole: bool = False) -> float:
    """A text -> the number it is, within these bounds. UsageError if it is none."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # NaN compares as false, so it fails this test, whether typed or from above.
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{text.strip()!r} is not {kind}", f"give one from {low:g} to {high:g}")
    return value


def _as_file(text: str) -> bytes:
    return (text if text.endswith("\n") else text + "\n").encode("utf-8")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet; OSError if it does, or cannot be written."""
    # "x" fails if the file exists, so that no text is overwritten by mistake.
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            # Half a text under this name would pass for the whole, and stop a second attempt.
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def _keep(text: str, folder: Path) -> None:
    """Write a text that was not saved to a new file, and say where it is."""
    # Next to the model if that is a run's folder: what is there is never taken for a corpus.
    run = [folder] if (folder / "run.json").exists() else []
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for place in (*run, Path(), Path(tempfile.gettempdir())):
        for number in range(1, 100):
            path = place / f"draft-{stamp}{f'-{number}' if number > 1 else ''}.txt"
            try:
                write_new(path, _as_file(text))
            except FileExistsError:
                continue
            except OSError:
                break
            terminal.note(f"the unsaved text is in {path}; --prompt-file {path} goes on with it")
            return
    terminal.note("the text could not be saved in any folder; here it is")
    terminal.say(text)


@contextlib.contextmanager
def _raised_signals(lines: LineReader) -> Iterator[None]:
    """Turn the signals that end a program into an error meanwhile, so that the text is kept."""

    def handle(number: int, frame: FrameType | None = None) -> None:
        name = signal.Signals(number).name
        lines.interrupt(InterruptedTraining(number, f"ended by {name}", "unsaved text is kept"))

    # Windows has no SIGHUP, which a terminal sends when it is closed.
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    handled = [n for n in numbers if n and signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


SIMPLE: dict[str, Callable[[Draft], None]] = {
    "/again": Draft.again,
    "/undo": Draft.undo,
    "/redo": Draft.redo,
    "/newline": lambda draft: draft.add("\n"),
    "/show": lambda draft: terminal.say(draft.text),
    "/help": lambda draft: terminal.say(HELP, "dim"),
}
"""Commands that take nothing after them, except /quit."""

add_chain(write, filters_after="seed", constraints_after="samplers", tunes=True)
