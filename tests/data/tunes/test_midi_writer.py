"""MIDI files of tunes: what is read back is what was written, and the melody is found."""

import io
from collections import Counter

import mido
import pytest

from charrnn.data.tunes import abc, midi
from charrnn.data.tunes.midi_writer import TICKS, midi_file, signature
from charrnn.data.tunes.playing import played
from charrnn.data.tunes.score import Key, Tune

TUNE = (
    'X:1\nM:6/8\nL:1/8\nK:Ador\nE|:"Am"A2Bc2d|"G"e3-ed2|[1"Am"(3ABcd2e2E:|[2A6|][M:2/4]A2z2|^G4|]\n'
)


def tune(text: str = TUNE) -> Tune:
    return abc.parse(text.splitlines(), Counter())


def test_what_is_read_back_are_the_notes_with_their_times() -> None:
    want, got = played(tune()), played(midi.read(midi_file(tune())).tune)
    assert got.melody == want.melody
    assert got.meters == want.meters


def test_the_melody_is_the_part_that_a_training_takes() -> None:
    taken = midi.read(midi_file(tune()))
    assert taken.parts == 5
    assert taken.notes == len(played(tune()).melody)


@pytest.mark.parametrize(("tempo", "microseconds"), [(60, 666_667), (120, 333_333)])
def test_the_tempo_is_that_of_the_beats_of_the_meter(tempo: float, microseconds: int) -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_file(tune(), tempo)))
    (found,) = [each.tempo for each in file.tracks[0] if each.type == "set_tempo"]
    assert found == microseconds


def test_every_note_ends_and_none_is_of_the_drums() -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_file(tune())))
    assert file.ticks_per_beat == TICKS
    sounding: Counter[tuple[int, int]] = Counter()
    for track in file.tracks[1:]:
        for message in track:
            if message.type in ("note_on", "note_off"):
                sounding[message.channel, message.note] += 1 if message.type == "note_on" else -1
                assert message.channel != midi.DRUMS
                assert sounding[message.channel, message.note] in (0, 1)
    assert not +sounding


@pytest.mark.parametrize(
    ("key", "name"),
    [(Key("G", 1), "G"), (Key("Cm", -3), "Cm"), (Key("Ador", 1), "G"), (Key("Emix", 3), "A")],
)
def test_a_key_has_the_signature_that_midi_can_name(key: Key, name: str) -> None:
    assert signature(key) == name


def test_equal_tunes_have_equal_files() -> None:
    assert midi_file(tune()) == midi_file(tune())
