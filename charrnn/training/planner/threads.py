"""How many processor threads a training uses: chosen by measurement, and looked at again.

A small model is faster on one thread than on two, and on a busy machine threads wait, spinning, for
partners that are not running: two were 5 to 60 times slower than one while four others were busy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from charrnn.config import TrainConfig
from charrnn.models.device import available_threads
from charrnn.training.distributed import Group

WORTH = 1.05
"""More threads have to be faster by this factor: they take cores from others."""

WATCH_SECONDS = 2.0
"""Over so many seconds of steps the speed is compared with what was measured."""

LOOK_SECONDS = 0.3
"""Each number of threads is tried for so long, ROUNDS times in turn."""

ROUNDS = 2

LEAST_STEPS = 3
"""Fewest steps of a comparison: one step may be slow for any reason."""

REST_SECONDS, LONGEST_REST = 20.0, 640.0
"""Time between two looks; it doubles after each that finds nothing better."""

SLOWER, FASTER = 2.0, 0.6
"""Multiples of the expected seconds per step beyond which the machine is another one."""


def thread_counts(most: int) -> tuple[int, ...]:
    """Cores -> the numbers of threads to try: powers of two, and all cores.

    >>> thread_counts(1), thread_counts(2), thread_counts(6)
    ((1,), (1, 2), (1, 2, 4, 6))
    """
    powers = [2**n for n in range(most.bit_length()) if 2**n < most]
    return (*powers, most)


def choices(threads: int, given: bool, group: Group) -> tuple[int, ...]:
    """The numbers of threads to choose from by measurement; a single one if there is no choice."""
    # torchrun gives each process its share of the cores, and a GPU needs one thread.
    if given or group.world_size > 1 or group.device.type != "cpu":
        return (threads,)
    return thread_counts(threads)


def fewest(seconds: Mapping[int, float]) -> int:
    """Threads -> seconds per step: the fewest threads that are as good as the best.

    >>> fewest({1: 1.0, 2: 0.97, 4: 1.5}), fewest({1: 1.0, 2: 0.6})
    (1, 2)
    """
    best = min(seconds.values())
    return min(threads for threads, each in seconds.items() if each <= WORTH * best)


@dataclass
class ThreadTuner:
    """Watches a training's steps, and tries other numbers of threads when they become slow.

    counts: the numbers to try; a single one for no choice. threads: the number now. expected:
    seconds per step as they were measured. The steps of a look are steps of the training, so
    nothing is lost but their time.
    """

    counts: tuple[int, ...]
    threads: int
    expected: float
    looks: dict[int, tuple[int, float]] = field(default_factory=dict)
    ratio: float = 1.0
    _queue: list[int] = field(default_factory=list)
    _taken: int = 0
    _seconds: float = 0.0
    _fresh: bool = False
    _wait: float = 0.0
    _rest: float = REST_SECONDS
    _before: int = 0

    def took(self, seconds: float) -> bool:
        """A step took so long -> whether a comparison has ended: `threads` may be another number.

        Without a choice: whether training has become slow; `ratio` is by how much.
        """
        if self._fresh:
            # The first step on another number of threads starts them, and prepares kernels.
            self._fresh = False
            return False
        self._taken += 1
        self._seconds += seconds
        self._wait -= seconds
        return self._look() if self._queue else self._watch()

    def _watch(self) -> bool:
        if self._seconds < WATCH_SECONDS or self._taken < LEAST_STEPS:
            return False
        self.ratio = self._seconds / self._taken / self.expected
        changed = not FASTER < self.ratio < SLOWER and self._wait <= 0.0
        self._start()
        if not changed:
            return False
        if len(self.counts) == 1:
            self._wait = LONGEST_REST
            return self.ratio >= SLOWER
        self._before, self.looks = self.threads, {}
        self._queue = list(self.counts) * ROUNDS
        self._use(self._queue[0])
        return False

    def _look(self) -> bool:
        if self._seconds < LOOK_SECONDS:
            return False
        taken, seconds = self.looks.get(self.threads, (0, 0.0))
        self.looks[self.threads] = taken + self._taken, seconds + self._seconds
        self._queue.pop(0)
        if self._queue:
            self._use(self._queue[0])
            return False
        per_step = {n: seconds / taken for n, (taken, seconds) in self.looks.items()}
        self._use(fewest(per_step))
        self.expected = per_step[self.threads]
        same = self.threads == self._before
        self._rest = min(LONGEST_REST, 2 * self._rest) if same else REST_SECONDS
        self._wait = self._rest
        return not same

    def _use(self, threads: int) -> None:
        self._fresh = threads != self.threads
        self.threads = threads
        self._start()

    def _start(self) -> None:
        self._taken, self._seconds = 0, 0.0

    def report(self) -> str:
        """What has ended, in one sentence."""
        if self.ratio >= 1.0:
            text = f"training was {self.ratio:.1f} times slower than measured: the machine is busy"
        else:
            text = f"training was {1 / self.ratio:.1f} times faster than measured"
        if len(self.counts) > 1:
            return f"{text}; going on with {_threads(self.threads)} ({self._summary()} per step)"
        return (
            f"{text}, and fewer threads may be faster; "
            "stop with Ctrl-C and try: charrnn train --resume --threads 1"
        )

    def _summary(self) -> str:
        """What the last look found: 1 thread 0.021 s, 2 threads 0.35 s."""
        parts = [
            f"{_threads(n)} {seconds / taken:.2g} s"
            for n, (taken, seconds) in sorted(self.looks.items())
        ]
        return ", ".join(parts)


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def make_tuner(
    train: TrainConfig, tokens_per_second: float, group: Group, adaptive: bool
) -> ThreadTuner | None:
    """A tuner for a session; None where no other number of threads could help.

    adaptive: whether the number may change. It may not where the user chose it, and in a resumed
    session, which promises the bits of an uninterrupted one: then only what would help is said.
    """
    threads = train.threads
    if group.world_size > 1 or group.device.type != "cpu" or (threads == 1 and not adaptive):
        return None
    counts = thread_counts(available_threads()) if adaptive else (threads,)
    expected = train.batch_size * train.seq_length / tokens_per_second
    return ThreadTuner(counts, threads, expected)
