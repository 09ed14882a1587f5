"""ABC notation as it is found -> tunes, and what was left out of them.

Source: the ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from charrnn.data.tunes.score import (
    LETTERS,
    Bar,
    Chord,
    Element,
    Key,
    Meter,
    Note,
    Pitch,
    Tune,
    Tuplet,
)

MODES = {"": 0, "maj": 0, "ion": 0, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3,
         "phr": -4, "loc": -5, "lyd": 1}  # fmt: skip
"""A mode -> sharps beside those of the major key of the same name."""

MODE_NAMES = {"maj": "", "ion": "", "min": "m", "aeo": "m"}

TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2}
"""Notes of a tuplet -> those whose time they take, where the meter does not matter."""

TOKEN = re.compile(
    r"""(?P<comment>%.*)
      | (?P<chord>"[^"\n]*")
      | (?P<inline>\[[A-Za-z]:[^\]\n]*\])
      | (?P<bar>:*\|+[\]:]*[1-9]?|\[\||::+|\[[1-9][0-9,.-]*|:)
      | (?P<decoration>![^!\n]*!|\+[^+\n]*\+|[~.HLMOPSTuv])
      | (?P<grace>\{[^}\n]*\})
      | (?P<group>\[[^\]\n]*\])
      | (?P<tuplet>\([2-9](?::[0-9]*){0,2})
      | (?P<slur>[()])
      | (?P<note>(?:\^\^|\^|__|_|=)?[A-Ga-g][,']*|[zx])
      | (?P<length>[0-9]*/+[0-9]*|[0-9]+)
      | (?P<broken>>+|<+)
      | (?P<tie>-)
      | (?P<space>[\s\\`y]+)
      | (?P<other>.)""",
    re.VERBOSE,
)

NOTE = re.compile(r"(?P<accidental>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)")
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}


class Unreadable(ValueError):
    """Why a tune was not taken, in a few words."""


def key(text: str) -> Key:
    """The value of K: -> key; Unreadable for bagpipes and for what is no key.

    >>> key("Ador"), key("Bb maj"), key("none").name
    (Key(name='Ador', sharps=1), Key(name='Bb', sharps=-2), 'C')
    """
    if not text or text.split()[0] == "none":
        return Key("C", 0)
    found = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not found:
        raise Unreadable(f"its key is {text!r}")
    letter, accidental, word = found.groups()
    mode = word if word == "m" else word[:3].lower()
    if mode not in MODES:
        raise Unreadable(f"its key is {text!r}")
    # Fifths from C: F is -1, C 0, G 1, ...
    fifths = "FCGDAEB".index(letter) - 1 + 7 * {"": 0, "#": 1, "b": -1}[accidental]
    sharps = fifths + MODES[mode]
    if abs(sharps) > len(LETTERS):
        raise Unreadable(f"its key is {text!r}")
    return Key(letter + accidental + MODE_NAMES.get(mode, mode), sharps)


def meter(text: str) -> Meter:
    """The value of M: -> its two numbers; Unreadable where there are none.

    >>> meter("C|"), meter("6/8")
    (Meter(beats=2, unit=2), Meter(beats=6, unit=8))
    """
    known = {"C": Meter(4, 4), "C|": Meter(2, 2)}
    if text in known:
        return known[text]
    found = re.fullmatch(r"([1-9][0-9]?)/(1|2|4|8|16)", text.replace(" ", ""))
    if not found:
        raise Unreadable(f"its meter is {text!r}" if text else "it has no meter")
    return Meter(int(found[1]), int(found[2]))


def length(text: str) -> Fraction:
    """What follows a note -> its length in units.

    >>> length("3/2"), length("//"), length("")
    (Fraction(3, 2), Fraction(1, 4), Fraction(1, 1))
    """
    above, slashes, below = re.fullmatch(r"([0-9]*)(/*)([0-9]*)", text).groups()  # type: ignore[union-attr]
    over = int(below) if below else 2 ** len(slashes)
    if not over or above.startswith("0"):
        raise Unreadable("a note has no length")
    return Fraction(int(above or 1), over)


def default_unit(over: Meter) -> Fraction:
    """The length of a note without a number where L: is missing."""
    return Fraction(1, 16) if over.length < Fraction(3, 4) else Fraction(1, 8)


def tunes(text: str) -> Iterator[list[str]]:
    """A file -> the lines of each tune, from its X: on; what is before the first is left out."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("X:"):
            if lines:
                yield lines
            lines = []
        elif not lines and not re.match(r"[A-Z]:", line):
            continue
        lines.append(line)
    if lines:
        yield lines


def parse(lines: list[str], left_out: Counter[str]) -> Tune:
    """The lines of a tune -> the tune; counts what it leaves out. Unreadable says why not.

    A second voice is not taken. Lengths are in fractions of a whole note whatever L: is.
    """
    return _Parser(left_out).parse(lines)


class _Parser:
    """One tune; the fields are what has been read so far."""

    def __init__(self, left_out: Counter[str]) -> None:
        self.left_out = left_out
        self.fields: dict[str, str] = {}
        self.elements: list[Element] = []
        self.key: Key | None = None
        self.unit = Fraction(1, 8)
        # Accidentals of the bar so far: a step -> its alteration.
        self.accidentals: dict[int, int] = {}
        # What a broken rhythm does to the next note.
        self.factor = Fraction(1)

    def parse(self, lines: list[str]) -> Tune:
        for number, line in enumerate(lines):
            if re.match(r"</?[A-Za-z]", line):
                self.left_out["HTML"] += 1
            elif re.match(r"[A-Za-z+]:", line) and not line.startswith("|:"):
                self._field(line[0], line[2:].split("%")[0].strip(), number)
            elif self.key:
                self._body(line)
            elif line.strip() and not line.startswith("%"):
                self.left_out["lines before K:"] += 1
        if not self.key:
            raise Unreadable("it has no K:")
        if not any(isinstance(each, Note) for each in self.elements):
            raise Unreadable("it has no notes")
        first = meter(self.fields.get("M", ""))
        return Tune(first, self._first_unit(), self.first_key, tuple(self.elements))

    def _first_unit(self) -> Fraction:
        given = self.fields.get("L")
        found = re.fullmatch(r"1/(1|2|4|8|16|32)", given) if given else None
        if given and not found:
            raise Unreadable(f"its unit L: is {given!r}")
        over = meter(self.fields.get("M", ""))
        return Fraction(1, int(found[1])) if found else default_unit(over)

    def _field(self, name: str, value: str, number: int) -> None:
        if name == "V" and self.elements:
            raise Unreadable("it has several voices")
        if name not in "XTMLKV":
            self.left_out["lyrics" if name in "wW" else "other fields"] += 1
        elif self.key is None:
            self.fields.setdefault(name, value)
            if name == "K":
                self.key = self.first_key = key(value)
                self.unit = self._first_unit()
        elif name == "K":
            self.key = key(value)
            self.elements.append(self.key)
        elif name == "M":
            self.elements.append(meter(value))
        elif name == "L":
            self.unit = Fraction(1, int(value.removeprefix("1/")))

    def _body(self, line: str) -> None:
        for found in TOKEN.finditer(line):
            kind, text = str(found.lastgroup), found.group()
            getattr(self, f"_{kind}")(text)

    def _comment(self, text: str) -> None:
        self.left_out["comments"] += 1

    def _chord(self, text: str) -> None:
        name = text.strip('"').strip()
        if re.match(r"[A-G][#b]?[A-Za-z0-9+]*(/[A-G][#b]?)?$", name):
            self.elements.append(Chord(name))
        else:
            self.left_out["annotations"] += 1

    def _inline(self, text: str) -> None:
        self._field(text[1], text[3:-1].strip(), 0)

    def _bar(self, text: str) -> None:
        self.accidentals = {}
        for mark in bar_marks(text):
            last = self.elements[-1] if self.elements else None
            if isinstance(last, Bar) and not mark.startswith("["):
                # Two lines with nothing between are one: `:|` and `|:` are `::`.
                self.elements[-1] = Bar(bar_line(last.mark + mark))
            else:
                self.elements.append(Bar(mark))

    def _decoration(self, text: str) -> None:
        self.left_out["decorations"] += 1

    def _grace(self, text: str) -> None:
        self.left_out["grace notes"] += 1

    def _group(self, text: str) -> None:
        notes = [
            each for each in TOKEN.finditer(text[1:-1]) if each.lastgroup in ("note", "length")
        ]
        pitches = [self._pitch(each.group()) for each in notes if each.lastgroup == "note"]
        lengths = {each.group() for each in notes if each.lastgroup == "length"}
        if not pitches or len(lengths) > 1:
            raise Unreadable(f"{text} is no chord of one length")
        self.left_out["lower notes of chords"] += len(pitches) - 1
        self._add(max(pitches, key=lambda pitch: pitch.midi), False)
        for each in lengths:
            self._length(each)

    def _tuplet(self, text: str) -> None:
        notes = int(text[1])
        if notes not in TUPLETS or (":" in text and text[2:] not in (":2:3", ":", "::")):
            raise Unreadable(f"{text} is no tuplet of 2, 3, 4 or 6 notes")
        self.elements.append(Tuplet(notes))

    def _slur(self, text: str) -> None:
        self.left_out["slurs"] += text == "("

    def _note(self, text: str) -> None:
        if text in "zx":
            self._add(None, False)
        else:
            self._add(self._pitch(text), text[0] in "^_=")

    def _add(self, pitch: Pitch | None, written: bool) -> None:
        self.elements.append(Note(pitch, self.unit * self.factor, written=written))
        self.factor = Fraction(1)

    def _pitch(self, text: str) -> Pitch:
        found = NOTE.fullmatch(text)
        if not found or self.key is None:
            raise Unreadable(f"{text} is no note")
        letter, octave = found["letter"], found["octave"]
        step = LETTERS.index(letter.upper()) + 7 * (
            letter.islower() + octave.count("'") - octave.count(",")
        )
        if found["accidental"]:
            self.accidentals[step] = ALTERATIONS[found["accidental"]]
        return Pitch(step, self.accidentals.get(step, self.key.alteration(step)))

    def _last(self) -> int:
        """The place of the last note."""
        for place in range(len(self.elements) - 1, -1, -1):
            if isinstance(self.elements[place], Note):
                return place
        raise Unreadable("a length or a tie is before the first note")

    def _length(self, text: str) -> None:
        self._scale(length(text))

    def _scale(self, factor: Fraction) -> None:
        place = self._last()
        note = self.elements[place]
        assert isinstance(note, Note)
        self.elements[place] = replace(note, length=note.length * factor)

    def _broken(self, text: str) -> None:
        less = Fraction(1, 2 ** len(text))
        more = 2 - less
        self._scale(more if text[0] == ">" else less)
        self.factor = less if text[0] == ">" else more

    def _tie(self, text: str) -> None:
        place = self._last()
        note = self.elements[place]
        assert isinstance(note, Note)
        self.elements[place] = replace(note, tied=True)

    def _space(self, text: str) -> None:
        """Beams are not kept."""

    def _other(self, text: str) -> None:
        self.left_out["other signs"] += 1


def bar_marks(text: str) -> list[str]:
    """A bar line as it is written -> those of BARS that mean the same.

    >>> bar_marks(":|2"), bar_marks("[1"), bar_marks(":||:"), bar_marks("|||")
    ([':|', '[2'], ['[1'], ['::'], ['||'])
    """
    ending = re.search("[1-9]", text)
    line = bar_line(re.split("[1-9]", text)[0].removesuffix("[") if ending else text)
    return [*([line] if line else []), *([f"[{ending[0]}"] if ending and ending[0] in "12" else [])]


def bar_line(text: str) -> str:
    """A bar line without the number of an ending -> one of BARS; empty -> empty."""
    if not text:
        return ""
    begins, ends = text.endswith(":"), text.startswith(":")
    if begins and ends:
        return "::"
    if begins or ends:
        return "|:" if begins else ":|"
    if text.endswith("]"):
        return "|]"
    return "||" if text.count("|") > 1 or text.startswith("[") else "|"
