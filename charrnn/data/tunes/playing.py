"""A tune as it is written -> as it sounds: repeats played out, ties joined, chords under it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from charrnn.data.tunes.score import (
    SEMITONES,
    TUPLETS,
    Bar,
    Chord,
    Element,
    Meter,
    Note,
    Tune,
    Tuplet,
)

TEMPO = 120
"""Beats per minute, unless another tempo is asked for."""

BASS, UPPER = 38, 50
"""Lowest pitches of the bass and of the chord above it, as numbers of MIDI."""


@dataclass(frozen=True)
class Sound:
    """A note that sounds. begin, length: in whole notes; pitch: number of MIDI, 60 for C4."""

    begin: Fraction
    length: Fraction
    pitch: int


@dataclass(frozen=True)
class Played:
    """A tune as it sounds, in whole notes from its beginning.

    voices: the accompaniment, a bass and three notes above it, each empty if the tune has no chord
    symbols. None has more notes than the melody. meters: changes with their times; each begins a
    bar. A first bar that is short is at the end of a whole one.
    """

    melody: tuple[Sound, ...]
    voices: tuple[tuple[Sound, ...], ...]
    meters: tuple[tuple[Fraction, Meter], ...]
    length: Fraction


def played(tune: Tune) -> Played:
    """A tune -> what is heard of it. Repeats without a beginning go back to the last double bar."""
    walk = _Walk(tune)
    for each in played_out(tune.elements, tune.meter):
        walk.take(each)
    return walk.result()


def beat_of(meter: Meter) -> Fraction:
    """What is counted as a beat: three eighths in 6/8, a half in 2/2.

    >>> beat_of(Meter(6, 8)), beat_of(Meter(3, 4))
    (Fraction(3, 8), Fraction(1, 4))
    """
    if meter.unit >= 8 and meter.beats % 3 == 0:
        return Fraction(3, meter.unit)
    return Fraction(1, min(meter.unit, 4)) if meter.unit > 1 else Fraction(1, 2)


def seconds(whole_notes: Fraction, meter: Meter, tempo: float = TEMPO) -> float:
    """A time in whole notes -> in seconds; tempo: beats of the tune's meter per minute."""
    return float(whole_notes / beat_of(meter)) * 60 / tempo


def played_out(elements: Sequence[Element], meter: Meter) -> Iterator[Element]:
    """Elements as written -> in the order in which they sound, the endings after their turns.

    meter: that of the tune; where a repeat goes back behind a change, it is said again.
    """
    place, begin, first_meter = 0, 0, meter
    second, opened, last = False, False, False
    while place < len(elements):
        each = elements[place]
        place += 1
        meter = each if isinstance(each, Meter) else meter
        mark = each.mark if isinstance(each, Bar) else ""
        if mark == "[1" and second:
            place = _behind_ending(elements, place)
            last = True
        elif mark in (":|", "::") and not second:
            # Once more from the beginning of the section.
            yield each
            if meter != first_meter:
                yield first_meter
            place, meter, second = begin, first_meter, True
        else:
            yield each
            ends = mark in (":|", "::", "|:") or (mark in ("||", "|]") and (last or not opened))
            if ends:
                begin, first_meter, second, last = place, meter, False, False
                opened = mark in ("|:", "::")


def _behind_ending(elements: Sequence[Element], place: int) -> int:
    """A place in a first ending -> the place behind it."""
    for number in range(place, len(elements)):
        each = elements[number]
        if isinstance(each, Bar) and each.mark in (":|", "::"):
            return number + 1
        if isinstance(each, Bar) and each.mark == "[2":
            return number
    return len(elements)


