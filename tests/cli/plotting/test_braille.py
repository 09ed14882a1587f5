"""Charts as text: every dot in its place, every line within the width, labels that do not meet."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.cli.plotting.braille import BLANK, Canvas, draw
from charrnn.cli.plotting.chart import Chart, Curve

ESCAPE = re.compile(r"\x1b\[\d+m")

FALLING = Curve("falling", tuple(range(11)), tuple(float(10 - x) for x in range(11)))


def chart(*curves: Curve, log: bool = False) -> Chart:
    """A chart of these curves."""
    return Chart("title", "steps", "loss, nats/char", curves or (FALLING,), log)


def canvas_of(text: str) -> list[str]:
    """What is to the right of the y axis."""
    return [re.split("[│┤]", line)[1] for line in text.splitlines() if re.search("[│┤]", line)]


def test_each_dot_of_a_character_is_its_bit() -> None:
    # Unicode numbers the dots 1 2 3 7 down the left column and 4 5 6 8 down the right one.
    bits = {(0, 3): 1, (0, 2): 2, (0, 1): 4, (1, 3): 8, (1, 2): 16, (1, 1): 32, (0, 0): 64}
    for (x, y), bit in (bits | {(1, 0): 128}).items():
        canvas = Canvas(1, 1)
        canvas.dot(x, y, 0)
        assert canvas.row(0, colored=False) == chr(BLANK + bit)


def test_dots_of_one_character_come_together() -> None:
    canvas = Canvas(2, 2)
    canvas.dot(0, 0, 0)
    canvas.dot(1, 0, 0)
    canvas.dot(3, 7, 0)
    assert [canvas.row(i, colored=False) for i in (0, 1)] == [" ⠈", "⣀ "]


def test_a_line_has_no_gap_and_a_faint_one_has() -> None:
    whole, faint = Canvas(10, 1), Canvas(10, 1)
    whole.line([(0, 0), (10, 0), (19, 0)], 0)
    faint.line([(0, 0), (19, 0)], 0, every=3)
    assert whole.row(0, colored=False) == "⣀" * 10
    assert faint.row(0, colored=False).count("⣀") == 0
    assert 6 <= sum(bin(ord(c) - BLANK).count("1") for c in faint.row(0, False) if c != " ") <= 7


def test_a_single_point_is_drawn() -> None:
    canvas = Canvas(2, 1)
    canvas.line([(2, 0)], 0)
    assert canvas.row(0, colored=False) == " ⡀"


def test_a_falling_curve_runs_from_the_upper_left_to_the_lower_right() -> None:
    rows = canvas_of(draw(chart(), 60, 14))
    assert rows[0][0] != " "
    assert rows[-1].endswith("falling 0")
    firsts = [len(row) - len(row.lstrip()) for row in rows]
    assert firsts == sorted(firsts)


def test_title_labels_and_ticks_are_shown() -> None:
    text = draw(chart(), 60, 14)
    lines = text.splitlines()
    assert lines[:2] == ["title", "loss, nats/char"]
    assert lines[-1].strip() == "steps"
    assert lines[-2].split()[0] == "0"
    assert lines[-2].split()[-1] == "10"
    assert "10 ┤" in text
    assert len(lines) == 14 + 1


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 40),
    names=st.lists(st.text("abc ", min_size=0, max_size=60), min_size=1, max_size=9),
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_no_line_of_the_chart_is_wider_than_asked(
    width: int, height: int, names: list[str], values: list[float]
) -> None:
    curves = [
        Curve(name, tuple(range(len(values))), tuple(v + i for v in values), i)
        for i, name in enumerate(names)
    ]
    lines = draw(chart(*curves), width, height).splitlines()
    legend = {f"{mark} {c.end}".strip() for mark, c in zip("abcdefghi", curves, strict=False)}
    drawn = [line for line in lines[2:] if line.strip() not in legend]
    assert all(len(line) <= max(width, 24) for line in drawn)


def test_long_names_are_below_with_a_letter() -> None:
    curves = [Curve(f"a rather long name {i}", (0, 1), (0, i), i) for i in range(3)]
    lines = draw(chart(*curves), 40, 12).splitlines()
    assert lines[-3:] == [f"{'abc'[i]} {curve.end}" for i, curve in enumerate(curves)]
    marks = [line[-1] for line in lines if "│" in line or "┤" in line]
    assert [mark for mark in marks if mark in "abc"] == ["c", "b", "a"]


def test_labels_that_would_collide_are_on_neighbouring_rows_in_their_order() -> None:
    curves = [Curve(f"n{i}", (0, 1), (0, 1 + i / 1000), i) for i in range(4)]
    rows = canvas_of(draw(chart(*curves), 60, 16))
    found = [i for i, row in enumerate(rows) if re.search(r" n\d ", row)]
    assert found == [0, 1, 2, 3]
    assert [re.search(r"n\d", rows[i])[0] for i in found] == ["n3", "n2", "n1", "n0"]  # type: ignore[index]


def test_labels_at_the_foot_are_pushed_up() -> None:
    curves = [Curve("top", (0, 1), (9, 9))] + [Curve(f"n{i}", (0, 1), (9, i / 99)) for i in (0, 1)]
    rows = canvas_of(draw(chart(*curves), 60, 12))
    assert "n0" in rows[-1]
    assert "n1" in rows[-2]


def test_colors_are_a_terminals_own_and_only_where_asked() -> None:
    curves = [Curve("one", (0, 1), (0, 1), 0), Curve("two", (0, 1), (1, 0), 1)]
    plain, colored = draw(chart(*curves), 60, 12), draw(chart(*curves), 60, 12, colored=True)
    assert "\x1b" not in plain
    assert "\x1b[36mone 1.000\x1b[0m" in colored
    assert "\x1b[33mtwo 0\x1b[0m" in colored
    assert ESCAPE.sub("", colored) == plain


def test_a_solid_curve_is_not_hidden_by_a_faint_one() -> None:
    solid = Curve("solid", (0, 1), (0, 1), 0)
    faint = Curve("faint", (0, 1), (0, 1), 1, faint=True)
    for order in ((solid, faint), (faint, solid)):
        rows = canvas_of(draw(chart(*order), 60, 12, colored=True))
        assert not any("\x1b[33m" in row.split("faint")[0][:-5] for row in rows)


def test_a_logarithmic_axis_makes_a_straight_line_of_a_power() -> None:
    power = Curve("", tuple(range(11)), tuple(10.0**-x for x in range(11)))
    line = Curve("", tuple(range(11)), tuple(float(-x) for x in range(11)))
    rows = [[row.rstrip(" 0123456789e.-") for row in canvas_of(draw(c, 64, 20))]
            for c in (chart(power, log=True), chart(line))]  # fmt: skip
    shape = [[i for i, row in enumerate(each) if row.strip()] for each in rows]
    assert shape[0] == shape[1] == list(range(16))
    assert "1e-09 ┤" in draw(chart(power, log=True), 64, 20)


@pytest.mark.parametrize("size", [(0, 0), (-5, 3), (24, 8)])
def test_it_is_never_too_small(size: tuple[int, int]) -> None:
    assert len(canvas_of(draw(chart(), *size))) >= 3
