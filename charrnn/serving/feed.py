"""Reports of a scheduler's thread -> an event loop, several at a time."""

import asyncio
import contextlib
from collections import deque

from charrnn.inference.generation import Chunk

Report = tuple[int, Chunk | Exception]
"""The number of a job, and what it reports."""

PACE = 0.04
"""Seconds between two deliveries: one event for each token would cost more than the token."""


class Feed:
    """What the jobs of one request report. `put` is called by any thread, `next` by the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, texts: int) -> None:
        self._loop, self._left = loop, texts
        self._reports: deque[Report] = deque()
        self._wake, self._done = asyncio.Event(), asyncio.Event()
        self._waits = False

    def put(self, number: int, report: Chunk | Exception) -> None:
        """Take a report."""
        self._reports.append((number, report))
        ended = isinstance(report, Exception)
        if not isinstance(report, Exception) and report.finish:
            self._left -= 1
            ended = self._left <= 0
        # The loop is woken only where it waits: that costs as much as a token.
        if ended or self._waits:
            self._waits = False
            # A loop that is closed has nobody left to answer.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._signal, ended)

    def _signal(self, ended: bool) -> None:
        self._wake.set()
        if ended:
            self._done.set()

    async def next(self) -> list[Report]:
        """All reports since the last call, at least one."""
        while not self._reports:
            self._wake.clear()
            self._waits = True
            # One may have come before the thread could see that somebody waits.
            if not self._reports:
                await self._wake.wait()
        found = []
        while self._reports:
            found.append(self._reports.popleft())
        return found

    async def pause(self) -> None:
        """Wait until the next delivery is due: not at all where all has been reported."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE):
                await self._done.wait()
