"""`charrnn train`: what it accepts, what it says, what it leaves behind, how it goes on."""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import container
from charrnn.checkpoints.checkpoint import load
from charrnn.checkpoints.run import Run
from charrnn.errors import MemoryLimitError
from charrnn.training import optimizer, trainer
from charrnn.training.versions import versions
from tests.support.shell import TINY, Shell, flip, sentences

QUICKLY = ("--steps", "4", "--quiet")

RESUME = ("train", "--resume")


def left(shell: Shell) -> list[str]:
    """The names in the runs folder."""
    return sorted(path.name for path in shell.runs.glob("*"))


def first_checkpoint(shell: Shell, run: str = "corpus") -> Path:
    """The oldest checkpoint of a run."""
    return Run(shell.runs / run).entries()[0].path


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


EVENTS = {
    "planned": {"event", "step", "run", "plan"},
    "progress": {
        "event", "step", "epoch", "loss", "bits_per_char", "learning_rate", "grad_norm",
        "tokens_per_second", "seconds", "seconds_left",
    },
    "evaluated": {
        "event", "step", "best", "sample", "seconds", "loss", "nats_per_char", "bits_per_char",
        "perplexity", "tokens", "characters", "nats",
    },
    "saved": {"event", "step", "path", "warnings", "seconds"},
    "finished": {"event", "step", "best", "best_step", "seconds"},
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[dict[str, Any]]]:
    """A training that reports its events as JSON."""
    shell = Shell(tmp_path_factory.mktemp("reported"))
    shell.write("corpus.txt", sentences())
    cadence = ("--log-every", "5", "--eval-every", "10", "--save-every", "5")
    done = shell.train("corpus.txt", "--steps", "20", *cadence, "--json", "--quiet").succeeded()
    assert done.err == ""
    return shell, done.json


