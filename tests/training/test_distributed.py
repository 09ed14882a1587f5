"""Groups of processes: one exchanges nothing; two of them train the model that one trains."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import CorpusError
from charrnn.training import distributed
from tests.support.processes import Child, program
from tests.support.tiny import TEXT

EXCHANGE = """
import torch
from charrnn.training.distributed import join, leave

group = join("cpu")
rank = group.rank
assert group.world_size == 2
assert group.is_main == (rank == 0)

tensors = [torch.tensor([1.0 + rank, 4.0]), torch.full((2, 3), float(rank)), torch.zeros(0)]
flag = group.average(tensors, 15 if rank == 1 else 0)
assert flag == 15, flag
assert tensors[0].tolist() == [1.5, 4.0]
assert tensors[1].tolist() == [[0.5] * 3] * 2
assert group.average([torch.tensor([1.0])], 0) == 0
assert group.average([torch.tensor([1.0])], 2 + rank) == 3
assert group.average([], 1 - rank) == 1

assert group.mean(0.1 + rank) == (0.1 + 1.1) / 2
rows = torch.arange(6.0).view(2, 3) + 10 * rank
assert group.gather(rows).tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]
assert group.gather(rows.T).shape == (6, 2)
assert group.gather(rows.T)[3].tolist() == [10, 13]

for text in ("short", "né 😀" * 1000, "x"):
    assert group.broadcast(text if rank == 0 else "") == text
group.barrier()
"""

STOP = """
import itertools, sys
from pathlib import Path

from charrnn.checkpoints import checkpoint
from charrnn.errors import InterruptedTraining
from charrnn.checkpoints.run import Run
from charrnn.training.trainer import train
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train

folder = Path(sys.argv[1])
corpus = tiny_corpus(folder / str(rank))
plan = tiny_plan(tiny_model(vocab_size=corpus.tokenizer.vocab_size), tiny_train())
asked = itertools.count(1)
seen = []
try:
    events = train(
        plan, corpus, Run(folder), group, None, lambda: 15 if rank == 1 and next(asked) == 3 else 0
    )
    for event in events:
        seen.append(type(event).__name__)
except InterruptedTraining as error:
    assert error.exit_code == 143
else:
    raise AssertionError("nobody was interrupted")
# The file is there for the rank that does not write it, too: it waited for it.
found = checkpoint.load(folder / "step-000000003.safetensors", training=True)
assert found.info.step == 3
assert found.training.state["0.h"].shape == (4, 8)
assert seen == (["Planned", "Saved"] if rank == 0 else ["Planned"]), seen
leave(group)
if Path("/proc/self/task").is_dir():
    tasks = [path / "comm" for path in Path("/proc/self/task").iterdir()]
    assert not any("gloo" in path.read_text() for path in tasks), "a thread outlives the group"
(folder / f"done-{rank}").touch()
"""


def environment() -> dict[str, str]:
    """The environment of the tests, one thread each, without options for the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHARRNN")}
    root = str(Path(__file__).parent.parent.parent)
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": root}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def command(processes: int, *arguments: str | Path) -> list[str]:
    """Python with these arguments, by torchrun where there are to be several."""
    torchrun = [
        "-m", "torch.distributed.run", "--nproc-per-node", processes,
        "--master-addr", "127.0.0.1", "--master-port", free_port(),
    ]  # fmt: skip
    words = [sys.executable, *(torchrun if processes > 1 else ()), *arguments]
    return [str(word) for word in words]


