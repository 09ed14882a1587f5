"""A chart as SVG: its curves, axes and names, whatever they are called."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from charrnn.cli.pages.svg import svg
from charrnn.cli.plotting.chart import Chart, Curve
from charrnn.errors import UsageError


def chart(*curves: Curve, **fields: object) -> Chart:
    return Chart("title <b>", "steps", "loss & more", curves, **fields)  # type: ignore[arg-type]


def parsed(drawn: Chart) -> ElementTree.Element:
    """The drawing, which is well-formed."""
    found = re.search(r"<svg.*</svg>", svg(drawn), re.DOTALL)
    assert found
    return ElementTree.fromstring(found[0])


def test_a_curve_goes_from_its_first_point_to_its_last() -> None:
    root = parsed(chart(Curve("train", (0, 5, 10), (2.0, 1.0, 0.5))))
    (path,) = [each for each in root.iter("path") if "curve" in each.get("class", "")]
    points = [tuple(map(float, point.split())) for point in path.get("d", "")[1:].split("L")]
    assert len(points) == 3
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[0][1] < points[1][1] < points[2][1]  # down the page is lower
    assert [each.text for each in root.iter("text") if "name" in each.get("class", "")] == [
        "train 0.5000"
    ]


def test_names_that_would_meet_stand_below_each_other() -> None:
    curves = [Curve(f"<{n}>", (0, 1), (1.0, 1.0 + n / 1e4), n) for n in range(5)]
    names = [
        each for each in parsed(chart(*curves)).iter("text") if "name" in each.get("class", "")
    ]
    places = sorted(float(each.get("y", "")) for each in names)
    assert all(b - a >= 15 for a, b in pairwise(places))


def test_a_long_curve_is_thinned_and_one_point_is_a_dot() -> None:
    many = tuple(map(float, range(5000)))
    root = parsed(chart(Curve("a", many, many), Curve("b", (7.0,), (9.0,))))
    (path,) = [each for each in root.iter("path") if "curve" in each.get("class", "")]
    assert path.get("d", "").count("L") <= 601
    assert len(list(root.iter("circle"))) == 1


def test_a_chart_with_nothing_to_show_says_so() -> None:
    with pytest.raises(UsageError):
        svg(chart(Curve("a", (0.0,), (0.0,)), log=True))
