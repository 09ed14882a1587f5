"""`sample --output`: whole tunes in files of their own, and nothing overwritten."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn.checkpoints.atomic import Disk
from charrnn.cli import sample
from charrnn.data.tunes import midi
from charrnn.data.tunes.bars import bars
from charrnn.data.tunes.playing import played
from charrnn.data.tunes.rendering import tune_of
from charrnn.tasks.language import tunes
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.shell import Done, Shell
from tests.support.tunes import tunes_checkpoint, tunes_model

Sampled = Callable[..., Done]


@pytest.fixture
def sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sampled:
    """`sample` with a model of tunes, in a folder."""
    shell, model = Shell(tmp_path), tunes_model()
    monkeypatch.setattr(sample, "written_by", lambda *_: model)
    return lambda *words, **settings: shell.run("sample", "--seed", "1", *words, **settings)


def test_a_tune_is_written_as_abc_midi_and_sound(sampled: Sampled, tmp_path: Path) -> None:
    for name in ("tune.abc", "tune.mid", "tune.wav"):
        done = sampled("--output", name).succeeded()
        assert done.out == ""
        assert f"wrote {name}" in done.err
    text = (tmp_path / "tune.abc").read_text()
    assert not [each for each in bars(tune_of(text)) if each.wrong]
    heard = midi.read((tmp_path / "tune.mid").read_bytes())
    assert heard.notes == len(played(tune_of(text)).melody)
    assert (tmp_path / "tune.wav").read_bytes()[:4] == b"RIFF"


def test_several_tunes_are_files_of_a_folder(sampled: Sampled, tmp_path: Path) -> None:
    done = sampled("--output", "jigs.abc", "--num-samples", "12").succeeded()
    names = sorted(each.name for each in (tmp_path / "jigs").iterdir())
    assert names == [f"jigs-{number:02}.abc" for number in range(1, 13)]
    assert "wrote 12 tunes in jigs" in done.err
    # A tune depends on its number, and so does not change with how many there are.
    sampled("--output", "one.abc").succeeded()
    assert (tmp_path / "one.abc").read_text() == (tmp_path / "jigs/jigs-01.abc").read_text()


def test_nothing_is_overwritten_unless_it_is_asked_for(sampled: Sampled, tmp_path: Path) -> None:
    (tmp_path / "tune.mid").write_text("mine")
    sampled("--output", "tune.mid").failed(2, "tune.mid exists", "--force")
    assert (tmp_path / "tune.mid").read_text() == "mine"
    sampled("--output", "tune.mid", "--force").succeeded()
    assert (tmp_path / "tune.mid").read_bytes()[:4] == b"MThd"
    (tmp_path / "jigs").mkdir()
    (tmp_path / "jigs" / "jigs-2.mid").write_text("mine")
    sampled("--output", "jigs.mid", "--num-samples", "3").failed(2, "jigs-2.mid exists")
    assert [each.name for each in (tmp_path / "jigs").iterdir()] == ["jigs-2.mid"]


@pytest.mark.parametrize("name", ["tune.abc", "tune.mid", "tune.wav"])
def test_on_a_full_disk_there_is_one_line_and_no_half_file(
    name: str, sampled: Sampled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / name).write_text("mine")
    monkeypatch.setattr(Disk, "write", full)
    done = sampled("--output", name, "--force")
    assert done.code == 1
    assert f"cannot write {name}: No space left on device" in done.err
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_tunes_that_were_written_stay_if_the_disk_is_full_then(
    sampled: Sampled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = Disk.write, list[int]()

    def soon_full(self: Disk, descriptor: int, data: memoryview) -> int:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, descriptor, data)

    monkeypatch.setattr(Disk, "write", soon_full)
    assert sampled("--output", "jigs.abc", "--num-samples", "4").code == 1
    assert sorted(each.name for each in (tmp_path / "jigs").iterdir()) == [
        "jigs-1.abc",
        "jigs-2.abc",
    ]


def test_what_was_drawn_again_is_counted_on_stderr(sampled: Sampled) -> None:
    done = sampled("--output", "a.abc", "--num-samples", "8", "--length", "200").succeeded()
    assert "drawn again: " in done.err
    assert "did not end" in done.err


def test_a_model_that_writes_no_whole_tune_is_one_line(
    sampled: Sampled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunes, "TRIES", 2)
    sampled("--output", "a.mid", "--length", "9").failed(2, "no whole tune was drawn in 2 tries")
    assert not list(tmp_path.glob("*.mid"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--output", "tune.mp3"), "tune.mp3 is no name of a file of a tune"),
        (("--output", "no/tune.mid"), "there is no such folder"),
        (("--output", "no/tunes.mid", "--num-samples", "2"), "there is no such folder"),
        (("--output", "tune.mid", "--json"), "--json has no effect with --output"),
        (("--output", "tune.mid", "--beam", "3"), "--beam has no effect with --output"),
        (("--output", "tune.mid", "--no-echo"), "--no-echo"),
        (("--output", "tune.abc", "--tempo", "90"), "--tempo has no effect on ABC"),
        (("--tempo", "90"), "--tempo has no effect without --output"),
        (("--force",), "--force has no effect without --output"),
        (("--key", "H"), "there is no key 'H'"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...], problem: str, sampled: Sampled, tmp_path: Path
) -> None:
    done = sampled(*words)
    assert done.code in (1, 2)
    assert problem in done.err or "--echo has no effect" in done.err
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_text_has_no_tunes(trained: Shell) -> None:
    trained.run("sample", "--output", "tune.mid").failed(2, "is no model of tunes")
    trained.run("sample", "--bars").failed(2, "is no model of tunes", "leave --bars out")
    trained.run("sample", "--no-bars", "--length", "5").succeeded()


def test_json_says_what_repeats_a_tune(sampled: Sampled) -> None:
    found = sampled("--json", "--key", "Em", "--meter", "6/8").succeeded().json[0]
    assert (found["settings"]["key"], found["settings"]["meter"]) == ("Em", "6/8")
    assert "bars" not in found["settings"]
    assert sampled("--json", "--no-bars").succeeded().json[0]["settings"]["bars"] is False


def test_a_tune_is_written_to_its_end_unless_a_length_is_given(sampled: Sampled) -> None:
    assert sampled("--json").succeeded().json[0]["settings"]["length"] == 5000
    assert sampled("--json", "--length", "9").succeeded().json[0]["tokens"] == 9


def test_a_state_is_continued_in_the_middle_of_a_bar(
    sampled: Sampled, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One whose state is that of its checkpoint.
    model = LanguageModel(tunes_checkpoint(), Path("tunes.safetensors"), threads=1)
    monkeypatch.setattr(sample, "written_by", lambda *_: model)
    whole = sampled("--length", "700").succeeded().out
    half = len(whole) // 2
    first = sampled("--length", str(half), "--save-state", "state").succeeded().out
    rest = sampled("--length", str(700 - half), "--load-state", "state").succeeded().out
    assert first[:-1] + rest == whole
    assert len(whole) > 60
