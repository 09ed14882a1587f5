"""`charrnn chat`: a conversation with a model of chats, in the terminal or through a pipe."""

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli import terminal
from charrnn.cli.chain import (
    SAMPLERS,
    Samplers,
    add_chain,
    constraints_of,
    given_values,
    order_of,
)
from charrnn.cli.line_editor import LineReader, line_reader
from charrnn.cli.options import Mix, Precision, RunName, RunsDir, Threads, Which, option
from charrnn.cli.output import Output
from charrnn.cli.prompts import note_unseen
from charrnn.cli.sample import tell_seed
from charrnn.cli.write import number_of, write_new
from charrnn.data.chats.turns import LINE_BREAK
from charrnn.errors import UsageError
from charrnn.inference.sampling import check_parameter
from charrnn.tokenizers.base import count

if TYPE_CHECKING:
    from charrnn.tasks.language.chat import Chat

HELP = """\
Say something, or type one of these:
  /again        another reply to what you said last
  /undo         take back what you said last, and its reply
  /as NAME      let another speaker reply; without NAME, say who does
  /temp NUMBER  change the temperature
  /reset        begin another conversation
  /save FILE    write all that was said to a new file
  //TEXT        say something that begins with a slash
  /help         show this
Ctrl-C stops a reply, Ctrl-D ends."""


def chat(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    as_name: Annotated[
        str, option("--as", metavar="NAME", help="Who answers.", show_default="as in training")
    ] = "",
    me: Annotated[
        str,
        option(metavar="NAME", help="Who you are.", show_default="who else says most"),
    ] = "",
    max_length: Annotated[
        int, option(min=1, max=10**6, help="Largest number of tokens of a reply: there it is cut.")
    ] = 500,
    relevance: Annotated[
        float,
        option(
            min=0,
            max=0.95,
            help="Prefer replies that are less likely without what you said. 0 has no effect.",
        ),
    ] = 0.0,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the random draws.", show_default="random"),
    ] = None,
    greedy: Annotated[
        bool, option("--greedy", help="Always take the most likely token: --temperature 0.")
    ] = False,
    samplers: Samplers = SAMPLERS,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    mix: Mix = None,
    threads: Threads = None,
    **values: Any,
) -> None:
    """Talk with a model that was trained on a chat.

    Through a pipe each line is a turn, and each gets a line; an empty line begins a new
    conversation, and gets one.
    """
    from charrnn import api
    from charrnn.inference.generation import SamplingParams
    from charrnn.tasks.language.chat import Chat

    constraints = constraints_of(values)
    model = api.load(
        run,
        checkpoint=checkpoint,
        runs_dir=runs_dir,
        threads=threads,
        precision=precision,
        task=LANGUAGE,
        mix=mix,
    )
    params = SamplingParams(
        length=max_length,
        seed=secrets.randbits(32) if seed is None else seed,
        values=given_values(values) | ({"temperature": 0.0} if greedy else {}),
        order=order_of(samplers),
    )
    conversation = Chat(model, as_name, me, params, constraints, relevance)
    lines = line_reader()
    if not lines.editable:
        talk_by_lines(conversation, lines)
        return
    if seed is None:
        tell_seed(params.seed)
    terminal.say(f"You are {conversation.me}, and {conversation.name} answers.\n{HELP}", "dim")
    Session(conversation, lines).run()


def talk_by_lines(conversation: "Chat", lines: LineReader) -> None:
    """Answer each line with a line, written out at once, to the end of input."""
    out = Output()
    while (line := lines.read()) is not None:
        # As in the strict form, where a blank line is between conversations.
        if line.strip():
            out.write(conversation.reply(line).rstrip())
        else:
            conversation.reset()
        out.write("\n")
        out.flush()


