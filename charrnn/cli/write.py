"""`charrnn write`: a text written together with a model, one continuation at a time."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.options import RunName, RunsDir, Threads, Which, option
from charrnn.errors import UsageError
from charrnn.inference.engine import TextModel
from charrnn.inference.generation import (
    GenerationState,
    SamplingParams,
    begin,
    generate,
    resume,
)

HELP = """\
Type more text to add it, or one of these:
  (nothing)       accept the continuation
  /again          draw another continuation
  /undo           remove the last addition
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
    prompt: Annotated[str, option(help="Beginning of the text.", show_default="empty")] = "",
    temperature: Annotated[
        float, option(min=0, max=1e6, help="Temperature of the continuations.")
    ] = 0.8,
    length: Annotated[int, option(min=1, max=10**6, help="Tokens of each continuation.")] = 80,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the random draws.", show_default="random"),
    ] = None,
    checkpoint: Which = "best",
    threads: Threads = None,
) -> None:
    """Write a text together with a model, in the terminal.

    It offers a continuation; you accept it, ask for another, edit, undo, or type your own.
    """
    from charrnn import api
    from charrnn.cli import terminal

    model = api.load(run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, task=LANGUAGE)
    seed = secrets.randbits(32) if seed is None else seed
    draft = Draft(model, prompt, temperature, length, seed)
    terminal.say(HELP, "dim")
    # The end of the text is enough to continue from; /show prints all of it.
    while (line := terminal.ask(draft.text[-400:], draft.offer)) is not None:
        try:
            if not _obey(draft, line):
                return
        # A mistyped command must not cost the writer the text.
        except UsageError as error:
            terminal.note(str(error))


@dataclass(frozen=True)
class Revision:
    """A text, and the state from which its continuation starts."""

    text: str
    state: GenerationState


class Draft:
    """A text in progress: its revisions, one per addition, and the continuation on offer."""

    def __init__(
        self, model: TextModel, prompt: str, temperature: float, length: int, seed: int
    ) -> None:
        self.temperature, self.length = temperature, length
        self._model, self._seed = model, seed
        self._revisions = [Revision(prompt, begin(model.tokenizer, prompt))]
        # Number of the sample to draw: each continuation has random numbers of its own, and equal
        # seeds and commands give equal texts.
        self._tries = 0
        self.again()

    @property
    def text(self) -> str:
        """The text so far."""
        return self._revisions[-1].text

    def again(self) -> None:
        """Draw another continuation to offer."""
        self._tries += 1
        values = {"temperature": self.temperature}
        params = SamplingParams(self.length, seed=self._seed, values=values)
        chunks = list(generate(self._model, [self._revisions[-1].state], params, [self._tries]))
        self.offer = "".join(chunk.text for chunk in chunks)
        self._after = chunks[-1].end

    def accept(self) -> None:
        """Add the continuation to the text."""
        # The last chunk of a sample always has its end.
        assert self._after is not None
        self._revisions.append(Revision(self.text + self.offer, self._after))
        self.again()

    def add(self, text: str) -> None:
        """Add the writer's own text, without the continuation."""
        state = resume(self._model.tokenizer, self._revisions[-1].state, text)
        self._revisions.append(Revision(self.text + text, state))
        self.again()

    def undo(self) -> None:
        """Remove the last addition; the prompt stays."""
        if len(self._revisions) > 1:
            self._revisions.pop()
        self.again()

    def edit(self, text: str) -> None:
        """Replace the last addition."""
        if len(self._revisions) > 1:
            self._revisions.pop()
        self.add(text)


def _obey(draft: Draft, line: str) -> bool:
    """Do what a line says -> whether to go on."""
    from charrnn.cli import terminal

    command, _, rest = line.partition(" ")
    match command:
        case "":
            draft.accept()
        case "/again":
            draft.again()
        case "/undo":
            draft.undo()
        case "/edit":
            draft.edit(rest)
        case "/temp":
            draft.temperature = _number(rest, 0, 1e6)
            draft.again()
        case "/length":
            draft.length = int(_number(rest, 1, 1e6))
            draft.again()
        case "/show":
            terminal.say(draft.text)
        case "/save":
            _save(draft.text, Path(rest.strip()))
        case "/quit":
            return False
        case _ if line.startswith("/"):
            terminal.say(HELP, "dim")
        case _:
            draft.add(line)
    return True


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # NaN compares as false, so it fails this test, whether typed or from above.
    if not low <= value <= high:
        raise UsageError(f"{text.strip()!r} is not a number", f"give one from {low:g} to {high:g}")
    return value


def _save(text: str, path: Path) -> None:
    from charrnn.cli import terminal

    try:
        # "x" fails if the file exists, so that no text is overwritten by mistake.
        with path.open("x", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "give the name of a new file"
        ) from None
    terminal.say(f"saved {path}")
