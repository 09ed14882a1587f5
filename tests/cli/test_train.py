"""`charrnn train`: what it accepts, what it leaves behind."""

import math
from typing import Any

import pytest

from charrnn.checkpoints import container
from charrnn.checkpoints.checkpoint import load
from charrnn.checkpoints.run import Run
from charrnn.errors import MemoryLimitError
from charrnn.training import optimizer, trainer
from tests.support.left import QUICKLY, RESUME, first_checkpoint, left
from tests.support.shell import TINY, Shell, sentences


def test_a_run_is_named_after_its_text(shell: Shell) -> None:
    shell.train("corpus.txt", *QUICKLY).succeeded()
    assert left(shell) == ["corpus"]
    names = {path.name for path in (shell.runs / "corpus").iterdir()}
    assert names == {"run.json", "metrics.jsonl", "lock", "corpus", "step-000000004.safetensors"}
    parts = {path.name for path in (shell.runs / "corpus" / "corpus").iterdir()}
    assert parts == {"train.npy", "valid.npy", "corpus.json"}


def test_the_same_text_again_is_a_run_of_its_own_and_that_is_said(shell: Shell) -> None:
    shell.train("corpus.txt", *QUICKLY).succeeded()
    before = first_checkpoint(shell).read_bytes()
    done = shell.train("corpus.txt", "--steps", "4").succeeded()
    assert done.err.startswith("charrnn: note: this run is called corpus-2\n")
    assert left(shell) == ["corpus", "corpus-2"]
    assert first_checkpoint(shell).read_bytes() == before
    assert shell.train("corpus.txt", *QUICKLY).succeeded().err == ""
    assert left(shell) == ["corpus", "corpus-2", "corpus-3"]


def test_a_first_run_is_not_remarked_upon(shell: Shell) -> None:
    assert "note" not in shell.train("corpus.txt", "--steps", "4").succeeded().err


@pytest.mark.parametrize(
    ("name", "folder", "remarked"),
    [
        ("mine", "mine", False),
        ("a.b_c-d", "a.b_c-d", False),
        ("two words", "two-words", True),
        ("../../up", "up", True),
        ("[red]", "red", True),
        ("\x1b[2J", "2J", True),
        ("été", "été", False),
        ("---", "run", True),
        ("x" * 200, "x" * 80, True),
    ],
)
def test_names_are_made_fit_for_folders(
    name: str, folder: str, remarked: bool, shell: Shell
) -> None:
    done = shell.train("corpus.txt", "--steps", "1", f"--name={name}").succeeded()
    assert left(shell) == [folder]
    assert (f"this run is called {folder}\n" in done.err) is remarked


def test_a_file_name_with_markup_is_shown_as_it_is(shell: Shell) -> None:
    shell.write("[red] [id].txt", sentences())
    assert shell.train("[red] [id].txt", *QUICKLY).succeeded()
    assert left(shell) == ["red-id"]
    assert "[red] [id].txt" in shell.run("runs").out


def test_stdin_is_a_text(shell: Shell) -> None:
    shell.train("-", *QUICKLY, stdin=sentences().encode()).succeeded()
    assert left(shell) == ["stdin"]
    assert (shell.runs / "stdin" / "corpus" / "stdin.txt").read_text() == sentences()


def test_stdin_can_be_resumed_without_it(shell: Shell) -> None:
    shell.train("-", "--steps", "8", "--save-every", "4", "--quiet", stdin=sentences().encode())
    whole = shell.weights("stdin")
    Run(shell.runs / "stdin").path_of(8).unlink()
    shell.run(*RESUME, "--quiet").succeeded()
    assert shell.weights("stdin") == whole


