"""Writes load.csv: two years of an invented town's daily electricity load, with its temperature.

    python corpora/make_load.py > corpora/load.csv

A trend, a week, a year, cold days that cost more, and noise that carries over from day to day. Only
Python is needed, and the bytes are the same every time.
"""

import datetime
import math
import random

DAYS = 760

FIRST = datetime.date(2021, 1, 1)

WEEK = (1.04, 1.05, 1.05, 1.04, 1.02, 0.92, 0.88)
"""Monday to Sunday."""


def rows() -> list[str]:
    """The lines of the file."""
    draw = random.Random(1882)
    rest = cold = 0.0
    found = ["date,load,temperature"]
    for day in range(DAYS):
        date = FIRST + datetime.timedelta(day)
        year = 2 * math.pi * (date.timetuple().tm_yday - 20) / 365.25
        # Weather of a few days around the season's temperature.
        cold = 0.75 * cold + draw.gauss(0, 1.6)
        temperature = 10.5 - 10.0 * math.cos(year) + cold
        heating = max(0.0, 14.0 - temperature)
        rest = 0.6 * rest + draw.gauss(0, 5.0)
        load = WEEK[date.weekday()] * (420 + 0.06 * day + 9.0 * heating) + rest
        found.append(f"{date.isoformat()},{load:.1f},{temperature:.1f}")
    return found


if __name__ == "__main__":
    print("\n".join(rows()))
