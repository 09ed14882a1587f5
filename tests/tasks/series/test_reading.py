"""A table -> series on a regular step, whatever its layout."""

import numpy as np
import pytest

from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.series.columns import Columns, as_sequence, looks_like_numbers
from charrnn.tasks.series.reading import SeriesData, read_series
from charrnn.tasks.series.tables import read_table


def read(text: str, **columns: object) -> SeriesData:
    return read_series(read_table(text), Columns(**columns))  # type: ignore[arg-type]


DAYS = [f"2020-01-{i + 1:02d}" for i in range(12)]


def test_the_date_may_come_last() -> None:
    data = read("load,day\n" + "".join(f"{i},{day}\n" for i, day in enumerate(DAYS)))
    assert data.frequency.name == "day"
    np.testing.assert_array_equal(data.series[0].values, np.arange(12))


def test_the_newest_value_may_come_first() -> None:
    data = read("day,load\n" + "".join(f"{day},{i}\n" for i, day in enumerate(DAYS))[::1])
    rows = [f"{day},{i}" for i, day in enumerate(DAYS)]
    turned = read("day,load\n" + "\n".join(rows[::-1]) + "\n")
    np.testing.assert_array_equal(turned.series[0].values, data.series[0].values)
    assert "the newest value came first: the order is turned" in turned.notes


def test_series_may_stand_side_by_side() -> None:
    data = read("day,a,b\n" + "".join(f"{day},{i},{2 * i}\n" for i, day in enumerate(DAYS)))
    assert [each.name for each in data.series] == ["a", "b"]
    np.testing.assert_array_equal(data.series[1].values, 2.0 * np.arange(12))


@pytest.mark.parametrize("names", [("north", "south"), ("1", "2")])
def test_series_may_stand_below_each_other(names: tuple[str, str]) -> None:
    rows = [f"{n},{day},{i + 10 * k}" for k, n in enumerate(names) for i, day in enumerate(DAYS)]
    data = read("shop,day,load\n" + "\n".join(rows) + "\n")
    assert [each.name for each in data.series] == list(names)
    np.testing.assert_array_equal(data.series[1].values, 10.0 + np.arange(12))


def test_each_row_may_be_a_series_and_end_early() -> None:
    data = read('"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","4","5",""\n')
    assert [each.values.tolist() for each in data.series] == [[1, 2, 3], [4, 5]]


def test_rows_may_have_years_for_a_header() -> None:
    data = read("land,2001,2002,2003\nA,1,2,3\nB,4,5,6\n")
    assert data.frequency.name == "year"
    assert data.frequency.labels(np.array([0])) == ["2001"]


def test_date_and_time_in_two_columns_are_joined() -> None:
    rows = [f"01/01/2020;{h:02d}:00;{h},5" for h in range(24)]
    data = read("Date;Time;Load\n" + "\n".join(rows) + "\n")
    assert data.frequency.name == "hour"
    assert data.series[0].values[1] == 1.5


def test_a_column_that_numbers_the_rows_is_left_out() -> None:
    data = read(",load\n" + "".join(f"{i},{i * i}\n" for i in range(12)))
    assert [each.name for each in data.series] == ["load"]
    assert any("numbers the rows" in note for note in data.notes)


def test_target_date_and_covariate_are_named_or_numbered() -> None:
    text = "day,a,b,c\n" + "".join(f"{day},{i},{2 * i},7\n" for i, day in enumerate(DAYS))
    data = read(text, target=("B",), date="1", covariates=("c",))
    assert [each.name for each in data.series] == ["b"]
    assert data.series[0].covariates.tolist() == [[7.0]] * 12
    with pytest.raises(UsageError, match="no column 'x'; the columns are day, a, b, c"):
        read(text, target=("x",))


def test_gaps_are_filled_with_missing_values_and_said() -> None:
    rows = [f"{day},{i}" for i, day in enumerate(DAYS) if i not in (4, 5)]
    data = read("day,load\n" + "\n".join(rows) + "\n")
    assert np.isnan(data.series[0].values).tolist() == [i in (4, 5) for i in range(12)]
    assert any("2 of 12 values are missing" in note for note in data.notes)


def test_a_few_repeated_dates_get_their_mean_and_many_are_refused() -> None:
    rows = [f"{day},{i}" for i, day in enumerate(DAYS)]
    data = read("day,load\n" + "\n".join([*rows, f"{DAYS[3]},5"]) + "\n")
    assert data.series[0].values[3] == 4.0
    assert any("1 repeated date" in note for note in data.notes)
    with pytest.raises(CorpusError, match="repeats the date of another line"):
        read("day,load\n" + "\n".join([*rows, *[f"{day},99" for day in DAYS]]) + "\n")


def test_covariates_go_on_after_the_last_value() -> None:
    rows = [f"{day},{i if i < 8 else ''},{i}" for i, day in enumerate(DAYS)]
    data = read("day,load,price\n" + "\n".join(rows) + "\n", covariates=("price",))
    assert len(data.series[0].values) == 8
    np.testing.assert_array_equal(data.series[0].covariates[:, 0], np.arange(12))


@pytest.mark.parametrize(
    "text",
    ["day,load\n", "day,load\n2020-01-01,\n2020-01-02,\n", "a,b\nx,y\nz,w\n",
     "day,load\n1000000000-01-01,1\n1000000000-01-02,2\n"],
)  # fmt: skip
def test_a_table_without_a_series_is_an_error_or_says_what_it_left_out(text: str) -> None:
    try:
        data = read(text)
    except CorpusError:
        return
    assert data.frequency.kind == "step"
    assert any("left out" in note for note in data.notes)


def test_a_table_of_numbers_is_told_from_prose() -> None:
    assert looks_like_numbers("day,load\n" + "".join(f"{day},{i}\n" for i, day in enumerate(DAYS)))
    assert looks_like_numbers("".join(f"{i}\n" for i in range(20)))
    assert not looks_like_numbers("The miller, the fox, and I.\nWe met, alas, too late.\n" * 9)
    assert not looks_like_numbers("")


def test_given_values_are_numbers_and_none_where_one_is_missing() -> None:
    assert np.isnan(as_sequence([1, None, 3])).tolist() == [False, True, False]  # type: ignore[list-item]
    for wrong in ([], ["x"], [float("inf")], [None]):
        with pytest.raises(UsageError):
            as_sequence(wrong)  # type: ignore[arg-type]
