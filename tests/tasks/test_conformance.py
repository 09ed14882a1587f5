"""What every task has to do, run over all tasks of the program and the toy task of the docs."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import charrnn
from charrnn.checkpoints import checkpoint, header
from charrnn.checkpoints.run import Run
from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.config import DataConfig
from charrnn.errors import CharRNNError, CheckpointError, UsageError
from charrnn.tasks import TASKS, get_task, register
from charrnn.tasks.base import OF_RUNNING_TEXT, Dataset, Task
from charrnn.training import events
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner, make_learner
from charrnn.training.planner.plan import Plan
from charrnn.training.request import make_request, option_of
from charrnn.training.trainer import train
from tests.support import forge
from tests.support.shell import Shell
from tests.support.tiny import TEXT

TOY = "numbers"


def write_text(path: Path) -> None:
    """A text."""
    path.write_text(TEXT)


def write_numbers(path: Path) -> None:
    """A sine wave, one value per line."""
    path.write_text("".join(f"{10 + 3 * math.sin(0.3 * i):.4f}\n" for i in range(600)))


def write_series(path: Path) -> None:
    """Days with a weekly season and a trend, as CSV."""
    days = np.datetime64("2021-01-01") + np.arange(200)
    values = 10 + 0.01 * np.arange(200) + 3 * np.sin(np.arange(200) * 2 * np.pi / 7)
    rows = [f"{day},{value:.3f}" for day, value in zip(days, values, strict=True)]
    path.write_text("date,load\n" + "\n".join(rows) + "\n")


def write_pairs(path: Path) -> None:
    """Short words, and the same backwards."""
    words = [f"{a}{b}{c}" for a in "abcde" for b in "fgh" for c in "ijklmn"]
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))


def write_labels(path: Path) -> None:
    """Which two of six letters are next to each other, among others."""
    random = np.random.default_rng(3)
    lines = []
    for _ in range(160):
        kind, place = random.integers(6), random.integers(6)
        noise = "".join(random.permutation(list("abcdef")))
        lines.append(f"{noise[:place]}{'uvwxyz'[kind] * 2}{noise[place:]}\t{'uvwxyz'[kind]}")
    path.write_text("".join(f"{line}\n" for line in lines))


CPU = ("--device", "cpu")

SIZES = {"num_layers": 1, "hidden_size": 8, "embedding_size": 8, "batch_size": 4, "seq_length": 8}
"""A small model, for tasks that take all of these."""


def sizes(task: Task) -> dict[str, Any]:
    """SIZES without what the task refuses."""
    return {name: value for name, value in SIZES.items() if name not in task.refused}


DATA: dict[str, Callable[[Path], None]] = {
    "language": write_text, TOY: write_numbers, "series": write_series,
    "pairs": write_pairs, "labels": write_labels,
}  # fmt: skip
"""Task -> a function that writes a small file of its data. A new task adds a line."""


@pytest.fixture(autouse=True)
def toy_task() -> Iterator[None]:
    """The toy task is registered while a test runs."""
    register(TOY, "tests.support.toy_task:NextNumberTask")
    yield
    del TASKS[TOY], header.SCHEMAS[TOY]


@pytest.fixture(params=DATA)
def task(request: pytest.FixtureRequest) -> Task:
    """Each task in turn."""
    return get_task(request.param)


@pytest.fixture
def source(task: Task, tmp_path: Path) -> Path:
    """A file of the task's data."""
    path = tmp_path / "data.txt"
    DATA[task.name](path)
    return path


@pytest.fixture
def dataset(task: Task, source: Path, tmp_path: Path) -> Dataset:
    """The task's data, prepared."""
    return task.prepare(DataConfig((str(source),)), tmp_path / "corpus")


def model_config(task: Task, dataset: Dataset) -> ModelConfig:
    """A small model."""
    sizes = {"num_layers": 2, "hidden_size": 8, "embedding_size": 8, "dropout": 0.2}
    return task.model_config(dataset, sizes)


TRAIN = TrainConfig(
    steps=12, batch_size=4, seq_length=8, warmup_steps=2, learning_rate=0.01, threads=1,
    eval_every=6, save_every=5, log_every=4, keep=20,
)  # fmt: skip

ALONE = Group(torch.device("cpu"))


def learner(task: Task, dataset: Dataset) -> Learner:
    """A learner at its first step."""
    return make_learner(task, dataset, model_config(task, dataset), TRAIN, ALONE)


def plan(task: Task, dataset: Dataset) -> Plan:
    """A plan of TRAIN's steps."""
    return Plan(model_config(task, dataset), TRAIN, 1e4, 1.0, 1.0, 1, task=task.name)


def test_every_task_of_the_program_is_tried_here() -> None:
    assert set(TASKS) == set(DATA)


