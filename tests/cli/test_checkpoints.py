"""`charrnn checkpoints`: list, show, prune, export and verify, and what each does with damage."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from charrnn.cli.checkpoints import _rows
from tests.support.shell import Shell, flip


def path_of(shell: Shell, step: int = 20) -> Path:
    """A checkpoint of the trained run."""
    return Run(shell.runs / "corpus").path_of(step)


@pytest.fixture
def many(trained: Shell, tmp_path: Path) -> Shell:
    """A run with checkpoints at 5, 10, 15, 20 and 25, of which 10 is the best."""
    shutil.copytree(trained.folder, tmp_path / "many")
    shell = Shell(tmp_path / "many")
    found = checkpoint.load(path_of(shell), training=True)
    for step, valid in ((5, None), (10, 1.0), (15, None), (20, 2.0), (25, 1.5)):
        info = checkpoint.CheckpointInfo(step, step / 10, found.info.corpus, False, valid)
        made = checkpoint.Checkpoint(
            found.config, found.tokenizer, found.weights, info, found.training
        )
        checkpoint.save(made, path_of(shell, step))
    return shell


def test_list_is_a_table_with_best_and_latest_marked(many: Shell) -> None:
    done = many.run("checkpoints", "list").succeeded()
    head, *rows = [line.split() for line in done.out.splitlines()]
    assert head == ["step", "epoch", "valid", "size", "file"]
    assert [row[0] for row in rows] == ["5", "10", "15", "20", "25"]
    assert [row[1] for row in rows] == ["0.50", "1.00", "1.50", "2.00", "2.50"]
    assert rows[1][2] == "1.0000"
    assert "best" in rows[1]
    assert "latest" in rows[4]
    assert [len(row) for row in rows] == [5, 7, 5, 6, 7]
    assert done.err == ""


def test_list_as_json(many: Shell) -> None:
    rows = many.run("checkpoints", "list", "corpus", "--json").succeeded().json
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25]
    assert [row["valid_nats_per_char"] for row in rows] == [None, 1.0, None, 2.0, 1.5]
    assert [row["best"] for row in rows] == [False, True, False, False, False]
    assert [row["latest"] for row in rows] == [False, False, False, False, True]
    for row in rows:
        assert row["problem"] == ""
        assert row["bytes"] == Path(row["path"]).stat().st_size


def test_list_shows_what_cannot_be_read(many: Shell) -> None:
    path_of(many, 25).write_bytes(b"nothing")
    rows = many.run("checkpoints", "list", "--json").succeeded().json
    assert rows[-1]["problem"].startswith("cannot use")
    assert rows[-1]["epoch"] is None
    assert [row["latest"] for row in rows] == [False, False, False, True, False]
    assert "unreadable" in many.run("checkpoints", "list").out.splitlines()[-1]


def test_list_of_a_run_without_checkpoints(copied: Shell) -> None:
    for step in (15, 20):
        path_of(copied, step).unlink()
    done = copied.run("checkpoints", "list").succeeded()
    assert (done.raw, done.err) == (b"", "the run corpus has no checkpoint yet\n")
    assert copied.run("checkpoints", "list", "--json").succeeded().raw == b""


@pytest.mark.parametrize("command", ["list", "show", "prune", "export", "verify"])
def test_an_unknown_run_is_a_usage_error(command: str, trained: Shell) -> None:
    said = trained.run("checkpoints", command, "nope").failed(2, "there is no run nope in")
    assert said.endswith("; the runs there are: corpus\n")


@pytest.mark.parametrize("command", ["list", "show", "prune", "export", "verify"])
def test_no_run_at_all_is_a_usage_error(command: str, shell: Shell) -> None:
    shell.run("checkpoints", command).failed(2, "there is no run in ", "charrnn train corpus.txt")


@pytest.mark.parametrize("words", [(), ("corpus",), ("runs/corpus",)], ids=str)
def test_a_run_is_taken_by_name_by_folder_or_as_the_last(
    words: tuple[str, ...], trained: Shell
) -> None:
    rows = trained.run("checkpoints", "list", *words, "--json").succeeded().json
    assert [row["step"] for row in rows] == [15, 20]


def test_show_prints_everything_a_checkpoint_says_of_itself(trained: Shell) -> None:
    (shown,) = trained.run("checkpoints", "show", "--json").succeeded().json
    found = checkpoint.load(path_of(trained))
    assert shown["weights_sha256"] == checkpoint.digest(found.weights)
    assert shown["parameters"] == sum(array.size for array in found.weights.values())
    assert shown["bytes"] == path_of(trained).stat().st_size
    assert shown["tokenizer"] == "char"
    assert shown["model"]["hidden_size"] == 8
    assert shown["model"]["vocab_size"] == found.tokenizer.vocab_size
    assert shown["facts"]["step"] == 20
    assert shown["facts"]["corpus"]["characters"] == 3000


def test_show_as_text_has_a_line_for_every_field(trained: Shell) -> None:
    (shown,) = trained.run("checkpoints", "show", "--json").json
    lines = trained.run("checkpoints", "show").succeeded().out.splitlines()
    table = dict(line.split(None, 1) for line in lines)
    assert table["weights_sha256"] == shown["weights_sha256"]
    assert table["hidden_size"] == "8"
    assert table["step"] == "20"
    assert table["sha256"] == shown["facts"]["corpus"]["sha256"]
    assert table["torch"] == shown["facts"]["versions"]["torch"]


def test_names_that_have_several_values_are_told_apart_by_what_they_are_in() -> None:
    texts = {"a": "\nx", "b": "y"}
    sides = {side: {"name": "char", "characters": text} for side, text in texts.items()}
    fields = {"bytes": 7, "encoder": {"name": "pairs", **sides}, "info": {"step": 1, "bytes": 7}}
    assert _rows(fields, plain=False) == [
        ("bytes", "7"), ("encoder.name", "pairs"), ("a.name", "char"), ("a.characters", r"\nx"),
        ("b.name", "char"), ("b.characters", "y"), ("step", "1"),
    ]  # fmt: skip
    assert [name for name, _ in _rows(fields, plain=True)].count("name") == 3


@pytest.mark.parametrize(
    ("which", "step"), [("best", 10), ("latest", 25), ("5", 5), ("15", 15), ("20", 20)]
)
def test_show_takes_best_latest_or_a_step(which: str, step: int, many: Shell) -> None:
    (shown,) = many.run("checkpoints", "show", "--checkpoint", which, "--json").succeeded().json
    assert shown["facts"]["step"] == step


@pytest.mark.parametrize("which", ["7", "worst", "", "-1", "020", "[red]"])
def test_an_unknown_checkpoint_names_the_known_ones(which: str, trained: Shell) -> None:
    done = trained.run("checkpoints", "show", f"--checkpoint={which}")
    said = done.failed(2, f"the run corpus has no checkpoint {which};")
    assert said.endswith("; choose best, latest or one of its steps: 15, 20\n")


def test_show_takes_a_file(trained: Shell, tmp_path: Path) -> None:
    path = shutil.copy(path_of(trained, 15), tmp_path / "mine.safetensors")
    (shown,) = trained.run("checkpoints", "show", path, "--json").succeeded().json
    assert shown["facts"]["step"] == 15
    assert shown["path"] == str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.safetensors", b""),
        ("text.safetensors", b"hello there"),
        ("pickle.safetensors", b"\x80\x04" + b"." * 100),
        ("model.pt", b"PK\x03\x04" + b"." * 100),
        ("model.pth", b"x"),
        ("missing.safetensors", None),
        ("a\x1b[2J\n.safetensors", None),
    ],
)
@pytest.mark.parametrize("command", [("checkpoints", "show"), ("checkpoints", "export")])
def test_a_file_that_is_no_checkpoint_exits_4(
    command: tuple[str, ...], name: str, content: bytes | None, trained: Shell, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    trained.run(*command, path).failed(4, "cannot use")
    assert not list(trained.folder.glob("*.safetensors"))


def test_prune_keeps_the_newest_and_the_best(many: Shell) -> None:
    done = many.run("checkpoints", "prune").succeeded()
    assert [Path(line).name for line in done.out.splitlines()] == [
        "step-000000005.safetensors", "step-000000015.safetensors", "step-000000020.safetensors",
    ]  # fmt: skip
    assert done.err == "removed 3, kept 2\n"
    assert many.steps() == [10, 25]


@pytest.mark.parametrize(
    ("keep", "left"), [(1, [10, 25]), (2, [10, 20, 25]), (4, [10, 15, 20, 25]), (5, None)]
)
def test_prune_keeps_as_many_as_asked(keep: int, left: list[int] | None, many: Shell) -> None:
    many.run("checkpoints", "prune", "corpus", "--keep", str(keep)).succeeded()
    assert many.steps() == (left or [5, 10, 15, 20, 25])
    again = many.run("checkpoints", "prune", "corpus", "--keep", str(keep)).succeeded()
    assert again.raw == b""
    assert again.err.startswith("removed 0, kept")


def test_prune_leaves_what_it_cannot_read(many: Shell) -> None:
    flip(path_of(many, 5), 20)
    many.run("checkpoints", "prune").succeeded()
    assert many.steps() == [5, 10, 25]


def test_prune_waits_for_nobody(many: Shell) -> None:
    with Run(many.runs / "corpus").lock():
        many.run("checkpoints", "prune").failed(6, "is being trained by another process")
    assert many.steps() == [5, 10, 15, 20, 25]


def test_prune_notes_what_cannot_be_removed(many: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "prune", lambda run, keep: ([], ["cannot remove x: no"]))
    done = many.run("checkpoints", "prune").succeeded()
    assert done.err.splitlines() == ["charrnn: note: cannot remove x: no", "removed 0, kept 5"]


def test_export_writes_the_model_alone(copied: Shell) -> None:
    done = copied.run("checkpoints", "export").succeeded()
    assert (done.out, done.err) == ("corpus.safetensors\n", "")
    slim = copied.folder / "corpus.safetensors"
    assert slim.stat().st_size < path_of(copied).stat().st_size / 2
    found, whole = checkpoint.load(slim), checkpoint.load(path_of(copied))
    assert checkpoint.digest(found.weights) == checkpoint.digest(whole.weights)
    assert found.info == whole.info


def test_an_exported_file_samples_and_evaluates_as_its_run_does(copied: Shell) -> None:
    copied.run("checkpoints", "export", "--output", "mine.safetensors").succeeded()
    asked = ("--length", "40", "--seed", "5")
    sample = copied.run("sample", "mine.safetensors", *asked).succeeded()
    assert sample.raw == copied.run("sample", "corpus", *asked).raw
    text = ("--file", "corpus.txt", "--json")
    (slim,) = copied.run("evaluate", "mine.safetensors", *text).succeeded().json
    (whole,) = copied.run("evaluate", "corpus", *text).json
    assert slim["loss"] == whole["loss"]
    copied.run("checkpoints", "verify", "mine.safetensors").succeeded()


@pytest.mark.parametrize("file_format", ["safetensors", "onnx"])
def test_export_does_not_overwrite_unless_forced(file_format: str, copied: Shell) -> None:
    words = ("checkpoints", "export", "--format", file_format)
    target = copied.write(f"corpus.{file_format}", "mine")
    said = copied.run(*words).failed(2, f"corpus.{file_format} exists;")
    assert "--force" in said
    assert target.read_text() == "mine"
    copied.run(*words, "--force").succeeded()
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "target", "head"),
    [
        (("-o", "m.onnx"), "m.onnx", b"\x08"),
        (("-o", "M.ONNX"), "M.ONNX", b"\x08"),
        (("-o", "m.safetensors"), "m.safetensors", b""),
        (("-o", "model"), "model", b""),
        (("-o", "model.v2", "--format", "onnx"), "model.v2", b"\x08"),
        (("-o", ".hidden.onnx"), ".hidden.onnx", b"\x08"),
    ],
)
def test_the_format_is_that_of_the_name(
    words: tuple[str, ...], target: str, head: bytes, copied: Shell
) -> None:
    assert copied.run("checkpoints", "export", *words).succeeded().out == f"{target}\n"
    raw = (copied.folder / target).read_bytes()
    # A safetensors file begins with the length of its header, ONNX with a field's number.
    assert raw.startswith(head) if head else raw[8:9] == b"{"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "m.onnx", "--format", "safetensors"), "m.onnx is not the name of a file in saf"),
        (("-o", "m.safetensors", "--format", "onnx"), "not the name of a file in onnx"),
        (("-o", "m.pt"), "m.pt is the name of a pickle"),
        (("-o", "."), ". is not the name of a file"),
        (("-o", ".."), ".. is not the name of a file"),
        (("-o", "runs"), "runs is not the name of a file"),
        (("-o", "runs/"), "runs is not the name of a file"),
        (("-o", ""), "is not the name of a file"),
        (("-o", "link.onnx"), "link.onnx is a link or no regular file"),
        (("-o", "broken.onnx"), "broken.onnx is a link or no regular file"),
        (("-o", "pipe.safetensors"), "pipe.safetensors is a link or no regular file"),
        (("-o", "/dev/null"), "/dev/null is a link or no regular file"),
    ],
)
def test_what_is_no_regular_file_is_not_replaced_even_by_force(
    words: tuple[str, ...], said: str, copied: Shell
) -> None:
    mine = copied.write("mine.onnx", "mine")
    (copied.folder / "link.onnx").symlink_to("mine.onnx")
    (copied.folder / "broken.onnx").symlink_to("nowhere")
    os.mkfifo(copied.folder / "pipe.safetensors")
    before = sorted(path.name for path in copied.folder.iterdir())
    for force in ([], ["--force"]):
        copied.run("checkpoints", "export", *words, *force).failed(2, said)
    assert mine.read_text() == "mine"
    assert (copied.folder / "link.onnx").is_symlink()
    assert sorted(path.name for path in copied.folder.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        ("plot", "-o", "link.svg", "--force"),
        ("gradients", "-o", "link.svg", "--force"),
        ("sample", "--length", "1", "--save-state", "link.svg"),
    ],
    ids=lambda words: words[0],
)
def test_no_command_replaces_a_link(words: tuple[str, ...], copied: Shell) -> None:
    (copied.folder / "link.svg").symlink_to("nowhere")
    copied.run(*words).failed(2, "link.svg is a link or no regular file")
    assert (copied.folder / "link.svg").is_symlink()


def test_a_run_that_is_named_by_a_dot_is_exported_under_its_own_name(copied: Shell) -> None:
    inside = Shell(copied.runs / "corpus")
    done = inside.run("checkpoints", "export", ".").succeeded()
    assert done.out == "corpus.safetensors\n"


def test_export_into_nowhere_is_one_line(copied: Shell) -> None:
    copied.run("checkpoints", "export", "-o", "no/where").failed(1, "cannot write no/where:")


@pytest.mark.parametrize("name", ["pickle", "", "ONNX", "[red]"])
def test_an_unknown_format_is_a_usage_error(name: str, copied: Shell) -> None:
    done = copied.run("checkpoints", "export", f"--format={name}")
    done.failed(2, f"there is no format {name!r}; choose safetensors or onnx")


def test_export_takes_a_step_and_a_file(many: Shell) -> None:
    words = ("--output", "five.safetensors", "--checkpoint", "5")
    many.run("checkpoints", "export", *words).succeeded()
    assert checkpoint.load(many.folder / "five.safetensors").info.step == 5
    done = many.run("checkpoints", "export", "five.safetensors", "--format", "onnx").succeeded()
    assert done.out == "five.onnx\n"


def test_an_exported_graph_gives_what_the_model_gives(copied: Shell) -> None:
    import onnxruntime

    from charrnn.inference.engine import Engine

    copied.run("checkpoints", "export", "--format", "onnx").succeeded()
    session = onnxruntime.InferenceSession(copied.folder / "corpus.onnx")
    zeros = {name: np.zeros((1, 8), np.float32) for name in ("0.h", "0.c")}
    ids = np.array([[3], [5]], np.int64)
    logits = session.run(["logits"], {"ids": ids, **zeros})[0]
    engine = Engine(checkpoint.load(path_of(copied)), 1)
    expected, _ = engine.read_prompt(ids, engine.zero_state(1))
    assert logits.shape[:2] == (2, 1)
    assert np.allclose(logits[-1], expected, atol=1e-6)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["charrnn.tokenizer"])["name"] == "char"


def test_verify_reads_every_checkpoint(trained: Shell) -> None:
    done = trained.run("checkpoints", "verify").succeeded()
    assert done.out.splitlines() == [f"{path_of(trained, step)} is whole" for step in (15, 20)]
    rows = trained.run("checkpoints", "verify", "--json").succeeded().json
    assert rows == [
        {"path": str(path_of(trained, step)), "problem": "", "instead": None} for step in (15, 20)
    ]


@pytest.mark.parametrize("position", [0, 9, 100, 700, -1000, -1])
def test_verify_finds_one_flipped_bit_and_exits_4(position: int, copied: Shell) -> None:
    flip(path_of(copied, 20), position)
    done = copied.run("checkpoints", "verify")
    assert done.code == 4
    whole, broken = done.out.splitlines()
    assert whole == f"{path_of(copied, 15)} is whole"
    assert broken.startswith(f"cannot use {path_of(copied, 20)}:")
    assert broken.endswith(f"; use {path_of(copied, 15)}")
    assert done.err == (
        "charrnn: error: 1 of 2 checkpoints are damaged; "
        f"the newest whole one is {path_of(copied, 15)}\n"
    )


def test_verify_of_nothing_but_damage(copied: Shell) -> None:
    for step in (15, 20):
        flip(path_of(copied, step))
    done = copied.run("checkpoints", "verify", "--json")
    assert done.code == 4
    assert all("checksum does not match" in row["problem"] for row in done.json)
    assert done.err.endswith("2 of 2 checkpoints are damaged; none is whole; train again\n")


def test_verify_of_a_file(copied: Shell) -> None:
    path = path_of(copied, 15)
    assert copied.run("checkpoints", "verify", path).succeeded().out == f"{path} is whole\n"
    path.write_bytes(path.read_bytes()[:-1])
    assert copied.run("checkpoints", "verify", path).code == 4


def test_a_damaged_checkpoint_is_not_shown_exported_or_sampled(copied: Shell) -> None:
    flip(path_of(copied, 20))
    for words in (("checkpoints", "show"), ("checkpoints", "export"), ("sample",), ("evaluate",)):
        said = copied.run(*words).failed(
            4, f"cannot use {path_of(copied, 20)}: its checksum does not"
        )
        assert said.endswith("; use another: charrnn checkpoints verify finds an intact one\n")
    assert not (copied.folder / "corpus.safetensors").exists()


def test_a_pipe_or_folder_is_not_read_as_a_checkpoint(trained: Shell, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to(path_of(trained))
    for name in ("pipe", "folder", "link"):
        trained.run("checkpoints", "show", tmp_path / f"{name}.safetensors").failed(4)


def test_verify_says_of_each_damaged_one_which_older_one_to_use(many: Shell) -> None:
    flip(path_of(many, 5))
    flip(path_of(many, 15))
    path_of(many, 20).write_bytes(b"")
    done = many.run("checkpoints", "verify", "--json")
    assert done.code == 4
    found = {Path(row["path"]): (row["problem"], row["instead"]) for row in done.json}
    assert found[path_of(many, 5)][1] is None
    assert found[path_of(many, 10)] == found[path_of(many, 25)] == ("", None)
    assert found[path_of(many, 15)][1] == found[path_of(many, 20)][1] == str(path_of(many, 10))
    assert "truncated" in found[path_of(many, 20)][0]
    assert done.err.endswith(
        f"3 of 5 checkpoints are damaged; the newest whole one is {path_of(many, 25)}\n"
    )


def test_verify_of_a_damaged_file_looks_in_its_folder(many: Shell) -> None:
    flip(path_of(many, 20))
    done = many.run("checkpoints", "verify", path_of(many, 20))
    assert done.out.endswith(f"; use {path_of(many, 15)}\n")
    assert done.err.endswith(f"the newest whole one is {path_of(many, 25)}\n")


def test_verify_reads_the_training_state_too(copied: Shell) -> None:
    """A moment that is no number is found, though sampling would never read it."""
    found = checkpoint.load(path_of(copied), training=True)
    assert found.training is not None
    next(iter(found.training.moments.values())).flags.writeable = True
    next(iter(found.training.moments.values())).flat[0] = np.nan
    checkpoint.save(found, path_of(copied))
    done = copied.run("checkpoints", "verify")
    assert "not finite" in done.out
    assert done.code == 4
