"""ABC notation as it is found -> tunes, and what was left out of them.

Source: the ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from charrnn.data.tunes.fields import default_unit, key, length, meter, shown, unit
from charrnn.data.tunes.score import (
    LETTERS,
    LONGEST,
    LONGEST_NOTE,
    TUPLETS,
    Bar,
    Chord,
    Element,
    Key,
    Meter,
    Note,
    Pitch,
    Tune,
    Tuplet,
    UnreadableError,
)

__all__ = ["TUPLETS", "UnreadableError", "key", "length", "meter", "parse", "tunes"]

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
      | (?P<silence>[ZX][0-9]{0,2})
      | (?P<length>[0-9]*/+[0-9]*|[0-9]+)
      | (?P<broken>>+|<+)
      | (?P<tie>-)
      | (?P<space>[\s\\`y]+)
      | (?P<other>.)""",
    re.VERBOSE,
)

NOTE = re.compile(r"(?P<accidental>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)")
FIELD = re.compile(r"[A-Za-z+]:(?![|:])")
"""How the line of a field begins; `A:|` and `c::` are music."""

TAG = re.compile(
    r"</[A-Za-z][^<>]*>|<![^<>]*>|<(?:html|head|body|title|meta|link|style|script|pre|code|tt|br|hr"
    r"|p|div|span|font|center|img|table|t[hrd]|[ou]l|li|em|strong|h[1-6]|a\s)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
"""A mark of HTML. One of the letters of notes alone, as in `A<b>c`, is a rhythm."""

NAMES = {"T": "titles", "w": "lyrics", "W": "lyrics"}
"""Fields that are left out, as they are counted; the others are `other fields`."""

HIGHEST = 127
"""The number of the highest note that MIDI has."""

OPEN = {
    '"': "a quotation mark is not closed", "{": "grace notes are not closed",
    "[": "a chord is not closed", "&": "it has several voices",
}  # fmt: skip
"""Signs after which what follows would be taken for notes of the tune."""

DENOMINATORS = {each * 2**power for power in range(7) for each in (1, 3)}
"""Of lengths: halves of halves, and those of tuplets that a MIDI file has."""

ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}


def tunes(text: str, left_out: Counter[str] | None = None) -> Iterator[list[str]]:
    """A file -> the lines of each tune, from its X: on, without HTML; counts what it leaves out.

    A tune ends at the next X:, or at a blank line after its notes have begun. What is between two
    tunes is free text. A file that begins without X: has its first tune at its first field.
    """
    counts: Counter[str] = Counter() if left_out is None else left_out
    lines: list[str] = []
    notes, free = False, False
    for line in text.splitlines():
        plain = TAG.sub("", line)
        if plain != line:
            counts["HTML"] += 1
            line = html.unescape(plain)
            if not line.strip():
                continue
        if line.startswith("X:"):
            if lines:
                yield lines
            lines, notes, free = [], False, False
        elif not lines and not FIELD.match(line):
            counts["lines of free text"] += bool(line.strip())
            continue
        # A blank line in the header is no end: nothing could follow it.
        free = free or (notes and not line.strip())
        if not free:
            lines.append(line)
            notes = notes or line.startswith("K:")
        elif line.strip():
            counts["lines of free text"] += 1
    if lines:
        yield lines


def parse(lines: list[str], left_out: Counter[str]) -> Tune:
    """The lines of a tune -> the tune; counts what it leaves out. UnreadableError says why not.

    A tune of several voices is not taken. Lengths are in fractions of a whole note whatever L: is.
    """
    return _Parser(left_out).parse(lines)


