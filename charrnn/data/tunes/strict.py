"""A tune -> strict ABC, the form that models read and write. docs/tunes.md describes it."""

from fractions import Fraction

from charrnn.data.tunes.score import LETTERS, Bar, Chord, Key, Meter, Note, Pitch, Tune, Tuplet

ACCIDENTALS = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}


def write(tune: Tune) -> str:
    """A tune -> its lines in strict ABC, with a newline at the end.

    An accidental is written where the key, or the bar so far, says another one. There is no space
    and no line break within the body: beams and lines of print are no part of a tune.
    """
    head = f"X:1\nM:{tune.meter.beats}/{tune.meter.unit}\nL:{tune.unit}\nK:{tune.key.name}\n"
    key, so_far, parts = tune.key, dict[int, int](), list[str]()
    for each in tune.elements:
        if isinstance(each, Note):
            parts.append(_note(each, tune.unit, key, so_far))
        elif isinstance(each, Bar):
            so_far.clear()
            parts.append(each.mark)
        elif isinstance(each, Key):
            key = each
            parts.append(f"[K:{each.name}]")
        elif isinstance(each, Meter):
            parts.append(f"[M:{each.beats}/{each.unit}]")
        elif isinstance(each, Tuplet):
            parts.append(f"({each.notes}")
        elif isinstance(each, Chord):
            parts.append(f'"{each.name}"')
    return head + "".join(parts) + "\n"


def _note(note: Note, unit: Fraction, key: Key, so_far: dict[int, int]) -> str:
    """A note; `so_far` are the alterations of the bar so far, and is changed by it."""
    end = length(note.length / unit) + "-" * note.tied
    if note.pitch is None:
        return "z" + end
    step, alteration = note.pitch.step, note.pitch.alteration
    known = so_far.get(step, key.alteration(step))
    so_far[step] = alteration
    mark = ACCIDENTALS[alteration] if alteration != known else ""
    return mark + _name(note.pitch) + end


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
