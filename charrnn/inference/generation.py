"""A model, prompts and filters -> text, chunk by chunk, for many samples side by side.

`generate` is called by the predictors, the preview during training, `charrnn sample` and `charrnn
write`. It yields Chunks; where they go is up to the caller.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.inference import sampling
from charrnn.inference.engine import State, Stepper, TextModel
from charrnn.inference.sampling import Context, Filter, Logits, StatefulFilter
from charrnn.inference.text_tracker import document_ends, token_text
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Decoder

HISTORY = 256
"""How many of the latest tokens the filters see at least; more where one is asked to."""

RANDOM_STEPS = 128
"""Steps for which random numbers are drawn at a time."""

DRY_BREAKERS = '\n:"*'
"""Characters across which the DRY filter counts no repetition, as in llama.cpp."""


@dataclass(frozen=True)
class SamplingParams:
    """How to sample: at most `length` tokens, up to a `stop` text, through the filters of `order`.

    values: filter parameters by name; those left out keep their defaults. With `lines` a newline
    ends the sample, because each line of the corpus was a document. With `logprobs` >= 0 each chunk
    carries its tokens' log-probabilities before any filter, with that many alternatives. With
    `resumable` a text that `length` cuts holds back what it cannot show yet, for its continuation:
    a part of a character, what may be the beginning of a stop text. With `whole` a part of a
    character is left out at the end, and not shown as U+FFFD.
    """

    length: int = 500
    lines: bool = False
    stop: tuple[str, ...] = ()
    seed: int = 0
    values: dict[str, float] = field(default_factory=dict)
    order: tuple[str, ...] = tuple(sampling.FILTERS)
    logprobs: int = -1
    resumable: bool = False
    whole: bool = False


@dataclass(frozen=True)
class GenerationState:
    """Where a sample starts or ended: the last state of one is the start of its continuation.

    ids: (T,) tokens to read next. state: hidden state before them, None for zeros. history: tokens
    before them. drawn: tokens drawn so far, which is how many random numbers have been used. held:
    text that is not shown yet. incomplete: ids of the character after it. filters: what filters
    remember, by their names.
    """

    ids: NDArray[np.integer]
    state: State | None = None
    history: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, np.int64))
    drawn: int = 0
    held: str = ""
    incomplete: tuple[int, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """A drawn token: id, log-probability, and the most likely alternatives with theirs."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Chunk:
    """More text of sample `index`, which has `tokens` so far; the last chunk says why it ended.

    finish: "length" when all tokens are drawn, "stop" at a stop text or when a constraint is
    satisfied, "end" at the end of a document, "interrupted" where the caller asked for it. end: the
    state from which a continuation starts.
    """

    index: int
    text: str
    tokens: int
    logprobs: tuple[Token, ...] = ()
    finish: str | None = None
    end: GenerationState | None = None


