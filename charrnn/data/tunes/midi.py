"""A MIDI file -> a tune of one voice: the highest line of the part with most notes."""

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from charrnn.data.tunes.abc import Unreadable
from charrnn.data.tunes.score import SEMITONES, Bar, Element, Key, Meter, Note, Pitch, Tune, Tuplet
from charrnn.errors import UsageError

DRUMS = 9
"""The channel of percussion, whose numbers are instruments and not pitches."""

SMALLEST_BEAT = 16
"""A meter of smaller notes is damage, and is passed over."""

MOST_BARS = 4096
"""A longer file is damaged: its times are wrong."""

MAJOR = "Cb Gb Db Ab Eb Bb F C G D A E B F# C#".split()
"""Names of major keys from seven flats to seven sharps."""


@dataclass(frozen=True)
class Taken:
    """What was taken of a file. parts: those that have notes; polyphonic: lower notes left out."""

    tune: Tune
    notes: int
    parts: int
    polyphonic: int


def read(raw: bytes) -> Taken:
    """The bytes of a MIDI file -> its tune; Unreadable says why there is none."""
    try:
        # Imported here because most texts are not MIDI.
        import mido
    except ImportError:
        raise UsageError(
            "MIDI files need mido", "install it with: pip install 'charrnn[midi]'"
        ) from None
    try:
        file = mido.MidiFile(file=io.BytesIO(raw), clip=True)
    # What mido raises for a damaged file is not one kind of error.
    except Exception as error:
        raise Unreadable(f"it is damaged ({str(error) or 'it ends early'})") from None
    if file.ticks_per_beat <= 0:
        raise Unreadable("its times are in seconds and not in beats")
    parts, meters, keys = _events(file)
    if not parts:
        raise Unreadable("it has no notes but drums")
    melody = max(parts.values(), key=len)
    line, lower = highest_line(melody)
    beats = [(_beats(begin, file), _beats(end, file), pitch) for begin, end, pitch in line]
    changes = sorted((_beats(time, file), meter) for time, meter in meters.items())
    key = keys or key_of([pitch for _, _, pitch in beats])
    return Taken(notate(beats, changes, key), len(line), len(parts), lower)


def _beats(ticks: int, file: Any) -> Fraction:
    return Fraction(ticks, file.ticks_per_beat)


Sounding = tuple[int, int, int]
"""Begin and end in ticks, and the number of a pitch."""


def _events(
    file: Any,
) -> tuple[dict[tuple[int, int], list[Sounding]], dict[int, Meter], Key | None]:
    """A file -> notes by track and channel, meters by their time, and the first key."""
    parts: dict[tuple[int, int], list[Sounding]] = defaultdict(list)
    meters: dict[int, Meter] = {}
    key: Key | None = None
    for number, track in enumerate(file.tracks):
        now, open_notes = 0, dict[tuple[int, int], int]()
        for message in track:
            now += message.time
            if message.type == "time_signature" and message.denominator <= SMALLEST_BEAT:
                meters.setdefault(now, Meter(message.numerator, message.denominator))
            elif message.type == "key_signature" and key is None:
                key = _key(message.key)
            elif message.type in ("note_on", "note_off") and message.channel != DRUMS:
                which = (message.channel, message.note)
                begin = open_notes.pop(which, None)
                if begin is not None and now > begin:
                    parts[number, message.channel].append((begin, now, message.note))
                if message.type == "note_on" and message.velocity:
                    open_notes[which] = now
    return dict(parts), meters, key


def _key(name: str) -> Key:
    """A key as mido names it (`Am`, `Eb`) -> key.

    >>> _key("Am"), _key("Eb")
    (Key(name='Am', sharps=0), Key(name='Eb', sharps=-3))
    """
    if name.endswith("m"):
        minor = {each: place for place, each in enumerate(
            "Ab Eb Bb F C G D A E B F# C# G# D# A#".split()
        )}  # fmt: skip
        return Key(name, minor[name[:-1]] - 7)
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
    thirds = {beat for beat, places in by_beat.items() if _error(places, 3) < _error(places, 4)}

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


def _error(places: Sequence[Fraction], parts: int) -> Fraction:
    """How far places in a beat are from so many parts of it, in all."""
    return sum((abs(each - Fraction(round(each * parts), parts)) for each in places), Fraction(0))


def notate(notes: Sequence[Timed], meters: Sequence[tuple[Fraction, Meter]], key: Key) -> Tune:
    """Notes in beats, meters from their beats on, key -> the tune, from the first bar with a note.

    4/4 where the file names no meter. Unreadable if it is longer than any tune.
    """
    notes = quantized(notes)
    changes = list(meters) or [(Fraction(0), Meter(4, 4))]
    elements: list[Element] = []
    meter, now, place = changes[0][1], Fraction(0), 0
    first, last = meter, notes[-1][1]
    for _ in range(MOST_BARS):
        at = [each for begin, each in changes if begin <= now]
        if at and at[-1] != meter:
            meter = at[-1]
            first = first if elements else meter
            elements += [meter] if elements else []
        end = now + 4 * meter.length
        while place < len(notes) and notes[place][1] <= now:
            place += 1
        if elements or notes[place][0] < end:
            elements += [*_bar(notes, place, now, end, key), Bar("|" if end < last else "|]")]
        now = end
        if now >= last:
            return Tune(first, Fraction(1, 8), key, tuple(elements))
    raise Unreadable(f"it is longer than {MOST_BARS:,} bars")


def _bar(
    notes: Sequence[Timed], place: int, begin: Fraction, end: Fraction, key: Key
) -> list[Element]:
    """What sounds from `begin` to `end`, beat by beat where there are thirds."""
    found: list[Element] = []
    now = begin
    while now < end:
        while place < len(notes) and notes[place][1] <= now:
            place += 1
        beat = min(end, Fraction(int(now) + 1))
        near = [each for each in notes[place : place + 8] if each[0] < beat]
        times = [time for each in near for time in each[:2] if now <= time < beat]
        if (
            now.denominator == 1
            and beat == now + 1
            and any((3 * t).denominator == 1 and t.denominator == 3 for t in times)
        ):
            found.append(Tuplet(3))
            found += [
                _at(notes, now + Fraction(k, 3), now + Fraction(k + 1, 3), Fraction(1, 8), key)
                for k in range(3)
            ]
            now = beat
            continue
        until = min(
            [time for each in notes[place : place + 2] for time in each[:2] if time > now] + [end]
        )
        # A beat of thirds is written on its own.
        until = min(until, end)
        found.append(_at(notes[place:], now, until, (until - now) / 4, key))
        now = until
    return found


def _at(notes: Sequence[Timed], now: Fraction, until: Fraction, length: Fraction, key: Key) -> Note:
    """The note that sounds at `now`, or a rest, tied where it goes on."""
    for begin, end, pitch in notes:
        if begin <= now < end:
            return Note(spelled(pitch, key), length, tied=end > until)
        if begin > now:
            break
    return Note(None, length)


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