def test_prepared_data_can_be_reopened(task: Task, dataset: Dataset, tmp_path: Path) -> None:
    again = task.reopen(tmp_path / "corpus", dataset.encoder)
    assert again is not None
    assert again.fingerprint() == dataset.fingerprint()
    assert {"sha256", "parts"} <= dataset.fingerprint().keys()
    assert json.loads(json.dumps(dataset.fingerprint())) == dataset.fingerprint()
    for split in ("train", "valid"):
        assert again.size(split) == dataset.size(split) > 0
        assert again.length(split) == dataset.length(split) > 0
    assert dataset.size("nothing") == 0


def test_data_that_is_gone_cannot_be_reopened(task: Task, dataset: Dataset, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "corpus")
    assert task.reopen(tmp_path / "corpus", dataset.encoder) is None


def test_a_changed_file_has_another_hash(
    task: Task, dataset: Dataset, source: Path, tmp_path: Path
) -> None:
    config = DataConfig((str(source),))
    assert task.current_sha256(config, tmp_path / "corpus") == dataset.sha256
    source.write_text(source.read_text() + "1\n")
    assert task.current_sha256(config, tmp_path / "corpus") != dataset.sha256
    source.unlink()
    assert task.current_sha256(config, tmp_path / "corpus") is None


def test_an_encoder_survives_json(task: Task, dataset: Dataset) -> None:
    data = json.loads(json.dumps(dataset.encoder.to_json()))
    assert task.encoder_from_json(data).to_json() == dataset.encoder.to_json()
    with pytest.raises(CheckpointError):
        task.encoder_from_json({"name": "nonsense"})


def test_batches_are_a_pure_function_of_the_step(dataset: Dataset) -> None:
    batches = dataset.batches(4, 8, 0, 1)
    first = [batches[step] for step in (0, 5, 1000)]
    again = dataset.batches(4, 8, 0, 1)
    for step, arrays in zip((1000, 0, 5), (first[2], first[0], first[1]), strict=True):
        for one, other in zip(again[step], arrays, strict=True):
            np.testing.assert_array_equal(one, other)
    assert batches.steps_per_epoch > 0


def test_the_ranks_share_the_rows_of_a_batch(dataset: Dataset) -> None:
    whole = dataset.batches(4, 8, 0, 1)[3]
    parts = [dataset.batches(4, 8, rank, 2)[3] for rank in (0, 1)]
    for array, *halves in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(array, np.concatenate(halves))


def test_parameters_have_the_names_and_shapes_that_the_task_declares(
    task: Task, dataset: Dataset
) -> None:
    config = model_config(task, dataset)
    network = task.network(config)
    found = [(name, tuple(p.shape)) for name, p in network.named_parameters()]
    assert found == list(task.parameter_shapes(config).items())
    assert task.num_parameters(config) == sum(p.numel() for p in network.parameters())


def test_the_state_has_the_shapes_that_the_task_declares(task: Task, dataset: Dataset) -> None:
    config = model_config(task, dataset)
    state = task.network(config).zero_state(3)
    shapes = [tuple(part.shape) for layer in state for part in layer]
    assert shapes == list(task.state_shapes(config, 3).values())


def test_the_loss_is_finite_and_falls(task: Task, dataset: Dataset) -> None:
    own = learner(task, dataset)
    losses = []
    for _ in range(6):
        for _ in range(10):
            own.advance()
        losses.append(own.take_loss())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert losses[0] < 2 * own.network.uninformed_loss + 1


def test_an_evaluation_changes_nothing_and_repeats(task: Task, dataset: Dataset) -> None:
    network = task.network(model_config(task, dataset)).train()
    before = [p.detach().clone() for p in network.parameters()]
    scores = [task.evaluate(network, dataset, "valid").value for _ in range(2)]
    assert scores[0] == scores[1]
    assert math.isfinite(scores[0])
    assert network.training
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_score_speaks_json_and_in_words(task: Task, dataset: Dataset) -> None:
    score = task.evaluate(task.network(model_config(task, dataset)), dataset, "valid")
    assert score.value in score.to_json().values()
    assert json.loads(json.dumps(score.to_json())) == score.to_json()
    assert f"{score.value:.4f}" in score.summary()


def test_baselines_are_finite_and_of_the_validation_part(task: Task, dataset: Dataset) -> None:
    assert all(math.isfinite(value) for value in task.baselines(dataset).values())


def finished(task: Task, dataset: Dataset, folder: Path, **start: Any) -> Run:
    """A run of TRAIN's steps."""
    folder.mkdir(exist_ok=True)
    run = Run(folder)
    list(train(plan(task, dataset), dataset, run, ALONE, **start))
    return run


def test_saving_and_resuming_is_exact_to_the_bit(
    task: Task, dataset: Dataset, tmp_path: Path
) -> None:
    whole = finished(task, dataset, tmp_path / "whole")
    middle = checkpoint.load(whole.path_of(5), training=True)
    resumed = finished(task, dataset, tmp_path / "resumed", start=middle)
    one, other = (checkpoint.load(run.path_of(12), training=True) for run in (whole, resumed))
    assert one.training is not None
    assert other.training is not None
    for a, b in (
        (one.weights, other.weights),
        (one.training.moments, other.training.moments),
        (one.training.state, other.training.state),
    ):
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[name], b[name]) for name in a)
    assert one.info.valid == other.info.valid


