"""A tune as it sounds -> a MIDI file: the melody, and an accompaniment of its chord symbols."""

import io
from collections.abc import Sequence
from fractions import Fraction

from charrnn.data.tunes.midi import MAJOR, MINOR, import_mido
from charrnn.data.tunes.playing import TEMPO, Sound, beat_of, played
from charrnn.data.tunes.score import Key, Tune

TICKS = 480
"""Of a quarter: lengths of triplets and sixty-fourths are whole numbers of them."""

LOUD, SOFT = 88, 56
"""Velocities of the melody, and of the accompaniment."""


def midi_file(tune: Tune, tempo: float = TEMPO) -> bytes:
    """A tune -> the bytes of a MIDI file, with the repeats played out.

    The melody is the first of the parts and has the most notes, so that it is what other programs,
    and `charrnn train`, take for the tune. tempo: beats per minute. UsageError without mido.
    """
    mido = import_mido()
    found = played(tune)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    head = mido.MidiTrack()
    quarter = float(beat_of(tune.meter) * 4)
    microseconds = min(round(60e6 / (tempo * quarter)), (1 << 24) - 1)
    head.append(mido.MetaMessage("set_tempo", tempo=microseconds))
    head.append(mido.MetaMessage("key_signature", key=signature(tune.key)))
    now = 0
    for place, meter in found.meters:
        ticks = _ticks(place)
        values = {"numerator": meter.beats, "denominator": meter.unit, "time": ticks - now}
        head.append(mido.MetaMessage("time_signature", **values))
        now = ticks
    file.tracks.append(head)
    for channel, (sounds, velocity) in enumerate(
        [(found.melody, LOUD), *((voice, SOFT) for voice in found.voices if voice)]
    ):
        track = mido.MidiTrack()
        now = 0
        for time, kind, pitch in _events(sounds):
            own = {"channel": channel, "note": pitch, "velocity": velocity}
            track.append(mido.Message(kind, **own, time=time - now))
            now = time
        file.tracks.append(track)
    raw = io.BytesIO()
    file.save(file=raw)
    return raw.getvalue()


def _ticks(whole_notes: Fraction) -> int:
    return round(whole_notes * 4 * TICKS)


def _events(sounds: Sequence[Sound]) -> list[tuple[int, str, int]]:
    """Notes -> when each begins and ends; one that ends is before one that begins then."""
    found: list[tuple[int, str, int]] = []
    for each in sounds:
        begin, end = _ticks(each.begin), _ticks(each.begin + each.length)
        if end > begin:
            found += [(begin, "note_on", each.pitch), (end, "note_off", each.pitch)]
    return sorted(found)


def signature(key: Key) -> str:
    """A key -> the name that MIDI has for its signature: of modes, the major key of the same signs.

    >>> signature(Key("Ddor", 0)), signature(Key("Em", 1))
    ('C', 'Em')
    """
    return MINOR[key.sharps + 7] + "m" if key.name.endswith("m") else MAJOR[key.sharps + 7]
