"""Where a tune is, as far as the automaton of `--bars` has to know."""

from typing import NamedTuple

SIGNS = "^_="
"""Accidentals."""

HEAD, MUSIC, LOST, DONE, WRONG = "head", "music", "lost", "done", "wrong"
"""Stages: before K: has ended; bars; a bar that cannot be counted; after the tune; no tune."""

UNKNOWN, OPEN, CLOSED = "", "open", "closed"
"""Of repeats: none so far (one that began with the tune may end), one has begun, it has ended."""

SECTION = 4
"""Whole bars that a section has at least, if its last line parts a bar and is not of a repeat."""


class Where(NamedTuple):
    """Where a text is.

    text: of a line of the head, or of a token that has begun; the accidental of a note. meter,
    whole: of the head, and ticks of a whole note. wanted, now: ticks of a bar, and of what is in
    it, with what was in front of the section's line where that parts a bar. opening: the bar is
    the first of the tune, and may be short. pickup, repeated: ticks of the short bar that the
    section began with, and of that which the next repeat goes back to. full: whole bars of the
    section, up to SECTION. repeat: whether one has begun. left, tuplet: notes that a tuplet lacks,
    and of how many it is. chords: symbols that wait for their note. tied: the note that must
    follow. note, digits: the note that is being written, and its length. after: the line or change
    that came last, "note" after a note. ending: 1 in a first ending, 2 where the second one has to
    follow, 3 in that. blank: a space is the last character.
    """

    stage: str = HEAD
    text: str = ""
    lines: int = 0
    meter: tuple[int, int] = (0, 0)
    whole: int = 0
    wanted: int = 0
    now: int = 0
    opening: bool = True
    pickup: int = 0
    repeated: int = 0
    full: int = 0
    repeat: str = UNKNOWN
    left: int = 0
    tuplet: int = 0
    chords: int = 0
    tied: str = ""
    note: str = ""
    digits: str = ""
    after: str = "start"
    ending: int = 0
    blank: bool = False

    @property
    def tied_name(self) -> str:
        """The letter and octave of the note that must follow."""
        return self.tied.lstrip(SIGNS)

    @property
    def sign_due(self) -> str:
        """The accidental of the note that must follow: in the next bar it is written again."""
        return "" if self.after == "note" else self.tied[: -len(self.tied_name)]
