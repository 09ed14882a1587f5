"""Calibration: real steps, timed by a clock that the test holds, and what memory does to them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.errors import MemoryLimitError, UsageError
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner
from charrnn.training.planner import calibration
from charrnn.training.planner.calibration import (
    CALIBRATION_SECONDS,
    CPU_FLAGS,
    LOOKS,
    MIN_BFLOAT16_UNITS,
    Speed,
    best_precision,
    calibrate,
)
from tests.support.tiny import LANGUAGE, tiny_corpus, tiny_model

ALONE = Group(torch.device("cpu"))

TRAIN = {"threads": 1, "batch_size": 4, "seq_length": 8}


@pytest.fixture(autouse=True)
def seconds_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the program takes to measure, of which other tests spend none."""
    monkeypatch.setattr(calibration, "CALIBRATION_SECONDS", CALIBRATION_SECONDS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tiny_corpus(tmp_path_factory.mktemp("calibration"))


class Clock:
    """A clock that moves on by the given seconds each time it is read, the last for ever."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = itertools.chain(seconds, itertools.repeat(seconds[-1]))
        self.now = 100.0

    def __call__(self) -> float:
        """The time by now."""
        self.now += next(self._seconds)
        return self.now


def measure(
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    *seconds: float,
    **changes: Any,
) -> float:
    """The speed that calibration finds when its steps take so long."""
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    monkeypatch.setattr("charrnn.training.planner.calibration.time.perf_counter", Clock(*seconds))
    return calibrate(LANGUAGE, corpus, model, TRAIN | changes, ALONE).tokens_per_second


@dataclass
class Cores:
    """A machine on which a step takes `seconds(now, threads)`; each step goes by its clock.

    share: how much of the time the program has a core.
    """

    seconds: Callable[[float, int], float]
    share: float = 1.0
    now: float = 100.0
    tried: list[int] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the steps and the clocks."""

        def advance(learner: Learner, flag: int = 0) -> int:
            threads = learner.config.threads
            self.tried.append(threads)
            self.now += self.seconds(self.now - 100.0, threads)
            return flag

        monkeypatch.setattr(Learner, "advance", advance)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        monkeypatch.setattr("time.thread_time", lambda: self.share * self.now)


def measured(
    cores: Cores, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, *counts: int, times: float = 1.0
) -> Speed:
    """What calibration finds on such a machine."""
    cores.install(monkeypatch)
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    return calibrate(LANGUAGE, corpus, model, TRAIN, ALONE, times, counts)


def idle(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a step do nothing but note its flag in the list given back."""
    taken: list[int] = []

    def advance(self: Learner, flag: int = 0) -> int:
        taken.append(flag)
        return flag

    monkeypatch.setattr(Learner, "advance", advance)
    return taken


@pytest.mark.parametrize("seconds", [0.5, 0.25, 2.0])
def test_speed_is_tokens_of_a_step_over_its_seconds(
    seconds: float, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(corpus, monkeypatch, seconds) == pytest.approx(32 / seconds)


def test_the_best_of_several_looks_counts(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other work that is there half of the time does not make a machine half as fast."""
    cores = Cores(lambda now, threads: 0.01 if now % 1.0 < 0.5 else 0.1)
    found = measured(cores, corpus, monkeypatch)
    assert found.tokens_per_second == pytest.approx(32 / 0.01, rel=0.05)
    assert found.busy


@pytest.mark.parametrize(("share", "busy"), [(1.0, False), (0.4, True)])
def test_a_steady_load_shows_in_the_share_of_the_processor(
    share: float, busy: bool, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured(Cores(lambda *_: 0.01, share), corpus, monkeypatch).busy == busy


def test_an_idle_machine_with_some_noise_is_not_busy(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = Cores(lambda now, threads: 0.01 + 0.004 * (now % 0.1 > 0.05), 0.95)
    assert not measured(cores, corpus, monkeypatch, 1, 2).busy


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        (lambda now, threads: 0.01 / threads, 4),
        (lambda now, threads: 0.01 * threads, 1),
        (lambda now, threads: {1: 0.01, 2: 0.006, 4: 0.02}[threads], 2),
        (lambda now, threads: {1: 0.01, 2: 0.0099, 4: 0.0098}[threads], 1),
        # Beside busy processes: fast for a moment now and then, and terribly slow otherwise.
        (lambda now, threads: 0.01 if threads == 1 else (0.005 if now % 1 < 0.3 else 0.3), 1),
    ],
    ids=["more is better", "one is better", "two are best", "not worth it", "busy"],
)
def test_the_number_of_threads_is_measured(
    seconds: Callable[[float, int], float],
    best: int,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores = Cores(seconds)
    torch.set_num_threads(4)
    assert measured(cores, corpus, monkeypatch, 1, 2, 4).threads == best
    assert set(cores.tried) == {1, 2, 4}


def test_the_numbers_of_threads_take_turns(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores(lambda *_: 0.01)
    measured(cores, corpus, monkeypatch, 1, 2)
    turns = [threads for threads, _ in itertools.groupby(cores.tried)]
    assert turns == [1, 2] * LOOKS


@pytest.mark.parametrize("counts", [(1,), (1, 2), (1, 2, 4, 8)])
@pytest.mark.parametrize("seconds", [0.001, 0.02])
def test_measuring_takes_the_same_time_whatever_is_tried(
    counts: tuple[int, ...], seconds: float, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = Cores(lambda *_: seconds)
    measured(cores, corpus, monkeypatch, *counts)
    assert CALIBRATION_SECONDS <= cores.now - 100.0 < 1.7 * CALIBRATION_SECONDS + 6 * seconds


def test_a_hopeless_number_of_threads_costs_a_step(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside busy processes a step on two threads may take a hundred times as long as on one."""
    cores = Cores(lambda now, threads: 0.01 if threads == 1 else 1.0)
    assert measured(cores, corpus, monkeypatch, 1, 2).threads == 1
    assert cores.tried.count(2) == 1


def test_steps_of_a_second_are_looked_at_once(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 85,000 tokens, nine steps took half of the time that was to be planned."""
    cores = Cores(lambda now, threads: 2.0 / threads)
    assert measured(cores, corpus, monkeypatch, 1, 2).threads == 2
    assert cores.tried == [1, 1, 2]


def test_a_rank_that_is_not_the_main_one_never_ends_by_its_own_clock(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def advance(self: Learner, flag: int = 0) -> int:
        asked.append(flag)
        return int(len(asked) == 10)  # rank 0 ends the calibration

    monkeypatch.setattr(Learner, "advance", advance)
    monkeypatch.setattr(Group, "mean", lambda self, value: value)
    sent = iter(["True", "1"])  # that this was the last look, and the number of threads
    monkeypatch.setattr(Group, "broadcast", lambda self, text: next(sent))
    monkeypatch.setattr("charrnn.training.planner.calibration.time.perf_counter", Clock(99.0))
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    speed = calibrate(LANGUAGE, corpus, model, TRAIN, Group(torch.device("cpu"), 1, 2))
    assert asked == [0] * 10
    assert speed.tokens_per_second == pytest.approx(32 / 99)


def test_even_a_step_longer_than_the_time_is_measured(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(corpus, monkeypatch, 99.0) == pytest.approx(32 / 99)


def test_a_real_clock_finds_some_speed(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_SECONDS", 0.0)
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    assert calibrate(LANGUAGE, corpus, model, TRAIN, ALONE).tokens_per_second > 0


def test_the_text_is_left_as_it_was(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    path = corpus.splits["train"].path
    before = np.load(path).tolist()
    measure(corpus, monkeypatch, 1.0)
    assert np.load(path).tolist() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_the_given_threads_are_used(
    threads: int, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle(monkeypatch)
    measure(corpus, monkeypatch, 1.0, threads=threads)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize("flag", [*CPU_FLAGS, "none"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("units", [MIN_BFLOAT16_UNITS - 1, MIN_BFLOAT16_UNITS])
def test_bfloat16_is_chosen_where_processor_and_model_make_it_pay(
    flag: str, able: bool, cell: str, units: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "has_bfloat16_lstm", lambda: able)
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor : 0\nflags : fpu avx512f {flag} sse\n")
    monkeypatch.setattr(calibration, "CPU_INFO", info)
    model = tiny_model(cell, hidden_size=units, embedding_size=MIN_BFLOAT16_UNITS)
    pays = able and flag != "none" and cell == "lstm" and units == MIN_BFLOAT16_UNITS
    assert best_precision(model, ALONE) == ("bfloat16" if pays else "float32")


def test_a_processor_without_known_flags_gets_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CPU_INFO", tmp_path / "nowhere")
    assert best_precision(tiny_model(hidden_size=512, embedding_size=512), ALONE) == "float32"


@pytest.mark.parametrize("able", [True, False])
def test_a_gpu_is_asked(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    model = tiny_model(hidden_size=512, embedding_size=512)
    chosen = best_precision(model, Group(torch.device("cuda")))
    assert chosen == ("bfloat16" if able else "float32")


def test_every_rank_takes_the_precision_of_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "broadcast", lambda self, text: "bfloat16")
    assert best_precision(tiny_model(), ALONE) == "bfloat16"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=["python", "gpu", "cpu", "c++"],
)
@pytest.mark.parametrize("where", ["__init__", "advance"])
def test_out_of_memory_says_how_large_the_model_is_and_what_to_make_smaller(
    error: Exception, where: str, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Learner, where, fail)
    with pytest.raises(MemoryLimitError, match=r"a model of 1,\d{3} parameters does not") as caught:
        measure(corpus, monkeypatch, 1.0)
    assert type(error).__name__ in caught.value.problem
    assert "--hidden-size" in caught.value.remedy


def test_torch_itself_runs_out_of_memory_in_the_way_that_is_known(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "advance", lambda *_: torch.empty(2**50))
    with pytest.raises(MemoryLimitError, match="does not fit in memory"):
        measure(corpus, monkeypatch, 1.0)


def test_any_other_error_is_not_taken_for_memory(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(Learner, "advance", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        measure(corpus, monkeypatch, 1.0)


def test_rows_that_processes_cannot_divide_are_an_error(corpus: Corpus) -> None:
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    with pytest.raises(UsageError, match="--batch-size 4 cannot be divided among 3 processes"):
        calibrate(LANGUAGE, corpus, model, TRAIN, Group(torch.device("cpu"), 0, 3))
