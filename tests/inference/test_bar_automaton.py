"""The automaton of bars: what it lets follow, and that it counts as the reader of tunes does."""

import random
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from charrnn.data.tunes import abc
from charrnn.data.tunes.bars import bars
from charrnn.inference.bar_automaton import BarAutomaton
from charrnn.inference.bar_lengths import Filling, Rules
from charrnn.inference.bar_states import DONE, HEAD, LOST, WRONG, Where
from charrnn.tokenizers.documents import END

HEADER = "X:1\nM:2/4\nL:1/8\nK:G\n"
FULL = "ABcd|ABcd|ABcd|ABcd|"
CHARACTERS = "\n\"#'()+,-/0123456789:=ABCDEFGKLMX[]^_abcdefgmz|xdorixphly" + END


@cache
def automaton(plain: bool = False) -> BarAutomaton:
    return BarAutomaton(plain=plain)


def accepts(text: str, plain: bool = False, state: Where | None = None) -> bool:
    """Whether each character may follow, after the header."""
    for character in text:
        before = automaton(plain).read(HEADER) if state is None else state
        state = automaton(plain).step(before, character)
        if state is None:
            return False
    return True


@pytest.mark.parametrize(
    "music",
    [
        "ABcd|e4|]\n",  # two full bars
        f"d|{FULL}e3|]\n",  # a short first bar, and what it lacks at the end
        f"d|{FULL}e3||d|ABcd|e4|]\n",  # the line of a section parts a bar
        "d|ABcd|e3:|[M:3/4]d|ABcdef|e6|]\n",  # what is due in another meter
        "d|:ABcd|e4:|\n",  # notes before the first section are not repeated
        "|:d|ABcd|e3:|\n",  # a bar is parted by the line and what is repeated
        "|:ABcd|e4:|ABcd|e4:|\n",  # a repeat from the end of the last one
        "|:d|ABcd|[1e3:|[2e4||ABcd|e4|]\n",
        "ABcd|e4::ABcd|e4:|\n",
        "|:ABcd|[1e4:|[2d4|]\n",
        "(3ABcd2|e4|]\n",  # three in the time of two
        'z4|"Am7/G"A2"D""G"d2||\n',
        "A/2B/4c/4d3-|d3/2e/2^f2-|^f4|]\n",
        "ABcd|[M:3/4][K:Am]A6|]\n",
        "A,,4|c''4|]\n",
    ],
)  # fmt: skip
def test_what_adds_up_is_allowed(music: str) -> None:
    assert accepts(music)


