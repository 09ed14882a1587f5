"""A request for texts, from its body to its answer: whole, or as events while it is written."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from charrnn.inference.generation import Chunk
from charrnn.inference.scheduler import QueueFull
from charrnn.serving.answers import Answer, Choice
from charrnn.serving.feed import Feed
from charrnn.serving.jobs import Work, make_work
from charrnn.serving.limits import Limits
from charrnn.serving.metrics import Metrics
from charrnn.serving.models import Models, Served
from charrnn.serving.problems import busy, from_error
from charrnn.serving.requests import Asked


class Exchange:
    """One request that is being answered. `begin` queues its texts, `close` frees their rows."""

    def __init__(self, asked: Asked, limits: Limits, metrics: Metrics) -> None:
        self._asked, self._limits, self._metrics = asked, limits, metrics
        self._began = time.perf_counter()
        self._submitted = 0

    async def begin(self, models: Models) -> None:
        """Queue the texts. Problem if that cannot be done."""
        self._served: Served
        self._served, label = await models.find(self._asked.model, self._asked.label)
        asked = self._asked = replace(self._asked, label=label)
        texts = asked.n * max(1, len(asked.prompts))
        self._feed = Feed(asyncio.get_running_loop(), texts)
        # In a thread: a prompt may take long to encode, and a regular expression to compile.
        self._work: Work = await asyncio.to_thread(
            make_work, asked, self._served, self._limits, self._feed.put
        )
        self._choices = [Choice(index) for index in range(texts)]
        self._answer = Answer(asked, self._served.model.tokenizer, self._served.name)
        if asked.echo:
            for choice in self._choices:
                choice.text = self._work.prompts[choice.index // asked.n]
        try:
            for job in self._work.jobs:
                self._served.scheduler.submit(job)
                self._submitted += 1
        except QueueFull:
            self.close()
            raise busy() from None

    def close(self) -> None:
        """Free the rows of what is still being written."""
        if self._submitted:
            for job in self._work.jobs[: self._submitted]:
                self._served.scheduler.cancel(job)
            self._metrics.read += self._work.read
            self._metrics.drawn += sum(choice.tokens for choice in self._choices)
            self._metrics.duration.add(time.perf_counter() - self._began)
        self._submitted = 0

    async def whole(self) -> dict[str, Any]:
        """The answer when all is written."""
        while not self._is_done:
            await self._hear()
            await self._feed.pause()
        return self._answer.whole(self._choices, self._usage())

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as server-sent events; an error in the middle is one of them."""
        try:
            while not self._is_done:
                for choice in await self._hear():
                    yield event(self._answer.event(choice))
                await self._feed.pause()
            if self._asked.usage:
                yield event(self._answer.last(self._usage()))
            yield b"data: [DONE]\n\n"
        except Exception as error:
            yield event(from_error(error).body())

    @property
    def _is_done(self) -> bool:
        return all(choice.finish for choice in self._choices)

    async def _hear(self) -> list[Choice]:
        """Wait for reports -> the texts that they change. Raises what a job failed with."""
        changed: dict[int, Choice] = {}
        for number, report in await self._feed.next():
            if not isinstance(report, Chunk):
                raise report
            choice = self._choices[number * self._asked.n + report.index]
            if not choice.tokens and report.tokens:
                self._metrics.first_token.add(time.perf_counter() - self._began)
            choice.add(report)
            changed[choice.index] = choice
        return list(changed.values())

    def _usage(self) -> dict[str, int]:
        drawn = sum(choice.tokens for choice in self._choices)
        read = self._work.read
        return {"prompt_tokens": read, "completion_tokens": drawn, "total_tokens": read + drawn}


def event(body: dict[str, Any]) -> bytes:
    """JSON -> a server-sent event."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