class Sample:
    """One sample in progress: text held back so far, and why it ended."""

    def __init__(
        self,
        index: int,
        tokenizer: Tokenizer,
        params: SamplingParams,
        start: GenerationState | None = None,
    ) -> None:
        self.index = index
        self.tokens = 0
        self.finish: str | None = None
        self._params = params
        ends = document_ends(tokenizer) or [tokenizer.newline_id] * params.lines
        self._end_id = ends[0] if ends else None
        self._decoder = Decoder(tokenizer)
        self._logprobs: list[Token] = []
        self._held = ""
        if start:
            for each in start.incomplete:
                self._decoder.push(each)
            self._held = start.held

    @property
    def held(self) -> str:
        """Text that is not shown yet."""
        return self._held

    @property
    def incomplete(self) -> tuple[int, ...]:
        """The ids of the character that is incomplete, for a continuation."""
        return tuple(self._decoder.incomplete) if self._is_cut else ()

    @property
    def _is_cut(self) -> bool:
        """Whether what is held back is left to a continuation."""
        return self._params.resumable and self.finish in ("length", "interrupted")

    def take(
        self, token: int, logprob: Token | None, ended: bool = False, interrupted: bool = False
    ) -> Chunk | None:
        """A drawn token -> the text that can be shown now, if any.

        `ended`: the token satisfies a constraint and is not part of the text. `interrupted`: this
        is the last token, although there could be more.
        """
        self.tokens += 1
        if logprob:
            self._logprobs.append(logprob)
        if ended or token == self._end_id:
            self.finish = "stop" if ended else "end"
        else:
            self._held += self._decoder.push(token)
        if self.finish is None and self.tokens == self._params.length:
            self.finish = "length"
        if self.finish is None and interrupted:
            self.finish = "interrupted"
        if self.finish and not self._is_cut and not self._params.whole:
            self._held += self._decoder.finish()
        # Searching the held text suffices: no shown character can be part of a stop text.
        if self._params.stop:
            self._stop()
        whole = self.finish and not self._is_cut
        shown = len(self._held) if whole else len(self._held) - self._overlap()
        if not shown and not self.finish:
            return None
        text, self._held = self._held[:shown], self._held[shown:]
        known, self._logprobs = tuple(self._logprobs), []
        return Chunk(self.index, text, self.tokens, known, self.finish)

    def _stop(self) -> None:
        """End before the first stop text, if there is one."""
        places = [self._held.find(stop) for stop in self._params.stop]
        found = [place for place in places if place >= 0]
        if found:
            self._held, self.finish = self._held[: min(found)], "stop"

    def _overlap(self) -> int:
        """How many last characters could be the beginning of a stop text, and are held back."""
        longest = max(map(len, self._params.stop), default=1) - 1
        # The longest overlap decides: a shorter one inside it would show characters too early.
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._params.stop):
                return size
        return 0


def begin(tokenizer: Tokenizer, prompt: str) -> GenerationState:
    """Prompt -> the state that continues it. Every text is preceded by the end of another."""
    # That id also gives an empty prompt one token, without which there are no logits.
    ids = tokenizer.encode(prompt).astype(np.int64)
    return GenerationState(np.concatenate([[tokenizer.start_id], ids]).astype(np.int64))


def resume(tokenizer: Tokenizer, start: GenerationState, prompt: str) -> GenerationState:
    """The end of a sample and more prompt -> the state that continues both.

    After more prompt the text begins anew: nothing is held back, and no constraint remembers what
    was before it.
    """
    if not prompt:
        return start
    ids = tokenizer.encode(prompt).astype(np.int64)
    return replace(
        start, ids=np.concatenate([start.ids, ids]), held="", incomplete=(),
        filters=_without_texts(start.filters),
    )  # fmt: skip


def _without_texts(filters: Mapping[str, Any]) -> dict[str, Any]:
    """What filters remember besides the text: a number, such as the bound of mirostat."""
    return {name: value for name, value in filters.items() if not isinstance(value, list)}


def is_character_level(tokenizer: Tokenizer) -> bool:
    """Whether no token is more than a character, for which some filters have other defaults."""
    # The first longer token decides, so this is quick for any vocabulary.
    return not any(len(token_text(tokenizer, token)) > 1 for token in range(tokenizer.vocab_size))


