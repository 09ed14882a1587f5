"""Continuous batching: whatever is written beside it, each text is the one it is alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from charrnn import api
from charrnn.errors import UsageError
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import Chunk, SamplingParams, begin
from charrnn.inference.running_batch import Job, RunningBatch
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.served import text_run
from tests.support.tiny import TEXT
from tests.tasks.language.test_mixing import mixed


@pytest.fixture(scope="module", params=["char", "byte", "subword", "blend", "mixture"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of each kind of token, and those whose engines are not that of one network."""
    root, kind = tmp_path_factory.mktemp("runs"), request.param
    if kind == "mixture":
        return LanguageModel(mixed(), root / "x.safetensors", threads=1)
    names = [text_run(root, tokenizer="char" if kind == "blend" else kind).name for _ in "ab"]
    first, second = (api.load(name, runs_dir=root, threads=1) for name in names)
    return api.blend([first, second], [0.7, 0.3]) if kind == "blend" else first


SETTINGS: list[dict[str, Any]] = [
    {},
    {"values": {"temperature": 0.5, "top_k": 5}},
    {"values": {"temperature": 0.5, "top_k": 5}, "stop": ("at", "e")},
    {"values": {"presence_penalty": 1.5, "penalty_last_n": 7}},
    {"values": {"frequency_penalty": 0.5, "penalty_last_n": -1}},
    {"values": {"dry_multiplier": 2.0, "xtc_probability": 0.5, "xtc_threshold": 0.01}},
    {"values": {"mirostat": 2, "mirostat_tau": 2.0}},
    {"logprobs": 3, "values": {"min_p": 0.1}},
    {"length": 1},
    {"length": 0},
]


def jobs(model: LanguageModel, draw: np.random.Generator, number: int) -> list[Job]:
    """Requests of every kind; the chunks of each are kept in its `on_chunk`."""
    made = []
    for _ in range(number):
        # Long ones are read in parts, shorter ones stepped.
        first, size = int(draw.integers(100)), int(draw.choice([0, 3, 20, 63, 64, 200, 600]))
        own = SETTINGS[draw.integers(len(SETTINGS))]
        params = SamplingParams(**{"length": int(draw.integers(1, 60)), **own, "seed": 3})
        streams = [(int(i),) for i in draw.integers(9, size=draw.integers(1, 4))]
        start = begin(model.tokenizer, TEXT[first : first + size])
        chunks: list[Any] = []
        bans = Constraints(ban=("th",)) if draw.random() < 0.3 else Constraints()
        made.append(
            Job(start, params, chunks.append, streams, lambda b=bans: model.filters(b))  # type: ignore[misc]
        )
    return made


def collected(job: Job) -> list[Any]:
    """The texts of a job: text, tokens, log-probabilities, why it ended."""
    chunks = job.on_chunk.__self__  # type: ignore[attr-defined]
    return [_joined([each for each in chunks if each.index == i]) for i in range(len(job.streams))]


def _joined(chunks: list[Chunk]) -> Any:
    text = "".join(each.text for each in chunks)
    return text, chunks[-1].tokens, [t for c in chunks for t in c.logprobs], chunks[-1].finish


def alone(model: LanguageModel, job: Job) -> list[Any]:
    """What `generate` writes for a job, text by text."""
    found = []
    for index, stream in enumerate(job.streams):
        filters, ends = job.make_filters() if job.make_filters else ([], None)
        from charrnn.inference.generation import generate

        found.append(
            _joined(
                list(generate(model, [job.start], job.params, [index], filters, ends, [stream]))
            )
        )
    return found


@pytest.mark.parametrize("seed", range(2))
def test_each_text_is_the_one_that_it_is_alone(model: LanguageModel, seed: int) -> None:
    draw = np.random.default_rng(seed)
    batch, waiting = RunningBatch(model), jobs(model, draw, 9)
    every = list(waiting)
    while waiting or len(batch):
        # They come at any time.
        while waiting and draw.random() < 0.3:
            batch.add(waiting.pop())
        batch.step()
    for job in every:
        assert collected(job) == alone(model, job)


def test_a_text_that_is_removed_leaves_the_others_what_they_are(model: LanguageModel) -> None:
    draw = np.random.default_rng(5)
    batch, every = RunningBatch(model), jobs(model, draw, 9)
    for job in every:
        job.params = replace(job.params, length=50)
        batch.add(job)
    for gone in every[::3]:
        batch.step()
        batch.remove(gone)
    assert len(batch) <= sum(len(job.streams) for job in every)
    while len(batch):
        batch.step()
    for place, job in enumerate(every):
        if place % 3:
            assert collected(job) == alone(model, job)
    assert batch.clear() == []


def test_a_start_is_read_in_a_few_steps_of_the_others(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr("charrnn.inference.running_batch.AHEAD_SECONDS", 60.0)
    batch, began = RunningBatch(model), list[Any]()
    params = SamplingParams(length=50)
    batch.add(Job(begin(model.tokenizer, ""), params, lambda chunk: None))
    batch.step()
    start = begin(model.tokenizer, "the cat sat on a mat and saw")
    batch.add(Job(start, params, began.append))
    batch.step()
    assert began


def test_the_tokens_of_a_start_have_the_log_probabilities_of_score(model: LanguageModel) -> None:
    text = TEXT[:300]
    chunks: list[Any] = []
    params = SamplingParams(length=0)
    batch = RunningBatch(model)
    batch.add(Job(begin(model.tokenizer, text), params, chunks.append, prompt_logprobs=2))
    while len(batch):
        batch.step()
    ids, logprobs = model.log_probabilities(text)
    assert [token.id for token in chunks[0].logprobs] == ids.tolist()
    found = [token.logprob for token in chunks[0].logprobs]
    np.testing.assert_allclose(found, logprobs, atol=1e-4)
    assert [len(token.top) for token in chunks[0].logprobs] == [2] * len(ids)
    assert (chunks[1].text, chunks[1].finish) == ("", "length")


def test_clearing_names_the_jobs(model: LanguageModel) -> None:
    batch, every = RunningBatch(model), jobs(model, np.random.default_rng(1), 5)
    for job in every:
        batch.add(job)
    assert set(batch.clear()) == set(every)
    assert len(batch) == 0


def test_filters_that_fail_end_their_job_alone(model: LanguageModel) -> None:
    def stuck(logits: Any, context: Any) -> Any:
        if context.rows == (1,):
            raise UsageError("no token continues it", "widen the pattern")
        return logits

    batch, heard, others = RunningBatch(model), list[Any](), list[Any]()
    start, params = begin(model.tokenizer, ""), SamplingParams(length=5)
    batch.add(Job(start, params, heard.append, ((0,), (1,)), lambda: ([stuck], None)))
    batch.add(Job(start, params, others.append))
    while len(batch):
        batch.step()
    assert [str(each) for each in heard if isinstance(each, Exception)] == [
        "no token continues it; widen the pattern"
    ]
    assert others[-1].finish == "length"


def test_filters_that_cannot_be_made_are_an_error_of_their_job_alone(model: LanguageModel) -> None:
    batch, (good, *_) = RunningBatch(model), jobs(model, np.random.default_rng(2), 1)
    good.params = replace(good.params, length=20)
    batch.add(good)
    chunks: list[Any] = []
    params = SamplingParams(values={"mirostat": 1})
    batch.add(Job(begin(model.tokenizer, "The"), params, chunks.append))
    while len(batch):
        batch.step()
    assert [str(each) for each in chunks] == [
        "version 1 of mirostat is not implemented; give --mirostat 2"
    ]
    assert collected(good) == alone(model, good)
