"""MIDI files -> tunes: quantized, in bars, one voice; a damaged file is one reason."""

import io
import random

import pytest

from charrnn.data.tunes import midi, strict
from charrnn.data.tunes.abc import Unreadable

mido = pytest.importorskip("mido")

BEAT = 480


def file(
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
    raw = io.BytesIO()
    whole = mido.MidiFile(ticks_per_beat=BEAT)
    whole.tracks.append(track)
    whole.save(file=raw)
    return raw.getvalue()


TUNE = file(
    (0, 1, 62), (1, 1.5, 66), (1.5, 2, 69), (2, 2.333, 74), (2.333, 2.667, 73), (2.667, 3, 71),
    (3, 6.5, 69), (6.52, 7, 67), (7, 9, 66),
)  # fmt: skip


def test_notes_are_put_at_sixteenths_or_thirds_and_in_bars() -> None:
    taken = midi.read(TUNE)
    assert (taken.notes, taken.parts, taken.polyphonic) == (9, 1, 0)
    assert strict.write(taken.tune) == "X:1\nM:3/4\nL:1/8\nK:D\nD2FA(3dcB|A6-|AGF4|]\n"


def test_the_highest_line_is_taken_and_the_others_are_counted() -> None:
    taken = midi.read(file((0, 3, 48), (0, 2, 62), (0, 2, 55), (2, 3, 64)))
    assert strict.write(taken.tune).splitlines()[-1] == "D4E2|]"
    assert taken.polyphonic == 2


def test_silence_before_the_first_bar_is_no_part_of_the_tune() -> None:
    assert strict.write(midi.read(file((7, 9, 62))).tune).splitlines()[-1] == "z2D4|]"


def test_no_damage_is_more_than_a_reason() -> None:
    chance = random.Random(3)
    for end in range(0, len(TUNE), 5):
        with pytest.raises(Unreadable):
            midi.read(TUNE[:end])
    for _ in range(200):
        raw = bytearray(TUNE)
        for _ in range(3):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            midi.read(bytes(raw))
        except Unreadable as error:
            assert 0 < len(str(error)) < 120
