"""Dates -> the step between them, found and named; steps -> dates and calendar inputs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CheckpointError, CorpusError
from charrnn.tasks.series.dates import Dates

DAY = 86_400

Index = NDArray[np.int64]

NAMES = {1: "second", 60: "minute", 3600: "hour", DAY: "day", 7 * DAY: "week"}

MONTHS = {1: "month", 3: "quarter", 12: "year"}

KINDS = ("step", "second", "month", "business")

LATE = 0.25
"""The part of a step by which a date may miss it."""

USUAL_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800,
               14_400, 21_600, 28_800, 43_200, DAY, 7 * DAY, 14 * DAY)  # fmt: skip
"""Seconds between values that are measured by a clock which is late now and then."""

MOST_STEPS = 50_000_000
"""Steps between the first and the last date of a file; more are dates of different kinds."""


@dataclass(frozen=True)
class Frequency:
    """A regular step in time: `count` seconds, months or business days, from `origin` on.

    kind: one of KINDS; "step" has no dates. origin: seconds since 1970 of index 0. has_day: whether
    dates are written with their day.

    >>> Frequency("second", 1800).name, Frequency("month", 3).season
    ('30 minutes', 4)
    """

    kind: str = "step"
    count: int = 1
    origin: int = 0
    has_day: bool = True

    @property
    def name(self) -> str:
        """The step in words."""
        if self.kind == "step":
            return "step"
        if self.kind == "business":
            return "business day"
        if self.kind == "month":
            return MONTHS.get(self.count, f"{self.count} months")
        if self.count in NAMES:
            return NAMES[self.count]
        for size in (DAY, 3600, 60):
            if self.count % size == 0:
                return f"{self.count // size} {NAMES[size]}s"
        return f"{self.count} seconds"

    @property
    def season(self) -> int:
        """Steps of the season that such series mostly have; 1 for none, 0 if nothing is known."""
        if self.kind == "step":
            return 0
        if self.kind == "business":
            return 5
        if self.kind == "month":
            return 12 // self.count if 12 % self.count == 0 else 1
        if self.count < DAY:
            return DAY // self.count if DAY % self.count == 0 else 0
        if self.count % DAY == 0 and 7 % (self.count // DAY) == 0 and self.count < 7 * DAY:
            return 7 // (self.count // DAY)
        return 52 if self.count == 7 * DAY else 1

    def dates(self, index: Index) -> Dates:
        """Indices -> their dates, datetime64[s]. Not for the kind "step"."""
        origin = np.datetime64(self.origin, "s")
        if self.kind == "month":
            month = origin.astype("datetime64[M]")
            within = origin - month.astype("datetime64[s]")
            first = (month + index * self.count).astype("datetime64[s]")
            last = (month + index * self.count + 1).astype("datetime64[s]")
            # The 31st of a month becomes the last day of shorter ones.
            day = np.timedelta64(DAY, "s")
            rest = within % day
            most = ((last - day) - first).astype(np.int64)
            found: Dates = first + np.minimum((within - rest).astype(np.int64), most) + rest
            return found
        if self.kind == "business":
            days = np.busday_offset(origin.astype("datetime64[D]"), index, roll="forward")
            return days.astype("datetime64[s]")
        return origin + index * self.count

    def index(self, dates: Dates) -> tuple[Index, NDArray[np.bool_]]:
        """Dates -> their indices, and whether each is on a step."""
        origin = np.datetime64(self.origin, "s")
        if self.kind == "month":
            months = (dates.astype("datetime64[M]") - origin.astype("datetime64[M]")).astype(
                np.int64
            )
            return months // self.count, months % self.count == 0
        if self.kind == "business":
            days = dates.astype("datetime64[D]")
            found = np.busday_count(origin.astype("datetime64[D]"), days).astype(np.int64)
            return found, np.is_busday(days)
        seconds = (dates - origin).astype(np.int64)
        found = (seconds + self.count // 2) // self.count
        # Clocks are late by seconds, and weeks with a holiday by a day.
        return found, np.abs(seconds - found * self.count) <= LATE * self.count

    def labels(self, index: Index) -> list[str]:
        """Indices -> dates as they are written out; the numbers from 1 on where there are none."""
        if self.kind == "step":
            return [str(i + 1) for i in index.tolist()]
        dates = self.dates(index)
        if self.kind == "month" and not self.has_day:
            unit = "Y" if self.count % 12 == 0 else "M"
        elif self.kind != "second" or (self.count % DAY == 0 and self.origin % DAY == 0):
            unit = "D"
        else:
            unit = "s" if self.count % 60 or self.origin % 60 else "m"
        texts = dates.astype(f"datetime64[{unit}]").astype(str).tolist()
        return [str(each).replace("T", " ") for each in texts]

    def cycles(self, length: int) -> tuple[str, ...]:
        """The calendar cycles that a network of this step is shown; length: steps of the data."""
        if self.kind == "step":
            return ()
        if self.kind == "month":
            return ("year",) if self.count < 12 and 12 % self.count == 0 else ()
        found = []
        if self.kind == "second" and self.count < DAY:
            found.append("day")
        if self.kind == "business" or self.count <= DAY:
            found.append("week")
        # With less than two years the network would take the season for a part of the trend.
        seconds = DAY * 1.4 if self.kind == "business" else self.count
        if length * seconds >= 2 * 365 * DAY:
            found.append("year")
        return tuple(found)

    def calendar(self, index: Index, cycles: tuple[str, ...]) -> NDArray[np.float32]:
        """Indices (...) -> sine and cosine of two harmonics of each cycle, (..., 4 * cycles)."""
        parts = []
        dates = self.dates(index) if cycles else None
        for cycle in cycles:
            assert dates is not None
            for harmonic in (1, 2):
                angle = 2 * np.pi * harmonic * phase(dates, cycle)
                parts += [np.sin(angle), np.cos(angle)]
        if not parts:
            return np.zeros((*index.shape, 0), np.float32)
        return np.stack(parts, -1).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "kind": self.kind, "count": self.count, "origin": self.origin, "has_day": self.has_day,
        }  # fmt: skip


def phase(dates: Dates, cycle: str) -> NDArray[np.float64]:
    """Dates -> how much of a day, week or year is over, 0 to 1."""
    seconds = dates.astype("datetime64[s]").astype(np.int64)
    if cycle == "day":
        return (seconds % DAY) / DAY
    if cycle == "week":
        # 1970 began on a Thursday.
        return ((seconds + 3 * DAY) % (7 * DAY)) / (7 * DAY)
    years = dates.astype("datetime64[Y]")
    begin = years.astype("datetime64[s]").astype(np.int64)
    end = (years + 1).astype("datetime64[s]").astype(np.int64)
    return (seconds - begin) / (end - begin)


def frequency_from_json(data: Mapping[str, Any]) -> Frequency:
    """The inverse of `Frequency.to_json`. CheckpointError if it is damaged."""
    bounds = {"count": (1, 10**9), "origin": (-(10**11), 10**12)}
    fits = (
        isinstance(data, dict)
        and set(data) == {"kind", "count", "origin", "has_day"}
        and data["kind"] in KINDS
        and type(data["has_day"]) is bool
        and all(
            type(data[k]) is int and low <= data[k] <= high for k, (low, high) in bounds.items()
        )
    )
    if not fits:
        raise CheckpointError("its frequency is damaged", "use another checkpoint")
    return Frequency(**data)


def find_frequency(columns: list[Dates], has_day: bool = True) -> Frequency:
    """The sorted, distinct dates of each series -> their step. CorpusError if they have none."""
    joined = np.unique(np.concatenate(columns))
    if len(joined) < 2:
        raise CorpusError("there are fewer than two dates", "give more rows")
    steps = [np.diff(each.astype(np.int64)) for each in columns if len(each) > 1]
    if not steps:
        raise CorpusError("no series has two dates", "give more rows")
    origin = int(joined[0].astype(np.int64))
    found = _months(joined, columns) or _business(joined, np.concatenate(steps))
    kind, count = found or ("second", _common(np.concatenate(steps)))
    if found is None:
        origin = _phase(joined.astype(np.int64), count)
    if kind == "month" and not _same_days(joined):
        has_day = False
    frequency = Frequency(kind, count, origin, has_day)
    _, fits = frequency.index(joined)
    if not fits.all():
        wrong = max(1, int(np.flatnonzero(~fits)[0]))
        before, after = (str(joined[i]).replace("T", " ") for i in (wrong - 1, wrong))
        raise CorpusError(
            f"the dates have no regular step: most are a {frequency.name} apart, "
            f"and after {before} comes {after}",
            "give one value for each step: sum or average the rows first",
        )
    if (last := int(frequency.index(joined[-1:])[0][0])) > MOST_STEPS:
        raise CorpusError(
            f"from {joined[0]} to {joined[-1]} there are {last:,} steps of a {frequency.name}",
            "check the dates",
        )
    return frequency


def _common(steps: Index) -> int:
    """The step that most neighbours have, in seconds; of a clock that is late, what it means."""
    values, counts = np.unique(steps, return_counts=True)
    if counts.max() > 0.9 * len(steps):
        return int(values[counts.argmax()])
    middle = float(np.median(steps))
    nearest = min(USUAL_STEPS, key=lambda usual: abs(math.log(middle / usual)))
    return nearest if abs(middle - nearest) <= 0.02 * nearest else int(values[counts.argmax()])


def _phase(seconds: Index, count: int) -> int:
    """Rising seconds and their step -> where index 0 is: near the first one, on the step."""
    phases, counts = np.unique(seconds % count, return_counts=True)
    if counts.max() > len(seconds) / 2:
        phase = int(phases[counts.argmax()])
    else:
        # A mean of angles: just before a step and just after it are near to each other.
        angles = 2 * np.pi * (seconds % count) / count
        mean = math.atan2(float(np.sin(angles).mean()), float(np.cos(angles).mean()))
        unit = max(1, count // 24 if count <= DAY else DAY)
        phase = round(mean / (2 * np.pi) * count / unit) * unit
    return int(seconds[0]) - (int(seconds[0]) - phase + count // 2) % count + count // 2


def _same_days(joined: Dates) -> bool:
    """Whether dates are the same day of their month, or the last one where it is too short."""
    months = joined.astype("datetime64[M]")
    days = (joined - months.astype("datetime64[s]")).astype(np.int64)
    ends = ((months + 1).astype("datetime64[s]") - joined).astype(np.int64) <= DAY
    return bool((days == days[0]).all() or ends.all() or (ends | (days == days.max())).all())


def _months(joined: Dates, columns: list[Dates]) -> tuple[str, int] | None:
    """A step of months, if dates are the same day of their month, or the last one, or near it."""
    rest = joined.astype(np.int64) % DAY
    each_months = [each.astype("datetime64[M]").astype(np.int64) for each in columns]
    steps = np.concatenate([np.diff(each) for each in each_months])
    if not len(steps) or (steps == 0).any():
        return None
    count = _common(steps) if (steps == np.median(steps)).mean() > 0.5 else 0
    if _same_days(joined) and (rest == rest[0]).all():
        return "month", count or _common(steps)
    # On the first working day of each month, or a quarter: the day says nothing.
    days = np.concatenate([np.diff(each.astype(np.int64)) for each in columns]) / DAY
    near = np.abs(days - 30.44 * steps) <= 5
    return ("month", count) if count in MONTHS and near.all() else None


def _business(joined: Dates, steps: Index) -> tuple[str, int] | None:
    """Business days, if there is no weekend in the dates but several between them."""
    if _common(steps) != DAY or (joined.astype(np.int64) % DAY).any():
        return None
    weekends = int(np.count_nonzero(steps == 3 * DAY))
    on_weekdays = np.is_busday(joined.astype("datetime64[D]")).all()
    return ("business", 1) if on_weekdays and weekends > 1 else None