def test_files_folders_and_globs_are_one_text(shell: Shell) -> None:
    shell.write("texts/a.txt", sentences(1000, 1))
    shell.write("texts/b.txt", sentences(1000, 2))
    for number, words in enumerate([("texts",), ("texts/*.txt",), ("texts/a.txt", "texts/b.txt")]):
        shell.train(*words, *QUICKLY, f"--name=run{number}").succeeded()
    weights = {shell.weights(f"run{number}") for number in range(3)}
    assert len(weights) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("empty.txt",), 3, "empty.txt has 0 characters and a model needs at least 100; "),
        (("short.txt",), 3, "short.txt has 5 characters and a model needs at least 100; "),
        (("bad.txt",), 3, "bad.txt is not valid utf-8 at byte 150 "),
        (
            ("late.txt",),
            3,
            "late.txt ends inside a utf-8 character that begins at byte 2,004 in line 1; ",
        ),
        (("folder",), 3, "the folder folder contains no text file (not text); "),
        (("missing.txt",), 3, "there is no file or folder missing.txt; "),
        (("*.none",), 3, "there is no file or folder *.none; "),
        (("corpus.txt", "missing.txt"), 3, "there is no file or folder missing.txt; "),
        (("/dev/null",), 3, "/dev/null"),
        (("loop",), 3, "cannot read loop: Too many levels of symbolic links; "),
        (("[red].txt",), 3, "there is no file or folder [red].txt; "),
        (("a\x1b[2J\n",), 3, "there is no file or folder a^[[2J^J; "),
        (("corpus.txt", "--encoding", "utf-16"), 3, "is not valid utf-16 at byte "),
        (("corpus.txt", "--encoding", "nonsense"), 2, "there is no encoding 'nonsense'; "),
        (("corpus.txt", "--encoding", "hex"), 2, "there is no encoding 'hex'; "),
        (("corpus.txt", "--encoding", "undefined"), 2, "there is no encoding 'undefined'; "),
        (("corpus.txt", "--encoding", ""), 2, "there is no encoding ''; "),
        (("corpus.txt", "--valid", "missing"), 3, "there is no file or folder missing; "),
        (("corpus.txt", "--test", "missing"), 3, "there is no file or folder missing; "),
        (("corpus.txt", "--tokenizer", "nope"), 2, "--tokenizer nope"),
        (("corpus.txt", "--tokenizer", "word", "--split-words", "nope"), 2, "--split-words nope"),
        (("corpus.txt", "--split-words", "blanks"), 2, "--split-words has no effect on tokens"),
        (("corpus.txt", "--task", "nope"), 2, "there is no task 'nope'; choose from language"),
        (("corpus.txt", "--cell", "nope"), 2, "--cell is 'nope'; choose one of lstm, gru, rnn"),
        (("corpus.txt", "--device", "tpu"), 2, "there is no device tpu on this machine; "),
        (("corpus.txt", "--epochs", "1"), 2, "--minutes, --epochs and --steps contradict"),
        (("corpus.txt", "--minutes", "1"), 2, "--minutes, --epochs and --steps contradict"),
        (("corpus.txt", "--tie-weights", "--embedding-size", "4"), 2, "tied weights of one layer"),
        (("corpus.txt", "--batch-size", "900"), 3, "--batch-size 900 with --seq-length 16 needs"),
        (("corpus.txt", "--valid-fraction", "0.6", "--test-fraction", "0.6"), 2, "than a tenth"),
        (("corpus.txt", "--tokenizer", "subword", "--vocab-size", "99"), 3, "--vocab-size"),
        (("corpus.txt", "--documents", "file"), 3, "each part needs one of its own"),
        ((), 2, "give either a text to train on or --resume; "),
        (("corpus.txt", "--resume"), 2, "give either a text to train on or --resume; "),
    ],
)
def test_a_training_that_cannot_begin_is_one_line_and_leaves_nothing(
    words: tuple[str, ...], code: int, said: str, shell: Shell
) -> None:
    shell.write("empty.txt", "")
    shell.write("short.txt", "hello")
    shell.write("bad.txt", b"a" * 150 + b"\xff" + b"b" * 100)
    shell.write("late.txt", "é".encode() * 1002 + b"\xc3")
    shell.write("folder/picture", b"\0\0\0")
    (shell.folder / "loop").symlink_to("loop")
    shell.train(*words, "--steps", "4").failed(code, said)
    assert left(shell) == []


def test_a_second_run_that_cannot_begin_is_one_line_too(copied: Shell) -> None:
    copied.train("corpus.txt", "--steps", "4", "--cell", "nope").failed(2, "--cell")
    assert left(copied) == ["corpus"]


def test_a_runs_folder_that_cannot_be_made_is_one_line(shell: Shell) -> None:
    shell.write("file", "")
    words = ("corpus.txt", "--steps", "4", "--runs-dir", "file/runs")
    shell.train(*words).failed(1, "cannot make the folder file/runs/corpus: Not a directory; ")