class _Walk:
    """Follows a tune: what has sounded, where its bars begin."""

    def __init__(self, tune: Tune) -> None:
        self.meter = tune.meter
        self.now = self.bar = Fraction(0)
        self.melody: list[Sound] = []
        self.tied = False
        self.left, self.factor = 0, Fraction(1)
        self.meters: list[tuple[Fraction, Meter]] = [(Fraction(0), tune.meter)]
        self.chords: list[tuple[Fraction, str]] = []
        # Begin and end of what is written as a bar, and where the whole bar begins.
        self.bars: list[tuple[Fraction, Fraction, Fraction]] = []
        self.begins, self.lacks = True, Fraction(0)

    def take(self, each: Element) -> None:
        """An element more."""
        if isinstance(each, Note):
            self._note(each)
        elif isinstance(each, Tuplet):
            self.left, self.factor = each.notes, Fraction(TUPLETS[each.notes], each.notes)
        elif isinstance(each, Chord):
            self.chords.append((self.now, each.name))
        elif isinstance(each, Meter):
            self.meter = each
            self.meters.append((self.now, each))
        elif isinstance(each, Bar):
            self._line(each.mark)

    def _note(self, note: Note) -> None:
        length = note.length * (self.factor if self.left else 1)
        self.left = max(0, self.left - 1)
        if note.pitch is not None:
            last = self.melody[-1] if self.melody else None
            joins = last is not None and self.tied and last.pitch == note.pitch.midi
            if last is not None and joins and last.begin + last.length == self.now:
                self.melody[-1] = Sound(last.begin, last.length + length, last.pitch)
            else:
                self.melody.append(Sound(self.now, length, note.pitch.midi))
        self.tied = note.tied
        self.now += length

    def _line(self, mark: str) -> None:
        length = self.now - self.bar
        if length:
            whole = self.meter.length
            if self.lacks and length <= self.lacks:
                # The rest of a bar that a section's end has cut.
                begin = self.bar - (whole - self.lacks)
                self.lacks -= length
            elif self.begins and length < whole:
                begin, self.lacks = self.now - whole, Fraction(0)
            else:
                begin, self.lacks = self.bar, max(Fraction(0), whole - length)
            self.bars.append((self.bar, self.now, begin))
            self.begins = False
        self.begins = self.begins or mark in ("||", "|]", "|:", ":|", "::")
        self.bar = self.now

    def result(self) -> Played:
        """All of it, after a rest in which a first bar that is short would be whole."""
        self._line("|]")
        lead = -self.bars[0][2] if self.bars else Fraction(0)
        voices = self._accompaniment()
        # What has most notes is the tune, for other programs.
        if len(max(voices, key=len)) > len(self.melody):
            voices = self._held()
        if len(max(voices, key=len)) > len(self.melody):
            voices = [[] for _ in voices]

        def moved(sounds: Sequence[Sound]) -> tuple[Sound, ...]:
            return tuple(Sound(each.begin + lead, each.length, each.pitch) for each in sounds)

        meters = [(time + lead if time else time, meter) for time, meter in self.meters]
        # Of several at one time the last counts.
        return Played(
            moved(self.melody), tuple(map(moved, voices)), tuple(dict(meters).items()),
            self.now + lead,
        )  # fmt: skip

    def _accompaniment(self) -> list[list[Sound]]:
        """On the first beat of a bar and of a chord the bass, on the others the chord."""
        voices: list[list[Sound]] = [[], [], [], []]
        place, meter_place = -1, 0
        for begin, end, whole in self.bars:
            while meter_place + 1 < len(self.meters) and self.meters[meter_place + 1][0] <= begin:
                meter_place += 1
            beat, fresh, time = beat_of(self.meters[meter_place][1]), True, whole
            while time < end:
                before = place
                while place + 1 < len(self.chords) and self.chords[place + 1][0] <= time:
                    place += 1
                if time >= begin and place >= 0:
                    fresh = fresh or place != before
                    notes = chord_notes(self.chords[place][1])
                    struck = [(0, notes[0])] if fresh else list(enumerate(notes))[1:]
                    for voice, pitch in struck:
                        voices[voice].append(Sound(time, min(beat, end - time), pitch))
                    fresh = False
                time += beat
        return voices

    def _held(self) -> list[list[Sound]]:
        """Each chord once, until the next."""
        voices: list[list[Sound]] = [[], [], [], []]
        ends = [time for time, _ in self.chords[1:]] + [self.now]
        for (begin, name), end in zip(self.chords, ends, strict=True):
            if end > begin:
                for voice, pitch in enumerate(chord_notes(name)):
                    voices[voice].append(Sound(begin, end - begin, pitch))
        return voices


def chord_notes(name: str) -> tuple[int, int, int, int]:
    """A chord symbol -> bass, and three notes above; a seventh takes the place of the fifth.

    >>> chord_notes("G"), chord_notes("Am7/C")
    ((43, 50, 55, 59), (48, 55, 57, 60))
    """
    root_name, kind, bass_name = re.match(  # type: ignore[union-attr]
        "([A-G][#b]?)([^/]*)/?(.*)", name
    ).groups()
    root = _pitch_class(root_name)
    bass = _pitch_class(bass_name) if re.match("[A-G]", bass_name) else root
    is_minor = bool(re.match("m(?!aj)|min|dim", kind))
    fifth = 6 if "dim" in kind else 8 if re.match(r"aug|\+", kind) else 7
    seventh = 11 if "maj7" in kind else 9 if kind == "dim7" else 10
    upper = seventh if "7" in kind else fifth
    notes = [(root + each) % 12 for each in (0, 3 if is_minor else 4, upper)]
    low, middle, high = sorted(UPPER + (each - UPPER) % 12 for each in notes)
    return BASS + (bass - BASS) % 12, low, middle, high


def _pitch_class(name: str) -> int:
    """The name of a note -> semitones above C."""
    return SEMITONES["CDEFGAB".index(name[0])] + {"#": 1, "b": -1}.get(name[1:2], 0)
