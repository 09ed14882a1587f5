"""The files of tunes: their kinds, what is missing, and fluidsynth where it is installed."""

import sys
from pathlib import Path

import pytest

from charrnn.data.tunes import rendering
from charrnn.data.tunes.rendering import (
    check_programs,
    check_suffix,
    check_tempo,
    rendered,
    sound_font,
    tune_of,
)
from charrnn.errors import UsageError

TEXT = "X:1\nM:2/4\nL:1/8\nK:C\nA2B2|c4|]\n"


def test_the_first_bytes_are_those_of_the_kind_that_the_name_ends_in() -> None:
    assert rendered(TEXT, ".abc") == TEXT.encode()
    assert rendered(TEXT, ".mid")[:4] == b"MThd"
    assert rendered(TEXT, ".wav")[:4] == b"RIFF"
    assert rendered(TEXT, ".midi") == rendered(TEXT, ".mid")


def test_a_name_of_another_kind_and_a_tempo_that_is_none_are_refused() -> None:
    assert check_suffix(Path("Tune.MID")) == ".mid"
    with pytest.raises(UsageError, match=r"end it in \.abc, \.mid"):
        check_suffix(Path("tune.mp3"))
    assert check_tempo(90) == 90
    with pytest.raises(UsageError, match="give 20 to 400"):
        check_tempo(float("nan"))


def test_a_text_that_is_no_tune_is_refused() -> None:
    with pytest.raises(UsageError, match="the text is no tune"):
        tune_of("Once upon a time.")


def test_without_mido_a_midi_file_is_one_line_and_sound_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(UsageError, match=r"pip install 'charrnn\[midi\]'"):
        check_programs(".mid")
    check_programs(".wav")
    assert rendered(TEXT, ".wav")[:4] == b"RIFF"


@pytest.fixture
def fluidsynth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that writes its arguments, and a file of sounds."""
    program = tmp_path / "fluidsynth"
    program.write_text('#!/bin/sh\necho "played $6" > "$5"\n')
    program.chmod(0o755)
    font = tmp_path / "sounds.sf2"
    font.write_text("")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CHARRNN_SOUNDFONT", str(font))
    return program


def test_fluidsynth_plays_where_it_is_installed(fluidsynth: Path) -> None:
    assert sound_font().endswith("sounds.sf2")
    assert rendered(TEXT, ".wav") == f"played {sound_font()}\n".encode()


def test_where_it_fails_the_own_synthesizer_plays(fluidsynth: Path) -> None:
    fluidsynth.write_text("#!/bin/sh\nexit 1\n")
    assert rendered(TEXT, ".wav")[:4] == b"RIFF"


def test_without_its_sounds_it_is_not_asked(
    fluidsynth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "FONTS", ())
    monkeypatch.delenv("CHARRNN_SOUNDFONT")
    assert sound_font() == ""
    monkeypatch.setenv("CHARRNN_SOUNDFONT", "missing.sf2")
    with pytest.raises(UsageError, match="which is no file"):
        check_programs(".wav")
