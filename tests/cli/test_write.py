"""`charrnn write` and its draft: offers, additions, and what can be taken back."""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn.cli import write
from charrnn.cli.draft import Draft
from charrnn.cli.line_editor import PipedLines
from charrnn.errors import UsageError
from charrnn.inference.engine import State
from charrnn.inference.generation import (
    Chunk,
    GenerationState,
    SamplingParams,
    begin,
    generate,
)
from charrnn.inference.sampling import Logits
from charrnn.tokenizers import TOKENIZERS
from tests.inference.test_generation import CHARS, Cycle
from tests.support.shell import Shell
from tests.support.steppers import noise, pairs
from tests.support.tiny import TinyTextModel

BYTES = TOKENIZERS["byte"].train([])


def draft(prompt: str = "", length: int = 2) -> Draft:
    """A draft with a model that repeats a cycle: abcd, newline."""
    return Draft(TinyTextModel(CHARS, Cycle()), prompt, 1.0, length, seed=1)


def test_a_continuation_is_offered_and_not_yet_text() -> None:
    made = draft("a")
    assert (made.text, made.offer) == ("a", "bc")


def test_accepting_goes_on_where_the_offer_ended() -> None:
    made = draft("a")
    made.accept()
    assert (made.text, made.offer) == ("abc", "d\n")
    made.accept()
    assert (made.text, made.offer) == ("abcd\n", "ab")


def test_own_text_takes_the_place_of_the_offer() -> None:
    made = draft("a")
    made.add("bcd")
    assert (made.text, made.offer) == ("abcd", "\na")


def test_undo_takes_back_one_addition_and_never_the_prompt() -> None:
    made = draft("a")
    made.accept()
    made.add("abc")
    made.undo()
    assert (made.text, made.offer) == ("abc", "d\n")
    made.undo()
    with pytest.raises(UsageError, match="nothing to undo"):
        made.undo()
    assert (made.text, made.offer) == ("a", "bc")


def test_redo_brings_back_what_undo_took_until_another_change() -> None:
    made = draft("a")
    made.accept()
    made.undo()
    made.redo()
    assert (made.text, made.offer) == ("abc", "d\n")
    made.undo()
    made.add("bcd")
    with pytest.raises(UsageError, match="nothing to redo"):
        made.redo()


def test_edit_replaces_the_last_addition() -> None:
    made = draft("a")
    made.accept()
    made.edit("b")
    assert (made.text, made.offer, made.last_addition) == ("ab", "cd", "b")
    made.edit("bc")
    assert (made.text, made.last_addition) == ("abc", "bc")


def test_what_an_edit_replaced_comes_back_by_undo() -> None:
    made = draft("a")
    made.accept()
    made.edit("b")
    made.undo()
    assert (made.text, made.offer) == ("abc", "d\n")


def test_text_is_unsaved_unless_it_is_the_prompt_or_in_a_file() -> None:
    made = draft("a")
    assert not made.unsaved
    made.accept()
    assert made.unsaved
    made.saved()
    assert not made.unsaved
    made.accept()
    assert made.unsaved
    made.undo()
    assert not made.unsaved


