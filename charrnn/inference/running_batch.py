"""Texts that begin and end at any time, stepped as one batch (continuous batching).

Rows join and leave between two steps. Each text has its own start, filters, seed, stop texts and
length, and is the same whatever else is in the batch: the one that `generate` would write.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.inference import sampling
from charrnn.inference.engine import READ_FROM, Engine, State
from charrnn.inference.generation import (
    RANDOM_STEPS,
    Chunk,
    GenerationState,
    Sample,
    SamplingParams,
    Token,
    dry_breakers,
    is_character_level,
    token_of,
)
from charrnn.inference.labelled_engine import LabelledEngine
from charrnn.inference.sampling import Context, Filter, Logits, StatefulFilter
from charrnn.tokenizers import Tokenizer

Ends = Callable[[int, int], bool]

AHEAD_SECONDS = 0.002
"""How long starts are read on their own before each step of all, so that their texts begin soon."""

AHEAD_ROWS = 4
"""Starts that are read so at a time, the first that came first: more are no faster together."""


class EngineModel(Protocol):
    """A tokenizer and an engine in one object."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Text <-> ids."""

    @property
    def engine(self) -> Engine:
        """Ids -> logits."""


@dataclass(eq=False)
class Job:
    """One start and the texts that continue it.

    on_chunk: called with each chunk, whose index is the text's place in `streams`; with an
    exception where the job failed. streams: the stream of random numbers of each text, as of
    `generate`. make_filters: called for each text; returns filters before those of `params`, and
    what ends the text. prompt_logprobs: if 0 or more, a first chunk of each text has the tokens of
    the start, with so many alternatives, no text and 0 tokens. labelled: the engine of the label
    in which the texts are written, over the engine of the batch; then the start has no state.
    """

    start: GenerationState
    params: SamplingParams
    on_chunk: Callable[[Chunk | Exception], None]
    streams: Sequence[Sequence[int]] = ((0,),)
    make_filters: Callable[[], tuple[list[Filter], Ends | None]] | None = None
    prompt_logprobs: int = -1
    labelled: LabelledEngine | None = None


