"""The values of ABC's header fields -> key, meter and unit; lengths. UnreadableError says why not.

Source: the ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1
"""

import re
from fractions import Fraction

from charrnn.data.tunes.score import LETTERS, Key, Meter, UnreadableError

MODES = {"": 0, "maj": 0, "ion": 0, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3,
         "phr": -4, "loc": -5, "lyd": 1}  # fmt: skip
"""A mode -> sharps more than those of the major key of the same name."""

MODE_NAMES = {"maj": "", "ion": "", "min": "m", "aeo": "m"}

SHOWN = 20
"""Characters of a value that a reason shows."""

SLASHES = 6
"""More slashes after a note are damage: `A//////` is a sixty-fourth of its unit."""


def shown(value: str) -> str:
    """A value in quotes, cut where it is long.

    >>> shown("a" * 30)
    "'aaaaaaaaaaaaaaaaaaaa...'"
    """
    return ascii(value if len(value) <= SHOWN else f"{value[:SHOWN]}...")


def key(text: str) -> Key:
    """The value of K: -> key; UnreadableError for bagpipes and for what is no key.

    >>> key("Ador"), key("Bb maj"), key("none").name
    (Key(name='Ador', sharps=1), Key(name='Bb', sharps=-2), 'C')
    """
    if not text or re.match(r"none\b|clef\b|treble\b|bass\b|alto\b|tenor\b", text):
        return Key("C", 0)
    found = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    # Signs of its own, as in `K:D ^c _b`, are no signature that a name has.
    if not found or re.search(r"\s(exp\b|[\^_=])", text):
        raise UnreadableError(f"its key is {shown(text)}")
    letter, accidental, word = found.groups()
    # `K:G clef=treble`: a word that is no mode belongs to the print.
    word = "" if word in ("clef", "treble", "bass", "alto", "tenor", "transpose") else word
    mode = word if word == "m" else word[:3].lower()
    if mode not in MODES:
        raise UnreadableError(f"its key is {shown(text)}")
    # Fifths from C: F is -1, C 0, G 1, ...
    fifths = "FCGDAEB".index(letter) - 1 + 7 * {"": 0, "#": 1, "b": -1}[accidental]
    sharps = fifths + MODES[mode]
    if abs(sharps) > len(LETTERS):
        raise UnreadableError(f"its key is {shown(text)}")
    return Key(letter + accidental + MODE_NAMES.get(mode, mode), sharps)


def meter(text: str) -> Meter:
    """The value of M: -> its two numbers; UnreadableError where there are none.

    >>> meter("C|"), meter("6/8")
    (Meter(beats=2, unit=2), Meter(beats=6, unit=8))
    """
    known = {"C": Meter(4, 4), "C|": Meter(2, 2)}
    if text in known:
        return known[text]
    found = re.fullmatch(r"([1-9][0-9]?)/(1|2|4|8|16)", text.replace(" ", ""))
    if not found:
        raise UnreadableError(f"its meter is {shown(text)}" if text else "it has no meter")
    return Meter(int(found[1]), int(found[2]))


def unit(text: str) -> Fraction:
    """The value of L: -> the length of a note without a number; UnreadableError if it is none.

    >>> unit("1/8")
    Fraction(1, 8)
    """
    found = re.fullmatch(r"1(?:/(1|2|4|8|16|32))?", text.replace(" ", ""))
    if not found:
        raise UnreadableError(f"its unit L: is {shown(text)}")
    return Fraction(1, int(found[1] or 1))


def default_unit(over: Meter) -> Fraction:
    """The length of a note without a number where L: is missing."""
    return Fraction(1, 16) if over.length < Fraction(3, 4) else Fraction(1, 8)


def length(text: str) -> Fraction:
    """What follows a note -> its length in units; UnreadableError for one that no note has.

    >>> length("3/2"), length("//"), length("")
    (Fraction(3, 2), Fraction(1, 4), Fraction(1, 1))
    """
    found = re.fullmatch(r"([1-9][0-9]{0,2})?(/*)([1-9][0-9]{0,2})?", text)
    if not found or len(found[2]) > SLASHES or (found[3] and len(found[2]) != 1):
        raise UnreadableError(f"a note has the length {shown(text)}")
    over = int(found[3]) if found[3] else 2 ** len(found[2])
    return Fraction(int(found[1] or 1), over)