def spawn(processes: int, *arguments: str | Path) -> None:
    """Run a command to its end, which has to be a good one."""
    done = subprocess.run(
        command(processes, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_processes_exchange_what_they_should_and_stop_together(tmp_path: Path) -> None:
    (tmp_path / "exchange.py").write_text(EXCHANGE + STOP)
    spawn(2, tmp_path / "exchange.py", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("done-*")) == ["done-0", "done-1"]


PLAN = (
    "--num-layers", "2", "--hidden-size", "8", "--embedding-size", "8", "--batch-size", "4",
    "--seq-length", "8", "--learning-rate", "0.01", "--steps", "12", "--input-dropout", "0",
    "--dropout", "0", "--output-dropout", "0", "--warmup-steps", "3", "--eval-every", "6",
    "--save-every", "3", "--log-every", "4", "--keep", "20", "--threads", "1",
    "--valid-fraction", "0.3", "--device", "cpu", "--precision", "float32", "--quiet",
)  # fmt: skip


def started(processes: int, *arguments: str | Path) -> list[Child]:
    """`charrnn train` in forked processes, which find each other as those of torchrun do."""
    port, folder = str(free_port()), Path.cwd()
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    ranks = [place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    return [
        Child(program(folder, "train", *arguments, **(group if processes > 1 else {})))
        for group in ranks
    ]


def train(processes: int, *arguments: str | Path) -> None:
    """`charrnn train` in one process or several, to an end that has to be a good one."""
    for ended in [child.finish() for child in started(processes, *arguments)]:
        assert ended.code == 0, ended.err


def final(run: Run) -> Checkpoint:
    entry = run.latest()
    assert entry is not None
    assert entry.step in (12, 60), "it has not come to its end"
    return files.load(entry.path, training=True)


def everything(run: Run) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Weights, moments and hidden state at the end of a run."""
    found = final(run)
    assert found.training is not None
    return found.weights | found.training.moments | found.training.state


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Run]:
    """The run of PLAN by one process or by two, each trained once."""
    root = tmp_path_factory.mktemp("trained")
    (root / "text.txt").write_text(TEXT)
    runs: dict[int, Run] = {}

    def of(processes: int) -> Run:
        if processes not in runs:
            folder = root / f"runs-{processes}"
            train(processes, root / "text.txt", "--runs-dir", folder, *PLAN)
            runs[processes] = Run(folder / "text")
        return runs[processes]

    return of


def assert_equal_within_rounding(first: Run, second: Run) -> None:
    a, b = everything(first), everything(second)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].shape == b[name].shape
        assert np.allclose(a[name], b[name], atol=1e-4), name
    scores = [entry.valid for entry in first.entries()]
    assert scores == pytest.approx([entry.valid for entry in second.entries()], abs=1e-4)


def test_two_processes_train_the_model_that_one_trains(trained: Callable[[int], Run]) -> None:
    one, two = trained(1), trained(2)
    assert [entry.step for entry in one.entries()] == [3, 6, 9, 12]
    assert [entry.step for entry in two.entries()] == [3, 6, 9, 12]
    assert_equal_within_rounding(one, two)
    losses = [
        [event["loss"] for event in run.events() if event["event"] == "progress"]
        for run in (one, two)
    ]
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_the_training_did_change_the_weights(trained: Callable[[int], Run]) -> None:
    """The comparison above would fail on models that differ by a step."""
    run = trained(1)
    early = files.load(run.path_of(9)).weights
    late = final(run).weights
    still = {name for name in late if np.allclose(early[name], late[name], atol=1e-4)}
    assert still == {name for name in late if "bias_hh" in name}  # the bias that does not learn


def test_two_processes_leave_one_log_and_one_set_of_files(trained: Callable[[int], Run]) -> None:
    run = trained(2)
    names = sorted(path.name for path in run.folder.parent.iterdir())
    assert names == ["text"]
    steps = [event["step"] for event in run.events() if event["event"] == "saved"]
    assert steps == [3, 6, 9, 12]


@pytest.mark.parametrize(("wrote", "resumes"), [(1, 2), (2, 1)])
def test_what_one_number_of_processes_wrote_another_resumes(
    wrote: int, resumes: int, trained: Callable[[int], Run], tmp_path: Path
) -> None:
    source = trained(wrote)
    shutil.copytree(source.folder, tmp_path / "text")
    run = Run(tmp_path / "text")
    for step in (9, 12):
        run.path_of(step).unlink()
    train(resumes, "--resume", "--runs-dir", tmp_path, "--device", "cpu", "--quiet")
    assert [entry.step for entry in run.entries()] == [3, 6, 9, 12]
    assert_equal_within_rounding(source, run)


@contextlib.contextmanager
def killed(processes: int, *arguments: str | Path) -> Iterator[None]:
    """Processes of a training that run meanwhile, and are killed at the end."""
    children = started(processes, *arguments)
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.finish()


def wait_for(reached: Callable[[], bool]) -> None:
    """Wait until something is so; a minute is taken to mean never."""
    until = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_run_of_four_that_is_killed_goes_on_with_two_and_with_one(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    plan = [*PLAN, "--steps", "60"]
    run = Run(tmp_path / "four" / "text")
    with killed(4, tmp_path / "text.txt", "--runs-dir", run.folder.parent, *plan):
        wait_for(lambda: len(run.entries()) > 1)
    reached = [entry.step for entry in run.entries()]
    assert reached
    assert reached[-1] < 60, "it ended before it could be killed"
    train(1, tmp_path / "text.txt", "--runs-dir", tmp_path / "whole", *plan)
    for processes in (2, 1):
        folder = tmp_path / f"on-{processes}"
        shutil.copytree(run.folder, folder / "text")
        train(processes, "--resume", "--runs-dir", folder, "--device", "cpu", "--quiet")
        assert_equal_within_rounding(Run(tmp_path / "whole" / "text"), Run(folder / "text"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("missing.txt",), "there is no file or folder missing.txt; check the path"),
        (("text.txt", "--cell", "foo"), "--cell is 'foo'; choose one of lstm, gru, rnn"),
        (("--resume", "--name", "nope"), "there is no run nope in runs; "),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_torchrun_shows_an_error_in_one_line_and_as_the_root_cause(
    words: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    """What the launcher prints besides cannot be changed from within the processes."""
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "runs").mkdir()
    done = subprocess.run(
        command(2, "-m", "charrnn", "train", *words, "--device", "cpu"),
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("charrnn: ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"charrnn: error: {problem}")
    _, cause = done.stderr.split("Root Cause")
    assert f"traceback : {lines[0]}" in cause
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr.split("ChildFailedError:")[1]


def test_what_one_process_has_told_another_raises_without_saying_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind: Any = vars(torch.distributed)["TCPStore"]
    server = kind("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(server.port))
    assert distributed._heard() is None
    monkeypatch.setenv("RANK", "1")
    first = CorpusError("the text is gone", "bring it back")
    distributed._tell(first)
    assert not first.is_reported
    heard = distributed._heard()
    assert heard is not None
    assert (str(heard), heard.exit_code, heard.is_reported) == (str(first), 3, True)
    # The same error in another process is told already; another error is not.
    monkeypatch.setenv("RANK", "0")
    same, other = CorpusError(first.problem, first.remedy), CorpusError("all is lost", "weep")
    for error in (same, other):
        distributed._tell(error)
    assert (same.is_reported, other.is_reported) == (True, False)


def test_where_the_store_is_gone_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distributed, "PATIENCE", timedelta(seconds=0.2))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    error = CorpusError("the text is gone", "bring it back")
    distributed._tell(error)
    assert not error.is_reported
    assert distributed._heard() is None
    monkeypatch.delenv("MASTER_PORT")
    assert distributed._heard() is None


@pytest.mark.parametrize(
    ("failure", "code"), [("the text is gone", 3), ("", 0)], ids=["one fails", "none fails"]
)
def test_where_one_process_fails_the_others_say_one_line(
    tmp_path: Path, failure: str, code: int
) -> None:
    """Without torchrun, which would stop the others by a signal before they can say a word."""
    (tmp_path / "text.txt").write_text(TEXT)
    where = "missing.txt" if failure else "text.txt"
    children = started(2, tmp_path / where, "--runs-dir", tmp_path / "runs", *PLAN)
    first, second = [child.finish() for child in children]
    if failure:
        assert first.code == code
        assert first.err.count("\n") == 1
        assert "there is no file or folder" in first.err
        # The store of both lies in the first process: it may be gone before the other hears why.
        ended = "charrnn: error: another process of this training has ended; "
        assert (second.code, second.err) == (code, "") or second.err.startswith(ended)
        assert second.err.count("\n") <= 1, second.err
    else:
        assert [first.code, second.code] == [0, 0], (first.err, second.err)
