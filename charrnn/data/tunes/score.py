"""A tune as numbers: notes with pitches and lengths, bar lines, changes of meter and key.

Lengths are fractions of a whole note. A pitch is a step (0 is C4, 7 is C5) and an alteration in
semitones; both together name a note as it is written, which a transposition needs.
"""

from dataclasses import dataclass
from fractions import Fraction

LETTERS = "CDEFGAB"
SEMITONES = (0, 2, 4, 5, 7, 9, 11)
"""Of the letters, above C."""

BARS = ("|", "||", "|]", "|:", ":|", "::", "[1", "[2")
"""What a bar may end with, and the marks of a first and second ending."""

TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2}
"""Notes of a tuplet -> those whose time they take, where the meter does not matter."""


LONGEST = 1 << 14
"""Notes, bars and so on of a tune at most; a longer one is damage."""

LONGEST_NOTE = 16
"""Whole notes that a note lasts at most."""


class UnreadableError(ValueError):
    """Why a tune was not taken, in a few words."""


@dataclass(frozen=True)
class Pitch:
    """A written note. step: letters above C4; alteration: 1 for a sharp, -1 for a flat.

    >>> Pitch(4, 1).midi
    68
    """

    step: int
    alteration: int

    @property
    def midi(self) -> int:
        """The number of the key on a keyboard, 60 for C4."""
        octave, letter = divmod(self.step, 7)
        return 60 + 12 * octave + SEMITONES[letter] + self.alteration


@dataclass(frozen=True)
class Key:
    """A key signature: its name as in ABC (`G`, `Em`, `Ddor`), and sharps (flats are negative).

    >>> Key("D", 2).alteration(3), Key("F", -1).alteration(6), Key("C", 0).alteration(3)
    (1, -1, 0)
    """

    name: str
    sharps: int

    def alteration(self, step: int) -> int:
        """A step -> what the signature does to it: 1, 0 or -1."""
        # The place of the letter in F C G D A E B, the order in which sharps are added.
        place = (2 * step + 1) % 7
        if self.sharps > place:
            return 1
        return -1 if -self.sharps > 6 - place else 0


@dataclass(frozen=True)
class Note:
    """A note, or a rest where `pitch` is None. tied: to the next one.

    written: the accidental is before it, though the signature may say the same.
    """

    pitch: Pitch | None
    length: Fraction
    tied: bool = False
    written: bool = False


@dataclass(frozen=True)
class Tuplet:
    """The mark `(3`: so many notes take the time of fewer."""

    notes: int


@dataclass(frozen=True)
class Chord:
    """A chord symbol over the next note, such as `Am7`."""

    name: str


@dataclass(frozen=True)
class Bar:
    """A bar line, one of BARS."""

    mark: str


@dataclass(frozen=True)
class Meter:
    """Such as 6/8, kept as its two numbers, because 6/8 and 3/4 are not the same."""

    beats: int
    unit: int

    @property
    def length(self) -> Fraction:
        """Of a bar, in whole notes."""
        return Fraction(self.beats, self.unit)


Element = Note | Tuplet | Chord | Bar | Meter | Key
"""What a tune is made of; a meter or a key is a change."""


@dataclass(frozen=True)
class Tune:
    """A tune in one voice. unit: the length of a note that has no number."""

    meter: Meter
    unit: Fraction
    key: Key
    elements: tuple[Element, ...]
