"""Files of values as people have them: what is read from each."""

import datetime
from pathlib import Path

import numpy as np
import pytest

from charrnn.data.sources import find
from charrnn.errors import CorpusError
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.dataset import read_files
from charrnn.tasks.series.numbers import number
from charrnn.tasks.series.reading import SeriesData, read_series
from charrnn.tasks.series.tables import read_table

FIRST = datetime.datetime(2023, 1, 2)


def table(head: str, form: str, rows: int = 30, tail: str = "", hours: float = 24) -> str:
    """Lines of `form`, with {d} the date, {i} the number and {v} the value of each row."""
    body = []
    for i in range(rows):
        d = FIRST + datetime.timedelta(hours=hours * i)
        year, month = 1990 + i // 12, i % 12 + 1
        body.append(form.format(d=d, i=i, v=1000.5 + i, year=year, month=month, q=i % 4 + 1))
    return "\n".join(filter(None, [head, *body, tail])) + "\n"


def read(text: str) -> SeriesData:
    """A text -> its series."""
    return read_series(read_table(text))


NUMBERS = {
    "EUR 1,234.50": 1234.5, "1,234.50 kr": 1234.5, "(1,200)": -1200, "\u22125": -5, "$-5": -5,
    "-$5": -5, "12-": -12, "3.52K": 3520, "1.5M": 1.5e6, "7.5 kg": 7.5, "12*": 12, "12 (e)": 12,
    "1\u202f234.5": 1234.5, "1\u2019234.5": 1234.5, "45%": 45, "US$ 3": 3, "12 e": 12,
}  # fmt: skip

NO_NUMBERS = ("12 Mar", "H12", "Store 1", "MON 12", "3 pm", "2023-01-02", "1.2.3", "--5", "e5", "+")


@pytest.mark.parametrize("cell", NUMBERS)
def test_units_signs_and_marks_are_no_part_of_a_number(cell: str) -> None:
    assert number(cell) == NUMBERS[cell]


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_what_only_has_digits_in_it_is_no_number(cell: str) -> None:
    assert np.isnan(number(cell))


@pytest.mark.parametrize(
    ("form", "value"),
    [("{d:%d.%m.%Y};1.000,50 \u20ac", 1000.5), ("{d:%Y-%m-%d};1.234.567", 1234567),
     ("{d:%Y-%m-%d};1\u202f000,50", 1000.5)],
)  # fmt: skip
def test_decimal_commas_are_found_in_money_and_thousands(form: str, value: float) -> None:
    (series,) = read(table("Datum;Umsatz", form)).series
    assert series.values[0] == value


STEPS = {
    "{year} {month}": ("Year,Month,v", "{year},{month},{v}", "month", 24),
    "year month day": ("year,month,day,v", "{d.year},{d.month},{d.day},{v}", "day", 24),
    "spreadsheet": ("Date,v", "449{i:02},{v}", "day", 24),
    "German": ("Tag;v", "Mo, {d:%d}. Januar 2023;{v}", "day", 24),
    "weekday": ("d,v", "{d:%A %d/%m/%Y},{v}", "day", 24),
    "UTC": ("t,v", "{d:%Y-%m-%d %H:%M:%S} UTC,{v}", "hour", 1),
    "5 minutes": ("t,v", "{d:%Y-%m-%d %H:%M},{v}", "5 minutes", 1 / 12),
    "spaces": ("", "{d:%Y-%m-%d}    {v:.2f}   {i}", "day", 24),
    "access log": ("t,v", "{d:%d/%b/%Y:%H:%M:%S},{v}", "hour", 1),
}


@pytest.mark.parametrize("form", STEPS)
def test_dates_are_read_in_many_forms(form: str) -> None:
    head, row, step, hours = STEPS[form]
    found = read(table(head, row, hours=hours))
    assert found.frequency.name == step
    assert found.series[0].values[0] == 1000.5


def test_totals_below_the_dates_are_left_out_with_a_note() -> None:
    found = read(table("Date,Sales", "{d:%Y-%m-%d},{v}", tail="Total,30450\nSource: a shop,"))
    assert found.frequency.name == "day"
    assert len(found.series[0].values) == 30
    assert any("without a date below it left out: 'Total'" in note for note in found.notes)


def test_one_cell_that_is_no_date_is_named_and_does_not_cost_all_dates() -> None:
    text = table("Date,Sales", "{d:%Y-%m-%d},{v}").replace("2023-01-09", "9th?")
    with pytest.raises(CorpusError, match=r"line 9: '9th\?' is no date, as the others"):
        read(text)


def test_a_second_line_of_units_is_left_out_and_one_of_names_is_joined() -> None:
    found = read(table("Date,Sales\n(day),(EUR)", "{d:%Y-%m-%d},{v}"))
    assert found.targets == ("Sales",)
    assert "1 line below the header left out" in found.notes
    two = "Date,North,,South,\n,Sold,Back,Sold,Back"
    found = read(table(two, "{d:%Y-%m-%d},{v},1,{v},2"))
    assert found.targets == ("North Sold", "North Back", "South Sold", "South Back")


def test_years_by_months_are_one_series() -> None:
    months = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"
    rows = [f"{1990 + y}," + ",".join(str(12 * y + m) for m in range(12)) for y in range(3)]
    found = read("Year," + months + ",Mean\n" + "\n".join(f"{row},5" for row in rows))
    assert found.frequency.name == "month"
    assert found.series[0].values.tolist() == list(range(36))
    assert "left out besides the months: Mean" in found.notes


def test_a_clock_that_is_late_by_seconds_has_a_regular_step() -> None:
    rows = [
        f"{FIRST + datetime.timedelta(minutes=5 * i, seconds=i * 7 % 4)},{i}" for i in range(60)
    ]
    found = read("t,v\n" + "\n".join(rows))
    assert found.frequency.name == "5 minutes"
    assert found.series[0].values.tolist() == list(range(60))
    assert "45 dates are moved to the nearest 5 minutes" in found.notes


def test_the_first_working_day_of_each_month_is_a_step_of_months() -> None:
    days = [datetime.date(2010 + i // 12, i % 12 + 1, 1 + i % 3) for i in range(40)]
    found = read("d,v\n" + "\n".join(f"{day},{i}" for i, day in enumerate(days)))
    assert found.frequency.name == "month"
    assert found.frequency.labels(np.array([0])) == ["2010-01"]


def test_series_below_each_other_are_found_by_two_columns_of_numbers() -> None:
    rows = [
        f"2023-01-{d:02},{shop},{item},{d * shop * item}"
        for d in range(1, 21) for shop in (1, 2) for item in (1, 2, 3)
    ]  # fmt: skip
    found = read("date,shop,item,sales\n" + "\n".join(rows))
    assert [each.name for each in found.series[:2]] == ["1/1", "1/2"]
    assert len(found.series) == 6


def test_numbers_of_rows_that_begin_anew_in_each_series_are_no_series() -> None:
    rows = [f"H{s},{i + 1},{i * s}" for s in (1, 2, 3) for i in range(20)]
    found = read("unique_id,ds,y\n" + "\n".join(rows))
    assert [each.name for each in found.series] == ["H1", "H2", "H3"]


def test_unicode_text_of_a_spreadsheet_is_read_by_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(table("Date\tv", "{d:%Y-%m-%d}\t{v}").encode("utf-16"))
    data = read_files(find((str(path),), tmp_path), SeriesDataConfig((str(path),)))
    assert data.series[0].values[0] == 1000.5
