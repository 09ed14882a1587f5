"""`charrnn train --resume`: a run goes on as if it had never been stopped, or says why not."""

import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from charrnn.training.versions import versions
from tests.support.left import QUICKLY, RESUME
from tests.support.shell import Shell


def test_a_resumed_run_is_bit_for_bit_what_it_would_have_been(long: Shell, stopped: Shell) -> None:
    stopped.run(*RESUME, "--quiet").succeeded()
    assert stopped.steps() == long.steps()
    for step in (16, 20, 24):
        assert stopped.weights(which=str(step)) == long.weights(which=str(step))


def test_a_resumed_run_says_where_it_goes_on(stopped: Shell) -> None:
    done = stopped.run(*RESUME).succeeded()
    assert "resumed at step 12 of 24\n" in done.err
    assert "note" not in done.err


def test_a_resumed_run_reports_only_what_is_new(stopped: Shell) -> None:
    done = stopped.run(*RESUME, "--json", "--quiet").succeeded()
    assert [e["step"] for e in done.json if e["event"] == "saved"] == [16, 20, 24]
    log = Run(stopped.runs / "corpus").events()
    assert [e["step"] for e in log if e["event"] == "saved"] == [4, 8, 12, 16, 20, 24]


def test_a_finished_run_resumes_to_its_end_at_once(copied: Shell) -> None:
    before = copied.weights()
    done = copied.run(*RESUME, "--json", "--quiet").succeeded()
    assert [event["event"] for event in done.json] == ["planned", "finished"]
    assert copied.weights() == before


def test_a_resumed_run_records_the_steps_of_its_checkpoint(copied: Shell) -> None:
    """A run killed between a change of its steps and the next checkpoint has others in run.json."""
    run = Run(copied.runs / "corpus")
    about = run.description()
    before = about["plan"]
    other = {"epochs": before["epochs"] * 2, "seconds": before["seconds"] * 2}
    run.write_description(
        about | {"plan": before | other | {"train": before["train"] | {"steps": 40}}}
    )
    planned = copied.run(*RESUME, "--json", "--quiet").succeeded().json[0]
    for plan in (planned["plan"], run.description()["plan"]):
        assert plan["train"]["steps"] == 20
        assert plan["epochs"] == pytest.approx(before["epochs"])
        assert plan["seconds"] == pytest.approx(before["seconds"])


def test_resume_takes_the_run_trained_last_or_the_one_named(stopped: Shell) -> None:
    stopped.train("corpus.txt", *QUICKLY, "--name", "later").succeeded()
    assert Path(stopped.run(*RESUME, "--json", "--quiet").json[0]["run"]).name == "later"
    named = stopped.run(*RESUME, "--name", "corpus", "--json", "--quiet")
    assert Path(named.json[0]["run"]).name == "corpus"
    assert Path(stopped.run(*RESUME, "--json", "--quiet").json[0]["run"]).name == "corpus"


def test_resume_of_an_unknown_run_names_the_known_ones(trained: Shell) -> None:
    said = trained.run(*RESUME, "--name", "nope").failed(2, "there is no run nope in ")
    assert said.endswith("; the runs there are: corpus\n")


def test_resume_without_any_run(shell: Shell) -> None:
    shell.run(*RESUME).failed(2, f"there is no run in {shell.runs}; train one first: ")


def test_resume_of_a_run_without_a_checkpoint(copied: Shell) -> None:
    for entry in Run(copied.runs / "corpus").entries():
        entry.path.unlink()
    copied.run(*RESUME).failed(4, "the run corpus has no checkpoint yet; ")


def test_resume_needs_the_text_no_more_once_it_is_tokens(long: Shell, stopped: Shell) -> None:
    (stopped.folder / "corpus.txt").unlink()
    stopped.run(*RESUME, "--quiet").succeeded()
    assert stopped.weights() == long.weights()


def test_resume_makes_the_tokens_again_where_they_are_gone(long: Shell, stopped: Shell) -> None:
    shutil.rmtree(stopped.runs / "corpus" / "corpus")
    stopped.run(*RESUME, "--quiet").succeeded()
    assert stopped.weights() == long.weights()


def test_resume_with_neither_text_nor_tokens(stopped: Shell) -> None:
    shutil.rmtree(stopped.runs / "corpus" / "corpus")
    (stopped.folder / "corpus.txt").unlink()
    stopped.run(*RESUME).failed(3, "the text of the run corpus is gone: corpus.txt; ")


def test_another_version_of_torch_gets_a_note(
    stopped: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = versions() | {"torch": "9.9"}
    monkeypatch.setattr("charrnn.training.session.versions", lambda: now)
    done = stopped.run(*RESUME, "--quiet").succeeded()
    assert done.err.count("\n") == 1
    assert done.err.startswith("charrnn: note: torch was ")
    assert " and is 9.9: the run continues, but not bit for bit" in done.err


def test_a_run_that_another_process_trains_is_locked(copied: Shell) -> None:
    with Run(copied.runs / "corpus").lock():
        copied.run(*RESUME).failed(6, "the run corpus is being trained by another process; ")
        copied.run("sample", "--length", "3").succeeded()
        copied.run("checkpoints", "list").succeeded()
    copied.run(*RESUME, "--quiet").succeeded()


def test_leftovers_of_a_killed_writer_are_removed(stopped: Shell) -> None:
    leftover = stopped.runs / "corpus" / ".step-000000016.safetensors.123.tmp"
    leftover.write_bytes(b"half")
    stopped.run(*RESUME, "--quiet").succeeded()
    assert not leftover.exists()
