"""Tunes for tests: ABC of many tunes, MIDI files of notes."""

import io
import random
from typing import Any

import pytest

mido = pytest.importorskip("mido")

BEAT = 480


def abc_tune(number: int) -> str:
    """A tune in ABC, each number another one, with what a reader leaves out."""
    draw = random.Random(number)
    bars = ["".join(draw.choices("GABcdefg", k=6)) for _ in range(7)]
    key = ("G", "D", "Am", "F")[number % 4]
    head = f"X:{number}\nT:Tune {number}\nR:jig\nM:6/8\nL:1/8\nK:{key}\n"
    return f"{head}|: {' | '.join(bars)} | G6 :|\n\n"


def midi_file(
    *notes: tuple[float, float, int], meter: tuple[int, int] = (3, 4), key: str = "D"
) -> bytes:
    """Notes as begin and end in beats and a pitch -> the bytes of a MIDI file."""
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("time_signature", numerator=meter[0], denominator=meter[1]))
    track.append(mido.MetaMessage("key_signature", key=key))
    events = sorted(
        (round(time * BEAT), on, pitch)
        for begin, end, pitch in notes
        for time, on in ((begin, 1), (end, 0))
    )
    now = 0
    for time, on, pitch in events:
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=64 * on, time=time - now))
        now = time
    return saved(track)


def saved(*tracks: Any) -> bytes:
    """Tracks -> the bytes of a MIDI file."""
    raw = io.BytesIO()
    whole = mido.MidiFile(ticks_per_beat=BEAT)
    whole.tracks.extend(tracks)
    whole.save(file=raw)
    return raw.getvalue()


def midi_tune(number: int) -> bytes:
    """A tune as a MIDI file, each number another one."""
    pitches = [62 + (number * 7 + place * (number % 5 + 1)) % 17 for place in range(24)]
    return midi_file(*((place, place + 1, pitch) for place, pitch in enumerate(pitches)))
