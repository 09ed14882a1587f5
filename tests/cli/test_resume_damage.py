"""`charrnn train --resume`: changed texts, damaged checkpoints and descriptions."""

import json
import os
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from tests.support.left import QUICKLY, RESUME
from tests.support.shell import Shell, flip, sentences


def test_resume_of_a_changed_text_names_both_hashes(stopped: Shell) -> None:
    about = json.loads((stopped.runs / "corpus" / "run.json").read_text())
    stopped.write("corpus.txt", sentences(seed=1))
    before = stopped.steps()
    said = stopped.run(*RESUME).failed(3, "the text has changed since the run began")
    assert about["corpus"]["sha256"] in said
    assert stopped.steps() == before


@pytest.mark.parametrize("position", [20, -1])
def test_resume_skips_a_damaged_newest_checkpoint_with_one_line(
    position: int, long: Shell, stopped: Shell
) -> None:
    newest = Run(stopped.runs / "corpus").path_of(12)
    flip(newest, position)
    done = stopped.run(*RESUME, "--quiet").succeeded()
    assert done.err.startswith(f"charrnn: note: cannot use {newest}: ")
    assert done.err.endswith("; trying the one before\n")
    assert len(done.err.splitlines()) == 1
    assert stopped.weights() == long.weights()
    stopped.run("checkpoints", "verify").succeeded()


def test_resume_with_every_checkpoint_damaged(stopped: Shell) -> None:
    for entry in Run(stopped.runs / "corpus").entries():
        flip(entry.path)
    done = stopped.run(*RESUME)
    *notes, error = done.err.splitlines()
    assert done.code == 4
    assert len(notes) == 3
    assert all(note.startswith("charrnn: note: ") for note in notes)
    assert error.startswith("charrnn: error: cannot use ")


def test_resume_of_an_exported_file_in_a_run_says_what_it_is(stopped: Shell) -> None:
    run = Run(stopped.runs / "corpus")
    for step in (4, 8):
        run.path_of(step).unlink()
    words = ("corpus", "--checkpoint", "latest", "--output", str(run.path_of(12)), "--force")
    stopped.run("checkpoints", "export", *words).succeeded()
    done = stopped.run(*RESUME)
    assert done.code == 4
    assert "was exported for sharing, without the state of its training" in done.err


DESCRIBED = '{"plan": {"seconds": 1, "tokens_per_second": 1, "epochs": 1, "memory": 1}, "recipe": '


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"recipe": {}, "plan": 3}', '{"recipe": 3, "plan": {}}',
     '{"plan": {"seconds": 1, "tokens_per_second": 1, "epochs": 1, "memory": Infinity}, '
     '"recipe": {"sources": []}}',
     *(DESCRIBED + r + "}"
       for r in ('"ab"', '{"sources": "corpus.txt"}', '{"sources": [3]}', '[]', '{"sources": {}}',
                 '{"sources": [], "encoding": 7}', '{"sources": [], "lines": "no"}',
                 '{"sources": [], "valid_fraction": NaN}', '{"sources": [], "vocab_size": "x"}')),
     '{"plan": {"seconds": "x", "tokens_per_second": 1, "epochs": 1, "memory": 1}, "recipe": {}}'],
)  # fmt: skip
def test_resume_with_a_damaged_description(text: str, stopped: Shell) -> None:
    path = stopped.runs / "corpus" / "run.json"
    path.write_text(text)
    stopped.run(*RESUME, "--name", "corpus").failed(4, str(path), "start a new run")


def test_tokens_of_another_split_are_not_resumed_into(shell: Shell) -> None:
    """Two runs of one text, split differently; the arrays of one in the place of the other's."""
    shell.train("corpus.txt", *QUICKLY, "--name", "a").succeeded()
    shell.train("corpus.txt", *QUICKLY, "--name", "b", "--valid-fraction", "0.2").succeeded()
    for name in ("corpus", "run.json"):
        place = shell.runs / "a" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        (shell.runs / "b" / name).rename(place)
    shell.run(*RESUME, "--name", "a").failed(3, "is not split as it was", "start a new run")


def test_tokens_of_another_text_are_not_resumed_into(stopped: Shell) -> None:
    """Not even where the text itself is gone and cannot be asked."""
    stopped.write("other.txt", sentences(seed=1))
    stopped.train("other.txt", *QUICKLY).succeeded()
    shutil.rmtree(stopped.runs / "corpus" / "corpus")
    (stopped.runs / "other" / "corpus").rename(stopped.runs / "corpus" / "corpus")
    (stopped.folder / "corpus.txt").unlink()
    stopped.run(*RESUME, "--name", "corpus").failed(3, "the text has changed since the run began")


def test_damage_of_every_kind_costs_a_line_and_not_the_run(long: Shell, stopped: Shell) -> None:
    """Whatever is in the place of the newest checkpoint."""
    newest = Run(stopped.runs / "corpus").path_of(12)
    raw = newest.read_bytes()

    def make(kind: str) -> None:
        newest.unlink()
        if kind == "folder":
            newest.mkdir()
        elif kind == "link":
            newest.symlink_to("nowhere")
        elif kind == "pipe":
            os.mkfifo(newest)
        else:
            newest.write_bytes({"empty": b"", "half": raw[: len(raw) // 2], "zeros": bytes(9),
                                "longer": raw + b"x", "pickle": b"\x80\x04N."}[kind])  # fmt: skip

    for number, kind in enumerate(
        ("empty", "half", "zeros", "longer", "pickle", "link", "pipe", "folder")
    ):
        make(kind)
        copy = Shell(stopped.folder.parent / f"{number}-{kind}")
        shutil.copytree(stopped.folder, copy.folder, symlinks=True, copy_function=_copied)
        there = Run(copy.runs / "corpus").path_of(12)
        assert copy.run("checkpoints", "list").succeeded().out.count("unreadable") == 1
        done = copy.run(*RESUME, "--quiet")
        if kind == "folder":
            assert done.code == 1, done.err  # nothing can be saved in its place
            assert f"cannot write {there}: " in done.err
            continue
        assert done.succeeded().err.startswith(f"charrnn: note: cannot use {there}: ")
        assert len(done.err.splitlines()) == 1
        assert copy.weights() == long.weights()


def _copied(source: str, target: str) -> str:
    if Path(source).is_fifo():
        os.mkfifo(target)
        return target
    return str(shutil.copy2(source, target, follow_symlinks=False))
