"""`charrnn neurons`: the table, one unit, JSON, and what is refused."""

import re
from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from charrnn.cli import terminal
from tests.support.quotes import TEXT, quote_checkpoint
from tests.support.shell import Shell

BLOCK = re.compile("[▁▂▃▄▅▆▇█]+")


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a model whose unit 1:3 is inside quotes, and a text; nothing is changed."""
    shell = Shell(tmp_path_factory.mktemp("neurons"))
    shell.write("text.txt", TEXT)
    checkpoint.save(quote_checkpoint("gru"), shell.folder / "quotes.safetensors")
    return shell


def run(shell: Shell, *words: str | Path) -> list[str | Path]:
    return ["neurons", "quotes.safetensors", "--text", "text.txt", "--threads", "1", *words]


def test_the_best_unit_comes_first_with_its_figures_and_a_piece_of_text(quoting: Shell) -> None:
    done = quoting.run(*run(quoting)).succeeded()
    lines = done.out.splitlines()
    assert lines[0].split() == ["unit", "follows", "bits", "of", "shuffled", "chance"]
    assert re.match(r"1:3 +inside quotes +0\.9\d\d +0\.9\d\d +0\.0\d\d +0\.0\d\d +\d+%", lines[1])
    begin = next(n for n, line in enumerate(lines) if line.startswith("1:3  inside quotes: "))
    text, blocks = ("".join(lines[begin + n : begin + 5 : 2]) for n in (1, 2))
    assert len(text) == len(blocks)
    assert BLOCK.fullmatch(blocks)
    # Each mark begins or ends what is inside; both are seen in the piece.
    assert {blocks[text.index("“")], blocks[text.index("”")]} == {"█", "▁"}
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.out
    assert "not in this text: inside single quotes" in done.err


def test_colors_are_used_in_a_terminal_only(
    quoting: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.neurons.has_colors", lambda: True)
    shown = quoting.run(*run(quoting, "--top", "1")).succeeded().out
    assert "\x1b[38;2;255;255;255;48;2;" in shown
    assert not BLOCK.search(shown)


def test_a_ground_is_blue_below_zero_and_orange_above_and_text_is_never_obeyed() -> None:
    assert terminal.grounded("a", 0.02) == "a"
    assert terminal.grounded("a", 1.0) == "\x1b[38;2;255;255;255;48;2;200;90;0ma\x1b[0m"
    assert terminal.grounded("a", -1.0) == "\x1b[38;2;255;255;255;48;2;20;90;210ma\x1b[0m"
    assert terminal.grounded("\x1b[31m", 0.0) == "^[[31m"


def test_one_object_is_printed_for_each_finding(quoting: Shell) -> None:
    found = quoting.run(*run(quoting, "--json", "--top", "3")).succeeded().json
    assert len(found) == 3
    assert (found[0]["unit"], found[0]["feature"], found[0]["learned"]) == (
        "1:3", "inside quotes", True,
    )  # fmt: skip
    assert list(found[0]) == [
        "unit", "feature", "bits", "entropy", "chance", "shuffled", "learned", "means", "others",
    ]  # fmt: skip


def test_a_unit_is_shown_over_the_text(quoting: Shell) -> None:
    done = quoting.run(*run(quoting, "--unit", "1:3", "--length", "60")).succeeded()
    table, _, text = done.out.partition("\n\n")
    assert table.splitlines()[1].startswith("inside quotes")
    shown = "".join(line for line in text.splitlines() if not BLOCK.fullmatch(line))
    assert shown == TEXT[:60].replace("\n", "")
    assert "the first 60 of" in done.err


def test_a_units_activation_is_printed_for_each_token(quoting: Shell) -> None:
    (found,) = quoting.run(*run(quoting, "--unit", "1:3", "--length", "90", "--json")).json
    assert "".join(found["tokens"]) == TEXT[:90]
    assert len(found["activation"]) == len(found["tokens"]) == 90
    assert next(iter(found["follows"])) == "inside quotes"


def test_a_feature_of_ones_own_is_found(quoting: Shell) -> None:
    found = quoting.run(*run(quoting, "--feature", "said=“[^”]*", "--json")).succeeded().json
    said = next(each for each in found if each["feature"] == "said")
    assert said["unit"] == "1:3"
    assert said["bits"] > 0.9


def test_the_validation_part_is_read_if_no_text_is_given(quoting: Shell, trained: Shell) -> None:
    assert trained.run("neurons", "--threads", "1").succeeded().out.startswith("unit")
    done = quoting.run("neurons", "quotes.safetensors").failed(3)
    assert "give a text: --text FILE" in done


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--unit", "2:1"), "the model has 1 layer"),
        (("--unit", "1:7"), "layer 1 has 6 units"),
        (("--unit", "seven"), "'seven' is not a unit"),
        (("--feature", "x=("), "is not a regular expression"),
        (("--feature", "x"), "is not a name and a regular expression"),
        (("--length", "5"), "--length has no effect without --unit"),
        (("--unit", "1:1", "--top", "5"), "--top has no effect with --unit"),
    ],
)
def test_what_cannot_be_is_refused(quoting: Shell, words: tuple[str, ...], message: str) -> None:
    assert message in quoting.run(*run(quoting, *words)).failed(2)


def test_an_encoding_without_a_text_is_refused(trained: Shell) -> None:
    assert "--encoding has no effect without --text" in trained.run(
        "neurons", "--encoding", "latin-1"
    ).failed(2)
