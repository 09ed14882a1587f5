"""Charts as files: of their format, the same each time, with what they have to say in them."""

import html
import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest

from charrnn.cli.plotting.chart import Chart, Curve
from charrnn.cli.plotting.picture import COLORS, confusion_matrix, picture
from charrnn.errors import UsageError

SOLID = Curve("validation", (1, 2, 3), (3.0, 2.0, 1.5), 0)
FAINT = Curve("training", (1, 2, 3), (2.5, 1.8, 1.25), 0, faint=True)


def chart(*curves: Curve, log: bool = False, title: str = "a run") -> Chart:
    """A chart of these curves."""
    return Chart(title, "steps", "loss, nats/char", curves or (SOLID, FAINT), log)


def words(svg: bytes) -> list[str]:
    """The texts of an SVG; matplotlib draws letters as paths and keeps the text in a comment."""
    ElementTree.fromstring(svg)
    return [
        html.unescape(word).strip() for word in re.findall(r"<!--(.*?)-->", svg.decode(), re.DOTALL)
    ]


def test_an_svg_says_all_there_is_to_say() -> None:
    found = words(picture(chart(), "svg"))
    assert {"a run", "steps", "loss, nats/char", "1.500", "1.250"} <= set(found)
    assert {word.lstrip("\u200b") for word in found} >= {"validation", "training"}


def test_a_png_is_complete_and_of_the_documented_size() -> None:
    data = picture(chart(), "png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (1440, 840)
    begin = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[begin - 4 : begin])
    assert zlib.crc32(data[begin : begin + 4 + length]) == struct.unpack(
        ">I", data[begin + 4 + length : begin + 8 + length]
    )[0]  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_chart_is_the_same_file(kind: str) -> None:
    assert picture(chart(), kind) == picture(chart(), kind)


def test_curves_have_the_colours_in_their_order() -> None:
    curves = [Curve(f"c{i}", (1, 2), (i, i + 1), i) for i in range(3)]
    svg = picture(chart(*curves), "svg").decode()
    assert all(color in svg for color in COLORS[:3])
    assert COLORS[3] not in svg


@pytest.mark.parametrize("name", ["a$b^2$", "_hidden", "$\\frac{", "<&>", "日本", "é"])
def test_names_are_shown_as_they_are(name: str) -> None:
    curves = (Curve(name, (1, 2), (1, 2), 0), Curve("other", (1, 2), (2, 1), 1))
    svg = picture(chart(*curves, title=name), "svg")
    found = [word.lstrip("\u200b") for word in words(svg)]
    assert found.count(name) == 2


def test_a_single_curve_needs_no_legend() -> None:
    assert not any("validation" in word for word in words(picture(chart(SOLID), "svg")))


def test_a_curve_of_one_point_is_seen() -> None:
    dot, nothing = Curve("", (2,), (2.0,), 2), Curve("", (), (), 2)
    uses = [
        len(
            re.findall(
                rf'<use [^>]*style="fill: {COLORS[2]}', picture(chart(SOLID, c), "svg").decode()
            )
        )
        for c in (dot, nothing)
    ]
    assert uses == [1, 0]


def test_a_logarithmic_axis_has_powers_of_ten_or_round_values() -> None:
    steep = Curve("", (0, 1), (1.0, 1e-6))
    assert any("10^{-4}" in word for word in words(picture(chart(steep, log=True), "svg")))
    flat = Curve("", (0, 1), (1.0, 3.0))
    assert {"1.5", "2", "2.5"} <= set(words(picture(chart(flat, log=True), "svg")))


def test_a_curve_that_leaves_the_chart_has_no_end_value() -> None:
    leaving = Curve("", (0, 1, 2), (1.0, 0.5, 0.0))
    assert "0.5000" not in words(picture(chart(leaving, log=True), "svg"))
    assert "0.5000" in words(picture(chart(Curve("", (0, 1), (1, 0.5)), log=True), "svg"))


def test_nothing_to_show_is_said() -> None:
    with pytest.raises(UsageError, match="nothing that a chart can show"):
        picture(chart(Curve("", (), ())), "png")


def test_a_confusion_matrix_has_the_name_of_each_label_and_the_number_of_each_cell() -> None:
    counts = np.array([[1234, 0, 5], [0, 0, 0], [7, 0, 89]])
    svg = confusion_matrix(["good", "$5_x$", "so_so"], counts, "svg")
    found = words(svg)
    assert {"predicted", "true", "1,234", "5", "7", "89"} <= set(found)
    assert all(found.count(name) == 2 for name in ("good", "$5_x$", "so_so"))
    assert "0" not in found
    assert svg == confusion_matrix(["good", "$5_x$", "so_so"], counts, "svg")


def test_a_confusion_matrix_of_many_labels_has_no_numbers_and_of_very_many_no_names() -> None:
    many = [f"l{n}" for n in range(100)]
    found = words(confusion_matrix(many[:40], np.eye(40, dtype=int) * 77, "svg"))
    assert "77" not in found
    assert "l39" in found
    assert not set(many) & set(words(confusion_matrix(many, np.eye(100, dtype=int), "svg")))
    assert confusion_matrix(many, np.eye(100, dtype=int), "png").startswith(b"\x89PNG")