class Session:
    """A conversation in a terminal: obeys commands, shows replies as they are drawn."""

    def __init__(self, conversation: "Chat", lines: LineReader) -> None:
        self._chat, self._lines = conversation, lines
        self._out = Output()
        self._stopped = False
        conversation.interrupted = lambda: self._stopped

    def run(self) -> None:
        """Read lines to the end of input."""
        start: str | None = ""
        while (line := self._lines.read(start or "")) is not None:
            start = ""
            try:
                self._obey(line)
            # A mistyped command costs neither the conversation nor the line.
            except UsageError as error:
                terminal.note(str(error))
                start = line

    def _obey(self, line: str) -> None:
        """Do what a line says."""
        if line.startswith("//") or not line.startswith("/"):
            text = line.removeprefix("/")
            # An empty line asks for nothing.
            if text.strip():
                note_unseen([text], self._chat.model.tokenizer)
                self._show(self._chat.stream(text))
            return
        command, _, rest = line.partition(" ")
        self._command(command, rest.strip())

    def _command(self, command: str, rest: str) -> None:
        conversation = self._chat
        match command:
            case "/as" if rest:
                conversation.answer_as(rest)
                terminal.say(f"you are {conversation.me}, and {conversation.name} answers", "dim")
            case "/as":
                names = ", ".join(list(conversation.speakers)[:20])
                terminal.say(f"{conversation.name} answers; in the chat speak {names}", "dim")
            case "/temp":
                temperature = number_of(rest, 0, 1e6)
                check_parameter("temperature", temperature)
                conversation.set("temperature", temperature)
            case "/save" if rest:
                self._save(Path(rest).expanduser())
            case "/save":
                raise UsageError("/save has no file", "give the name of a new one after a blank")
            case _ if rest or command not in SIMPLE:
                what = "takes nothing after it" if command in SIMPLE else "is not a command"
                remedy = "/help lists them; // begins what is said with a slash"
                raise UsageError(f"{command} {what}", remedy)
            case "/again":
                self._show(conversation.stream_again())
            case _:
                SIMPLE[command](conversation)

    def _show(self, pieces: Iterator[str]) -> None:
        """Show a reply as it is drawn; Ctrl-C ends it there."""
        self._stopped = False
        begun = False
        try:
            with self._stoppable():
                for piece in pieces:
                    if not begun and os.isatty(1):
                        terminal.begin_line(f"{self._chat.name}: ", "bold cyan")
                    begun = True
                    self._out.write(piece.replace(LINE_BREAK, "\n"))
                    self._out.flush()
        finally:
            # A constraint may find its error in the middle of a reply.
            if begun:
                self._out.write("\n")
                self._out.flush()
        if self._chat.exchanges and self._chat.exchanges[-1].finish == "length":
            terminal.say(
                f"(cut after {count(self._chat.params.length, 'token')}: --max-length)", "dim"
            )

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Let Ctrl-C stop the reply meanwhile, and no more."""

        def stop(number: int, frame: object) -> None:
            # Once more, for a model that takes long for a token.
            if self._stopped:
                raise KeyboardInterrupt
            self._stopped = True

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _save(self, path: Path) -> None:
        """Write the conversation to a new file, in the form that training reads."""
        text = self._chat.transcript()
        if not text:
            raise UsageError("there is nothing to save", "say something first")
        try:
            write_new(path, text.encode())
        except OSError as error:
            raise UsageError(
                f"cannot write {path}: {error.strerror}", "give the name of a new file"
            ) from None
        terminal.say(f"saved {path}")


def _undo(conversation: "Chat") -> None:
    undone = conversation.undo()
    terminal.say(f"taken back: {undone.said}", "dim")


def _reset(conversation: "Chat") -> None:
    conversation.reset()
    terminal.say("a new conversation", "dim")


SIMPLE: dict[str, Callable[["Chat"], None]] = {
    "/again": lambda conversation: None,
    "/undo": _undo,
    "/reset": _reset,
    "/help": lambda conversation: terminal.say(HELP, "dim"),
}
"""Commands that take nothing after them."""


add_chain(chat, filters_after="greedy", constraints_after="samplers")
