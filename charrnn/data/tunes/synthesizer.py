"""A tune as it sounds -> a WAV file, by a small synthesizer of sine waves."""

import io
import wave
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from charrnn.data.tunes.playing import TEMPO, Played, Sound, played, seconds
from charrnn.data.tunes.score import Tune

RATE = 44_100
"""Samples per second."""

HARMONICS = (1.0, 0.45, 0.3, 0.12, 0.08, 0.04)
"""Amplitudes of a note's harmonics: a plucked string's, roughly."""

ATTACK, RELEASE = 0.008, 0.12
"""Seconds in which a note rises, and in which it dies away behind its end."""

DECAY = 0.9
"""Seconds in which a note that is held falls to half of its loudness."""

PEAK = 0.9
"""Largest amplitude, of 1: what is louder would be cut off."""

MELODY, ACCOMPANIMENT = 1.0, 0.3
"""Loudness of a note of each."""

LONGEST = 20 * 60
"""Seconds of a tune at most: the samples of all of them are in memory."""


def wav_file(tune: Tune, tempo: float = TEMPO) -> bytes:
    """A tune -> the bytes of a WAV file, 16 bits, one channel, RATE; tempo: beats per minute."""
    return wav_bytes(samples(tune, tempo))


def samples(tune: Tune, tempo: float = TEMPO) -> NDArray[np.float32]:
    """A tune -> its samples (N,), within PEAK of zero, RELEASE seconds longer than its notes.

    ValueError if it is longer than LONGEST.
    """
    found = played(tune)
    length = seconds(found.length, tune.meter, tempo)
    if length > LONGEST:
        raise ValueError(f"the tune takes {length / 60:.0f} minutes")
    total = np.zeros(round((length + RELEASE) * RATE), np.float32)
    for sounds, loudness in _parts(found):
        for each in sounds:
            begin = round(seconds(each.begin, tune.meter, tempo) * RATE)
            note = _note(each.pitch, round(seconds(each.length, tune.meter, tempo) * RATE))
            end = min(len(total), begin + len(note))
            total[begin:end] += loudness * note[: end - begin]
    highest = float(np.abs(total).max(initial=0.0))
    # The loudest place of every tune is as loud; silence stays silent.
    return total * np.float32(PEAK / highest) if highest else total


def _parts(found: Played) -> Iterable[tuple[tuple[Sound, ...], float]]:
    yield found.melody, MELODY
    for voice in found.voices:
        yield voice, ACCOMPANIMENT


@lru_cache(maxsize=256)
def _note(pitch: int, length: int) -> NDArray[np.float32]:
    """A pitch of MIDI and a length in samples -> the samples of the note with its release."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    release = round(RELEASE * RATE)
    time = np.arange(length + release) / RATE
    wave_form = np.zeros(len(time))
    for number, amplitude in enumerate(HARMONICS, 1):
        # A harmonic above half of the rate would sound as another pitch.
        if number * frequency < RATE / 2:
            fade = 0.5 ** (time * number / DECAY)
            wave_form += amplitude * fade * np.sin(2 * np.pi * number * frequency * time)
    # Both ends begin and end at zero, without a corner: a step would be heard as a click.
    attack = min(round(ATTACK * RATE), max(1, length))
    wave_form[:attack] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    wave_form[length:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, release + 1) / release)
    found: NDArray[np.float32] = wave_form.astype(np.float32)
    return found


def wav_bytes(samples: NDArray[np.float32]) -> bytes:
    """Samples (N,) from -1 to 1 -> the bytes of a WAV file."""
    raw = io.BytesIO()
    with wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return raw.getvalue()