def test_a_checkpoint_is_saved_and_loaded_byte_for_byte(
    task: Task, dataset: Dataset, tmp_path: Path
) -> None:
    path = finished(task, dataset, tmp_path / "run").path_of(12)
    loaded = checkpoint.load(path, training=None)
    assert loaded.task == task.name
    assert loaded.info.metric == task.metric.name
    checkpoint.save(loaded, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_checkpoint_of_an_unknown_task_is_refused(
    task: Task, dataset: Dataset, tmp_path: Path
) -> None:
    if task.name == header.LANGUAGE:
        return
    path = finished(task, dataset, tmp_path / "run").path_of(12)
    schema = header.SCHEMAS.pop(task.name)
    try:
        with pytest.raises(CheckpointError, match=f"its task is '{task.name}'"):
            checkpoint.load(path)
    finally:
        header.SCHEMAS[task.name] = schema


def test_a_file_that_claims_another_task_is_refused_in_one_line(
    task: Task, dataset: Dataset, tmp_path: Path
) -> None:
    found = forge.draft(finished(task, dataset, tmp_path / "run").path_of(12))
    if task.name == header.LANGUAGE:
        found = forge.as_format_2(found)
    path = tmp_path / "claims.safetensors"
    for claim in (*(set(DATA) - {task.name}), "poems", "x" * 9999, "", None, 7, [task.name]):
        found.info["task"] = claim
        path.write_bytes(found.sealed())
        with pytest.raises(CheckpointError) as error:
            checkpoint.load(path)
        assert len(str(error.value)) < 500
    verbs = {get_task(name).next_command.split()[-1] for name in TASKS}
    for words in [["checkpoints", "show"], ["evaluate"], *([verb] for verb in sorted(verbs))]:
        Shell(tmp_path).run(*words, str(path)).failed(4, f"its task is ['{task.name}']")


@pytest.mark.parametrize("name", sorted(OF_RUNNING_TEXT - {"preset"}))
def test_what_has_an_effect_on_running_text_alone_is_refused(task: Task, name: str) -> None:
    if task.name in (header.LANGUAGE, TOY):
        return
    given = {"chat": True, "conditions": True, "lines": True, "tie_weights": True}.get(name, "line")
    with pytest.raises(
        UsageError, match=f"^{option_of(name)} is no option of the task {task.name}"
    ):
        make_request(("data.txt",), {name: given}, task=task.name)


def test_a_run_is_trained_and_loaded_through_the_api(
    task: Task, source: Path, tmp_path: Path
) -> None:
    told: list[events.Event] = []
    run = charrnn.train(
        source, task=task.name, runs_dir=tmp_path / "runs", steps=12, threads=1, eval_every=6,
        on_event=told.append, **sizes(task),
    )  # fmt: skip
    best = run.best()
    assert best is not None
    assert best.valid is not None
    assert [event["event"] for event in run.events()] == [events.to_json(e)["event"] for e in told]
    model = charrnn.load(run)
    assert model.evaluate("valid").value == pytest.approx(best.valid, rel=1e-5)
    copy = model.save(tmp_path / "copy.safetensors")
    assert checkpoint.load(copy).training is None


def test_the_command_line_trains_resumes_and_lists_it(
    task: Task, source: Path, tmp_path: Path
) -> None:
    shell = Shell(tmp_path)
    options = ("--task", task.name, "--steps", "10", "--eval-every", "5", "--threads", "1")
    given = [x for n, v in sizes(task).items() for x in ("--" + n.replace("_", "-"), str(v))]
    shell.run("train", source.name, *options, *given).succeeded()
    assert "this run is finished; " in shell.run("train", "--resume").succeeded().err
    assert "10/10" in shell.run("runs").succeeded().out
    listed = shell.run("checkpoints", "list", "--json").succeeded().json
    assert [row["step"] for row in listed] == [5, 10]
    if task.name != "language":
        file = ("--file", source.name)
        for words in (("--encoding", "latin-1", *file), ("--errors", "skip", *file), CPU):
            shell.run("evaluate", *words).failed(2, f"{words[0]} has no effect on a model of")
    shell.run("checkpoints", "verify").succeeded()


def test_unusable_data_is_an_error_of_the_tree(task: Task, tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("x")
    with pytest.raises(CharRNNError):
        task.prepare(DataConfig((str(tmp_path / "odd.txt"),)), tmp_path / "corpus")


def test_a_model_without_an_onnx_form_says_so(task: Task, source: Path, tmp_path: Path) -> None:
    if task.name != TOY:
        return
    run = charrnn.train(
        source, task=task.name, runs_dir=tmp_path / "runs", steps=2, threads=1, **sizes(task)
    )
    with pytest.raises(UsageError, match="has no ONNX form"):
        charrnn.load(run).save(tmp_path / "x.onnx")
    Shell(tmp_path).run("checkpoints", "export", "--format", "onnx").failed(2, "no ONNX form")
