"""Plans: texts that are too small, and batches that processes can share."""

from typing import Any

import pytest
import torch

from charrnn.errors import CorpusError, UsageError
from charrnn.training.distributed import Group
from tests.support.plans import Machine, planned


@pytest.mark.parametrize("tokens", [2, 10, 35])
def test_a_text_too_small_is_an_error_that_says_how_much_is_needed(tokens: int) -> None:
    with pytest.raises(CorpusError, match=f"has {tokens} tokens and --batch-size 4") as caught:
        planned(tokens)
    assert "needs 36" in caught.value.problem
    assert "make them smaller or give more text" in caught.value.remedy


def test_the_smallest_text_that_has_a_plan() -> None:
    plan = planned(36)
    assert (plan.train_config.batch_size, plan.train_config.seq_length) == (4, 8)


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        ({"batch_size": 1000}, "64,000"),
        ({"seq_length": 5000}, "20,004"),
        ({"batch_size": 3, "seq_length": 4000}, "12,003"),
    ],
)
def test_a_shape_too_large_for_the_text_is_an_error(asked: dict[str, Any], needs: str) -> None:
    with pytest.raises(CorpusError, match=r"the training part has 4,032 tokens") as caught:
        planned(4032, **asked)
    assert f"needs {needs}" in caught.value.problem


def test_a_shape_that_fits_the_text_exactly_is_taken() -> None:
    plan = planned(4 * 101, batch_size=4, seq_length=100)
    assert (plan.train_config.batch_size, plan.train_config.seq_length) == (4, 100)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 8, 32])
def test_a_planned_batch_can_be_shared_by_all_processes(world_size: int) -> None:
    plan = planned(group=Group(torch.device("cpu"), 0, world_size))
    assert plan.train_config.batch_size % world_size == 0
    assert plan.train_config.batch_size >= max(4, world_size)


@pytest.mark.parametrize(("batch_size", "world_size"), [(3, 2), (4, 3), (1, 2)])
def test_a_given_batch_that_cannot_be_shared_is_an_error(batch_size: int, world_size: int) -> None:
    group = Group(torch.device("cpu"), 0, world_size)
    words = f"--batch-size {batch_size} cannot be divided among {world_size} processes"
    with pytest.raises(UsageError, match=words):
        planned(batch_size=batch_size, group=group)


def test_a_given_batch_that_can_be_shared_is_kept() -> None:
    assert (
        planned(batch_size=6, group=Group(torch.device("cpu"), 0, 3)).train_config.batch_size == 6
    )


def test_larger_texts_have_larger_batches() -> None:
    shapes = [
        (plan.train_config.batch_size, plan.train_config.seq_length)
        for plan in (planned(tokens) for tokens in (100, 1000, 5000, 50_000, 10**7))
    ]
    assert shapes == sorted(shapes)
    assert (shapes[0], shapes[-1]) == ((4, 8), (16, 128))


@pytest.mark.parametrize(
    ("tokens", "values", "shape"),
    [
        (10**6, {"minutes": 2.0}, (16, 128)),
        (10**6, {"minutes": 1.0}, (16, 64)),
        (10**6, {"minutes": 0.3}, (8, 64)),
        (10**6, {"epochs": 3.0}, (16, 128)),
        (10**6, {"epochs": 1.0}, (8, 64)),
        (10**6, {"steps": 10_000}, (8, 64)),  # a number of steps keeps its meaning
        (10**5, {"minutes": 2.0}, (8, 64)),  # a short text needs its steps
        (10**6, {"minutes": 2.0, "optimizer": "adamw"}, (8, 64)),
        (10**6, {"minutes": 2.0, "batch_size": 8}, (8, 64)),
        (10**6, {"minutes": 2.0, "seq_length": 32}, (8, 32)),
    ],
)
def test_soap_reads_a_long_text_in_larger_steps_while_these_are_enough(
    tokens: int, values: dict[str, Any], shape: tuple[int, int], machine: Machine
) -> None:
    machine.power = 1.6e10
    train = planned(tokens, **values).train_config
    assert (train.batch_size, train.seq_length) == shape


@pytest.mark.parametrize(
    ("tokens", "values", "optimizer"),
    [
        (10**6, {"minutes": 2.0}, "soap"),
        (10**6, {"minutes": 10.0}, "adamw"),  # some ten epochs, which fit it too closely
        (10**7, {"minutes": 10.0}, "soap"),
        (10**6, {"epochs": 3.0}, "soap"),
        (10**6, {"epochs": 20.0}, "adamw"),
        (10**6, {"steps": 20_000}, "adamw"),
        (10**5, {"minutes": 10.0}, "soap"),
        (10**6, {"minutes": 10.0, "optimizer": "soap"}, "soap"),
    ],
)
def test_soap_is_for_texts_that_are_short_or_read_a_few_times(
    tokens: int, values: dict[str, Any], optimizer: str, machine: Machine
) -> None:
    machine.power = 1.6e10
    assert planned(tokens, **values).train_config.optimizer == optimizer


def test_the_optimizer_is_that_of_the_measured_speed(machine: Machine) -> None:
    # At the usual speed ten minutes are some seventeen epochs, here they are three.
    machine.power = 1e9
    slow = planned(10**6, minutes=10.0)
    assert (slow.train_config.optimizer, slow.epochs < 8) == ("soap", True)
    machine.power = 1e12
    fast = planned(10**6, minutes=4.0)
    assert (fast.train_config.optimizer, fast.epochs > 8) == ("adamw", True)
    kept = planned(10**6, minutes=4.0, optimizer="soap")
    assert kept.train_config.optimizer == "soap"


def test_another_optimizer_begins_with_the_size_that_was_found(machine: Machine) -> None:
    machine.power = 1e9
    planned(10**6, minutes=10.0, optimizer="adamw")
    by_adamw = list(machine.measured)
    machine.measured.clear()
    plan = planned(10**6, minutes=10.0)
    assert plan.train_config.optimizer == "soap"
    assert machine.measured[: len(by_adamw)] == by_adamw
    # The size that was found, and its neighbours: not from the middle again.
    assert 1 <= len(machine.measured) - len(by_adamw) <= 2


def test_what_is_read_often_keeps_small_steps(machine: Machine) -> None:
    machine.power = 1.6e10
    train = planned(10**6, minutes=10.0, optimizer="soap").train_config
    assert (train.batch_size, train.seq_length) == (8, 64)


def test_a_slow_machine_has_smaller_steps(machine: Machine) -> None:
    machine.power = 1.6e10
    fast = planned(10**6, minutes=2.0).train_config
    machine.power /= 20
    slow = planned(10**6, minutes=2.0).train_config
    assert slow.batch_size * slow.seq_length < fast.batch_size * fast.seq_length


def test_a_gpu_has_sizes_in_multiples_of_128_and_more_streams() -> None:
    gpu = Group(torch.device("cuda"))
    for minutes in (0.1, 1.0, 30.0):
        plan = planned(10**7, minutes=minutes, group=gpu)
        assert plan.model_config.hidden_size % 128 == 0
        assert plan.train_config.batch_size == 64
