"""Scales and ticks: round values inside the axis, labels in few digits, logarithmic axes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.plotting.chart import Chart, Curve, Scale, end_value, fit, format_value
from charrnn.errors import UsageError

NUMBERS = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).map(lambda x: round(x, 6))
POSITIVE = st.floats(min_value=1e-200, max_value=1e12)


def chart(*curves: Curve, log: bool = False, floor: float = 0.0) -> Chart:
    """A chart of these curves."""
    return Chart("title", "steps", "loss", curves, log, floor)


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.integers(1, 20))
def test_ticks_lie_on_the_axis_in_order_and_are_not_many(values: list[float], count: int) -> None:
    scale = fit(values)
    ticks = scale.ticks(count)
    slack = 1e-9 * max(abs(scale.low), abs(scale.high))
    assert 1 <= len(ticks) <= 2 * count + 2
    assert ticks == sorted(ticks)
    assert scale.low - slack <= ticks[0] <= ticks[-1] <= scale.high + slack


@given(st.lists(POSITIVE, min_size=1, max_size=5), st.integers(1, 20))
def test_so_do_those_of_a_logarithmic_axis(values: list[float], count: int) -> None:
    scale = fit(values, log=True)
    ticks = scale.ticks(count)
    assert 1 <= len(ticks) <= 2 * count + 2
    assert all(scale.low * (1 - 1e-9) <= tick <= scale.high * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 100, 5, [0, 20, 40, 60, 80, 100]),
        (0, 1294, 5, [0, 200, 400, 600, 800, 1000, 1200]),
        (1.3, 2.9, 3, [1.5, 2.0, 2.5]),
        (-1, 1, 2, [-1, 0, 1]),
        (0.0, 0.007, 3, [0.0, 0.002, 0.004, 0.006]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert Scale(low, high).ticks(count) == pytest.approx(ticks)


def test_ticks_of_decades_are_powers_of_ten() -> None:
    assert Scale(1e-6, 1, log=True).ticks(7) == pytest.approx([10.0**n for n in range(-6, 1)])
    assert Scale(1e-6, 1, log=True).ticks(3) == pytest.approx([1e-6, 1e-3, 1])
    assert Scale(1, 8, log=True).ticks(4) == pytest.approx([2, 4, 6, 8])


def test_places_run_from_0_to_1() -> None:
    assert [Scale(2, 6).place(x) for x in (2, 3, 6)] == [0, 0.25, 1]
    log = Scale(0.01, 100, log=True)
    assert [log.place(x) for x in (0.01, 1, 100)] == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5, 1e-9])
def test_a_single_value_is_in_the_middle(value: float) -> None:
    assert fit([value]).place(value) == pytest.approx(0.5)


def test_a_single_value_is_in_the_middle_of_a_logarithmic_axis() -> None:
    assert fit([5.0], log=True).place(5.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.38721, "1.387"), (2.0, "2"), (41_700, "41.7k"), (1_234_567, "1.235M"),
     (999_999, "1M"), (9_999, "9999"), (2e-6, "2e-06"), (-1.5, "-1.5"), (3e9, "3e+09")],
)  # fmt: skip
def test_labels_are_short(value: float, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.52, "1.520"), (0.5, "0.5000"), (2e-6, "2e-06"), (41_700, "41.7k")]
)
def test_an_end_has_all_its_digits(value: float, text: str) -> None:
    assert end_value(value) == text
    assert Curve("a", (1,), (value,)).end == f"a {text}"
    assert Curve("", (1,), (value,)).end == text


def test_a_logarithmic_chart_leaves_out_zeros_and_what_is_below_its_floor() -> None:
    curve = Curve("a", (0, 1, 2, 3), (1.0, 0.0, -1.0, 1e-9))
    assert chart(curve, log=True).visible(curve) == [(0, 1.0), (3, 1e-9)]
    assert chart(curve, log=True, floor=1e-6).visible(curve) == [(0, 1.0)]
    assert len(chart(curve).visible(curve)) == 4


def test_the_axes_contain_all_curves() -> None:
    x, y = chart(Curve("a", (1, 2), (5, 6)), Curve("b", (0, 9), (-1, 2))).scales()
    assert (x.low, x.high, y.low, y.high) == (0, 9, -1, 6)


def test_the_x_axis_begins_at_the_given_start() -> None:
    made = Chart("", "", "", (Curve("a", (10, 20), (1, 2)),), start=0.0)
    assert made.scales()[0] == Scale(0.0, 20)


@pytest.mark.parametrize("curves", [(), (Curve("a", (), ()),), (Curve("a", (1,), (0.0,)),)])
def test_nothing_to_show_is_said(curves: tuple[Curve, ...]) -> None:
    with pytest.raises(UsageError, match="nothing that a chart can show"):
        chart(*curves, log=True).scales()


def test_places_of_a_wide_axis_are_finite() -> None:
    assert math.isfinite(fit([1e-200, 1e12], log=True).place(1.0))
