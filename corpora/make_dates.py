"""Write dates.tsv: dates as people write them, a tab, and the same date in ISO form.

Run `python corpora/make_dates.py > corpora/dates.tsv` to make the shipped file again. A model of
pairs has to find out which part is the day, the month and the year, to know the months by their
names, and to give years of two digits their century. The order of the draws, and so every line,
depends on SEED alone.
"""

import datetime
import random
import sys

SEED = 12

PAIRS = 3_000

FIRST, LAST = datetime.date(1930, 1, 1), datetime.date(2029, 12, 31)

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def ordinal(day: int) -> str:
    """A day of the month -> 1st, 2nd, 3rd, 4th ...

    >>> ordinal(1), ordinal(12), ordinal(22)
    ('1st', '12th', '22nd')
    """
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def written(date: datetime.date, form: int) -> str:
    """A date -> one of the ways in which people write it.

    >>> [written(datetime.date(1987, 3, 2), form) for form in (0, 3, 5)]
    ['2 March 1987', 'the 2nd of March 1987', '2.3.1987']
    """
    day, month, year = date.day, MONTHS[date.month - 1], date.year
    short = f"{year % 100:02}"
    return (
        f"{day} {month} {year}",
        f"{month} {day}, {year}",
        f"{DAYS[date.weekday()]}, {day} {month} {year}",
        f"the {ordinal(day)} of {month} {year}",
        f"{month[:3]} {day} {year}",
        f"{day}.{date.month}.{year}",
        f"{day} {month[:3]} '{short}",
        f"{month.lower()} {ordinal(day)} {year}",
    )[form]


def pairs(count: int = PAIRS, seed: int = SEED) -> list[tuple[str, str]]:
    """Distinct dates as they are written, and in ISO form."""
    random_state = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        date = FIRST + datetime.timedelta(days=random_state.randrange((LAST - FIRST).days + 1))
        found[written(date, random_state.randrange(8))] = date.isoformat()
    return list(found.items())


def main() -> None:
    """Print one pair a line."""
    sys.stdout.write("".join(f"{source}\t{target}\n" for source, target in pairs()))


if __name__ == "__main__":
    main()
