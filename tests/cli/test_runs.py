"""`charrnn runs`: every run in the order of training, and no run.json that breaks the list."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell, flip


def test_a_table_for_a_person(trained: Shell) -> None:
    done = trained.run("runs").succeeded()
    head, row = [line.split() for line in done.out.splitlines()]
    assert head == [
        "run", "text", "characters", "model", "parameters", "steps", "best", "size", "started",
    ]  # fmt: skip
    assert row[:6] == ["corpus", "corpus.txt", "3000", "char", "lstm", "1x8"]
    assert row[7] == "20/20"
    assert float(row[8]) > 0
    assert done.err == ""


def test_json_has_a_field_for_every_fact(trained: Shell) -> None:
    (row,) = trained.run("runs", "--json").succeeded().json
    best = Run(trained.runs / "corpus").best()
    assert best
    assert row["run"] == "corpus"
    assert row["corpus"] == ["corpus.txt"]
    assert row["characters"] == 3000
    assert (row["tokenizer"], row["cell"]) == ("char", "lstm")
    assert (row["num_layers"], row["hidden_size"]) == (1, 8)
    assert (row["step"], row["steps"]) == (20, 20)
    assert (row["best_step"], row["best_nats_per_char"]) == (best.step, best.valid)
    files = [path for path in (trained.runs / "corpus").rglob("*") if path.is_file()]
    assert row["bytes"] == sum(path.stat().st_size for path in files)
    assert row["started"][10] == "T"
    shown = trained.run("checkpoints", "show", "--json").json[0]
    assert row["parameters"] == shown["parameters"]


def test_the_run_trained_last_is_at_the_end(shell: Shell) -> None:
    for name in ("b", "a", "c"):
        shell.train("corpus.txt", "--steps", "2", "--quiet", "--name", name).succeeded()
    assert [row["run"] for row in shell.run("runs", "--json").json] == ["b", "a", "c"]
    shell.run("train", "--resume", "--name", "a", "--quiet").succeeded()
    assert [row["run"] for row in shell.run("runs", "--json").json] == ["b", "c", "a"]


def test_no_run_yet_is_said_on_stderr(shell: Shell) -> None:
    done = shell.run("runs").succeeded()
    assert done.raw == b""
    assert done.err == f"there is no run in {shell.runs}; train one: charrnn train corpus.txt\n"
    assert shell.run("runs", "--json") == type(done)(0, b"", "")


def test_folders_that_are_no_runs_are_left_out(copied: Shell) -> None:
    copied.write("runs/notes/readme.txt", "mine")
    copied.write("runs/file.txt", "mine")
    assert [row["run"] for row in copied.run("runs", "--json").json] == ["corpus"]


@pytest.mark.parametrize(
    "change",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"plan": 3, "recipe": {}, "corpus": {}, "started": ""}',
        '{"plan": {}, "recipe": {}, "corpus": {}, "started": ""}',
        '{"plan": {"model": []}, "recipe": {"sources": 3}, "corpus": {"characters": 1}}',
    ],
)
def test_a_damaged_description_is_a_row_that_says_so(change: str, copied: Shell) -> None:
    (copied.runs / "corpus" / "run.json").write_text(change)
    done = copied.run("runs").succeeded()
    assert done.out.splitlines()[1].split() == ["corpus", "run.json", "cannot", "be", "read"]
    assert copied.run("runs", "--json").json == [
        {"run": "corpus", "problem": "run.json cannot be read"}
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("characters", "many"), ("characters", None), ("parameters", {})]
)
def test_a_wrong_number_in_a_description_is_a_damage_too(
    key: str, value: object, copied: Shell
) -> None:
    path = copied.runs / "corpus" / "run.json"
    about = json.loads(path.read_text())
    (about["corpus"] if key == "characters" else about["plan"])[key] = value
    path.write_text(json.dumps(about))
    assert copied.run("runs", "--json").json[0]["problem"]


def test_an_intact_run_next_to_a_damaged_one_is_listed(copied: Shell) -> None:
    copied.write("runs/broken/run.json", "{")
    assert [row["run"] for row in copied.run("runs", "--json").json] == ["broken", "corpus"]


def test_a_run_without_checkpoints_has_reached_no_step(copied: Shell) -> None:
    for entry in Run(copied.runs / "corpus").entries():
        entry.path.unlink()
    (row,) = copied.run("runs", "--json").json
    assert (row["step"], row["steps"]) == (0, 20)
    assert row["best_nats_per_char"] is row["best_step"] is None
    assert "0/20" in copied.run("runs").out


def test_a_damaged_checkpoint_header_does_not_count(copied: Shell) -> None:
    flip(Run(copied.runs / "corpus").path_of(20), 20)
    (row,) = copied.run("runs", "--json").json
    assert row["step"] == 15
    assert row["best_step"] == 15


@pytest.mark.parametrize("name", ["[red]", "[bold]x[", ":smile:", "two words", "é"])
def test_names_of_folders_are_shown_as_they_are(name: str, copied: Shell) -> None:
    (copied.runs / "corpus").rename(copied.runs / name)
    assert copied.run("runs").out.splitlines()[1].startswith(f"{name} ")
    assert copied.run("runs", "--json").json[0]["run"] == name
    copied.run("sample", name, "--length", "3").succeeded()


def test_control_characters_in_names_are_escaped(copied: Shell) -> None:
    (copied.runs / "corpus").rename(copied.runs / "a\x1b[2J\nb")
    out = copied.run("runs").out
    assert "a^[[2J^Jb " in out
    assert len(out.splitlines()) == 2


def test_sources_in_a_description_are_shown_by_their_names(copied: Shell) -> None:
    path = copied.runs / "corpus" / "run.json"
    about = json.loads(path.read_text())
    about["recipe"]["sources"] = ["/some/where/[a].txt", "b.txt"]
    path.write_text(json.dumps(about))
    assert "[a].txt b.txt" in copied.run("runs").out


def test_files_that_vanish_meanwhile_do_not_stop_the_list(
    copied: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.rglob

    def with_ghost(path: Path, pattern: str) -> list[Path]:
        return [*original(path, pattern), path / "ghost.tmp"]

    monkeypatch.setattr(Path, "rglob", with_ghost)
    assert copied.run("runs", "--json").succeeded().json[0]["bytes"] > 0


def test_a_runs_folder_can_be_given(trained: Shell, tmp_path: Path) -> None:
    shutil.copytree(trained.runs / "corpus", tmp_path / "other" / "mine")
    words = ("runs", "--json", "--runs-dir", tmp_path / "other")
    assert [row["run"] for row in trained.run(*words).json] == ["mine"]
