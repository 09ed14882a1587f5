"""Engine, prompts and filters -> text, a piece at a time. It does not know where the text goes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from charrnn import sampling
from charrnn.sampling import Context, Filter, Logits
from charrnn.texts import HISTORY, Piece, Settings, Start, State, Stepper, Text, Token
from charrnn.tokenizer import Tokenizer

RANDOM = 128
"""Steps for which random numbers are made at a time."""

BREAKERS = '\n:"*'
"""Characters at which the DRY filter stops looking for repetition, as in llama.cpp."""


def begin(tokenizer: Tokenizer, prompt: str) -> Start:
    """The start of a text that continues a prompt; before its first character stands a newline."""
    ids = tokenizer.encode(prompt).astype(np.int64)
    return Start(np.concatenate([[tokenizer.newline_id], ids]).astype(np.int64))


def resume(tokenizer: Tokenizer, start: Start, prompt: str) -> Start:
    """The start of a text that goes on from another's end, with more text put in between."""
    ids = tokenizer.encode(prompt).astype(np.int64)
    return Start(np.concatenate([start.ids, ids]), start.state, start.history, start.drawn)


def generate(
    tokenizer: Tokenizer,
    engine: Stepper,
    starts: Sequence[Start],
    settings: Settings,
    indices: Sequence[int] = (0,),
    extra: Sequence[Filter] = (),
    ends: Callable[[int, int], bool] | None = None,
) -> Iterator[Piece]:
    """Continue each start as the sample of that index, all as one batch, yielding text as it comes.

    Sample i of a seed draws its own random numbers, so its text does not depend on the batch.
    `extra` filters come before the settings' own. `ends` is asked of each drawn token, by the
    sample's index and the token's id, whether it ends the text instead of belonging to it.
    """
    if settings.length == 0:
        for index, start in zip(indices, starts, strict=True):
            yield Piece(index, "", 0, (), "length", start)
        return
    own = sampling.filters(settings.values, settings.order)
    apply = sampling.chain([sampling.exclude(tokenizer.unsampled), *extra, *own])
    batch = _Batch(tokenizer, engine, starts, settings, indices)
    while batch.texts:
        context = batch.context()
        drawn = sampling.draw(apply(batch.logits, context), context.uniform[:, 1])
        yield from batch.take(drawn, ends)
        batch.step(drawn)


class _Batch:
    """The texts in the making, side by side: their states, histories and random numbers."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        engine: Stepper,
        starts: Sequence[Start],
        settings: Settings,
        indices: Sequence[int],
    ) -> None:
        self._engine, self._settings = engine, settings
        self._breakers = frozenset(int(tokenizer.encode(c)[-1]) for c in BREAKERS)
        self._generators = [np.random.default_rng([settings.seed, i]) for i in indices]
        for generator, start in zip(self._generators, starts, strict=True):
            generator.bit_generator.advance(2 * start.drawn)  # type: ignore[attr-defined]
        self._drawn = np.array([start.drawn for start in starts])
        self._uniform = np.empty((len(starts), 0, 2))
        self._used = 0
        self._history = np.full((len(starts), 16 * HISTORY), -1, np.int64)
        self._end = HISTORY
        for row, start in zip(self._history, starts, strict=True):
            known = np.concatenate([start.history, start.ids])[-HISTORY:]
            row[HISTORY - len(known) : HISTORY] = known
        self.texts = [Text(i, tokenizer, settings) for i in indices]
        self.logits, self._state = _read(engine, starts)

    def context(self) -> Context:
        """What the filters may know at this step; its random numbers are (B, 2), two for a step."""
        if self._used == self._uniform.shape[1]:
            self._uniform = np.stack([g.random((RANDOM, 2)) for g in self._generators])
            self._used = 0
        self._used += 1
        return Context(
            self._history[:, self._end - HISTORY : self._end],
            self._uniform[:, self._used - 1],
            tuple(text.index for text in self.texts),
            self._breakers,
        )

    def take(
        self, drawn: NDArray[np.integer], ends: Callable[[int, int], bool] | None
    ) -> Iterator[Piece]:
        """Note the drawn tokens (B,), and tell what can be shown by now."""
        if self._end == self._history.shape[1]:
            self._history[:, :HISTORY] = self._history[:, -HISTORY:]
            self._end = HISTORY
        self._history[:, self._end] = drawn
        self._end += 1
        for place, (text, token) in enumerate(zip(self.texts, drawn.tolist(), strict=True)):
            told = None
            if self._settings.logprobs >= 0:
                told = _told(self.logits[place], token, self._settings.logprobs)
            ended = ends is not None and ends(text.index, token)
            if piece := text.take(token, told, ended):
                yield replace(piece, end=self._start(place)) if piece.finish else piece

    def _start(self, place: int) -> Start:
        """Where a continuation of this text starts: its last token is still to be read."""
        known = self._history[place, self._end - HISTORY : self._end - 1]
        return Start(
            self._history[place, self._end - 1 : self._end].copy(),
            [part[place : place + 1].copy() for part in self._state],
            known[known >= 0].copy(),
            int(self._drawn[place]) + self.texts[place].tokens,
        )

    def step(self, drawn: NDArray[np.integer]) -> None:
        """Leave out the texts that have ended, and read the last token of the others."""
        going = [place for place, text in enumerate(self.texts) if text.finish is None]
        if len(going) < len(self.texts):
            self.texts = [self.texts[place] for place in going]
            self._generators = [self._generators[place] for place in going]
            self._state = [part[going] for part in self._state]
            self._history, self._drawn = self._history[going], self._drawn[going]
            self._uniform, drawn = self._uniform[going], drawn[going]
        if going:
            self.logits, self._state = self._engine.step(drawn, self._state)


def _read(engine: Stepper, starts: Sequence[Start]) -> tuple[Logits, State]:
    """Logits (B, V) and state after the starts' ids; a start that texts share is read once."""
    read: dict[int, tuple[Logits, State]] = {}
    for start in starts:
        if id(start) not in read:
            before = engine.zero_state(1) if start.state is None else start.state
            read[id(start)] = engine.read_prompt(start.ids[:, None], before)
    each = [read[id(start)] for start in starts]
    states = zip(*(state for _, state in each), strict=True)
    return np.concatenate([logits for logits, _ in each]), [np.concatenate(s) for s in states]


def _told(logits: NDArray[np.float32], token: int, count: int) -> Token:
    """The token with its log-probability, and the `count` likeliest ones."""
    logprobs = np.log(np.maximum(sampling.probabilities(logits[None])[0], 1e-300))
    best = np.argsort(-logprobs, kind="stable")[:count]
    return Token(token, float(logprobs[token]), tuple((int(i), float(logprobs[i])) for i in best))
