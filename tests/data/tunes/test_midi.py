"""MIDI files -> tunes: quantized, in bars, one voice; a damaged file is one reason."""

import random
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest

from charrnn.data.tunes import midi, strict
from charrnn.data.tunes.bars import bars
from charrnn.data.tunes.score import Key, Meter, Note, UnreadableError
from tests.support.tune_files import BEAT, midi_file, saved

mido = pytest.importorskip("mido")

TUNE = midi_file(
    (0, 1, 62), (1, 1.5, 66), (1.5, 2, 69), (2, 2.333, 74), (2.333, 2.667, 73), (2.667, 3, 71),
    (3, 6.5, 69), (6.52, 7, 67), (7, 9, 66),
)  # fmt: skip


def test_notes_are_put_at_sixteenths_or_thirds_and_in_bars() -> None:
    taken = midi.read(TUNE)
    assert (taken.notes, taken.parts, taken.polyphonic) == (9, 1, 0)
    assert strict.write(taken.tune) == "X:1\nM:3/4\nL:1/8\nK:D\nD2FA(3dcB|A6-|AGF4|]\n"


def test_the_highest_line_is_taken_and_the_others_are_counted() -> None:
    taken = midi.read(midi_file((0, 3, 48), (0, 2, 62), (0, 2, 55), (2, 3, 64)))
    assert strict.write(taken.tune).splitlines()[-1] == "D4E2|]"
    assert taken.polyphonic == 2


def midi_track(notes: Iterable[tuple[int, int]]) -> Any:
    """Pitches and the beats at which they begin, in order; each sounds for a beat."""
    events = sorted((time + end, 1 - end, pitch) for pitch, time in notes for end in (0, 1))
    track, now = mido.MidiTrack(), 0
    for time, on, pitch in events:
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, time=BEAT * (time - now)))
        now = time
    return track


def test_chords_under_a_tune_are_not_taken_for_it_though_they_are_more_notes() -> None:
    """As abc2midi writes chord symbols."""
    beats = [(12, 0), (14, 2), (16, 4), (17, 5), (14, 6), (12, 8)]
    tune = midi_track((60 + pitch, time) for pitch, time in beats)
    chords = midi_track((pitch, time) for time in range(8) for pitch in (48, 52, 55))
    high = midi_track([(96, 0), (96, 4)])
    for tracks in ((tune, chords, high), (high, chords, tune)):
        taken = midi.read(saved(*tracks))
        notes = [each for each in taken.tune.elements if isinstance(each, Note) and each.pitch]
        assert [each.pitch.midi for each in notes if each.pitch] == [60 + p for p, _ in beats]
        assert taken.left_out["notes of other parts"] == 26


def test_silence_before_the_first_bar_is_no_part_of_the_tune() -> None:
    assert strict.write(midi.read(midi_file((7, 9, 62))).tune).splitlines()[-1] == "z2D4|]"


def test_no_damage_is_more_than_a_reason() -> None:
    chance = random.Random(3)
    for end in range(0, len(TUNE), 11):
        with pytest.raises(UnreadableError):
            midi.read(TUNE[:end])
    for _ in range(60):
        raw = bytearray(TUNE)
        for _ in range(3):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        assert 0 < len(reason(bytes(raw))) < 160


def reason(raw: bytes) -> str:
    """Why a file is not taken, or that it is."""
    try:
        midi.read(raw)
    except UnreadableError as error:
        return str(error)
    return "taken"


def test_what_is_no_tune_has_a_reason() -> None:
    track = mido.MidiTrack(
        [mido.Message("note_on", channel=9), mido.Message("note_off", channel=9, time=9)]
    )
    assert reason(saved(track)) == "it has no notes but drums"
    assert reason(saved(mido.MidiTrack())) == "it has no notes"
    assert reason(b"") == "it is damaged (it ends early)"
    assert "bytes" in reason(bytes(midi.MOST_BYTES + 1))
    far = mido.MidiTrack([mido.Message("note_on"), mido.Message("note_off", time=1 << 27)])
    assert reason(saved(far)) == "it is longer than 4,096 bars or 16,384 notes"


def test_what_is_left_out_of_a_file_is_counted() -> None:
    track = mido.MidiTrack([
        mido.MetaMessage("time_signature", numerator=0, denominator=4),
        mido.MetaMessage("key_signature", key="D"),
        mido.MetaMessage("key_signature", key="Am"),
        mido.Message("note_on", channel=9, note=40),
        mido.Message("note_on", note=60), mido.Message("note_on", note=64),
        mido.Message("note_off", note=60, time=480), mido.Message("note_off", note=64),
        mido.Message("note_on", channel=1, note=50),
        mido.Message("note_off", channel=1, note=50, time=9),
        mido.Message("note_on", note=66), mido.Message("note_off", note=66),
        mido.Message("note_on", note=67),
    ])  # fmt: skip
    taken = midi.read(saved(track))
    assert taken.left_out == {
        "meters that ABC does not have": 1, "changes of key": 1, "notes of drums": 1,
        "notes under the highest line": 1, "notes of other parts": 1, "notes without a length": 1,
        "notes without an end": 1,
    }  # fmt: skip
    assert strict.write(taken.tune) == "X:1\nM:4/4\nL:1/8\nK:D\nE2z6|]\n"


def test_a_change_of_meter_within_a_bar_ends_it_with_a_double_line() -> None:
    notes, meters = [(0, 2, 62), (2, 5, 64)], [(0, Meter(4, 4)), (2, Meter(3, 4))]
    timed = [(Fraction(begin), Fraction(end), pitch) for begin, end, pitch in notes]
    tune = midi.notate(timed, [(Fraction(t), m) for t, m in meters], Key("D", 2))
    assert strict.write(tune).splitlines()[-1] == "D4||[M:3/4]E6|]"
    assert not any(each.wrong for each in bars(tune))


def test_a_note_that_goes_on_into_a_beat_of_thirds_is_tied() -> None:
    third = Fraction(1, 3)
    timed = [
        (Fraction(0), 1 + third, 62),
        (1 + third, 1 + 2 * third, 64),
        (Fraction(2), Fraction(3), 66),
    ]
    tune = midi.notate(midi.quantized(timed), [(Fraction(0), Meter(3, 4))], Key("D", 2))
    assert strict.write(tune).splitlines()[-1] == "D2-(3DEzF2|]"


def test_many_notes_and_changes_take_time_in_proportion() -> None:
    timed = midi.quantized([(Fraction(n, 6), Fraction(n + 1, 6), 60 + n % 9) for n in range(1000)])
    meters = [(Fraction(n, 4), Meter(2 + n % 3, 4)) for n in range(1000)]
    assert (
        sum(isinstance(each, Note) for each in midi.notate(timed, meters, Key("C", 0)).elements)
        > 500
    )
