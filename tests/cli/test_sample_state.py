"""States and beams on the command line of `charrnn sample`."""

from pathlib import Path

import pytest

from tests.support.shell import Shell


def test_a_saved_state_goes_on_exactly(trained: Shell, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    whole = trained.run("sample", "--seed", "3", "--length", "60").out
    first = trained.run("sample", "--seed", "3", "--length", "25", "--save-state", state).out
    rest = trained.run("sample", "--length", "35", "--load-state", state, "--no-echo").out
    assert first.removesuffix("\n") + rest.removesuffix("\n") == whole.removesuffix("\n")


def test_a_state_can_take_the_place_of_the_one_it_goes_on_from(
    trained: Shell, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    trained.run("sample", "--seed", "3", "--length", "5", "--save-state", str(state))
    before = state.read_bytes()
    both = ("--load-state", str(state), "--save-state", str(state))
    assert trained.run("sample", "--length", "5", *both).code == 0
    assert state.read_bytes() != before


def test_no_other_file_is_overwritten_by_a_state(trained: Shell, tmp_path: Path) -> None:
    other = tmp_path / "novel.txt"
    other.write_text("precious")
    trained.run("sample", "--length", "5", "--save-state", str(other)).failed(2, "exists")
    assert other.read_text() == "precious"


def test_a_state_that_is_none_is_refused(trained: Shell, tmp_path: Path) -> None:
    trained.run("sample", "--load-state", str(tmp_path / "none")).failed(4, "cannot use")


@pytest.mark.parametrize(
    "options",
    [
        ("--beam", "2", "--num-samples", "2"),
        ("--save-state", "s", "--num-samples", "2"),
        ("--beam", "2", "--save-state", "s"),
    ],
)
def test_what_contradicts_itself_is_one_line(trained: Shell, options: tuple[str, ...]) -> None:
    trained.run("sample", *options).failed(2, "leave")


def test_a_beam_of_one_is_greedy_and_wider_ones_are_never_random(trained: Shell) -> None:
    greedy = trained.run("sample", "--greedy", "--length", "20").out
    assert trained.run("sample", "--beam", "1", "--length", "20").out == greedy
    wide = [trained.run("sample", "--beam", "5", "--length", "20").out for _ in range(2)]
    assert wide[0] == wide[1]


def test_a_beam_obeys_a_regular_expression(trained: Shell) -> None:
    done = trained.run("sample", "--beam", "3", "--regex", "[a-z]{2,4}", "--length", "20")
    assert done.code == 0
    assert 2 <= len(done.out.strip()) <= 4
    assert done.out.strip().isalpha()
