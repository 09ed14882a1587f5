"""Files of values as people have them -> columns of cells."""

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.tasks.series.numbers import number
from charrnn.tasks.series.tables import MOST_COLUMNS, find_delimiter, read_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_is_found(delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (["day", "a"], ["1", "2"], ["3", "4"]))
    table = read_table(text)
    assert table.names == ("day", "a")
    assert table.columns == (("1", "3"), ("2", "4"))


def test_decimal_commas_between_semicolons_are_numbers() -> None:
    table = read_table("t;a\n1;1,5\n2;2,25\n3;1.003,5\n")
    assert table.decimal == ","
    np.testing.assert_array_equal(table.numbers(1), [1.5, 2.25, 1003.5])


def test_decimal_commas_in_quotes_are_numbers() -> None:
    table = read_table('t,a\n1,"1,5"\n2,"2,25"\n')
    np.testing.assert_array_equal(table.numbers(1), [1.5, 2.25])


def test_thousands_and_signs_are_read() -> None:
    cells = ["1,234,567.5", "$12", "45 %", "-3e2", ".5", "+7"]
    assert [number(cell) for cell in cells] == [1234567.5, 12, 45, -300, 0.5, 7]
    assert number("1 234,5", ",") == 1234.5


def test_a_file_without_a_header_has_numbered_columns() -> None:
    table = read_table("2020-01-01,5\n2020-01-02,6\n")
    assert table.names == ("column 1", "column 2")
    assert table.rows == 2


def test_a_header_of_years_is_one_where_rows_are_series() -> None:
    table = read_table("land,2001,2002,2003\nA,1,2,3\nB,4,5,6\n")
    assert table.has_header
    assert table.names[1:] == ("2001", "2002", "2003")


def test_titles_footers_and_blank_lines_are_left_out_with_a_note() -> None:
    text = "Load of 2020\n\nday,load,price\n2020-01-01,5,1\n\n2020-01-02,6,2\nSource: me\n"
    table = read_table(text)
    assert table.columns[1] == ("5", "6")
    assert table.lines == (4, 6)
    assert table.notes == ("1 line above the table left out", "1 line below it left out")


def test_a_spreadsheets_first_line_says_the_delimiter() -> None:
    assert find_delimiter("sep=;\na,b;c\n") == ";"
    assert read_table("sep=;\na;b\n1;2\n").names == ("a", "b")


def test_equal_names_are_made_distinct() -> None:
    assert read_table("a,a\n1,2\n").names == ("a", "a 2")


def test_a_cell_that_is_no_number_is_named() -> None:
    table = read_table("t,a\n1,5\n2,x\n3,\n")
    with pytest.raises(CorpusError, match="line 3, column a: 'x'"):
        table.numbers(1)


def test_missing_cells_are_nan_and_infinity_is_refused() -> None:
    table = read_table("t,a\n1,5\n2,NaN\n3,n/a\n4,-\n5,6\n")
    assert np.isnan(table.numbers(1)).tolist() == [False, True, True, True, False]
    with pytest.raises(CorpusError, match="inf"):
        read_table("t,a\n1,5\n2,inf\n").numbers(1)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(CorpusError, match="not a finite number"):
        read_table("t,a\n1,5\n2," + "9" * 5000 + "\n").numbers(1)


def test_a_row_that_is_too_long_is_named() -> None:
    with pytest.raises(CorpusError, match="line 3 of the file has 3 cells"):
        read_table("t,a\n1,5\n2,6,7\n3,8\n")


@pytest.mark.parametrize(
    "text", ["", "\n\n", "a\0b,1\n", "1" * 200_000 + "\n", ",".join("1" * (MOST_COLUMNS + 1))]
)
def test_hostile_files_are_errors_of_one_line(text: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read_table(text).numbers(0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_header_of_many_equal_names_takes_no_time() -> None:
    table = read_table(",".join(["v"] * 50_000) + "\n" + ("1," * 49_999 + "1\n") * 2)
    assert len(set(table.names)) == 50_000