class _Parser:
    """One tune; the fields are what has been read so far."""

    def __init__(self, left_out: Counter[str]) -> None:
        self.left_out = left_out
        self.fields: dict[str, str] = {}
        self.elements: list[Element] = []
        self.key: Key | None = None
        self.meter: Meter | None = None
        self.unit = Fraction(1, 8)
        # The place of the last note, -1 for none.
        self.last = -1
        # What the sign before was: a length is only of a note at once before it.
        self.before = ""
        # Accidentals of the bar so far: a step -> its alteration.
        self.accidentals: dict[int, int] = {}
        # What a broken rhythm does to the next note.
        self.factor = Fraction(1)

    def parse(self, lines: list[str]) -> Tune:
        for line in lines:
            if line.startswith("%"):
                self.left_out["comments"] += 1
            elif re.match(r"</?[A-Za-z]", line):
                self.left_out["HTML"] += 1
            elif FIELD.match(line):
                value, sign, _ = line[2:].partition("%")
                self.left_out["comments"] += bool(sign)
                self._field(line[0], value.strip())
            elif self.key:
                self._body(line)
            elif line.strip():
                self.left_out["lines before K:"] += 1
        if not self.key:
            raise UnreadableError("it has no K:")
        if self.last < 0:
            raise UnreadableError("it has no notes")
        if not self.first_meter:
            raise UnreadableError("it has no meter")
        for each in self.elements:
            if isinstance(each, Note) and not _is_plain(each, self.first_unit):
                raise UnreadableError(f"a note lasts {each.length} of a whole note")
        return Tune(self.first_meter, self.first_unit, self.first_key, tuple(self.elements))

    def _begin(self, value: str) -> None:
        """K:, with which the header ends."""
        self.key = self.first_key = key(value)
        given = self.fields.get("M", "")
        self.meter = self.first_meter = meter(given) if given else None
        given = self.fields.get("L", "")
        if given or self.meter:
            self.unit = unit(given) if given else default_unit(meter(self.fields["M"]))
        self.first_unit = self.unit

    def _field(self, name: str, value: str) -> None:
        if name == "V" and self.last >= 0:
            raise UnreadableError("it has several voices")
        if name not in "XMLK":
            self.left_out[NAMES.get(name, "other fields")] += 1
        elif self.key is None:
            self.fields[name] = value
            if name == "K":
                self._begin(value)
        elif name == "K":
            # A change before the first note is of the tune.
            self.key = key(value)
            if self.last < 0:
                self.first_key = self.key
            else:
                self._append(self.key)
        elif name == "M":
            self.meter = meter(value)
            if self.last < 0:
                self.first_meter = self.meter
            else:
                self._append(self.meter)
        elif name == "L":
            self.unit = unit(value)

    def _append(self, element: Element) -> None:
        self.elements.append(element)
        if len(self.elements) > LONGEST:
            raise UnreadableError(f"it has more than {LONGEST:,} notes and bars")

    def _body(self, line: str) -> None:
        strange = self.left_out["other signs"]
        for found in TOKEN.finditer(line):
            kind, text = str(found.lastgroup), found.group()
            getattr(self, f"_{kind}")(text)
            self.before = kind
        if 4 * (self.left_out["other signs"] - strange) > len(line.strip()):
            raise UnreadableError(f"a line of it is no music: {shown(line.strip())}")

    def _comment(self, text: str) -> None:
        self.left_out["comments"] += 1

    def _chord(self, text: str) -> None:
        name = text.strip('"').strip()
        if re.match(r"[A-G][#b]?[A-Za-z0-9+]*(/[A-G][#b]?)?$", name):
            self._append(Chord(name))
        else:
            self.left_out["annotations"] += 1

    def _inline(self, text: str) -> None:
        self._field(text[1], text[3:-1].strip())

    def _bar(self, text: str) -> None:
        self.accidentals = {}
        self.left_out["endings after the second"] += text[-1] in "3456789"
        for mark in bar_marks(text):
            last = self.elements[-1] if self.elements else None
            if isinstance(last, Bar) and not mark.startswith("["):
                # Two lines with nothing between are one: `:|` and `|:` are `::`.
                self.elements[-1] = Bar(bar_line(last.mark + mark))
            else:
                self._append(Bar(mark))

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
            raise UnreadableError(f"{shown(text)} is no chord of one length")
        self.left_out["lower notes of chords"] += len(pitches) - 1
        self._add(max(pitches, key=lambda pitch: pitch.midi), False)
        for each in lengths:
            self._scale(length(each))
        if "-" in text:
            self._tie("-")

    def _tuplet(self, text: str) -> None:
        notes = int(text[1])
        if notes not in TUPLETS or (":" in text and text[2:] not in (":2:3", ":", "::")):
            raise UnreadableError(f"{shown(text)} is no tuplet of 2, 3, 4 or 6 notes")
        self._append(Tuplet(notes))

    def _slur(self, text: str) -> None:
        self.left_out["slurs"] += text == "("

    def _note(self, text: str) -> None:
        if text in "zx":
            self._add(None, False)
        else:
            self._add(self._pitch(text), text[0] in "^_=")

    def _silence(self, text: str) -> None:
        """Bars of rest, each written as one."""
        if not self.meter or int(text[1:] or 1) > LONGEST_NOTE:
            raise UnreadableError(f"{text} is no rest of a few bars")
        for number in range(int(text[1:] or 1)):
            if number:
                self._append(Bar("|"))
            self.last = len(self.elements)
            self._append(Note(None, self.meter.length))

    def _add(self, pitch: Pitch | None, written: bool) -> None:
        self.last = len(self.elements)
        self._append(Note(pitch, self.unit * self.factor, written=written))
        self.factor = Fraction(1)

    def _pitch(self, text: str) -> Pitch:
        found = NOTE.fullmatch(text)
        if not found or self.key is None:
            raise UnreadableError(f"{shown(text)} is no note")
        letter, octave = found["letter"], found["octave"]
        step = LETTERS.index(letter.upper()) + 7 * (
            letter.islower() + octave.count("'") - octave.count(",")
        )
        if found["accidental"]:
            self.accidentals[step] = ALTERATIONS[found["accidental"]]
        pitch = Pitch(step, self.accidentals.get(step, self.key.alteration(step)))
        if not 0 <= pitch.midi <= HIGHEST:
            raise UnreadableError(f"{shown(text)} is higher or lower than any note")
        return pitch

    def _change(self, **changes: Any) -> None:
        """Change the last note."""
        note = self.elements[self.last] if self.last >= 0 else None
        if not isinstance(note, Note):
            raise UnreadableError("a length or a tie is before the first note")
        self.elements[self.last] = replace(note, **changes)

    def _length(self, text: str) -> None:
        if self.before in ("note", "group"):
            self._scale(length(text))
        else:
            self._other(text)

    def _scale(self, factor: Fraction) -> None:
        note = self.elements[self.last]
        self._change(length=note.length * factor if isinstance(note, Note) else factor)

    def _broken(self, text: str) -> None:
        if len(text) > 3 or self.last < 0:
            raise UnreadableError(f"{shown(text)} is no rhythm")
        less = Fraction(1, 2 ** len(text))
        more = 2 - less
        self._scale(more if text[0] == ">" else less)
        self.factor = less if text[0] == ">" else more

    def _tie(self, text: str) -> None:
        self._change(tied=True)

    def _space(self, text: str) -> None:
        """Beams are not kept."""

    def _other(self, text: str) -> None:
        if text in OPEN:
            raise UnreadableError(OPEN[text])
        self.left_out["other signs"] += 1


def _is_plain(note: Note, unit: Fraction) -> bool:
    """Whether a note has a length that the strict form can write."""
    return note.length <= LONGEST_NOTE and (note.length / unit).denominator in DENOMINATORS


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