@pytest.mark.parametrize("broken", ["make_plan", "trainer.train"])
def test_a_failure_before_the_first_checkpoint_leaves_nothing(
    broken: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryLimitError("out of memory", "make it smaller")

    monkeypatch.setattr(f"charrnn.training.session.{broken}", fail)
    shell.train("corpus.txt", *QUICKLY).failed(7, "out of memory; make it smaller")
    assert left(shell) == []


def test_a_failure_after_a_checkpoint_leaves_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = optimizer.learning_rate

    def broken(step: int, *rest: Any) -> float:
        if step >= 6:
            raise MemoryError
        return original(step, *rest)

    monkeypatch.setattr("charrnn.training.learner.learning_rate", broken)
    done = shell.train("corpus.txt", "--steps", "8", "--save-every", "4", "--quiet")
    done.failed(7, "memory")
    assert shell.steps() == [4]


def test_a_training_that_diverges_says_so_and_keeps_what_was_saved(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = optimizer.learning_rate

    def wild(step: int, *rest: Any) -> float:
        return math.nan if step >= 6 else original(step, *rest)

    monkeypatch.setattr("charrnn.training.learner.learning_rate", wild)
    words = ("--steps", "12", "--save-every", "4", "--log-every", "1", "--quiet")
    shell.train("corpus.txt", *words).failed(5, "training diverged at step ", "--learning-rate")
    assert shell.steps() == [4]
    shell.run("checkpoints", "verify").succeeded()


def test_quiet_says_nothing_at_all(shell: Shell) -> None:
    done = shell.train("corpus.txt", *QUICKLY).succeeded()
    assert (done.raw, done.err) == (b"", "")


def test_what_is_given_is_planned_and_the_rest_is_filled_in(shell: Shell) -> None:
    given = {
        "cell": "gru", "num_layers": 2, "hidden_size": 9, "embedding_size": 5, "dropout": 0.1,
        "input_dropout": 0.2, "output_dropout": 0.3, "batch_size": 3, "seq_length": 7,
        "learning_rate": 0.001, "warmup_steps": 1, "weight_decay": 0.5, "grad_clip": 2.0,
        "seed": 11, "eval_every": 3, "eval_tokens": 50, "save_every": 2, "log_every": 1,
        "keep": 1, "threads": 1, "steps": 3,
    }  # fmt: skip
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    done = shell.run("train", "corpus.txt", *words, "--no-residual", "--json", "--quiet")
    plan = done.succeeded().json[0]["plan"]
    planned = plan["model"] | plan["train"]
    assert {name: planned[name] for name in given} == given
    assert planned["residual"] is False
    assert planned["tie_weights"] is False
    assert shell.steps() == [3]


def test_options_from_the_environment_are_planned(shell: Shell) -> None:
    variables = {"CHARRNN_TRAIN_STEPS": "2", "CHARRNN_TRAIN_SEED": "7", "CHARRNN_TRAIN_JSON": "1"}
    done = shell.train("corpus.txt", "--quiet", **variables).succeeded()
    assert done.json[0]["plan"]["train"]["steps"] == 2
    assert done.json[0]["plan"]["train"]["seed"] == 7


def test_the_task_is_language_modelling_by_default(shell: Shell) -> None:
    for name, words in (("default", ()), ("given", ("--task", "language"))):
        shell.train("corpus.txt", *QUICKLY, "--name", name, *words).succeeded()
        assert "task" not in Run(shell.runs / name).description()
    assert shell.weights("default") == shell.weights("given")


def test_epochs_are_turned_into_steps(shell: Shell) -> None:
    done = shell.train("corpus.txt", "--epochs", "1", "--json", "--quiet").succeeded()
    assert done.json[0]["plan"]["train"]["steps"] == round(2700 / 64)


def test_the_seed_decides_the_weights_and_nothing_else_does(shell: Shell) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        shell.train("corpus.txt", *QUICKLY, "--name", name, "--seed", seed).succeeded()
    assert shell.weights("a") == shell.weights("b") != shell.weights("c")


def test_parts_can_have_files_of_their_own(shell: Shell) -> None:
    shell.write("valid.txt", sentences(500, 5))
    shell.write("test.txt", sentences(400, 6))
    words = ("--valid", "valid.txt", "--test", "test.txt")
    shell.train("corpus.txt", *QUICKLY, *words).succeeded()
    sizes = {
        split: shell.run("evaluate", "--split", split, "--json").json[0]["characters"]
        for split in ("train", "valid", "test")
    }
    assert sizes == {"train": 3000, "valid": 500, "test": 400}


def test_without_validation_nothing_is_evaluated(shell: Shell) -> None:
    done = shell.train("corpus.txt", *QUICKLY, "--valid-fraction", "0", "--json").succeeded()
    assert "evaluated" not in {event["event"] for event in done.json}
    assert done.json[-1]["best"] is None
    assert max(shell.steps()) == 4


def test_lines_are_documents(shell: Shell) -> None:
    shell.train("corpus.txt", *QUICKLY, "--lines").succeeded()
    assert load(first_checkpoint(shell)).info.lines is True


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "cp1252"])
def test_texts_of_any_encoding_make_the_same_model(encoding: str, shell: Shell) -> None:
    text = sentences().replace("cat", "chaté")
    shell.write("plain.txt", text)
    shell.write("coded.txt", text.encode(encoding))
    shell.train("plain.txt", *QUICKLY).succeeded()
    shell.train("coded.txt", *QUICKLY, "--encoding", encoding).succeeded()
    assert shell.weights("plain") == shell.weights("coded")


def test_the_planner_fills_in_everything_from_time_alone(shell: Shell) -> None:
    words = ("--minutes", "0.1", "--seq-length", "16", "--json", "--quiet")
    plan = shell.run("train", "corpus.txt", *words, "--threads", "1").succeeded().json[0]["plan"]
    assert plan["train"]["steps"] >= 10
    assert plan["parameters"] <= 12 * 2700 or plan["model"]["hidden_size"] == 64


def test_tiny_is_tiny(trained: Shell) -> None:
    assert len(TINY) == 12
    assert first_checkpoint(trained).stat().st_size < 32_000


def test_a_vocabulary_too_large_for_a_checkpoint_is_an_error_before_training(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "HEADER_LIMIT", 100_000)
    shell.train("corpus.txt", *QUICKLY).succeeded()
    shell.write("many.txt", "".join(map(chr, range(0x4E00, 0x9FFF))) + sentences())
    monkeypatch.setattr(trainer, "train", None)
    # By itself the program spells most of these characters.
    every = ("--min-count", "1")
    said = shell.train("many.txt", *QUICKLY, *every).failed(2, "too large for a checkpoint")
    assert "--min-count" in said
    assert left(shell) == ["corpus"]
