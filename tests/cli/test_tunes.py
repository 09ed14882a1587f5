"""Tunes on the command line: trained on, resumed, sampled, scored; options that contradict."""

import json
from collections import Counter
from pathlib import Path

from charrnn.data.tunes import abc
from tests.support.shell import Shell
from tests.support.tune_files import abc_tune, midi_tune

SMALL = ("--hidden-size", "8", "--steps", "4", "--threads", "1", "--batch-size", "2", "--seed", "1")


def test_a_folder_of_tunes_is_trained_on_and_measured_from_the_command_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    folder = tmp_path / "tunes"
    (folder / "deep").mkdir(parents=True)
    for number in range(12):
        (folder / "deep" / f"{number}.mid").write_bytes(midi_tune(number))
    (folder / "book.abc").write_text("".join(map(abc_tune, range(8))))
    (folder / "bad.midi").write_bytes(b"MThd")

    planned = shell.run("plan", "tunes", *SMALL).succeeded()
    assert "read as tunes, because the files plainly are (MIDI, ABC)" in planned.out
    done = shell.run("train", "tunes", *SMALL, "--save-every", "2").succeeded()
    assert "20 tunes in 1 ABC file and 13 MIDI files" in done.err
    assert "not taken, it is damaged (it ends early): tunes/bad.midi" in done.err

    run = tmp_path / "runs" / "tunes"
    assert len((run / "corpus" / "tunes.tsv").read_text().splitlines()) == 15
    recorded = json.loads((run / "run.json").read_text())
    assert (recorded["recipe"]["documents"], recorded["corpus"]["documents"]) == ("tune", "tune")
    assert "tunes" not in recorded["recipe"]

    # Exactly as if it had not been interrupted, with a file that was put into the folder since.
    last = max(run.glob("*.safetensors")).read_bytes()
    for path in run.glob("*4.safetensors"):
        path.unlink()
    (folder / "new.mid").write_bytes(midi_tune(50))
    shell.run("train", "--resume", "--tunes").succeeded()
    assert max(run.glob("*.safetensors")).read_bytes() == last
    shell.run("train", "--resume", "--no-tunes").failed(2, "cannot be changed")

    score = shell.run("score", "tunes", "tunes/deep/3.mid", "--json").succeeded()
    assert json.loads(score.out)["characters"] > 50
    shell.run("score", "tunes", "tunes/book.abc", "--per-line").failed(2, "a file for each tune")
    shell.run("score", "tunes", "tunes/bad.midi").failed(3, "no tune that can be read")
    found = shell.run("evaluate", "tunes", "--file", "tunes").succeeded()
    assert "over" in found.out

    # What a changed file is refused by.
    (folder / "book.abc").write_text("".join(map(abc_tune, range(7))))
    shell.run("train", "--resume").failed(3, "the text has changed since the run began")


def test_tunes_are_sampled_as_abc_that_begins_with_its_number(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "book.abc").write_text("".join(map(abc_tune, range(40))))
    options = ("--steps", "60", "--hidden-size", "48", "--threads", "1", "--learning-rate", "0.02")
    shell.run("train", "book.abc", "--seed", "1", *options).succeeded()
    sample = shell.run("sample", "--greedy", "--length", "90").succeeded()
    assert sample.out.startswith("X:1\nM:6/8\nL:1/8\nK:")
    assert len(list(abc.tunes(sample.out, Counter()))) == 1


def test_midi_is_named_where_it_is_not_read_as_tunes(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "a.mid").write_bytes(midi_tune(1))
    shell.run("train", "a.mid", "--no-tunes").failed(3, "a.mid is a MIDI file")
    shell.run("train", "a.mid", "--task", "labels").failed(3, "a.mid is a MIDI file")
    shell.run("train", "a.mid", "--task", "labels", "--tunes").failed(2, "--tunes is no option")
