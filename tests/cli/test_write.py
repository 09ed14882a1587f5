"""`charrnn write` and its draft: offers, additions, and what can be taken back."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.cli.write import Draft
from charrnn.inference.generation import SamplingParams, begin, generate
from tests.inference.test_generation import CHARS, Cycle
from tests.support.shell import Shell
from tests.support.tiny import TinyTextModel


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
    made.undo()
    assert (made.text, made.offer) == ("a", "bc")


def test_edit_replaces_the_last_addition() -> None:
    made = draft("a")
    made.accept()
    made.edit("b")
    assert (made.text, made.offer) == ("ab", "cd")


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


def test_a_session_saves_what_was_accepted_and_typed(trained: Shell, tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    session(trained, "", "and so on", f"/save {target}", "/quit")
    text = target.read_text()
    assert text.endswith("and so on\n")
    assert len(text) == 5 + len("and so on\n")


def test_saving_never_overwrites(trained: Shell, tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    target.write_text("old")
    shown = session(trained, "new", f"/save {target}")
    assert "File exists; give the name of a new file" in shown
    assert target.read_text() == "old"


@pytest.mark.parametrize("command", ["/temp x", "/temp -1", "/temp nan", "/length 0", "/length"])
def test_a_number_that_is_none_is_a_note_and_no_end(trained: Shell, command: str) -> None:
    shown = session(trained, command, "still here", "/show")
    assert "is not a number; give one from" in shown
    assert "still here" in shown


def test_numbers_are_taken(trained: Shell) -> None:
    shown = session(trained, "/temp 0.5", "/length 3", "/help", "/unknown", "/again", "/undo")
    assert "is not a number" not in shown
    assert shown.count("/again") == 3


def test_the_end_of_input_leaves(trained: Shell) -> None:
    assert "/quit" in session(trained)


def test_a_prompt_begins_the_text(trained: Shell) -> None:
    assert "The mill" in session(trained, "/show", options=("--prompt", "The mill"))


def test_the_cycle_of_the_made_up_model_ends_with_a_newline() -> None:
    assert np.array_equal(CHARS.encode("\n"), [CHARS.newline_id])
