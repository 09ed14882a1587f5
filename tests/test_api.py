"""The Python API: what `import charrnn` offers, and what its functions do beyond docs/python.md."""

import ast
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import charrnn
from charrnn import api
from charrnn.checkpoints.run import Run
from charrnn.errors import CharRNNError, CheckpointError, CorpusError, UsageError
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.training.events import Event, Finished, Planned, Saved
from tests.support.shell import Shell
from tests.support.tiny import TEXT, tiny_run

TINY: dict[str, typing.Any] = {
    "steps": 6, "hidden_size": 8, "embedding_size": 8, "num_layers": 1, "batch_size": 4,
    "seq_length": 8, "threads": 1, "eval_every": 3, "seed": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that takes no time."""
    monkeypatch.setattr("charrnn.training.planner.calibration.CALIBRATION_SECONDS", 0.0)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file to train on."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    """A model of 8 units with random weights."""
    return charrnn.load(tiny_run(tmp_path / "runs"))


def test_every_name_of_the_api_resolves_and_is_documented() -> None:
    for name in charrnn.__all__:
        value = getattr(charrnn, name)
        assert name == "__version__" or value.__doc__, name
    assert dir(charrnn) == sorted(charrnn.__all__)


def test_type_checkers_see_every_name_of_the_api() -> None:
    tree = ast.parse(Path(charrnn.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = {a.name for n in ast.walk(guarded) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert names - {"Any"} == set(charrnn.__all__) - {"__version__"}


def test_every_error_class_is_in_the_api() -> None:
    from charrnn import errors

    classes = [v for v in vars(errors).values() if isinstance(v, type)]
    assert {c.__name__ for c in classes if issubclass(c, CharRNNError)} <= set(charrnn.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        charrnn.trian  # noqa: B018


@pytest.mark.parametrize("name", ["train", "resume", "plan", "load"])
def test_functions_of_the_api_are_typed_and_documented(name: str) -> None:
    function = getattr(api, name)
    assert function.__doc__
    hints = function.__annotations__
    assert "return" in hints
    assert all(hint is not typing.Any for key, hint in hints.items() if key != "options")


def test_loading_and_sampling_import_no_torch(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    code = (
        f"import sys, charrnn; m = charrnn.load({str(run.folder)!r}); m.sample('a', length=3);"
        "m.score('abc'); m.save('x.onnx'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_training_reports_events_and_prints_nothing(
    text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Event] = []
    run = charrnn.train(text, runs_dir=tmp_path / "runs", on_event=seen.append, **TINY)
    assert isinstance(seen[0], Planned)
    assert isinstance(seen[-1], Finished)
    assert [e.step for e in seen if isinstance(e, Saved)] == [e.step for e in run.entries()]
    assert capfd.readouterr() == ("", "")


def test_the_command_line_and_the_api_train_the_same_model(text: Path, tmp_path: Path) -> None:
    run = charrnn.train(text, runs_dir=tmp_path / "api", **TINY)
    shell = Shell(tmp_path)
    options = [w for k, v in TINY.items() for w in (f"--{k.replace('_', '-')}", str(v))]
    shell.run("train", "text.txt", *options).succeeded()
    other = Run(tmp_path / "runs" / "text")
    one, two = (charrnn.load(each, checkpoint="latest").checkpoint for each in (run, other))
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)


def test_a_second_run_of_the_same_name_gets_a_number_and_a_note(text: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    for _ in range(2):
        run = charrnn.train(text, runs_dir=tmp_path / "runs", on_note=notes.append, **TINY)
    assert run.name == "text-2"
    assert notes == ["this run is called text-2"]


def test_a_changed_text_is_resumed_only_where_that_is_allowed(text: Path, tmp_path: Path) -> None:
    run = charrnn.train(text, runs_dir=tmp_path / "runs", save_every=3, **TINY)
    whole = charrnn.load(run, checkpoint="latest").checkpoint
    run.path_of(6).unlink()
    text.write_text(TEXT + "one more line\n")
    with pytest.raises(CorpusError, match=r"the text has changed .* --allow-changed-text"):
        charrnn.resume(run)
    with pytest.raises(CorpusError, match="the text has changed"):
        charrnn.resume(run, allow_changed_text=False)
    again = charrnn.resume(run, allow_changed_text=True)
    weights = charrnn.load(again, checkpoint="latest").checkpoint.weights
    assert all((weights[name] == whole.weights[name]).all() for name in whole.weights)
    # Without the kept tokens there is nothing to go on with.
    again.path_of(6).unlink()
    (again.corpus_folder / "train.npy").unlink()
    with pytest.raises(CorpusError, match="the text has changed"):
        charrnn.resume(run, allow_changed_text=True)


def test_a_run_that_comes_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(CorpusError):
        charrnn.train(tmp_path / "short.txt", runs_dir=tmp_path / "runs", **TINY)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("form", [lambda run: run, lambda run: run.folder, lambda run: run.name])
def test_resume_and_load_take_a_run_a_folder_or_a_name(
    form: typing.Any, text: Path, tmp_path: Path
) -> None:
    run = charrnn.train(text, runs_dir=tmp_path / "runs", **TINY)
    for entry in run.entries()[1:]:
        entry.path.unlink()
    resumed = charrnn.resume(form(run), runs_dir=tmp_path / "runs")
    assert [entry.step for entry in resumed.entries()] == [3, 6]
    assert charrnn.load(form(run), runs_dir=tmp_path / "runs").name == "text"


def test_a_wrong_option_is_named(text: Path, tmp_path: Path) -> None:
    for options, problem in (
        ({"hiden_size": 8}, "no option 'hiden_size'"),
        ({"tokenizer": "letters"}, "--tokenizer letters"),
        ({"steps": 5, "minutes": 1}, "contradict"),
        ({"preset": "none"}, "no preset 'none'"),
        ({"task": "nothing"}, "no task 'nothing'"),
        ({"hidden_size": -1}, "--hidden-size is -1"),
        ({"device": "tpu"}, "no device tpu"),
    ):
        with pytest.raises(UsageError, match=problem):
            charrnn.train(text, runs_dir=tmp_path / "runs", **options)


def test_training_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no text is given"):
        charrnn.train(runs_dir=tmp_path / "runs")


def test_options_that_are_none_count_as_not_given(text: Path, tmp_path: Path) -> None:
    run = charrnn.train(text, runs_dir=tmp_path / "runs", minutes=None, cell=None, **TINY)
    assert run.description()["plan"]["model"]["cell"] == "lstm"


def test_a_plan_makes_no_run(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = charrnn.plan(text, **TINY)
    assert plan.train_config.steps == 6
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_an_unknown_sampling_option_is_named(model: LanguageModel) -> None:
    with pytest.raises(UsageError, match="no sampling option 'temprature'"):
        model.sample(temprature=1.0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"top_k": "a"}, "top_k is 'a'"),
        ({"top_p": float("nan")}, "top_p is nan"),
        ({"length": -1}, "length is -1"),
        ({"length": 2.5}, "length is 2.5"),
    ],
)
def test_a_sampling_option_has_its_bounds(
    model: LanguageModel, options: dict[str, typing.Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        model.sample("x", **options)


@pytest.mark.parametrize("options", [{"precision": "int4"}, {"threads": 0}])
def test_loading_has_its_bounds(model: LanguageModel, options: dict[str, typing.Any]) -> None:
    with pytest.raises(UsageError):
        charrnn.load(model.path, **options)


@pytest.mark.parametrize("options", [{"minutes": 0}, {"minutes": "a"}, {"epochs": float("nan")}])
def test_a_budget_has_its_bounds(text: Path, options: dict[str, typing.Any]) -> None:
    with pytest.raises(UsageError, match="give a number above 0"):
        charrnn.plan(text, **options)


def test_a_run_knows_the_checkpoints_of_every_task() -> None:
    code = "import sys, charrnn; charrnn.Run; sys.exit('charrnn.tasks' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = (
        "import sys; from charrnn.cli.main import program; program(['runs']);"
        "sys.exit('charrnn.tasks' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sample_equals_its_stream_and_repeats_with_its_seed(model: LanguageModel) -> None:
    one = model.sample("The", length=30, seed=3, temperature=0.7, top_k=5)
    assert one == "".join(model.stream("The", length=30, seed=3, temperature=0.7, top_k=5))
    assert one != model.sample("The", length=30, seed=4, temperature=0.7, top_k=5)


def test_greedy_and_beam_need_no_seed(model: LanguageModel) -> None:
    assert model.sample("The", length=20, greedy=True) == model.sample(
        "The", length=20, temperature=0
    )
    assert model.sample("The", length=20, beam=3) == model.sample("The", length=20, beam=3)


def test_constraints_hold(model: LanguageModel) -> None:
    assert "e" not in model.sample(length=100, seed=1, ban="e")
    assert set(model.sample(length=50, seed=1, allow="ab c")) <= set("ab c")
    assert model.sample(length=30, seed=1, regex="cat( cat)*").replace("cat", "").strip() == ""
    assert "mill" not in model.sample("The ", length=200, seed=1, no_copy=3)


def test_one_stop_text_needs_no_list(model: LanguageModel) -> None:
    whole = model.sample(length=100, seed=2)
    letter = whole[50]
    assert model.sample(length=100, seed=2, stop=letter) == whole[: whole.index(letter)]


def test_the_score_of_a_split_is_its_evaluation(model: LanguageModel) -> None:
    assert model.corpus is not None
    text = model.tokenizer.decode(model.corpus.splits["valid"].load())
    assert model.score(text).nats == pytest.approx(model.evaluate("valid").nats, rel=1e-4)


def test_an_empty_text_and_a_missing_split_are_errors(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="empty"):
        model.score("")
    with pytest.raises(CorpusError, match="no test part"):
        model.evaluate("test")
    with pytest.raises(UsageError, match="no split"):
        model.evaluate("all")
    alone = charrnn.load(model.save(tmp_path / "alone.safetensors"))
    with pytest.raises(CorpusError, match="no valid part next to"):
        alone.evaluate()
    with pytest.raises(CorpusError, match="not next to it"):
        alone.sample(no_copy=5)


def test_a_model_of_another_task_is_refused_where_one_is_asked_for(model: LanguageModel) -> None:
    assert charrnn.load(model.path, task="language").path == model.path
    with pytest.raises(UsageError, match="of the task language, not series"):
        charrnn.load(model.path, task="series")


def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        charrnn.load(tmp_path / "x.safetensors")


def test_a_model_says_what_it_is(model: LanguageModel) -> None:
    assert repr(model) == "<LanguageModel tiny: char lstm 2x8, step 1>"
