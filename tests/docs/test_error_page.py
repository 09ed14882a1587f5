"""docs/errors.md is what the source says, and the program that makes it misses nothing."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support import error_page
from tests.support.error_page import KINDS, PACKAGE, PAGE, ROOT, Message, messages, page


@cache
def all_messages() -> list[Message]:
    """The messages of the program; to read them takes a second."""
    return messages()


@cache
def whole_page() -> str:
    """The page as it should be."""
    return page()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == whole_page(), "run `make docs`"


def test_the_readme_and_the_makefile_lead_to_it() -> None:
    assert "(docs/errors.md)" in (ROOT / "README.md").read_text()
    assert "python -m tests.support.error_page" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_the_tree_is_raised_somewhere(kind: str) -> None:
    assert [message for message in all_messages() if message.kind == kind]
    assert re.search(rf"^## Exit code .+: {kind}$", whole_page(), re.MULTILINE)


def test_no_place_that_makes_an_error_is_left_out() -> None:
    """Every literal text in a call of an error class is on the page."""
    page_text = " ".join(f"{message.problem} {message.remedy}" for message in all_messages())
    for source in error_page.sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS:
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        words = part.value.strip()
                        inside = " " in words and words in page_text
                        assert inside or " " not in words, (source.name, words)


def test_every_message_is_a_problem_and_a_remedy() -> None:
    for message in all_messages():
        assert message.problem
        assert message.remedy
        assert (PACKAGE / message.module).is_file()
        assert not message.remedy.endswith("."), message


def test_a_half_without_words_is_only_where_another_error_is_passed_on() -> None:
    """Typer's errors have their own problem; an error about a file keeps the remedy of another."""
    empty = {
        (m.problem, m.module)
        for m in all_messages()
        if re.fullmatch(r"<\w+>", m.problem) or re.fullmatch(r"<\w+>", m.remedy)
    }
    assert empty == {
        ("<problem>", "cli/main.py"),
        # What cannot be decoded is described by `decoding.Undecodable`.
        ("<name>", "cli/prompts.py"),
        ("<problem>", "data/decoding.py"),
        # The way to the text of a file that is no text is a table's.
        ("<path> is <found>", "data/formats.py"),
        ("<problem>", "data/sources.py"),
        # Each option has the reason and the remedy of its entry in a table.
        ("<given> has no effect <reason>", "cli/effects.py"),
        ("<option> has no effect <reason>", "training/request.py"),
        # A training that diverged, before or after its first checkpoint.
        ("<problem>", "training/trainer.py"),
        # What another process of the same training has told.
        ("<problem>", "training/distributed.py"),
        ("cannot use <path>: <problem>", "checkpoints/container.py"),
    }


def of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> list[Message]:
    """The messages of a package of one module."""
    (tmp_path / "a.py").write_text(text)
    monkeypatch.setattr(error_page, "PACKAGE", tmp_path)
    return messages()


SOURCE = """
def f(path, data, error: type[CharRNNError] = CorpusError):
    what = "red" if data else "blue"
    if path:
        raise UsageError(f"{path.name} is {what} at {len(data) + 1:,}", "give " f"{data['size']}")
    raise error("gone", "x")

def g(n):
    raise broken("too long", n)

def broken(detail, n):
    return CheckpointError(f"it is {detail}: {n}", "use another")

def h():
    with limit("full", "use less"):
        pass

def j(n):
    one, two = "is red", "is blue"
    raise DivergedError(one if n else two, "stop")

def limit(problem, remedy):
    raise MemoryLimitError(f"{problem}!", remedy)

def corpus(folder, remedy):
    raise CorpusError(f"{folder / 'corpus'} is gone", remedy)

def i(self, folder):
    return lambda: self.corpus(folder, "train again")
"""


def test_texts_are_read_from_the_syntax_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {(m.kind, m.problem, m.remedy) for m in of(tmp_path, monkeypatch, SOURCE)}
    assert found == {
        ("UsageError", "<name> is red at <data>", "give <size>"),
        ("UsageError", "<name> is blue at <data>", "give <size>"),
        ("UsageError", "gone", "x"),
        ("CorpusError", "gone", "x"),
        ("CheckpointError", "it is too long: <n>", "use another"),
        ("MemoryLimitError", "full!", "use less"),
        ("CorpusError", "<folder>/corpus is gone", "train again"),
        ("DivergedError", "is red", "stop"),
        ("DivergedError", "is blue", "stop"),
    }
