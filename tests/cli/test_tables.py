"""Tables: complete in a pipe, fitted to a terminal; no number is cut and no column dropped."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli import terminal
from charrnn.cli.tables import layout, print_table
from charrnn.errors import StorageError
from tests.support.each import each
from tests.support.shell import Done, Shell

RUNS = ["run", "text", ">characters", "model", ">parameters", ">steps", ">best", "started"]

ROWS = [
    ["fables", "fables.txt", "72.2k", "char lstm 1x192", "272k", "905/905", "1.54", "2026-11-28"],
    ["a-name-that-somebody-chose", "one.txt two.txt three.txt four.txt five.txt", "1.2M",
     "subword gru 2x512", "12.4M", "100000/100000", "1.7060", "2026-11-28"],
]  # fmt: skip

each_width = pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 200])


def words(text: str) -> list[str]:
    return re.findall(r"[^ /]+", text)


def shown(width: int | None) -> list[str]:
    return [line for line, _ in layout(RUNS, ROWS, width)]


def test_a_pipe_has_each_row_on_its_line() -> None:
    lines = shown(None)
    assert len(lines) == 3
    for cell in ROWS[1]:
        assert cell in lines[2]


@each_width
def test_nothing_is_wider_than_the_terminal_unless_a_word_is(width: int) -> None:
    longest = max(len(word) for row in ROWS for word in (row[0], *words(" ".join(row))))
    for line in shown(width):
        # At the least a block has its first column and one other.
        assert len(line.rstrip()) <= max(width, len(ROWS[1][0]) + 2 + longest)


@each_width
def test_every_column_is_there_and_every_word_is_whole(width: int) -> None:
    text = "\n".join(shown(width))
    for word in [*(name.lstrip(">") for name in RUNS), *words(" ".join(map(" ".join, ROWS)))]:
        assert re.search(rf"(?<![^\s/]){re.escape(word)}(?![^\s/])", text), (word, text)


def test_blocks_begin_with_the_first_column() -> None:
    lines = shown(60)
    heads = [line for line, is_header in layout(RUNS, ROWS, 60) if is_header and line.strip()]
    assert len(heads) >= 2
    assert all(head.startswith("run ") for head in heads)
    assert "" in lines


def test_wide_characters_count_twice() -> None:
    lines = [line for line, _ in layout(["a", ">b"], [["日本", "1"], ["x", "22"]], 80)]
    assert {terminal.width_of(line) for line in lines} == {8}


@given(
    rows=st.lists(
        st.tuples(*[st.text("ab/ 1", max_size=20)] * 3).map(list), min_size=1, max_size=4
    ),
    width=st.integers(1, 60),
)
@settings(max_examples=100, deadline=None)
def test_no_table_loses_a_word(rows: list[list[str]], width: int) -> None:
    text = "\n".join(line for line, _ in layout(["name", "path", ">size"], rows, width))
    for row in rows:
        for cell in row[:2]:
            for word in words(cell):
                assert word in text


def test_a_table_has_its_numbers_to_the_right(capfd: pytest.CaptureFixture[str]) -> None:
    print_table(("name", ">size"), [("a", "1"), ("long name", "1000")])
    out, err = capfd.readouterr()
    assert err == ""
    assert out.splitlines() == ["name       size", "a             1", "long name  1000"]


def test_a_table_escapes_control_characters_and_keeps_rows_on_their_lines(
    capfd: pytest.CaptureFixture[str],
) -> None:
    print_table(["name"], [["a\nb"], ["\x1b[2J"], ["[red]"]])
    assert [line.strip() for line in capfd.readouterr().out.splitlines()] == [
        "name", "a^Jb", "^[[2J", "[red]",
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_table_that_cannot_be_written_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    full, kept = os.open("/dev/full", os.O_WRONLY), os.dup(1)
    os.dup2(full, 1)
    try:
        with pytest.raises(StorageError, match="No space left"):
            print_table(["a"], [["1"]])
    finally:
        os.dup2(kept, 1)
        os.close(full)
        os.close(kept)


ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run whose name and text are in scripts that no 8-bit encoding has."""
    shell = Shell(tmp_path_factory.mktemp("named"))
    text = "Es war einmal ein Müller, 日本語 и русский 👩\u200d👧.\n" * 60
    shell.write("текст-日本.txt", text)
    shell.train("текст-日本.txt", "--steps", "4", "--quiet").succeeded()
    return shell


COMMANDS = [
    line.split()
    for line in """
    evaluate
    sample --length 20 --seed 1
    score текст-日本.txt
    originality текст-日本.txt
    runs
    runs --json
    checkpoints list
    checkpoints show
    checkpoints verify
    compare
    compare --json
    plot
    plan текст-日本.txt --steps 2
    --help
    train --help
    sample nope
    """.strip().splitlines()
]
"""The first of them write what later ones count in the size of the run."""


@pytest.fixture(scope="module")
def plain(named: Shell) -> list[Done]:
    """The outputs in a locale with UTF-8."""
    return each(named, COMMANDS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that share an import")
@pytest.mark.parametrize("variables", ENCODINGS, ids=lambda v: "-".join(v.values()))
def test_every_command_writes_utf8_in_any_locale(
    variables: dict[str, str], named: Shell, plain: list[Done]
) -> None:
    for words, done, before in zip(
        COMMANDS, each(named, COMMANDS, **variables), plain, strict=True
    ):
        assert done.code == before.code, (words, done.err)
        assert "internal error" not in done.err
        # A plan hangs on the clock; of words that the C locale has no letters for, a name is made.
        if words[0] != "plan" and (words[0] != "originality" or "LC_ALL" not in variables):
            assert done.raw == before.raw, words
