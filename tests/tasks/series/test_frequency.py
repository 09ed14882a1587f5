"""The step between dates, and dates from steps."""

import json

import numpy as np
import pytest

from charrnn.errors import CheckpointError, CorpusError
from charrnn.tasks.series.frequency import Frequency, find_frequency, frequency_from_json, phase


def dates(*texts: str) -> list[np.ndarray]:
    return [np.array(texts, "datetime64[s]")]


STEPS = {
    "hour": (np.arange(60) * 3600, 24),
    "30 minutes": (np.arange(60) * 1800, 48),
    "15 minutes": (np.arange(60) * 900, 96),
    "5 minutes": (np.arange(60) * 300, 288),
    "day": (np.arange(60) * 86400, 7),
    "week": (np.arange(60) * 7 * 86400, 52),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_seconds_are_named_and_have_a_season(name: str) -> None:
    offsets, season = STEPS[name]
    column = np.datetime64("2020-03-01T00:00:00") + offsets
    found = find_frequency([column])
    assert (found.name, found.season) == (name, season)
    index, fits = found.index(column)
    assert fits.all()
    np.testing.assert_array_equal(found.dates(index), column)


@pytest.mark.parametrize(
    ("step", "name", "season"), [(1, "month", 12), (3, "quarter", 4), (12, "year", 1)]
)
@pytest.mark.parametrize("day", ["01", "15"])
def test_steps_of_months(step: int, name: str, season: int, day: str) -> None:
    months = np.datetime64("2001-01") + step * np.arange(20)
    column = np.array([f"{month}-{day}" for month in months], "datetime64[s]")
    found = find_frequency([column])
    assert (found.kind, found.name, found.season) == ("month", name, season)
    np.testing.assert_array_equal(found.dates(np.arange(20)), column)


def test_ends_of_months_stay_ends_of_months() -> None:
    column = dates("2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30")[0]
    found = find_frequency([column])
    assert found.name == "month"
    assert found.labels(np.array([4, 13])) == ["2020-05-31", "2021-02-28"]


def test_business_days_have_a_season_of_five() -> None:
    days = np.datetime64("2020-01-06") + np.arange(40)
    column = days[np.is_busday(days)].astype("datetime64[s]")
    found = find_frequency([column])
    assert (found.name, found.season) == ("business day", 5)
    assert found.labels(np.array([4, 5])) == ["2020-01-10", "2020-01-13"]


def test_a_gap_is_no_reason_for_another_step() -> None:
    column = dates("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-07", "2020-01-08")[0]
    found = find_frequency([column])
    assert found.name == "day"
    np.testing.assert_array_equal(found.index(column)[0], [0, 1, 2, 6, 7])


def test_dates_without_a_regular_step_are_refused() -> None:
    with pytest.raises(CorpusError, match=r"no regular step.*after 2020-01-02"):
        find_frequency(
            dates("2020-01-01", "2020-01-02", "2020-01-02T07:13", "2020-01-03", "2020-01-04")
        )


def test_labels_are_written_as_precisely_as_needed() -> None:
    assert Frequency("second", 1800, 0).labels(np.array([1])) == ["1970-01-01 00:30"]
    assert Frequency("month", 1, 0, has_day=False).labels(np.array([1])) == ["1970-02"]
    assert Frequency("month", 12, 0, has_day=False).labels(np.array([1])) == ["1971"]
    assert Frequency().labels(np.array([0])) == ["1"]


def test_calendar_inputs_repeat_with_their_cycle() -> None:
    hours = Frequency("second", 3600, 0)
    made = hours.calendar(np.array([0, 24, 7 * 24]), ("day", "week"))
    assert made.shape == (3, 8)
    np.testing.assert_allclose(made[0, :4], made[1, :4], atol=1e-6)
    np.testing.assert_allclose(made[0], made[2], atol=1e-6)
    monday = np.array(["2020-01-06"], "datetime64[s]")
    assert phase(monday, "week")[0] == 0.0


def test_a_short_series_is_not_shown_the_year() -> None:
    assert Frequency("second", 86400).cycles(100) == ("week",)
    assert Frequency("second", 86400).cycles(1000) == ("week", "year")


def test_a_frequency_survives_json_and_damage_is_refused() -> None:
    frequency = Frequency("month", 3, 86400, False)
    data = json.loads(json.dumps(frequency.to_json()))
    assert frequency_from_json(data) == frequency
    damaged: list[dict[str, object]] = [
        {},
        data | {"kind": "eon"},
        data | {"count": 0},
        data | {"origin": 10**30},
    ]
    for wrong in damaged:
        with pytest.raises(CheckpointError):
            frequency_from_json(wrong)
