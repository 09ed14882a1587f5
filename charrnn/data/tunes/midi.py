"""A MIDI file -> a tune of one voice: the highest line of the highest part that has many notes."""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from charrnn.data.tunes.score import (
    LONGEST,
    LONGEST_NOTE,
    SEMITONES,
    Bar,
    Element,
    Key,
    Meter,
    Note,
    Pitch,
    Tune,
    Tuplet,
    UnreadableError,
)
from charrnn.errors import UsageError

DRUMS = 9
"""The channel of percussion, whose numbers are instruments and not pitches."""

BEATS, UNITS = range(1, 100), (1, 2, 4, 8, 16)
"""Of the meters that ABC can write."""

MOST_BYTES = 4 << 20
"""A larger file is no tune: one of an hour has a tenth of it."""

MOST_NOTES = 1 << 16
"""Notes of a part at most; with more, a file is no tune."""

MOST_BARS = 4096
"""A longer file is damaged: its times are wrong."""

MAJOR = ["Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"]
MINOR = ["Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#"]
"""Names of keys from seven flats to seven sharps."""


@dataclass(frozen=True)
class Taken:
    """What was taken of a file. parts: those that have notes; polyphonic: lower notes left out.

    left_out: what else was, by kind.
    """

    tune: Tune
    notes: int
    parts: int
    polyphonic: int
    left_out: Counter[str]


def read(raw: bytes) -> Taken:
    """The bytes of a MIDI file -> its tune; UnreadableError says why there is none."""
    mido = import_mido()
    if len(raw) > MOST_BYTES:
        raise UnreadableError(f"it has {len(raw):,} bytes, and a tune at most {MOST_BYTES:,}")
    try:
        file = mido.MidiFile(file=io.BytesIO(raw), clip=True)
    # What mido raises for a damaged file is not one kind of error.
    except Exception as error:
        why = " ".join(str(error).split())[:80]
        raise UnreadableError(f"it is damaged ({why or 'it ends early'})") from None
    if file.ticks_per_beat <= 0:
        raise UnreadableError("its times are in seconds and not in beats")
    found = _Events()
    for number, track in enumerate(file.tracks):
        found.take(number, track)
    if not found.parts:
        raise UnreadableError("it has no notes but drums" if found.drums else "it has no notes")
    melody = melody_of(list(found.parts.values()))
    if len(melody) > MOST_NOTES:
        raise UnreadableError(f"a part of it has {len(melody):,} notes, which no tune has")
    line, lower = highest_line(melody)
    beat = file.ticks_per_beat
    beats = [(Fraction(begin, beat), Fraction(end, beat), pitch) for begin, end, pitch in line]
    changes = sorted((Fraction(time, beat), meter) for time, meter in found.meters.items())
    key = found.key or key_of([pitch for _, _, pitch in beats])
    left_out = found.left_out
    left_out["notes of other parts"] += sum(map(len, found.parts.values())) - len(melody)
    left_out["notes under the highest line"] += lower
    left_out["notes of drums"] += found.drums
    notes = quantized(beats)
    left_out["notes too near to another"] += len(beats) - len(notes)
    return Taken(notate(notes, changes, key), len(line), len(found.parts), lower, +left_out)


def import_mido() -> Any:
    """The package that reads and writes MIDI files. UsageError if it is not installed."""
    try:
        # Imported here because most texts are not MIDI.
        import mido
    except ImportError:
        raise UsageError(
            "MIDI files need mido", "install it with: pip install 'charrnn[midi]'"
        ) from None
    return mido


Sounding = tuple[int, int, int]
"""Begin and end in ticks, and the number of a pitch."""


class _Events:
    """What the tracks of a file say: notes by track and channel, meters by time, the first key."""

    def __init__(self) -> None:
        self.parts: dict[tuple[int, int], list[Sounding]] = defaultdict(list)
        self.meters: dict[int, Meter] = {}
        self.key: Key | None = None
        self.drums = 0
        self.left_out: Counter[str] = Counter()

    def take(self, number: int, track: Iterable[Any]) -> None:
        """The messages of a track, which has a number."""
        now, sounding = 0, dict[tuple[int, int], int]()
        for message in track:
            now += message.time
            if message.type == "time_signature":
                self._meter(now, message.numerator, message.denominator)
            elif message.type == "key_signature":
                key = _key(message.key)
                self.key = self.key or key
                self.left_out["changes of key"] += key != self.key
            elif message.type in ("note_on", "note_off"):
                begins = message.type == "note_on" and message.velocity > 0
                if message.channel == DRUMS:
                    self.drums += begins
                    continue
                which = (message.channel, message.note)
                begin = sounding.pop(which, None)
                if begin is not None and now > begin:
                    self.parts[number, message.channel].append((begin, now, message.note))
                elif begin is not None:
                    self.left_out["notes without a length"] += 1
                if begins:
                    sounding[which] = now
        self.left_out["notes without an end"] += len(sounding)

    def _meter(self, now: int, beats: int, unit: int) -> None:
        if beats in BEATS and unit in UNITS and beats <= LONGEST_NOTE * unit:
            self.meters.setdefault(now, Meter(beats, unit))
        else:
            self.left_out["meters that ABC does not have"] += 1