class RunningBatch:
    """The texts that are being written, side by side: hidden states, histories, random numbers."""

    def __init__(self, model: EngineModel) -> None:
        self._engine, self._tokenizer = model.engine, model.tokenizer
        self._characters = is_character_level(model.tokenizer)
        self._breakers = dry_breakers(model.tokenizer)
        self._exclude = sampling.exclude(model.tokenizer.unsampled)
        self._rows: list[_Row] = []
        # Of no rows, which not every engine can begin with.
        self._state: State = [part[:0] for part in self._engine.zero_state(1)]
        # Long starts are read one after the other, a part of one between two steps.
        self._reading: deque[_Reading] = deque()

    def __len__(self) -> int:
        """Texts that are being written, or whose start is being read."""
        jobs = [row.job for row in self._rows if row.sample is None]
        jobs += [each.job for each in self._reading]
        written = sum(row.sample is not None for row in self._rows)
        return written + sum(len(job.streams) for job in jobs)

    def add(self, job: Job) -> None:
        """Begin the texts of a job."""
        start = job.start
        # A short start is stepped along with the texts, exactly as it would be read alone.
        if len(start.ids) < READ_FROM and job.prompt_logprobs < 0 and job.params.length:
            before = self._engine.zero_state(1) if start.state is None else start.state
            pending = deque(start.ids.tolist())
            if job.labelled is not None:
                pending[0], before = job.labelled.last
            self._rows.append(_Row(job, pending=pending))
            self._state = _stacked([self._state, before])
        else:
            self._reading.append(_Reading(job, job.labelled or self._engine))

    def remove(self, job: Job) -> None:
        """Drop the texts of a job, wherever they are."""
        self._reading = deque(each for each in self._reading if each.job is not job)
        self._keep([place for place, row in enumerate(self._rows) if row.job is not job])

    def clear(self) -> list[Job]:
        """Drop everything -> the jobs that it was of."""
        jobs = [row.job for row in self._rows] + [each.job for each in self._reading]
        self._reading.clear()
        self._keep([])
        return list(dict.fromkeys(jobs))

    def step(self) -> int:
        """Read and draw a token for every text, and report what can be shown -> tokens drawn."""
        logits = np.zeros((0, self._tokenizer.vocab_size), np.float32)
        self._read_ahead()
        if self._rows:
            ids = np.array([row.next_id() for row in self._rows], np.int64)
            logits, self._state = self._engine.step(ids, self._state)
        logits = self._join_read(self._join_stepped(logits))
        places = [place for place, row in enumerate(self._rows) if row.sample is not None]
        if places:
            self._draw(logits[places], [self._rows[place] for place in places])
            self._keep([place for place, row in enumerate(self._rows) if not row.has_ended])
        return len(places)

    def _read_ahead(self) -> None:
        """Step some of the starts alone, all but their last tokens.

        With all rows a start of 40 tokens would take 40 steps of the whole batch.
        """
        until = time.perf_counter() + AHEAD_SECONDS
        while time.perf_counter() < until:
            places = [n for n, row in enumerate(self._rows) if len(row.pending) > 1][:AHEAD_ROWS]
            # What is no part of the batch is stepped with all of it.
            if not places or len(places) == len(self._rows):
                return
            ids = np.array([self._rows[place].next_id() for place in places], np.int64)
            _, after = self._engine.step(ids, [part[places] for part in self._state])
            for part, own in zip(self._state, after, strict=True):
                part[places] = own

    def _join_stepped(self, logits: Logits) -> Logits:
        """Make texts of the starts that have been stepped to their end: logits of all rows."""
        if not any(row.is_read for row in self._rows):
            return logits
        rows: list[_Row] = []
        places: list[int] = []
        for place, row in enumerate(self._rows):
            own = self._texts(row.job) if row.is_read else [row]
            rows += own
            places += [place] * len(own)
        self._rows, self._state = rows, [part[places] for part in self._state]
        return logits[places]

    def _join_read(self, logits: Logits) -> Logits:
        """Read a part of a long start, and make texts of one that is complete."""
        if not self._reading or not self._reading[0].read():
            return logits
        read = self._reading.popleft()
        own = self._texts(read.job, tuple(read.tokens))
        self._rows += own
        self._state = _stacked([self._state, *[read.state] * len(own)])
        return np.concatenate([logits, *[read.logits] * len(own)])

    def _texts(self, job: Job, tokens: tuple[Token, ...] = ()) -> list["_Row"]:
        """A job whose start has been read -> its texts; none if they have no length."""
        if job.prompt_logprobs >= 0:
            for index in range(len(job.streams)):
                job.on_chunk(Chunk(index, "", 0, tokens))
        if not job.params.length:
            for index in range(len(job.streams)):
                job.on_chunk(Chunk(index, "", 0, (), "length", job.start))
            return []
        rows = [_Row(job) for _ in job.streams]
        try:
            for index, row in enumerate(rows):
                row.begin(index, self._tokenizer, self._characters, self._exclude)
        except Exception as error:
            # Of its filters: an error of this job alone, not of the others in the batch.
            job.on_chunk(error)
            return []
        return rows

    def _draw(self, logits: Logits, rows: list["_Row"]) -> None:
        """Draw a token for each row, logits (B, V), and report what can be shown of its text."""
        uniform = np.array([row.random() for row in rows])
        filtered = logits.copy()
        failed: dict[Job, Exception] = {}
        for chain, places in self._groups(rows):
            own = [rows[place] for place in places]
            indices = tuple(row.index for row in own)
            context = Context(
                _histories(own), uniform[places], indices, self._breakers, own[0].is_last
            )
            try:
                filtered[places] = chain(logits[places], context)
            except Exception as error:
                # Of their filters: a pattern that no token can continue, say.
                failed |= {row.job: error for row in own}
        drawn = sampling.draw(filtered, uniform[:, 1])
        for place, (row, token) in enumerate(zip(rows, drawn.tolist(), strict=True)):
            if row.job not in failed and (chunk := row.take(token, logits[place])):
                row.job.on_chunk(chunk)
        for job, failure in failed.items():
            job.on_chunk(failure)
            self.remove(job)

    def _groups(self, rows: list["_Row"]) -> Iterator[tuple[Filter, list[int]]]:
        """Rows with equal filters that remember nothing are filtered together, others alone."""
        groups: dict[Any, list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(row.group, []).append(place)
        for places in groups.values():
            yield rows[places[0]].chain, places

    def _keep(self, places: list[int]) -> None:
        """Drop all rows but these."""
        if len(places) < len(self._rows):
            self._rows = [self._rows[place] for place in places]
            self._state = [part[places] for part in self._state]


class _Row:
    """One row of the batch: a start that is stepped, then a text that is written."""

    def __init__(self, job: Job, pending: deque[int] | None = None) -> None:
        self.job = job
        self.pending = pending or deque[int]()
        self.sample: Sample | None = None
        self.index = 0

    def begin(self, index: int, tokenizer: Tokenizer, characters: bool, exclude: Filter) -> None:
        """The start has been read: begin the text of this place in the job."""
        job, params, start = self.job, self.job.params, self.job.start
        self.index, self.sample = index, Sample(index, tokenizer, params, start)
        extra, self._ends = job.make_filters() if job.make_filters else ([], None)
        own = sampling.filters(params.values, params.order, characters)
        remembering = [each for each in (*extra, *own) if isinstance(each, StatefulFilter)]
        for each in remembering:
            if each.name in start.filters:
                each.restore(index, start.filters[each.name])
        self.chain = sampling.chain([exclude, *extra, *own])
        alone = bool(extra or remembering)
        # What is filtered together must look back equally far.
        self.group: Any = (
            id(self) if alone else (tuple(sorted(params.values.items())), params.order)
        )
        self.window = sampling.window(params.values, params.order, extra) or int(alone)
        known = np.concatenate([start.history, start.ids]).astype(np.int64)
        self._history = np.concatenate([known, np.empty(RANDOM_STEPS, np.int64)])
        self._known = len(known)
        self._generator = np.random.default_rng([params.seed, *job.streams[index]])
        # Two numbers per token have been used; PCG64 skips them without drawing them.
        self._generator.bit_generator.advance(2 * start.drawn)  # type: ignore[attr-defined]
        self._uniform: list[list[float]] = []

    @property
    def is_read(self) -> bool:
        """Whether this was a start, and all of it has been read."""
        return self.sample is None and not self.pending

    @property
    def has_ended(self) -> bool:
        """Whether this is a text that has ended."""
        return self.sample is not None and self.sample.finish is not None

    @property
    def is_last(self) -> bool:
        """Whether the token that is drawn next is the last one."""
        return self.sample is not None and self.sample.tokens + 1 == self.job.params.length

    @property
    def history(self) -> NDArray[np.int64]:
        """The tokens so far (N,)."""
        return self._history[: self._known]

    def next_id(self) -> int:
        """The token that is read next: of the start, then the one drawn last."""
        return self.pending.popleft() if self.pending else int(self._history[self._known - 1])

    def random(self) -> list[float]:
        """The two random numbers of a step."""
        if not self._uniform:
            # In the order of the draws, from the end.
            self._uniform = self._generator.random((RANDOM_STEPS, 2))[::-1].tolist()
        return self._uniform.pop()

    def take(self, token: int, logits: NDArray[np.float32]) -> Chunk | None:
        """A drawn token and the logits (V,) it is of -> the text that can be shown now, if any."""
        if self._known == len(self._history):
            self._history = np.concatenate([self._history, np.empty_like(self._history)])
        self._history[self._known] = token
        self._known += 1
        assert self.sample is not None
        known = self.job.params.logprobs
        logprob = token_of(logits, token, known) if known >= 0 else None
        ended = self._ends is not None and self._ends(self.index, token)
        return self.sample.take(token, logprob, ended)


class _Reading:
    """A long start, read in parts; or one whose tokens have log-probabilities."""

    def __init__(self, job: Job, engine: Engine) -> None:
        self.job, self._engine = job, engine
        self.state = engine.zero_state(1) if job.start.state is None else job.start.state
        self.tokens: list[Token] = []
        self._read, self._length = 0, engine.tokens_at_once(1)

    def read(self) -> bool:
        """Read the next part -> whether all is read; `logits` (1, V) are those after it."""
        # In the parts of `Engine.read_prompt`, so that the results are the same in every bit.
        ids = self.job.start.ids
        part = ids[self._read : self._read + self._length]
        logits, self.state = self._engine.read(part[:, None], self.state)
        known = self.job.prompt_logprobs
        if known >= 0:
            targets = ids[self._read + 1 : self._read + len(part) + 1].tolist()
            self.tokens += [
                token_of(row[0], token, known) for row, token in zip(logits, targets, strict=False)
            ]
        self._read += len(part)
        self.logits: Logits = logits[-1]
        return self._read >= len(ids)


def _stacked(states: Sequence[State]) -> State:
    """States of some rows each -> one of all of them."""
    return [np.concatenate(parts) for parts in zip(*states, strict=True)]


def _histories(rows: Sequence[_Row]) -> NDArray[np.int64]:
    """Rows of equal filters -> what these look at (B, N), -1 before the beginning."""
    window = rows[0].window
    if not window:
        return np.empty((len(rows), 0), np.int64)
    latest = [row.history if window < 0 else row.history[-window:] for row in rows]
    found = np.full((len(rows), max(map(len, latest))), -1, np.int64)
    for row, known in zip(found, latest, strict=True):
        row[len(row) - len(known) :] = known
    return found
