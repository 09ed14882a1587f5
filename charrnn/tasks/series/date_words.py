"""Words in dates: months and days of several languages -> what the standard library reads."""

import re

MONTHS_OF = (
    "january february march april may june july august september october november december",
    "januar februar m\u00e4rz april mai juni juli august september oktober november dezember",
    "janvier f\u00e9vrier mars avril mai juin juillet ao\u00fbt septembre octobre novembre "
    "d\u00e9cembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro mar\u00e7o abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "jan feb mrz apr mai jun jul aug sept okt nov dez",
    "janv f\u00e9vr mars avr mai juin juil ao\u00fb sep oct nov d\u00e9c",
    "ene feb mar abr may jun jul ago sep oct nov dic",
    "gen feb mar apr mag giu lug ago set ott nov dic",
    "jan fev mar abr mai jun jul ago set out nov dez",
    "jan feb mrt apr mei jun jul aug sep okt nov dec",
)
"""Names of months: English, German, French, Spanish, Italian, Portuguese, Dutch; and short ones."""

ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MONTH_WORDS = {word: ENGLISH[i] for names in MONTHS_OF for i, word in enumerate(names.split())}

DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri",
    "sat sun montag dienstag mittwoch donnerstag freitag samstag sonntag mo di mi do fr sa so",
    "lundi mardi mercredi jeudi vendredi samedi dimanche lun jeu ven sam dim lunes martes",
    "mi\u00e9rcoles jueves viernes s\u00e1bado domingo",
)

DAY_WORDS = frozenset(word for line in DAYS for word in line.split())
"""Names of days, which say nothing that the date does not."""


def plain_words(cell: str) -> str:
    """A date -> the same with English names of months, and without those of days and of UTC.

    >>> plain_words("Montag, 2. Januar 2023"), plain_words("m\u00e4rz 1990")
    ('2 Jan 2023', 'Mar 1990')
    """
    if len(cell) > 60 or not any(map(str.isalpha, cell)):
        return cell
    cell = re.sub(r"(?<=\d) ?(UTC|GMT)$", "", re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", cell))
    words = re.findall(r"[^\W\d_]+\.?|\d+\.(?=\s)|[^\w]+|[\d_]+", cell)
    kept = []
    for word in words:
        key = word.lower().rstrip(".")
        if key in MONTH_WORDS:
            kept.append(MONTH_WORDS[key])
        elif key in DAY_WORDS:
            kept.append("")
        elif key not in ("de", "del", "of"):
            kept.append(word.rstrip(".") if word[:1].isdigit() else word)
    return re.sub(r"\s+", " ", "".join(kept)).strip(" ,.")