def _key(name: str) -> Key:
    """A key as mido names it (`Am`, `Eb`) -> key.

    >>> _key("Am"), _key("Eb")
    (Key(name='Am', sharps=0), Key(name='Eb', sharps=-3))
    """
    if name.endswith("m"):
        return Key(name, MINOR.index(name[:-1]) - 7)
    return Key(name, MAJOR.index(name) - 7)


def key_of(pitches: Sequence[int]) -> Key:
    """Pitches -> the major key with most of them in its scale; where equal, fewest signs.

    >>> key_of([62, 64, 66, 67, 69, 71, 73]).name
    'D'
    """

    def fitting(sharps: int) -> tuple[int, int]:
        # A fifth up is seven semitones.
        scale = {(each + 7 * sharps) % 12 for each in SEMITONES}
        return sum(pitch % 12 in scale for pitch in pitches), -abs(sharps)

    sharps = max(range(-5, 7), key=fitting)
    return Key(MAJOR[sharps + 7], sharps)


def melody_of(parts: Sequence[Sequence[Sounding]]) -> Sequence[Sounding]:
    """Parts -> the highest one of those with many notes, by the mean pitch of their highest lines.

    Notes that begin together count as one: chords under a tune are more notes than it has. Many
    are at least half as many as the part has that has most.

    >>> tune = [(0, 2, 72), (2, 4, 74), (4, 8, 76)]
    >>> chords = [(time, time + 1, pitch) for time in range(4) for pitch in (48, 52, 55)]
    >>> melody_of([tune, chords]) is tune
    True
    """
    tops = [_tops(notes) for notes in parts]
    most = max(map(len, tops))
    many = [place for place, each in enumerate(tops) if 2 * len(each) >= most]
    return parts[max(many, key=lambda place: sum(tops[place]) / len(tops[place]))]


def _tops(notes: Sequence[Sounding]) -> list[int]:
    """Notes -> the highest pitch at each time at which some begin."""
    tops: dict[int, int] = {}
    for begin, _, pitch in notes:
        tops[begin] = max(pitch, tops.get(begin, 0))
    return list(tops.values())


def highest_line(notes: Sequence[Sounding]) -> tuple[list[Sounding], int]:
    """Notes -> those that are highest where they begin, each until the next; how many are not.

    >>> highest_line([(0, 4, 60), (0, 2, 64), (2, 4, 62)])
    ([(0, 2, 64), (2, 4, 62)], 1)
    """
    line: list[Sounding] = []
    for begin, end, pitch in sorted(notes, key=lambda note: (note[0], -note[2])):
        if line and begin == line[-1][0]:
            continue
        if line and begin < line[-1][1]:
            if pitch < line[-1][2]:
                # A lower note under one that sounds is of another voice.
                continue
            line[-1] = (line[-1][0], begin, line[-1][2])
        line.append((begin, end, pitch))
    return line, len(notes) - len(line)


Timed = tuple[Fraction, Fraction, int]
"""Begin and end in beats, and the number of a pitch."""


def quantized(notes: Sequence[Timed]) -> list[Timed]:
    """Notes -> the same at sixteenths, or at thirds of a beat where those of it are nearer."""
    by_beat: dict[int, list[Fraction]] = defaultdict(list)
    for begin, _, _ in notes:
        by_beat[int(begin)].append(begin - int(begin))
    thirds = {beat for beat, places in by_beat.items() if _misfit(places, 3) < _misfit(places, 4)}

    def placed(time: Fraction) -> Fraction:
        parts = 3 if int(time) in thirds else 4
        return Fraction(round(time * parts), parts)

    found: list[Timed] = []
    for begin, end, pitch in notes:
        start = placed(begin)
        if found and found[-1][0] == start:
            found.pop()
        found.append((start, max(placed(end), start + Fraction(1, 4)), pitch))
    return [
        (begin, min(end, found[place + 1][0]) if place + 1 < len(found) else end, pitch)
        for place, (begin, end, pitch) in enumerate(found)
    ]