def generate(
    model: TextModel,
    starts: Sequence[GenerationState],
    params: SamplingParams,
    indices: Sequence[int] = (0,),
    extra: Sequence[Filter] = (),
    ends: Callable[[int, int], bool] | None = None,
    streams: Sequence[Sequence[int]] = (),
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Chunk]:
    """Continue all starts as one batch, yielding text as it is drawn.

    indices: number of each sample. extra: filters applied before those of `params`. ends: asked for
    each drawn token, by sample index and token id, whether it ends the text instead of belonging
    to it. streams: numbers of the stream of random numbers of each sample, by default its index:
    a text depends on its start, the seed and its stream, and not on the batch. interrupted: asked
    after each token whether all samples end here.
    """
    if params.length == 0:
        for index, start in zip(indices, starts, strict=True):
            yield Chunk(index, "", 0, (), "length", start)
        return
    # Constraints come first, so that a filter like top-k counts only tokens that may be drawn.
    own = sampling.filters(params.values, params.order, is_character_level(model.tokenizer))
    filters = [sampling.exclude(model.tokenizer.unsampled), *extra, *own]
    remembering = {each.name: each for each in filters if isinstance(each, StatefulFilter)}
    for index, start in zip(indices, starts, strict=True):
        for name in remembering.keys() & start.filters.keys():
            remembering[name].restore(index, start.filters[name])
    apply = sampling.chain(filters)
    batch = _Batch(
        model, starts, params, indices, streams or [(i,) for i in indices], remembering, extra
    )
    while batch.samples:
        context = batch.context()
        # The draw has a random number of its own, so no filter changes the numbers of later draws.
        drawn = sampling.draw(apply(batch.logits, context), context.uniform[:, 1])
        # Text is shown before the next step, and a sample that ends does not read its last token.
        yield from batch.take(drawn, ends, interrupted())
        batch.step(drawn)


class _Batch:
    """The samples in progress, side by side: hidden states, histories and random numbers."""

    def __init__(
        self,
        model: TextModel,
        starts: Sequence[GenerationState],
        params: SamplingParams,
        indices: Sequence[int],
        streams: Sequence[Sequence[int]],
        filters: Mapping[str, StatefulFilter],
        extra: Sequence[Filter],
    ) -> None:
        tokenizer = model.tokenizer
        self._filters = filters
        self._engine, self._params = model.engine, params
        self._breakers = dry_breakers(tokenizer)
        # Each pair of seed and sample has a stream, so that a sample does not depend on the batch.
        self._generators = [np.random.default_rng([params.seed, *each]) for each in streams]
        for generator, start in zip(self._generators, starts, strict=True):
            # Two numbers per token have been used; PCG64 skips them without drawing them.
            generator.bit_generator.advance(2 * start.drawn)  # type: ignore[attr-defined]
        self._drawn = np.array([start.drawn for start in starts])
        # Its shape is (B, steps, 2), and no numbers are drawn yet.
        self._uniform = np.empty((len(starts), 0, 2))
        self._used = 0
        known = [np.concatenate([start.history, start.ids]) for start in starts]
        asked = sampling.window(params.values, params.order, extra)
        # What the filters see: the largest window that is asked for, or all of the longest text.
        self._grows = asked < 0
        self._window = max(HISTORY, asked, max(map(len, known)) if self._grows else 0)
        # A buffer that is moved back only when it is full: no copy at each token.
        self._history = np.full((len(starts), self._window + 15 * HISTORY), -1, np.int64)
        self._end = self._window
        for row, each in zip(self._history, known, strict=True):
            latest = each[-self._window :]
            row[self._window - len(latest) : self._window] = latest
        self.samples = [
            Sample(i, tokenizer, params, start) for i, start in zip(indices, starts, strict=True)
        ]
        self.logits, self._state = _read_starts(self._engine, starts)

    def context(self) -> Context:
        """What the filters know at this step; two random numbers (B, 2) are used up by it."""
        if self._used == self._uniform.shape[1]:
            # A call of a generator costs far more than a number, so each draws for many steps.
            self._uniform = np.stack([g.random((RANDOM_STEPS, 2)) for g in self._generators])
            self._used = 0
        self._used += 1
        return Context(
            self._history[:, self._begin : self._end],
            self._uniform[:, self._used - 1],
            tuple(sample.index for sample in self.samples),
            self._breakers,
            # The samples of a batch began together.
            self.samples[0].tokens + 1 == self._params.length,
        )

    @property
    def _begin(self) -> int:
        """Where in the buffer the history begins that filters see."""
        return 0 if self._grows else self._end - self._window

    def take(
        self,
        drawn: NDArray[np.integer],
        ends: Callable[[int, int], bool] | None,
        interrupted: bool,
    ) -> Iterator[Chunk]:
        """Record the drawn tokens (B,) -> the text that can be shown now."""
        if self._end == self._history.shape[1] and self._grows:
            self._history = np.concatenate([self._history, np.full_like(self._history, -1)], axis=1)
        elif self._end == self._history.shape[1]:
            self._history[:, : self._window] = self._history[:, -self._window :]
            self._end = self._window
        self._history[:, self._end] = drawn
        self._end += 1
        for row, (sample, token) in enumerate(zip(self.samples, drawn.tolist(), strict=True)):
            logprob = None
            if self._params.logprobs >= 0:
                logprob = token_of(self.logits[row], token, self._params.logprobs)
            ended = ends is not None and ends(sample.index, token)
            if chunk := sample.take(token, logprob, ended, interrupted):
                yield replace(chunk, end=self._state_of(row)) if chunk.finish else chunk

    def _state_of(self, row: int) -> GenerationState:
        """Where a continuation of this sample starts: its last token has not been read yet."""
        sample, token = self.samples[row], int(self._history[row, self._end - 1])
        # All parts are copied, because the caller keeps them and the buffer is overwritten.
        known = self._history[row, self._begin : self._end - 1]
        filters = {name: each.state(sample.index, token) for name, each in self._filters.items()}
        return GenerationState(
            self._history[row, self._end - 1 : self._end].copy(),
            [part[row : row + 1].copy() for part in self._state],
            known[known >= 0].copy(),
            int(self._drawn[row]) + sample.tokens,
            sample.held,
            sample.incomplete,
            # What follows a text that has ended is another text.
            filters if sample.finish in ("length", "interrupted") else _without_texts(filters),
        )

    def step(self, drawn: NDArray[np.integer]) -> None:
        """Drop the samples that have ended, and read the last token of the others."""
        going = [row for row, sample in enumerate(self.samples) if sample.finish is None]
        if len(going) < len(self.samples):
            self.samples = [self.samples[row] for row in going]
            self._generators = [self._generators[row] for row in going]
            self._state = [part[going] for part in self._state]
            self._history, self._drawn = self._history[going], self._drawn[going]
            self._uniform, drawn = self._uniform[going], drawn[going]
        if going:
            self.logits, self._state = self._engine.step(drawn, self._state)


