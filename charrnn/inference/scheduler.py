"""A thread that writes what is asked of one model: a queue in front of a running batch.

Jobs may be submitted and cancelled from any thread, at any time. They begin in the order in which
they came, as soon as there is room in the batch.
"""

import threading
from collections import deque
from collections.abc import Iterable

from charrnn.inference.running_batch import EngineModel, Job, RunningBatch

ROWS = 64
"""Texts that are written at a time: from some number on, more of them are no faster together."""

QUEUE = 256
"""Texts that wait for a place."""


class QueueFull(Exception):  # noqa: N818 - not a failure of the program
    """So many texts wait already that no more are taken."""


class Scheduler:
    """The thread and its queue. rows: texts written at a time; queue: texts that wait at most.

    A job with more texts than rows is taken when the batch is empty. drawn: tokens drawn so far.
    running: texts that are being written, or whose start is being read.
    """

    def __init__(self, model: EngineModel, rows: int = ROWS, queue: int = QUEUE) -> None:
        self._batch = RunningBatch(model)
        self._rows, self._most_waiting = rows, queue
        self._waiting: deque[Job] = deque()
        self._cancelled: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self.drawn = self.running = 0
        # A daemon: a process that is asked to end at once must not wait for it.
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts that wait for a place."""
        with self._changed:
            return _texts(self._waiting)

    def submit(self, job: Job) -> None:
        """Let a job be written; its chunks are reported in the scheduler's thread.

        QueueFull if too many texts wait. A job is reported on until each of its texts has a last
        chunk, or it fails, or it is cancelled.
        """
        with self._changed:
            # Those that there is room for do not wait, although the thread has not taken them yet.
            ahead = _texts(self._waiting) - max(0, self._rows - self.running)
            if self._closed or (ahead > 0 and ahead + len(job.streams) > self._most_waiting):
                raise QueueFull
            self._waiting.append(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """Forget a job: its rows are free at the next step. One that has ended is none."""
        with self._changed:
            self._cancelled.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Take no more jobs, drop those that are left, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._next():
            try:
                self.drawn += self._batch.step()
            except Exception as error:
                # Of memory, most likely. Whoever waits for a text must hear of it.
                for job in self._batch.clear():
                    job.on_chunk(error)
            self.running = len(self._batch)

    def _next(self) -> bool:
        """Let jobs join and leave, and wait where there are none -> whether to go on."""
        with self._changed:
            while not (self._waiting or self._cancelled or self._closed or len(self._batch)):
                self._changed.wait()
            gone, self._cancelled = self._cancelled, []
            self._waiting = deque(job for job in self._waiting if job not in gone)
            new = []
            room = self._rows - len(self._batch)
            while self._waiting and (len(self._waiting[0].streams) <= room or room == self._rows):
                new.append(self._waiting.popleft())
                room -= len(new[-1].streams)
            closed = self._closed
        for job in gone:
            self._batch.remove(job)
        for job in new:
            self._batch.add(job)
        self.running = len(self._batch)
        return not closed


def _texts(jobs: Iterable[Job]) -> int:
    return sum(len(job.streams) for job in jobs)
