"""One process, the choice of its device, memory that runs out, and a precision it lacks."""

from pathlib import Path
from typing import Any

import pytest
import torch

import charrnn
from charrnn.errors import MemoryLimitError, UsageError
from charrnn.models import device
from charrnn.models.device import DEVICES, has_bfloat16_lstm, in_bfloat16, memory_limit
from charrnn.training.distributed import Group, join, leave

ALONE = Group(torch.device("cpu"))


def test_alone_one_process_is_the_main_one() -> None:
    assert (ALONE.rank, ALONE.world_size, ALONE.is_main) == (0, 1, True)
    assert not Group(torch.device("cpu"), 1, 2).is_main


@pytest.mark.parametrize("flag", [0, 2, 15])
def test_alone_averages_are_the_values_themselves(flag: int) -> None:
    tensors = [torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])]
    assert ALONE.average(tensors, flag) == flag
    assert [tensor.tolist() for tensor in tensors] == [[1.0, 2.0], [[3.0]]]
    assert ALONE.mean(1.25) == 1.25


def test_alone_gathering_and_broadcasting_return_what_they_get() -> None:
    rows = torch.rand(3, 2)
    assert ALONE.gather(rows) is rows
    assert ALONE.broadcast("né\n") == "né\n"
    assert ALONE.broadcast("") == ""


def test_alone_a_barrier_and_leaving_return_at_once() -> None:
    ALONE.barrier()
    leave(ALONE)


@pytest.fixture
def no_group(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nobody started several processes."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool) -> list[int]:
    """Let torch find these devices; the GPUs that were chosen are noted in the list."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_without_torchrun_there_is_a_group_of_one(no_group: pytest.MonkeyPatch) -> None:
    assert join("cpu") == ALONE


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda:0"), (True, True, "cuda:0")],
)
def test_auto_takes_a_gpu_where_there_is_one(
    cuda: bool, mps: bool, expected: str, no_group: pytest.MonkeyPatch
) -> None:
    pretend(no_group, cuda, mps)
    assert join("auto").device == torch.device(expected)


def test_the_processor_can_be_chosen_where_there_is_a_gpu(no_group: pytest.MonkeyPatch) -> None:
    chosen = pretend(no_group, True, True)
    assert join("cpu").device == torch.device("cpu")
    assert chosen == []


@pytest.mark.parametrize(
    ("name", "have"), [("cuda", "cpu, mps$"), ("tpu", "cpu, mps$"), ("", "cpu, mps$")]
)
def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are(
    name: str, have: str, no_group: pytest.MonkeyPatch
) -> None:
    pretend(no_group, cuda=False, mps=True)
    with pytest.raises(UsageError, match=f"no device {name} on this machine; .*: {have}"):
        join(name)


def test_every_device_of_the_list_is_known(no_group: pytest.MonkeyPatch) -> None:
    pretend(no_group, cuda=True, mps=True)
    assert {join(name).device.type for name in DEVICES} == {"cpu", "cuda", "mps"}


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda", "nccl")])
def test_torchruns_environment_gives_rank_and_world_size(
    device: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    begun: list[str] = []
    ended: list[int] = []
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda name, timeout: begun.append(name)
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: ended.append(1))
    chosen = pretend(monkeypatch, cuda=True, mps=False)
    group = join(device)
    assert (group.rank, group.world_size, group.is_main) == (3, 4, False)
    assert begun == [backend]
    assert chosen == ([1] if device == "cuda" else [])
    assert group.device == torch.device("cuda", 1) if device == "cuda" else torch.device("cpu")
    leave(group)
    assert ended == [1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
    ],
    ids=["python", "gpu", "cpu", "c++", "onednn"],
)
def test_every_way_of_running_out_of_memory_is_one_error(error: Exception) -> None:
    with pytest.raises(MemoryLimitError) as caught, memory_limit("it does not fit", "make it less"):
        raise error
    assert caught.value.problem == f"it does not fit ({type(error).__name__})"
    assert caught.value.remedy == "make it less"
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("error", [RuntimeError("other"), ValueError("other"), KeyboardInterrupt()])
def test_other_errors_pass_through_the_memory_limit(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, memory_limit("it does not fit", "make it less"):
        raise error
    assert caught.value is error


def test_torchs_own_out_of_memory_error_is_recognized() -> None:
    with (
        pytest.raises(MemoryLimitError, match="it does not fit"),
        memory_limit("it does not fit", ""),
    ):
        torch.empty(2**50)


def test_within_the_limit_nothing_happens() -> None:
    with memory_limit("", ""):
        done = True
    assert done


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("able", [True, False])
def test_an_lstm_is_trained_in_bfloat16_where_the_processor_can(
    cell: str, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "has_bfloat16_lstm", lambda: able)
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert in_bfloat16("bfloat16", cell, cpu) == (able or cell != "lstm")
    assert in_bfloat16("bfloat16", cell, cuda)
    assert not in_bfloat16("float32", cell, cpu)


def test_what_the_processor_can_is_what_torch_can() -> None:
    lstm = torch.nn.LSTM(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        try:
            lstm(torch.zeros(4, 1, 2))
        except RuntimeError:
            able = False
        else:
            able = True
    assert has_bfloat16_lstm() == able


@pytest.mark.parametrize("optimizer", ["adamw", "soap"])
def test_a_run_in_bfloat16_goes_on_where_there_is_none(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "text.txt"
    source.write_text("one two three four five six seven. " * 60)
    notes: list[str] = []
    asked: dict[str, Any] = {
        "runs_dir": tmp_path,
        "hidden_size": 16,
        "precision": "bfloat16",
        "steps": 4,
    }
    charrnn.train(source, name="run", on_note=notes.append, optimizer=optimizer, **asked)
    assert any("float32" in note for note in notes) == (not has_bfloat16_lstm())
    notes.clear()
    monkeypatch.setattr(device, "has_bfloat16_lstm", lambda: False)
    again: dict[str, Any] = {"runs_dir": tmp_path, "more_steps": 4, "on_note": notes.append}
    run = charrnn.resume("run", **again)
    assert (
        notes.count("this processor cannot train an LSTM in bfloat16: it is trained in float32")
        == 1
    )
    assert run.description()["plan"]["train"]["precision"] == "bfloat16"