def _read_starts(engine: Stepper, starts: Sequence[GenerationState]) -> tuple[Logits, State]:
    """Logits (B, V) and state after the starts' ids; a start that samples share is read once."""
    # Samples of one prompt share the object, so no arrays need to be compared.
    read: dict[int, tuple[Logits, State]] = {}
    for start in starts:
        if id(start) not in read:
            before = engine.zero_state(1) if start.state is None else start.state
            read[id(start)] = engine.read_prompt(start.ids[:, None], before)
    each = [read[id(start)] for start in starts]
    states = zip(*(state for _, state in each), strict=True)
    return np.concatenate([logits for logits, _ in each]), [np.concatenate(s) for s in states]


def dry_breakers(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids of DRY_BREAKERS: of a character of several tokens the last, which completes it."""
    return frozenset(int(tokenizer.encode(c)[-1]) for c in DRY_BREAKERS)


def token_of(logits: NDArray[np.float32], token: int, count: int) -> Token:
    """Logits (V,) -> the token with its log-probability and the `count` most likely ones."""
    # The limit makes a probability that underflows to 0 a finite number, as JSON needs it.
    logprobs = np.log(np.maximum(sampling.probabilities(logits[None])[0], 1e-300))
    best = np.argsort(-logprobs, kind="stable")[:count]
    return Token(token, float(logprobs[token]), tuple((int(i), float(logprobs[i])) for i in best))