class Interrupted(Cycle):
    """A model at which the writer presses Ctrl-C after some tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.left = tokens

    def step(self, ids: np.ndarray, state: State) -> tuple[Logits, State]:
        """One token, until it is interrupted."""
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().step(ids, state)


def test_ctrl_c_while_the_model_draws_offers_what_is_there() -> None:
    made = Draft(TinyTextModel(CHARS, Interrupted(4)), "a", 1.0, 1000, seed=1)
    assert made.offer == "bcd"
    made.length = 2
    made.accept()
    assert (made.text, made.offer) == ("abcd", "\na")


def test_the_end_of_a_document_is_said_and_is_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ending(model: object, starts: list[GenerationState], *_: object) -> Iterator[Chunk]:
        rest = "bcd"[sum(len(start.ids) for start in starts) - 2 :]
        yield Chunk(0, rest, 1)
        yield Chunk(0, "", 2, finish="end", end=begin(CHARS, ""))

    monkeypatch.setattr("charrnn.cli.draft.generate", ending)
    made = draft("a")
    assert (made.offer, made.ended) == ("bcd", True)
    made.accept()
    assert (made.text, made.offer, made.ended) == ("abcd", "", True)
    # There is nothing to accept, and so nothing to undo.
    made.accept()
    made.undo()
    assert made.text == "a"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    write.Session(made, PipedLines()).run()
    assert "bcd\n(here the model ends the text)\n" in capsys.readouterr().err


def test_a_character_of_which_bytes_are_missing_is_not_offered() -> None:
    made = Draft(TinyTextModel(BYTES, pairs(BYTES, "\nnénén")), "", 0.0, 5, seed=1)
    assert made.offer == "nén"
    made.accept()
    made.accept()
    assert "\ufffd" not in made.text + made.offer


def test_a_word_typed_in_two_parts_is_read_as_the_whole() -> None:
    words = TOKENIZERS["word"].train(["the miller the mill er\n"] * 9)
    made = Draft(TinyTextModel(words, noise(words.vocab_size)), "the mill", 1.0, 1, seed=1)
    made.add("er")
    ids = begin(words, "the miller").ids
    assert made._revisions[-1].state.ids.tolist() == ids.tolist()


def test_another_draw_is_another_sample_of_the_seed(trained: Shell) -> None:
    from charrnn.checkpoints import checkpoint
    from charrnn.checkpoints.run import find_run
    from charrnn.inference.engine import Engine

    found = checkpoint.load(find_run(trained.folder / "runs", None).pick("best").path)
    model = TinyTextModel(found.tokenizer, Engine(found, 1))
    made = Draft(model, "", 1.0, 30, seed=4)
    first = made.offer
    made.again()
    assert made.offer != first
    params = SamplingParams(30, seed=4, values={"temperature": 1.0})
    chunks = generate(model, [begin(model.tokenizer, "")], params, [1])
    assert first == "".join(chunk.text for chunk in chunks)


def session(shell: Shell, *lines: str, options: tuple[str, ...] = ()) -> str:
    """What a session shows in which these lines are typed."""
    typed = "".join(line + "\n" for line in lines)
    done = shell.run("write", "--seed", "1", "--length", "5", *options, stdin=typed.encode())
    assert done.code == 0
    assert done.out == ""
    return done.err


def kept(shell: Shell) -> list[str]:
    """The texts that sessions kept in the run's folder."""
    found = sorted((shell.runs / "corpus").glob("draft-*.txt"))
    return [file.read_bytes().decode() for file in found]


def test_a_session_saves_what_was_accepted_and_typed(copied: Shell, tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    session(copied, "", "and so on", f"/save {target}", "/quit")
    text = target.read_text()
    assert text.endswith("and so on\n")
    assert len(text) == 5 + len("and so on\n")
    assert kept(copied) == []


def test_a_session_can_learn_from_its_text_and_unlearn_it(copied: Shell) -> None:
    long = " and the cat sat" * 40
    files = {file: file.read_bytes() for file in copied.runs.rglob("*.safetensors")}
    plain, own = (session(copied, long, options=o) for o in ((), ("--adapt",)))
    # Before anything is written the offers are equal; what was learned makes others.
    assert plain.splitlines()[0] == own.splitlines()[0]
    assert plain != own
    undone = session(copied, long, "/undo", "/redo", options=("--adapt",))
    assert undone.startswith(own[: own.rindex("sat")])
    assert {file: file.read_bytes() for file in files} == files


@pytest.mark.parametrize("other", ["--label=a", "--steer=1:1=2"])
def test_what_is_no_single_network_does_not_learn(trained: Shell, other: str) -> None:
    trained.run("write", "--adapt", other).failed(2, "--adapt has no effect")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (" and", " and"),
        ("  ", "  "),
        ("\tand ", "\tand "),
        ("//and/or", "/and/or"),
        ("/newline", "\n"),
        ("/edit  and", " and"),
        ("a\x0c\u2028\x1b[Db", "a\x0c\u2028\x1b[Db"),
    ],
)
def test_a_line_is_what_was_typed(copied: Shell, tmp_path: Path, line: str, text: str) -> None:
    target = tmp_path / "text.txt"
    shown = session(copied, line, f"/save {target}", options=("--prompt", "cat"))
    assert target.read_bytes().decode().removesuffix("\n") == f"cat{text}".removesuffix("\n")
    assert "\x1b" not in shown


def test_windows_line_ends_and_a_byte_order_mark_are_not_text(copied: Shell) -> None:
    copied.run("write", "--length", "5", stdin=b"\xef\xbb\xbfthe cat\r\n sat\r\n").succeeded()
    assert kept(copied) == ["the cat sat\n"]


