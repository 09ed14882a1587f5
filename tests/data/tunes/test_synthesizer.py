"""Sound of tunes: as long as the notes, at their pitches, without clicks and not cut off."""

import io
import wave
from collections import Counter

import numpy as np
import pytest

from charrnn.data.tunes import abc, synthesizer
from charrnn.data.tunes.score import Tune
from charrnn.data.tunes.synthesizer import PEAK, RATE, RELEASE, samples, wav_file


def tune(music: str = '"Am"A2B2|"F"c4|]', head: str = "M:2/4\nL:1/8\nK:C") -> Tune:
    return abc.parse(f"X:1\n{head}\n{music}\n".splitlines(), Counter())


def test_a_file_is_as_long_as_the_notes_and_their_release() -> None:
    with wave.open(io.BytesIO(wav_file(tune(), 120))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE, 2, 1)
        # Four beats at 120 a minute.
        assert file.getnframes() == round((2.0 + RELEASE) * RATE)


def test_the_loudest_sample_is_below_the_largest_and_the_ends_are_silent() -> None:
    with wave.open(io.BytesIO(wav_file(tune()))) as file:
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert round(PEAK * 32767) - 1 <= abs(found.astype(int)).max() <= round(PEAK * 32767) + 1
    assert abs(int(found[0])) + abs(int(found[-1])) <= 2


def test_no_step_between_samples_is_one_that_clicks() -> None:
    """Of a sine wave of 220 Hz and its harmonics no two samples are far apart."""
    found = samples(tune("A,2A,2|A,4|]"))
    assert np.abs(np.diff(found)).max() < 0.15


@pytest.mark.parametrize(("note", "frequency"), [("A4", 440.0), ("c'4", 1046.5), ("C,4", 130.8)])
def test_a_note_has_its_pitch(note: str, frequency: float) -> None:
    found = samples(tune(f"{note}|]"))[: RATE // 2]
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert abs(np.argmax(spectrum) * RATE / len(found) - frequency) < 2.5


def test_a_rest_is_silent() -> None:
    found = samples(tune("A2z2|z4|]"), 60)
    assert not found[round((1 + RELEASE) * RATE) + 1 :].any()


def test_a_tune_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesizer, "LONGEST", 1)
    with pytest.raises(ValueError, match="the tune takes"):
        samples(tune())
