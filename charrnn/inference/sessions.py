"""A graph, run by ONNX Runtime on the number of threads that is faster as the machine is now.

Results do not depend on the number: each output is summed up by one thread. A small model gains
nothing from a second thread, and while other processes are busy, threads wait for each other.
"""

import time
from collections.abc import Callable
from typing import Any

TRIES = 6
"""Calls on each number of threads, in turn, before the faster one is kept."""

WORTH = 1.1
"""More threads have to be faster by this factor: they take cores from others."""

SLOWER = 4.0
"""A call so many times slower than expected may be chance; PATIENCE of them in a row are not."""

PATIENCE = 20


class Sessions:
    """The sessions of one graph.

    make: threads -> a session. threads: one number, or several to choose from.
    """

    def __init__(self, make: Callable[[int], Any], threads: tuple[int, ...]) -> None:
        self._make, self._counts = make, threads
        self._sessions: dict[int, Any] = {}
        self._start()

    def _start(self) -> None:
        self._seconds: dict[int, list[float]] = {count: [] for count in self._counts}
        self._chosen = self._counts[0] if len(self._counts) == 1 else 0
        self._expected, self._slow = 0.0, 0

    @property
    def threads(self) -> int:
        """The number that was chosen; 0 while they are tried."""
        return self._chosen

    def run(self, names: list[str], feed: dict[str, Any]) -> Any:
        """The outputs of these names, as an InferenceSession returns them."""
        if len(self._counts) == 1:
            return self._session(self._chosen).run(names, feed)
        # The one with the fewest calls so far, so they take turns, the smallest number first.
        threads = self._chosen or min(self._counts, key=lambda count: len(self._seconds[count]))
        session = self._session(threads)
        began = time.perf_counter()
        result = session.run(names, feed)
        self._took(threads, (time.perf_counter() - began) / max(1, feed["ids"].size))
        return result

    def _session(self, threads: int) -> Any:
        if threads not in self._sessions:
            self._sessions[threads] = self._make(threads)
        return self._sessions[threads]

    def _took(self, threads: int, seconds: float) -> None:
        """A call took so many seconds for each token."""
        if self._chosen:
            # The load has changed: every number is tried again.
            self._slow = self._slow + 1 if seconds > SLOWER * self._expected else 0
            if self._slow >= PATIENCE:
                self._start()
            return
        self._seconds[threads].append(seconds)
        if min(map(len, self._seconds.values())) < TRIES:
            return
        # The first call also allocates. The mean of the others, because a number of threads that
        # is fast at times and waits at others is slow.
        means = {n: sum(each[1:]) / (len(each) - 1) for n, each in self._seconds.items()}
        best = min(means.values())
        self._chosen = min(n for n, mean in means.items() if mean <= WORTH * best)
        self._expected = means[self._chosen]
