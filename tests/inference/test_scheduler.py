"""The queue in front of the batch: order, bounds, cancelling, failures."""

import queue
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from charrnn import api
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.running_batch import Job, RunningBatch
from charrnn.inference.scheduler import QueueFull, Scheduler
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.served import text_run

LONG = 10**7
"""Tokens of a text that ends in no test."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    root = tmp_path_factory.mktemp("runs")
    text_run(root)
    return api.load("fables", runs_dir=root, threads=1)


@pytest.fixture
def scheduler(model: LanguageModel) -> Iterator[Scheduler]:
    """Two rows, two places to wait."""
    made = Scheduler(model, rows=2, queue=2)
    yield made
    made.close()


def asked(model: LanguageModel, length: int = 8, rows: int = 1) -> tuple[Job, "queue.Queue[Any]"]:
    """A job, and where its chunks go."""
    chunks: queue.Queue[Any] = queue.Queue()
    start = begin(model.tokenizer, "The")
    streams = [(i,) for i in range(rows)]
    return Job(start, SamplingParams(length=length), chunks.put, streams), chunks


def text_of(chunks: "queue.Queue[Any]") -> str:
    """All of a text."""
    text = ""
    while not (chunk := chunks.get(timeout=30)).finish:
        text += chunk.text
    return text + str(chunk.text)


def test_jobs_are_written_whoever_asks(model: LanguageModel, scheduler: Scheduler) -> None:
    expected = model.sample("The", length=8, seed=0)
    found: list[str] = []

    def ask() -> None:
        job, chunks = asked(model)
        scheduler.submit(job)
        found.append(text_of(chunks))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert scheduler.drawn == 32


def test_what_does_not_fit_waits_and_what_cannot_wait_is_refused(
    model: LanguageModel, scheduler: Scheduler
) -> None:
    running, chunks = asked(model, LONG, rows=2)
    scheduler.submit(running)
    chunks.get(timeout=30)
    first, waiting = asked(model)
    scheduler.submit(first)
    scheduler.submit(asked(model)[0])
    assert (scheduler.running, scheduler.waiting) == (2, 2)
    with pytest.raises(QueueFull):
        scheduler.submit(asked(model)[0])
    scheduler.cancel(running)
    assert text_of(waiting)


def test_a_job_of_more_texts_than_rows_is_written_alone(
    model: LanguageModel, scheduler: Scheduler
) -> None:
    job, chunks = asked(model, rows=5)
    scheduler.submit(job)
    ended = 0
    while ended < 5:
        ended += bool(chunks.get(timeout=30).finish)


def test_a_job_that_is_cancelled_while_it_waits_never_begins(
    model: LanguageModel, scheduler: Scheduler
) -> None:
    running, chunks = asked(model, LONG, rows=2)
    scheduler.submit(running)
    chunks.get(timeout=30)
    waits, none = asked(model)
    scheduler.submit(waits)
    scheduler.cancel(waits)
    scheduler.cancel(running)
    last, some = asked(model)
    scheduler.submit(last)
    assert text_of(some)
    assert none.empty()


def test_a_failure_is_reported_and_the_next_job_is_written(
    model: LanguageModel, scheduler: Scheduler
) -> None:
    job, chunks = asked(model)
    with mock.patch.object(RunningBatch, "_draw", side_effect=MemoryError("none left")):
        scheduler.submit(job)
        assert isinstance(chunks.get(timeout=30), MemoryError)
    job, chunks = asked(model)
    scheduler.submit(job)
    assert text_of(chunks)


def test_a_closed_scheduler_takes_no_jobs(model: LanguageModel) -> None:
    made = Scheduler(model)
    job, chunks = asked(model, LONG)
    made.submit(job)
    chunks.get(timeout=30)
    made.close()
    with pytest.raises(QueueFull):
        made.submit(asked(model)[0])