def test_a_line_that_is_not_utf8_is_a_note_and_no_end(copied: Shell) -> None:
    done = copied.run("write", "--length", "5", stdin=b"the\xff\n cat\n", LC_ALL="C").succeeded()
    assert "a line is not valid UTF-8; give it in UTF-8" in done.err
    assert kept(copied) == [" cat\n"]


@pytest.mark.parametrize("end", [(), ("/quit",)])
def test_unsaved_text_is_kept_in_a_file_that_is_named(copied: Shell, end: tuple[str, ...]) -> None:
    shown = session(copied, "the cat", *end)
    assert kept(copied) == ["the cat\n"]
    (path,) = re.findall(r"the unsaved text is in (\S+); --prompt-file", shown)
    assert session(copied, "/show", options=("--prompt-file", path)).count("the cat") == 3


def test_nothing_is_kept_of_a_text_that_is_the_prompt(copied: Shell) -> None:
    session(copied, "and", "/undo", options=("--prompt", "the cat"))
    assert kept(copied) == []


def test_two_texts_of_one_second_are_both_kept(
    trained: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    (tmp_path / "run.json").touch()
    write._keep("one", tmp_path)
    write._keep("two", tmp_path)
    assert (tmp_path / "draft-now.txt").read_text() == "one\n"
    assert (tmp_path / "draft-now-2.txt").read_text() == "two\n"


def test_text_that_no_folder_takes_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "write_new", full)
    write._keep("the cat", tmp_path)
    assert "could not be saved in any folder; here it is\nthe cat\n" in capsys.readouterr().err


def test_a_run_folder_that_cannot_be_written_is_no_loss(copied: Shell) -> None:
    folder = copied.runs / "corpus"
    # A file in the place of the folder stands for one without permission, which root always has.
    model = copied.folder / "model.safetensors"
    copied.run("checkpoints", "export", "-o", model).succeeded()
    copied.run("write", model, "--length", "5", stdin=b"the cat\n").succeeded()
    assert [f.read_text() for f in copied.folder.glob("draft-*.txt")] == ["the cat\n"]
    assert list(folder.glob("draft-*")) == []


def test_saving_never_overwrites(copied: Shell, tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    target.write_text("old")
    shown = session(copied, "new", f"/save {target}")
    assert "File exists; give the name of a new file" in shown
    assert target.read_text() == "old"
    assert kept(copied) == ["new\n"]


def test_the_file_of_this_session_is_written_again(copied: Shell, tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    session(copied, "the", f"/save {target}", " cat", "/save", " sat", f"/save {target}")
    assert target.read_text() == "the cat sat\n"
    assert kept(copied) == []
    assert "/save has no file; give the name" in session(copied, "/save")


@pytest.mark.parametrize("command", ["/temp x", "/temp -1", "/temp nan", "/length 0", "/length"])
def test_a_number_that_is_none_is_a_note_and_no_end(copied: Shell, command: str) -> None:
    shown = session(copied, command, "still here", "/show")
    assert re.search("is not a (whole )?number; give one from", shown)
    assert "still here" in shown


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/me waves", "/me is not a command; /help lists"),
        ("/again please", "/again takes nothing after it"),
        ("/quit now", "/quit takes nothing after it"),
        ("/length 2.5", "'2.5' is not a whole number"),
        ("/edit", "/edit has no text"),
        ("/undo", "there is nothing to undo"),
        ("/redo", "there is nothing to redo"),
    ],
)
def test_what_has_no_effect_is_a_note(trained: Shell, line: str, problem: str) -> None:
    assert f"charrnn: note: {problem}" in session(trained, line)


def test_numbers_are_taken(trained: Shell) -> None:
    shown = session(trained, "/temp 0.5", "/length 3", "/help", "/again")
    assert "charrnn: note" not in shown
    assert shown.count("/again") == 2


def test_the_end_of_input_leaves(trained: Shell) -> None:
    assert "/quit" in session(trained)


def test_a_prompt_begins_the_text(trained: Shell) -> None:
    assert "The mill" in session(trained, "/show", options=("--prompt", "The mill"))


@pytest.mark.parametrize("option", ["--prompt", "--prompt-file"])
def test_the_prompt_is_not_read_from_where_lines_are_typed(trained: Shell, option: str) -> None:
    trained.run("write", option, "-").failed(2, "stdin is where the lines are typed")


def test_the_cycle_of_the_made_up_model_ends_with_a_newline() -> None:
    assert np.array_equal(CHARS.encode("\n"), [CHARS.newline_id])