def test_json_has_every_event_with_its_fields(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    assert {event["event"] for event in reported[1]} == set(EVENTS)
    for event in reported[1]:
        assert set(event) >= EVENTS[event["event"]], event["event"]


def test_json_has_events_in_their_order(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    order = [(event["event"], event["step"]) for event in reported[1]]
    assert order == [
        ("planned", 0),
        ("progress", 5), ("saved", 5),
        ("progress", 10), ("evaluated", 10), ("saved", 10),
        ("progress", 15), ("saved", 15),
        ("progress", 20), ("evaluated", 20), ("saved", 20),
        ("finished", 20),
    ]  # fmt: skip


def test_json_figures_agree_with_each_other(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    events = reported[1]
    evaluated = [event for event in events if event["event"] == "evaluated"]
    for event in evaluated:
        assert event["bits_per_char"] == pytest.approx(event["nats_per_char"] / math.log(2))
        assert event["perplexity"] == pytest.approx(math.exp(event["loss"]))
        assert event["characters"] == 300
    best = min(evaluated, key=lambda event: float(event["nats_per_char"]))
    assert events[-1]["best"] == best["nats_per_char"]
    assert events[-1]["best_step"] == best["step"]
    progress = [event for event in events if event["event"] == "progress"]
    assert [event["epoch"] for event in progress] == [
        pytest.approx(step * 64 / 2700) for step in (5, 10, 15, 20)
    ]
    assert progress[-1]["seconds_left"] == 0
    for event in events:
        if event["event"] == "saved":
            assert Path(event["path"]).name == f"step-{event['step']:09d}.safetensors"


def test_the_log_contains_the_same_events(reported: tuple[Shell, list[dict[str, Any]]]) -> None:
    shell, events = reported
    assert Run(shell.runs / "corpus").events() == events


def test_the_plan_that_is_reported_is_the_one_that_is_kept(
    reported: tuple[Shell, list[dict[str, Any]]],
) -> None:
    shell, events = reported
    plan = events[0]["plan"]
    assert plan["model"]["hidden_size"] == 8
    assert plan["train"]["steps"] == 20
    about = json.loads((shell.runs / "corpus" / "run.json").read_text())
    assert about["plan"] == plan
    assert about["recipe"]["sources"] == ["corpus.txt"]
    found = load(first_checkpoint(shell), training=True)
    assert found.training
    assert found.training.config.seq_length == plan["train"]["seq_length"] == 16


def test_quiet_says_nothing_at_all(shell: Shell) -> None:
    done = shell.train("corpus.txt", *QUICKLY).succeeded()
    assert (done.raw, done.err) == (b"", "")


def test_without_a_terminal_progress_is_plain_lines_on_stderr(shell: Shell) -> None:
    done = shell.train("corpus.txt", "--steps", "4").succeeded()
    assert done.raw == b""
    assert "\x1b" not in done.err
    assert "\r" not in done.err
    lines = [line for line in done.err.splitlines() if line and not line.startswith("    ")]
    words = [line.split()[0] for line in lines]
    assert words[:6] == ["text", "model", "plan", "baselines", "run", "step"]
    assert words[-1] == "done"
    assert "step 4/4  epoch " in done.err
    assert "step 4: validation " in done.err
    assert done.err.rstrip().endswith("now try: charrnn sample " + str(shell.runs / "corpus"))


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


RESUMED = ("--steps", "24", "--save-every", "4", "--eval-every", "8", "--keep", "9", "--quiet")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run of 24 steps with a checkpoint at every fourth."""
    shell = Shell(tmp_path_factory.mktemp("long"))
    shell.write("corpus.txt", sentences())
    shell.train("corpus.txt", *RESUMED, "--output-dropout", "0.2").succeeded()
    return shell


@pytest.fixture
def stopped(long: Shell, tmp_path: Path) -> Shell:
    """The long run as it was at step 12, with a copy of its end to compare with."""
    shutil.copytree(long.folder, tmp_path / "stopped")
    shell = Shell(tmp_path / "stopped")
    for step in (16, 20, 24):
        Run(shell.runs / "corpus").path_of(step).unlink()
    return shell


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


PLANNED = (
    ("--steps", "30"), ("--hidden-size", "16"), ("--cell", "gru"),
    ("--seed", "1"), ("--tie-weights",), ("--no-residual",), ("--minutes", "1"),
    ("--epochs", "2"), ("--tokenizer", "byte"), ("--vocab-size", "300"), ("--min-count", "2"),
    ("--lines",), ("--valid", "x"), ("--test", "x"), ("--valid-fraction", "0.2"),
    ("--test-fraction", "0.2"), ("--encoding", "latin-1"), ("--split-words", "spaces"),
    ("--learning-rate", "0.1"), ("--batch-size", "5"), ("--preset", "ptb-small"),
)  # fmt: skip


@pytest.mark.parametrize("words", PLANNED, ids=lambda words: str(words[0]))
def test_resume_takes_no_option_of_the_plan_or_the_text(
    words: tuple[str, ...], trained: Shell
) -> None:
    name = words[0].replace("--no-", "--")
    trained.run(*RESUME, *words).failed(2, f"{name} cannot be changed by --resume", name)


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "20"),
        ("--cell", "lstm"),
        ("--threads", "1"),
        ("--seed", "0"),
        ("--tokenizer", "char"),
        ("--valid-fraction", "0.1"),
        ("--encoding", "utf-8"),
        ("--save-every", "5", "--keep", "2"),
    ],
    ids=lambda words: str(words[0]),
)
def test_resume_takes_values_that_the_run_has_already(
    words: tuple[str, ...], copied: Shell
) -> None:
    assert "note" not in copied.run(*RESUME, *words).succeeded().err


def test_resume_takes_the_epochs_and_the_preset_that_the_run_was_given(shell: Shell) -> None:
    sizes = ("--preset", "ptb-small", "--hidden-size", "8", "--embedding-size", "8")
    words = (*sizes, "--epochs", "0.5", "--batch-size", "2")
    shell.run("train", "corpus.txt", *words, "--quiet").succeeded()
    shell.run(*RESUME, *words).succeeded()
    shell.run(*RESUME, "--epochs", "0.6").failed(2, "--epochs cannot be changed", "--more-epochs")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--threads", 2),
        ("--keep", 5),
        ("--save-every", 3),
        ("--eval-every", 4),
        ("--log-every", 2),
    ],
)
def test_resume_changes_what_changes_no_step_with_a_note(
    flag: str, value: int, copied: Shell
) -> None:
    run = Run(copied.runs / "corpus")
    run.path_of(20).unlink()
    noted = copied.run(*RESUME, flag, str(value)).succeeded().err
    assert f"{flag} is {value} from step 15 on, and was " in noted
    training = load(run.path_of(20), training=True).training
    assert training
    assert getattr(training.config, flag[2:].replace("-", "_")) == value


def test_the_environment_variable_that_set_an_option_is_named(copied: Shell) -> None:
    copied.run(*RESUME, CHARRNN_TRAIN_THREADS="1", CHARRNN_TRAIN_STEPS="20").succeeded()
    name = "CHARRNN_TRAIN_HIDDEN_SIZE"
    refused = f"--hidden-size (set by {name}) cannot be changed by --resume"
    given: dict[str, Any] = {name: "9"}
    copied.run(*RESUME, **given).failed(2, refused)
    noted = copied.run(*RESUME, CHARRNN_TRAIN_KEEP="7").succeeded().err
    assert "--keep (set by CHARRNN_TRAIN_KEEP) is 7 from step 20 on, and was 2" in noted


def test_resume_of_an_unknown_run_names_the_known_ones(trained: Shell) -> None:
    said = trained.run(*RESUME, "--name", "nope").failed(2, "there is no run nope in ")
    assert said.endswith("; the runs there are: corpus\n")


def test_resume_without_any_run(shell: Shell) -> None:
    shell.run(*RESUME).failed(2, f"there is no run in {shell.runs}; train one first: ")


def test_resume_of_a_run_without_a_checkpoint(copied: Shell) -> None:
    for entry in Run(copied.runs / "corpus").entries():
        entry.path.unlink()
    copied.run(*RESUME).failed(4, "the run corpus has no checkpoint yet; ")


def test_resume_of_a_changed_text_names_both_hashes(stopped: Shell) -> None:
    about = json.loads((stopped.runs / "corpus" / "run.json").read_text())
    stopped.write("corpus.txt", sentences(seed=1))
    before = stopped.steps()
    said = stopped.run(*RESUME).failed(3, "the text has changed since the run began")
    assert about["corpus"]["sha256"] in said
    assert stopped.steps() == before


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


def test_the_planner_fills_in_everything_from_time_alone(shell: Shell) -> None:
    words = ("--minutes", "0.1", "--seq-length", "16", "--json", "--quiet")
    plan = shell.run("train", "corpus.txt", *words, "--threads", "1").succeeded().json[0]["plan"]
    assert plan["train"]["steps"] >= 10
    assert plan["parameters"] <= 12 * 2700 or plan["model"]["hidden_size"] == 64


def test_tiny_is_tiny(trained: Shell) -> None:
    assert len(TINY) == 12
    assert first_checkpoint(trained).stat().st_size < 32_000


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
