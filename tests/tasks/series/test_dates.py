"""Cells with dates, in the forms that people write."""

import numpy as np
import pytest

from charrnn.tasks.series.dates import parse_dates, parse_seconds, parse_years


def found(*cells: str) -> list[str]:
    parsed = parse_dates(cells)
    assert parsed is not None
    return [str(each) for each in parsed.values]


@pytest.mark.parametrize(
    ("cells", "last"),
    [
        (("2020-01-30", "2020-01-31"), "2020-01-31T00:00:00"),
        (("2020-01", "2020-02"), "2020-02-01T00:00:00"),
        (("2020-01-01 00:30", "2020-01-01 01:00"), "2020-01-01T01:00:00"),
        (("2020-01-01T00:30:05Z", "2020-01-01T01:00:00Z"), "2020-01-01T01:00:00"),
        (("30.01.2020", "31.01.2020"), "2020-01-31T00:00:00"),
        (("01/30/2020", "01/31/2020"), "2020-01-31T00:00:00"),
        (("30/1/20 1:05 PM", "31/1/20 11:05 pm"), "2020-01-31T23:05:00"),
        (("2020/1/30", "2020/1/31"), "2020-01-31T00:00:00"),
        (("Jan 2020", "Feb 2020"), "2020-02-01T00:00:00"),
        (("31-Jan-2020", "29-Feb-2020"), "2020-02-29T00:00:00"),
        (("2020 Q1", "2020 Q4"), "2020-10-01T00:00:00"),
        (("Q1-2020", "Q2-2020"), "2020-04-01T00:00:00"),
        (("2020M01", "2020M12"), "2020-12-01T00:00:00"),
        (("2020-W01", "2020-W02"), "2020-01-06T00:00:00"),
        (("20200130", "20200131"), "2020-01-31T00:00:00"),
    ],
)
def test_dates_are_read(cells: tuple[str, ...], last: str) -> None:
    assert found(*cells)[-1] == last


def test_of_two_orders_the_regular_one_is_taken() -> None:
    # Each cell alone could be read either way.
    days = found("01/02/2020", "02/02/2020", "03/02/2020", "04/02/2020")
    assert days[-1] == "2020-02-04T00:00:00"
    months = found("01/01/2020", "02/01/2020", "03/01/2020", "04/01/2020", "05/01/2020")
    assert months[-1] in ("2020-01-05T00:00:00", "2020-05-01T00:00:00")
    mixed = found("12/30/2020", "12/31/2020", "01/01/2021", "01/02/2021")
    assert mixed[-1] == "2021-01-02T00:00:00"


def test_zones_that_differ_become_utc() -> None:
    cells = ("2020-10-25T02:30:00+02:00", "2020-10-25T02:30:00+01:00")
    assert found(*cells) == ["2020-10-25T00:30:00", "2020-10-25T01:30:00"]


@pytest.mark.parametrize(
    "cells", [("x",), ("2020-13-01",), ("31.02.2020",), ("1000000000-01-01",), ("12",), ("now",)]
)
def test_what_is_no_date_is_none(cells: tuple[str, ...]) -> None:
    assert parse_dates(cells) is None


def test_years_are_whole_numbers_one_after_the_other() -> None:
    years = parse_years(np.array([1999.0, 2000, 2001]))
    assert years is not None
    assert str(years.values[0]) == "1999-01-01T00:00:00"
    assert parse_years(np.array([1999.0, 2003, 2001])) is None
    assert parse_years(np.array([10.0, 11, 12])) is None


def test_seconds_and_milliseconds_since_1970_are_dates() -> None:
    for unit in (1, 1000):
        seconds = parse_seconds(np.array([1577836800, 1577840400]) * float(unit))
        assert seconds is not None
        assert str(seconds.values[1]) == "2020-01-01T01:00:00"
    assert parse_seconds(np.array([1.0, 2.0])) is None
