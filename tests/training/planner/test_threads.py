"""Numbers of threads: the choice, and a tuner on a machine whose load the test decides."""

import math
from collections.abc import Callable

import pytest
import torch

from charrnn.models.device import available_threads, set_threads
from charrnn.training.distributed import Group
from charrnn.training.planner.threads import (
    LONGEST_REST,
    REST_SECONDS,
    ThreadTuner,
    fewest,
    make_tuner,
    thread_counts,
)
from tests.support.tiny import tiny_train

ALONE = Group(torch.device("cpu"))

Machine = Callable[[float, int], float]


def spinning(seconds: float, threads: int) -> float:
    """Idle for a minute, then four busy processes, then idle: threads wait for their partners."""
    if 60.0 <= seconds < 200.0:
        return 0.03 if threads == 1 else 0.4
    return 0.01 / threads


def run(tuner: ThreadTuner, machine: Machine, seconds: float) -> list[tuple[float, int]]:
    """Steps for so long -> when the tuner chose a number, and which."""
    now, chosen = 0.0, []
    while now < seconds:
        took = machine(now, tuner.threads)
        now += took
        if tuner.took(took):
            chosen.append((now, tuner.threads))
    return chosen


@pytest.mark.parametrize("most", range(1, 70))
def test_every_number_to_try_is_possible_and_one_and_all_are_among_them(most: int) -> None:
    counts = thread_counts(most)
    assert counts[0] == 1
    assert counts[-1] == most
    assert sorted(set(counts)) == list(counts)
    assert len(counts) < 9


def test_more_threads_have_to_be_worth_it() -> None:
    assert fewest({1: 1.0, 2: 0.98, 4: 0.97}) == 1
    assert fewest({1: 1.0, 2: 0.5, 4: 0.49}) == 2
    assert fewest({1: 9.0, 2: 0.5, 4: 0.4}) == 4


def test_threads_follow_a_load_that_comes_and_goes() -> None:
    tuner = ThreadTuner((1, 2), 2, expected=0.005)
    (came, one), (gone, two) = run(tuner, spinning, 400.0)
    assert (one, two) == (1, 2)
    assert 60.0 < came < 75.0
    assert 200.0 < gone < 275.0
    assert "going on with 2 threads (1 thread 0.01 s, 2 threads 0.005 s per step)" in tuner.report()


def test_a_steady_machine_is_left_alone() -> None:
    tuner = ThreadTuner((1, 2, 4), 2, expected=0.01)
    assert run(tuner, lambda now, threads: 0.012 - 0.004 * (now % 10 > 5), 300.0) == []
    assert tuner.looks == {}


def test_a_look_that_finds_nothing_better_is_not_repeated_soon() -> None:
    looked: list[float] = []

    def machine(now: float, threads: int) -> float:
        if threads != 1:
            looked.append(now)
        # Slower and slower for everybody, so that each look finds what there is.
        return 0.01 * math.exp(0.01 * now) * threads

    tuner = ThreadTuner((1, 2), 1, expected=0.01)
    assert run(tuner, machine, 600.0) == []
    begun = [now for before, now in zip([-99.0, *looked], looked, strict=False) if now > before + 5]
    assert 2 <= len(begun) < 9
    assert REST_SECONDS < LONGEST_REST


def test_without_a_choice_it_says_what_would_help_once_in_a_while() -> None:
    tuner = ThreadTuner((2,), 2, expected=0.005)
    said = run(tuner, spinning, 190.0)
    assert [threads for _, threads in said] == [2]
    assert "training was 80.0 times slower than measured" in tuner.report()
    assert "--resume --threads 1" in tuner.report()


def test_a_hundred_times_slower_step_is_enough_for_no_conclusion() -> None:
    tuner = ThreadTuner((1, 2), 2, expected=0.005)
    assert not tuner.took(50.0)
    assert tuner.looks == {}


@pytest.mark.parametrize(
    ("threads", "adaptive", "group", "counts"),
    [
        (2, True, ALONE, (1, 2, 3)),
        (1, True, ALONE, (1, 2, 3)),
        (2, False, ALONE, (2,)),
        (1, False, ALONE, None),
        (2, True, Group(torch.device("cpu"), 0, 2), None),
        (2, True, Group(torch.device("cuda")), None),
    ],
    ids=["chosen", "one chosen", "given or resumed", "one given", "several processes", "gpu"],
)
def test_a_tuner_has_a_choice_where_bits_may_change(
    threads: int, adaptive: bool, group: Group, counts: tuple[int, ...] | None
) -> None:
    torch.set_num_threads(3)
    tuner = make_tuner(tiny_train(threads=threads), 6400.0, group, adaptive)
    assert (tuner.counts if tuner else None) == counts
    assert tuner is None or tuner.expected == 32 / 6400


def test_threads_of_an_earlier_training_are_not_the_machines() -> None:
    torch.set_num_threads(3)
    set_threads(1)
    assert torch.get_num_threads() == 1
    assert available_threads() == 3
    set_threads(2)
    assert available_threads() == 3
    torch.set_num_threads(1)
    assert available_threads() == 1
