"""A tune -> strict ABC, the form that models read and write. docs/tunes.md describes it."""

from dataclasses import dataclass
from fractions import Fraction

from charrnn.data.tunes.score import LETTERS, Bar, Chord, Key, Meter, Note, Pitch, Tune, Tuplet

ACCIDENTALS = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}


@dataclass(frozen=True)
class Sign:
    """A pitch as it is written: whether an accidental is before it."""

    pitch: Pitch
    accidental: bool

    def __str__(self) -> str:
        mark = ACCIDENTALS[self.pitch.alteration] if self.accidental else ""
        return mark + _name(self.pitch)


Part = str | Sign | Chord | Key
"""A piece of a tune's text: what a transposition changes is not text yet."""


def write(tune: Tune) -> str:
    """A tune -> its lines in strict ABC, with a newline at the end.

    An accidental is written where the key, or the bar so far, says another one. There is no space
    and no line break within the body: beams and lines of print are no part of a tune.
    """
    return head(tune, tune.key) + "".join(map(text_of, parts(tune))) + "\n"


def head(tune: Tune, key: Key) -> str:
    """The lines before the body of a tune in a key."""
    return f"X:1\nM:{tune.meter.beats}/{tune.meter.unit}\nL:{tune.unit}\nK:{key.name}\n"


def text_of(part: Part) -> str:
    """A piece of a tune -> its text."""
    if isinstance(part, Chord):
        return f'"{part.name}"'
    return f"[K:{part.name}]" if isinstance(part, Key) else str(part)


def parts(tune: Tune) -> list[Part]:
    """A tune -> the pieces of its body."""
    key, so_far, found = tune.key, dict[int, int](), list[Part]()
    for each in tune.elements:
        if isinstance(each, Note):
            end = length(each.length / tune.unit) + "-" * each.tied
            if each.pitch is None:
                found.append("z")
            else:
                found.append(_sign(each.pitch, key, so_far))
            if end:
                found.append(end)
        elif isinstance(each, Bar):
            so_far.clear()
            found.append(each.mark)
        elif isinstance(each, Key):
            key = each
            found.append(each)
        elif isinstance(each, Meter):
            found.append(f"[M:{each.beats}/{each.unit}]")
        elif isinstance(each, Tuplet):
            found.append(f"({each.notes}")
        else:
            found.append(each)
    return found


def _sign(pitch: Pitch, key: Key, so_far: dict[int, int]) -> Sign:
    """A pitch; `so_far` are the alterations of the bar so far, and is changed by it."""
    known = so_far.get(pitch.step, key.alteration(pitch.step))
    so_far[pitch.step] = pitch.alteration
    return Sign(pitch, pitch.alteration != known)


def _name(pitch: Pitch) -> str:
    """The letter of a pitch with its octave.

    >>> [_name(Pitch(step, 0)) for step in (-1, 0, 7, 14)]
    ['B,', 'C', 'c', "c'"]
    """
    octave, letter = divmod(pitch.step, 7)
    if octave > 0:
        return LETTERS[letter].lower() + "'" * (octave - 1)
    return LETTERS[letter] + "," * -octave


def length(units: Fraction) -> str:
    """A length in units -> how it is written.

    >>> [length(Fraction(*each)) for each in ((1, 1), (3, 1), (1, 2), (3, 4))]
    ['', '3', '/2', '3/4']
    """
    above = "" if units.numerator == 1 else str(units.numerator)
    return above + (f"/{units.denominator}" if units.denominator > 1 else "")
