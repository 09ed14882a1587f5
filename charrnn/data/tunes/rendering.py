"""The text of a tune -> the bytes of a file: ABC, MIDI or sound, by the file's name."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from charrnn.data.tunes import abc
from charrnn.data.tunes.playing import TEMPO
from charrnn.data.tunes.score import Tune, UnreadableError
from charrnn.errors import UsageError

SUFFIXES = (".abc", ".mid", ".midi", ".wav")
"""Of the names of files that a tune can be written to."""

SLOWEST, FASTEST = 20, 400
"""Beats per minute."""

SOUND_FONT = "CHARRNN_SOUNDFONT"
"""The variable that names the sounds for fluidsynth; else the first of FONTS is taken."""

FONTS = (
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/sounds/sf3/default-GM.sf3",
    "/usr/share/soundfonts/default.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/local/share/fluidsynth/sf2/FluidR3_GM.sf2",
)
"""Where systems keep the sounds of General MIDI."""

PATIENCE = 300
"""Seconds that fluidsynth may take for a tune."""


def tune_of(text: str) -> Tune:
    r"""The text of one tune in ABC -> the tune. UsageError if it is none.

    >>> tune_of("X:1\nM:2/4\nL:1/8\nK:G\nABcd|e4|]\n").key.name
    'G'
    """
    lines = next(abc.tunes(text), [])
    try:
        return abc.parse(lines, Counter())
    except UnreadableError as error:
        raise UsageError(f"the text is no tune: {error}", "give a tune in ABC") from None


def check_suffix(path: Path) -> str:
    """The name of a file -> its suffix, in lower case. UsageError if no tune is written so."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path} is no name of a file of a tune", f"end it in {', '.join(SUFFIXES)}"
        )
    return suffix


def check_tempo(tempo: float) -> float:
    """Beats per minute -> the same. UsageError outside of the bounds."""
    # Written so that NaN, which compares as false, is refused too.
    if not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"the tempo is {tempo!r}", f"give {SLOWEST} to {FASTEST} beats a minute")
    return tempo


def check_programs(suffix: str) -> None:
    """UsageError if what a kind of file needs is not installed."""
    from charrnn.data.tunes.midi import import_mido

    if suffix in (".mid", ".midi"):
        import_mido()
    elif suffix == ".wav":
        sound_font()


def rendered(text: str, suffix: str, tempo: float = TEMPO) -> bytes:
    """The text of a tune, a suffix of SUFFIXES -> the bytes of the file.

    Sound is made by fluidsynth where it is installed with its sounds, and mido is; else by a
    synthesizer of sine waves. UsageError if the text is no tune, or takes too long.
    """
    if suffix == ".abc":
        return (text.rstrip("\n") + "\n").encode()
    tune = tune_of(text)
    if suffix == ".wav":
        return _sound(tune, tempo)
    from charrnn.data.tunes.midi_writer import midi_file

    return midi_file(tune, tempo)


def sound_font() -> str:
    """The file of sounds that fluidsynth would play with, "" if it is not installed or has none."""
    named = os.environ.get(SOUND_FONT, "")
    if named and not Path(named).is_file():
        raise UsageError(f"{SOUND_FONT} is {named!r}, which is no file", "name a .sf2 or unset it")
    if not shutil.which("fluidsynth"):
        return ""
    return named or next((each for each in FONTS if Path(each).is_file()), "")


def _sound(tune: Tune, tempo: float) -> bytes:
    font = sound_font()
    found = _by_fluidsynth(tune, tempo, font) if font else b""
    if found:
        return found
    from charrnn.data.tunes.synthesizer import wav_file

    try:
        return wav_file(tune, tempo)
    except ValueError as error:
        raise UsageError(f"{error}, too long for a file of sound", "write .mid instead") from None


def _by_fluidsynth(tune: Tune, tempo: float, font: str) -> bytes:
    """A tune -> the bytes of a WAV file; empty if it cannot be made so."""
    from charrnn.data.tunes.midi_writer import midi_file

    try:
        raw = midi_file(tune, tempo)
    except UsageError:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "tune.mid"), Path(folder, "tune.wav")
        source.write_bytes(raw)
        command = ["fluidsynth", "-ni", "-r", "44100", "-F", str(target), font, str(source)]
        try:
            # Its log is no part of what this program says.
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            return target.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return b""
