"""A tune as it sounds: repeats, endings, ties, tuplets, and the accompaniment."""

from collections import Counter
from fractions import Fraction

import pytest

from charrnn.data.tunes import abc
from charrnn.data.tunes.playing import beat_of, chord_notes, played, seconds
from charrnn.data.tunes.score import Meter, Tune


def tune(music: str, meter: str = "2/4") -> Tune:
    return abc.parse(f"X:1\nM:{meter}\nL:1/8\nK:C\n{music}\n".splitlines(), Counter())


def heard(music: str) -> str:
    """The letters of the notes in the order in which they sound."""
    names = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B", 72: "c", 74: "d"}
    return "".join(names[each.pitch] for each in played(tune(music)).melody)


@pytest.mark.parametrize(
    ("music", "order"),
    [
        ("C4|D4|]", "CD"),
        ("|:C4|D4:|E4|]", "CDCDE"),
        ("C4|D4:|E4|]", "CDCDE"),  # a repeat without a beginning
        ("C4|D4::E4:|F4|]", "CDCDEEF"),
        ("C4||D4:|E4|]", "CDDE"),  # back to the double bar
        ("|:C4||D4:|E4|]", "CDCDE"),  # but within a repeat it is none
        ("|:C4|[1D4:|[2E4|]F4|]", "CDCEF"),
        ("|:C4|[1D4:|[2E4:|F4|]", "CDCEF"),
        ("|:C4|[1D4:|[2E4||F4:|", "CDCEFF"),
        ("|:C4|[1D4|[2E4|]", "CDE"),  # an ending that does not go back
        ("|:C4|D4|]", "CD"),  # a repeat that does not end
        (":|C4|]", "C"),
    ],
)  # fmt: skip
def test_repeats_are_played_out(music: str, order: str) -> None:
    assert heard(music) == order


def test_tied_notes_are_one_and_tuplets_take_their_time() -> None:
    found = played(tune("C3-C/2D/2|D2-E2|(3CDEF2|]")).melody
    lengths = [str(each.length * 8) for each in found]
    assert lengths == ["7/2", "1/2", "2", "2", "2/3", "2/3", "2/3", "2"]
    assert sum(each.length for each in found) == Fraction(12, 8)


def test_rests_are_silent_and_no_tie_goes_over_them() -> None:
    found = played(tune("C2-z2|C4|]")).melody
    assert [(each.begin, each.length) for each in found] == [
        (0, Fraction(1, 4)), (Fraction(1, 2), Fraction(1, 2)),
    ]  # fmt: skip


def test_a_first_bar_that_is_short_stands_at_the_end_of_a_whole_one() -> None:
    found = played(tune("C|D4|E3|]"))
    assert [each.begin for each in found.melody] == [Fraction(3, 8), Fraction(1, 2), Fraction(1)]
    assert found.length == Fraction(11, 8)


def test_a_repeat_goes_back_behind_a_change_of_meter() -> None:
    found = played(tune("C4|[M:3/4]D6:|"))
    assert [meter.beats for _, meter in found.meters] == [2, 3, 2, 3]
    assert [place for place, _ in found.meters] == [
        0, Fraction(1, 2), Fraction(5, 4), Fraction(7, 4),
    ]  # fmt: skip


def test_chord_symbols_become_a_bass_on_the_first_beat_and_chords_on_the_others() -> None:
    bass, *chord = played(tune('"C"CDEF|"G7"GFED|]', "4/8")).voices
    assert [(each.begin, each.pitch) for each in bass] == [(0, 48), (Fraction(1, 2), 43)]
    assert [each.begin for each in chord[0]] == [Fraction(1, 4), Fraction(3, 4)]
    assert {each.pitch % 12 for voice in chord for each in voice[1:]} == {7, 11, 5}


def test_no_voice_has_more_notes_than_the_melody() -> None:
    held = played(tune('"C"c4"F"c4|"C"c8|]', "4/4"))
    assert [len(voice) for voice in held.voices] == [3, 3, 3, 3]
    silent = played(tune('"C"c8-|"F"c8-|"C"c8|]', "4/4"))
    assert [len(voice) for voice in silent.voices] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("meter", "beat"), [((6, 8), 3 / 8), ((3, 4), 1 / 4), ((2, 2), 1 / 2), ((9, 16), 3 / 16)]
)
def test_a_tempo_is_of_beats(meter: tuple[int, int], beat: float) -> None:
    assert float(beat_of(Meter(*meter))) == beat
    assert seconds(beat_of(Meter(*meter)), Meter(*meter), 60) == 1.0


def test_a_chord_is_close_to_the_middle_of_the_keyboard() -> None:
    for name in ("C", "F#m", "Bb7", "Gdim", "Dmaj7", "E+", "Asus4", "Am7/G"):
        bass, low, middle, high = chord_notes(name)
        assert 38 <= bass < 50 <= low < middle < high < 62
