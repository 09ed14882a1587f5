"""`charrnn chat`: a line for a line through a pipe; commands in a terminal."""

from pathlib import Path

import pytest

from charrnn.cli.chat import Session, talk_by_lines
from charrnn.data.chats.turns import LINE_BREAK
from charrnn.errors import UsageError
from charrnn.tasks.language.chat import Chat
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.chats import TALK, chat_model
from tests.support.shell import Shell
from tests.tasks.language.test_chat import wishing


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model of characters."""
    return chat_model(tmp_path_factory.mktemp("chat"))


class Typed:
    """Lines as they are typed; what each line began with is kept."""

    editable = True

    def __init__(self, *lines: str) -> None:
        self.lines, self.begun = list(lines), list[str]()

    def read(self, begin: str = "") -> str | None:
        """The next line."""
        self.begun.append(begin)
        return self.lines.pop(0) if self.lines else None

    def interrupt(self, error: BaseException) -> None:
        """Not asked for."""
        raise error


def session(model: LanguageModel, *lines: str, wish: str = "fine\n") -> tuple[Chat, Typed]:
    """What is left of a conversation after these lines."""
    chat, _ = wishing(model, wish)
    typed = Typed(*lines)
    Session(chat, typed).run()
    return chat, typed


def test_each_line_of_a_pipe_gets_a_line_and_an_empty_one_begins_anew(
    model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    chat, _ = wishing(model, f"fine{LINE_BREAK}so\n")
    talk_by_lines(chat, Typed("hello", "/undo", "", "hello"))
    out = capfd.readouterr().out
    assert out == f"fine{LINE_BREAK}so\nfine{LINE_BREAK}so\n\nfine{LINE_BREAK}so\n"
    # What a model says may begin with a slash, and is no command.
    assert "Ann: /undo\n" in chat.transcript()
    assert chat.transcript().count("\n\n") == 1


def test_replies_are_on_stdout_and_all_else_on_stderr(
    model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    session(model, "hello", "/help", "/as", "/undo", "", "  ")
    found = capfd.readouterr()
    assert found.out == "fine\n"
    assert "/save FILE" in found.err
    assert "Bob answers; in the chat speak Ann, Bob" in found.err
    assert "taken back: hello" in found.err


def test_commands_do_what_they_say(model: LanguageModel) -> None:
    chat, _ = session(
        model, "one", "/again", "two", "/undo", "/temp 0.5", "/reset", "//three", "/as Ann", "four"
    )
    assert chat.params.values["temperature"] == 0.5
    assert chat.transcript() == (
        "Ann: one\nBob: fine\n\nAnn: /three\nBob: fine\nBob: four\nAnn: fine\n"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/agian", "/agian is not a command"),
        ("/undo it", "/undo takes nothing after it"),
        ("/undo", "there is nothing to undo"),
        ("/temp hot", "'hot' is not a number"),
        ("/as Zoe", "nobody in the chat is called Zoe"),
        ("/save", "/save has no file"),
        ("/save /nowhere/x", "there is nothing to save"),
    ],
)
def test_a_mistyped_command_is_told_and_comes_back_to_be_mended(
    line: str, message: str, model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    _, typed = session(model, line)
    assert typed.begun == ["", line]
    assert message in capfd.readouterr().err


def test_a_conversation_is_saved_as_training_reads_it_and_never_over_a_file(
    model: LanguageModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.txt"
    session(model, "one", f"/save {path}", f"/save {path}")
    assert path.read_text(encoding="utf-8") == "Ann: one\nBob: fine\n"
    assert "File exists" in capfd.readouterr().err


def test_a_reply_that_is_cut_is_told(
    model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    session(model, "one", wish="good")
    assert "(cut after 500 tokens: --max-length)" in capfd.readouterr().err


def test_in_a_terminal_an_error_of_the_constraints_costs_one_reply(
    model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    chat = model.chat(seed=1, regex="\u4e00+")
    Session(chat, Typed("one")).run()
    assert "--regex" in capfd.readouterr().err
    with pytest.raises(UsageError):
        talk_by_lines(chat, Typed("one"))


def test_a_chat_is_trained_and_talked_with_from_the_command_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    # A line that goes on with a turn leaves a doubt.
    shell.write("log.txt", TALK.replace("\n so: good", ""))
    done = shell.run(
        "train", "log.txt", "--steps", "2", "--hidden-size", "8", "--num-layers", "1",
        "--threads", "1", "--as", "Ann",
    ).succeeded()  # fmt: skip
    assert "read as a chat, because it plainly is one (Name: text)" in done.err
    assert "in charrnn chat Ann answers, as --as says" in done.err
    assert "now try: charrnn chat" in done.err
    shown = shell.run("checkpoints", "show").succeeded().out
    assert f"{'speakers':24} Ann 80, Bob 40\n" in shown
    shell.run("train", "--resume", "--more-steps", "1", "--threads", "1").succeeded()
    talk = ("chat", "--seed", "1", "--max-length", "20")
    first = shell.run(*talk, stdin=b"fine 1.\n\nfine 1.\n").succeeded().out
    assert len(first.split("\n")) == 4
    assert shell.run(*talk, stdin=b"fine 1.\n\nfine 1.\n").out == first
    shell.run("chat", "--me", "Ann", stdin=b"").failed(2, "Ann cannot speak with Ann")
    shell.run("evaluate", "--file", "log.txt").succeeded()


def test_resuming_a_chat_asks_for_nothing_else_and_refuses_another_reading(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("log.txt", TALK)
    options = ("--steps", "4", "--hidden-size", "8", "--num-layers", "1", "--threads", "1")
    shell.run(
        "train", "log.txt", "--chat", "--name", "a", "--save-every", "2", *options
    ).succeeded()
    # What --chat came to is recorded: resuming asks for nothing else.
    shell.run("train", "--resume", "--name", "a", "--chat").succeeded()
    shell.run("train", "--resume", "--name", "a", "--no-chat").failed(2, "cannot be changed")