@pytest.mark.parametrize(
    "music",
    [
        "ABcde",  # too long by a note
        "A5|",
        "ABc2d",
        "A|Bcd|e",  # short, and not the first bar of its section
        "ABcd|e3|]",
        "ABcd|e4\n",  # no line at the end
        "ABcd|e4|:\n",  # a repeat that has no end
        "|:ABcd|[1e4:|]",  # a first ending without a second
        "|:ABcd|[1e4|\n",
        "(3ABcde2",
        "ABcd|(3ABA|e",
        '"G"|',  # a chord symbol over no note
        "ABcd-|e",  # a tie to another note
        "ABc^d-|d",
        "ABcd-:|",
        "A B",  # the strict form has no spaces
        "A2/3",  # no length that the bar does not need
        "A[M:3/4]",
        "|A",
        "d|ABcd|e3||",  # too soon after the last line
        f"d|{FULL}e3||ABcd|",  # parted by a line, and then a whole bar
        "d|ABcd|e4||d|A",
        "d|ABcd|e4:|",  # too long if it is repeated
        "d|:ABcd|e3:|",
        "ABcd|e3:|",
        "|:d|ABcd|[1e4:|",
        "|:ABcd|e4||\n",  # a repeat without an end
        "ABcd|e4::ABcd|e4|]\n",
        "|:ABcd|e4|:",  # a repeat within a repeat
        "|:ABcd|e4:|ABcd|e4::",  # an end without a beginning
        "|:ABcd|e4:|ABcd|[1",
        '"Ad"A',  # no chord: abc2midi knows none of that kind
        '"C#mb"A',
        '"G/Bm"A',
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_not_allowed(music: str) -> None:
    assert not accepts(music)


@pytest.mark.parametrize(
    "head", ["M:2/4", "X:1\nL:1/8", "X:1\nM:0/4", "X:1\nM:2/4\nL:1/3\n", "X:1\nM:2/4\nL:1/8\nK:H"]
)
def test_a_head_that_is_none_is_not_allowed(head: str) -> None:
    assert not accepts(head, state=Where())


@pytest.mark.parametrize("plain", [False, True])
def test_all_ways_of_a_random_walk_add_up_as_the_reader_counts_them(plain: bool) -> None:
    choose = random.Random(1)
    own = BarAutomaton(CHARACTERS + " " * plain, plain)
    counted = 0
    for _ in range(8 if plain else 40):
        state, text = own.read("X:1\n"), "X:1\n"
        while state.stage != DONE and len(text) < 2000:
            ways = {c: after for c in own_characters(plain) if (after := own.step(state, c))}
            assert ways, f"no way on after {text[-60:]!r}"
            ends = [c for c in "|\n" if c in ways and choose.random() < 0.4]
            character = choose.choice(ends or [c for c in ways if c != END] or [END])
            text, state = text + character, ways[character]
        left_out: Counter[str] = Counter()
        if state.stage == DONE:
            tune = abc.parse(text.splitlines(), left_out)
            assert not [each for each in bars(tune) if each.wrong], text
            counted += 1
    assert counted >= (2 if plain else 20)


def test_abc2midi_finds_no_error_in_a_random_walk(tmp_path: Path) -> None:
    if not shutil.which("abc2midi"):
        pytest.skip("needs abc2midi")
    choose, own, tunes = random.Random(2), automaton(), list[str]()
    # What model and reader agree on about lines; lengths and tuplets are tested above.
    few = "ABcd24|:]\n["
    while len(tunes) < 60:
        state, text = own.read(HEADER), HEADER
        while state.stage != DONE and len(text) < 300:
            ways = {c: after for c in few if (after := own.step(state, c))}
            ending = next((c for c in "12" if "[" in ways and own.step(ways["["], c)), "")
            bracket = ways.pop("[", None)
            if bracket and (after := own.step(bracket, ending) if ending else None):
                ways["[" + ending] = after
            lines = [c for c in ("\n", *"|:]", "[1", "[2") if c in ways and choose.random() < 0.6]
            character = choose.choice(lines or list(ways))
            text, state = text + character, ways[character]
        tunes += [text] if state.stage == DONE else []
    assert sum(":|" in each and "[1" in each for each in tunes) > 3
    (tmp_path / "tunes.abc").write_text("\n".join(tunes))
    done = subprocess.run(
        ["abc2midi", "tunes.abc", "-o", "tune.mid"], cwd=tmp_path, capture_output=True, check=True
    )
    said = (done.stdout + done.stderr).decode("latin-1")
    # What it warns of are bars that lines part twice, and meters that change within a repeat.
    assert [line for line in said.splitlines() if "Error" in line] == []


def own_characters(plain: bool) -> str:
    return CHARACTERS + " " * plain


def test_plain_abc_has_spaces_titles_and_lines_of_music() -> None:
    tune = 'X:7\nT:Été, or: Summer\nM:C|\nK:Bmin\n|: "Bm" A2 BA/ c/ d2 e2 | f8 |1 g8 :|2 g8 |]\n'
    assert accepts(tune + 'd8 | "G"e8 ||\n\nX:8\n', plain=True, state=Where())
    assert not accepts(tune, state=Where())


def test_a_bar_that_is_not_understood_is_counted_no_more_and_the_next_one_is() -> None:
    own = automaton()
    state = own.read(HEADER + "A>Bcd")
    assert state.stage == LOST
    assert own.step(state, "g")
    assert not own.step(state, "\n")
    state = own.forced(state, "|")
    assert [each for each in "Az6|]" if own.step(own.forced(state, "A"), each)] == ["A", "z"]


def test_a_text_that_begins_no_tune_stays_wrong() -> None:
    assert automaton().read("Once upon a time|ABcd|").stage == WRONG


def test_the_end_of_a_document_begins_another_tune() -> None:
    assert automaton().read(HEADER + "ABcd|]\n" + END) == Where()
    assert automaton().read(HEADER + "ABcd" + END).stage == HEAD


def test_lengths_are_those_that_the_characters_can_write() -> None:
    own = BarAutomaton(set(CHARACTERS) - {"3"})
    state = own.read("X:1\nM:4/4\nL:1/8\nK:G\nABcde")
    for character in "2":
        after = own.step(own.step(state, "f") or state, character)
        assert after is not None
    assert not Rules(set("abc")).writes_tunes


def test_without_a_slash_no_meter_is_offered_that_whole_units_cannot_fill() -> None:
    assert Filling({"": 48, "2": 96}).fills(96)
    assert not Filling({"": 48, "2": 96}).fills(24)


def test_a_key_and_a_meter_are_the_only_ones_written() -> None:
    own = BarAutomaton(key="Em", meter="6/8")
    state = own.read("X:1\n")
    for character in "M:6/8\nL:1/8\nK:Em\n":
        assert [each for each in "M:16/8\nLKEm" if own.step(state, each)]
        state = own.step(state, character) or Where(WRONG)
    assert state.wanted == 6 * 48
    assert not accepts_with(own, "X:1\nM:3")
    assert not accepts_with(own, "X:1\nM:6/8\nL:1/8\nK:Em\nABcABc|[M")


def accepts_with(own: BarAutomaton, text: str) -> bool:
    state: Where | None = Where()
    for character in text:
        state = own.step(state, character) if state else None
    return state is not None