def _misfit(places: Sequence[Fraction], parts: int) -> Fraction:
    """How far places in a beat are from so many parts of it, in all."""
    return sum((abs(each - Fraction(round(each * parts), parts)) for each in places), Fraction(0))


def notate(notes: Sequence[Timed], meters: Sequence[tuple[Fraction, Meter]], key: Key) -> Tune:
    """Notes in `quantized` beats, meters from their beats on, key -> the tune.

    It begins with the first bar that has a note, in 4/4 where the file names no meter. A change of
    meter within a bar ends it, with a double line. UnreadableError if it is longer than any tune.
    """
    # At sixteenths as the notes are; of several at one place the last one counts.
    changes = {Fraction(round(4 * time), 4): meter for time, meter in meters}
    times = sorted(changes)
    elements: list[Element] = []
    meter, now, place, change = Meter(4, 4), Fraction(0), 0, 0
    first, last = meter, notes[-1][1]
    for _ in range(MOST_BARS):
        while change < len(times) and times[change] <= now:
            change += 1
        if change and changes[times[change - 1]] != meter:
            meter = changes[times[change - 1]]
            elements += [meter] if elements else []
        first = first if elements else meter
        whole = now + 4 * meter.length
        end = whole
        if change < len(times) and changes[times[change]] != meter:
            end = min(whole, times[change])
        while place < len(notes) and notes[place][1] <= now:
            place += 1
        if elements or notes[place][0] < end:
            mark = "|" if end == whole else "||"
            elements += [*_bar(notes, place, now, end, key), Bar(mark if end < last else "|]")]
        if len(elements) > LONGEST:
            break
        now = end
        if now >= last:
            return Tune(first, Fraction(1, 8), key, tuple(elements))
    raise UnreadableError(f"it is longer than {MOST_BARS:,} bars or {LONGEST:,} notes")


def _bar(
    notes: Sequence[Timed], place: int, begin: Fraction, end: Fraction, key: Key
) -> list[Element]:
    """What sounds from `begin` to `end`, beat by beat where there are thirds."""
    found: list[Element] = []
    now = begin
    while now < end:
        while place < len(notes) and notes[place][1] <= now:
            place += 1
        if _has_thirds(notes, place, now, end):
            thirds = [now + Fraction(number, 3) for number in range(3)]
            each = [_at(notes, place, t, t + Fraction(1, 3), Fraction(1, 8), key) for t in thirds]
            found += [Tuplet(3), *each]
            now += 1
            continue
        times = (time for note in notes[place : place + 2] for time in note[:2])
        until = min([end, *(time for time in times if time > now)])
        if until.denominator == 3 and int(until) > now:
            # A beat of thirds is written on its own.
            until = Fraction(int(until))
        found.append(_at(notes, place, now, until, (until - now) / 4, key))
        now = until
    return found


def _has_thirds(notes: Sequence[Timed], place: int, now: Fraction, end: Fraction) -> bool:
    """Whether a beat that is whole begins now, in which something begins or ends at a third."""
    if now.denominator > 1 or now + 1 > end:
        return False
    near = (time for note in notes[place : place + 8] for time in note[:2])
    return any(time.denominator == 3 and now < time < now + 1 for time in near)


def _at(
    notes: Sequence[Timed], place: int, now: Fraction, until: Fraction, length: Fraction, key: Key
) -> Note:
    """The note that sounds at `now`, or a rest, tied where it goes on; none is before `place`."""
    while place < len(notes) and notes[place][1] <= now:
        place += 1
    if place < len(notes) and notes[place][0] <= now:
        return Note(spelled(notes[place][2], key), length, tied=notes[place][1] > until)
    return Note(None, length)


@lru_cache(maxsize=4096)
def spelled(pitch: int, key: Key) -> Pitch:
    """The number of a pitch -> its name in a key: of two, the one of the key's own signs.

    >>> spelled(66, Key("D", 2)).alteration, spelled(66, Key("Bb", -2)).alteration
    (1, -1)
    """
    octave = 7 * (pitch // 12 - 5)
    names = [
        Pitch(octave + 7 * shift + letter, alteration)
        for shift in (-1, 0, 1)
        for letter in range(7)
        for alteration in (0, 1, -1)
    ]
    fitting = [name for name in names if name.midi == pitch]
    side = 1 if key.sharps >= 0 else -1
    return min(
        fitting,
        key=lambda name: (
            name.alteration != key.alteration(name.step),
            name.alteration != 0,
            name.alteration != side,
        ),
    )
