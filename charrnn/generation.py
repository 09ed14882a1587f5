"""Engine, prompt and filters -> text, a piece at a time. It does not know where the text goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn import sampling
from charrnn.engine import State
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer.base import Decoder

HISTORY = 256
"""How many of the latest tokens the filters see."""


class Stepper(Protocol):
    """A model that is read a token at a time: ONNX Runtime's engine, or torch while training."""

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (B, V) after the last, and the state."""

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""


@dataclass(frozen=True)
class Settings:
    """How to sample: `length` tokens at most, until a `stop` text, with these filter values.

    With `lines` a newline ends the text, as each line of the corpus was a document of its own.
    """

    length: int = 500
    lines: bool = False
    stop: tuple[str, ...] = ()
    seed: int = 0
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """Some more text of sample `index`; `finish` is None until its last piece.

    finish: "length" when all tokens were drawn, "stop" at a stop text, "end" at a document's end.
    """

    index: int
    text: str
    tokens: int
    finish: str | None = None


def generate(
    tokenizer: Tokenizer,
    engine: Stepper,
    prompt: str,
    settings: Settings,
    indices: range = range(1),
) -> Iterator[Piece]:
    """Continue a prompt once for each index, as one batch, yielding text as it comes.

    Sample i of a seed draws from its own random numbers, whatever the batch it is part of.
    """
    rows = [_Row(i, tokenizer, settings) for i in indices]
    if settings.length == 0:
        yield from (Piece(row.index, "", 0, "length") for row in rows)
        return
    apply = sampling.chain(
        [sampling.exclude(tokenizer.unsampled), *sampling.filters(settings.values)]
    )
    ids = prompt_ids(tokenizer, prompt)
    logits, state = engine.read_prompt(ids[:, None], engine.zero_state(1))
    logits, state = np.repeat(logits, len(rows), 0), [np.repeat(s, len(rows), 0) for s in state]
    history = np.repeat(ids[None, -HISTORY:], len(rows), axis=0)
    while rows:
        uniform = np.array([row.random() for row in rows])
        drawn = sampling.draw(apply(logits, history), uniform)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if piece := row.take(token):
                yield piece
        going = [i for i, row in enumerate(rows) if row.finish is None]
        if len(going) < len(rows):
            rows, drawn, history = [rows[i] for i in going], drawn[going], history[going]
            state = [part[going] for part in state]
        if rows:
            history = np.concatenate([history, drawn[:, None]], axis=1)[:, -HISTORY:]
            logits, state = engine.step(drawn, state)


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> NDArray[np.int64]:
    """The ids (T,) that a model reads before its first draw: a newline, then the prompt."""
    ids = tokenizer.encode(prompt).astype(np.int64)
    return np.concatenate([[tokenizer.newline_id], ids]).astype(np.int64)


class _Row:
    """One sample in the making: its random numbers, its text so far, why it ended."""

    def __init__(self, index: int, tokenizer: Tokenizer, settings: Settings) -> None:
        self.index = index
        self.finish: str | None = None
        self._settings = settings
        self._generator = np.random.default_rng([settings.seed, index])
        self._uniform: list[float] = []
        self._end = tokenizer.newline_id if settings.lines else None
        self._decoder = Decoder(tokenizer)
        self._tokens = 0
        self._held = ""

    def random(self) -> float:
        """The next uniform number of this sample."""
        if not self._uniform:
            self._uniform = self._generator.random(256)[::-1].tolist()
        return self._uniform.pop()

    def take(self, token: int) -> Piece | None:
        """Take the drawn token; the text that can be shown by now, if any."""
        self._tokens += 1
        if token == self._end:
            self.finish = "end"
        else:
            self._held += self._decoder.push(token)
        if self.finish is None and self._tokens == self._settings.length:
            self.finish = "length"
        if self.finish:
            self._held += self._decoder.finish()
        if self._settings.stop:
            self._stop()
        shown = len(self._held) if self.finish else len(self._held) - self._overlap()
        text, self._held = self._held[:shown], self._held[shown:]
        return Piece(self.index, text, self._tokens, self.finish) if text or self.finish else None

    def _stop(self) -> None:
        """End before the first stop text, if one is there."""
        places = [self._held.find(stop) for stop in self._settings.stop]
        found = [place for place in places if place >= 0]
        if found:
            self._held, self.finish = self._held[: min(found)], "stop"

    def _overlap(self) -> int:
        """How many last characters may turn out to begin a stop text, and are held back."""
        longest = max(map(len, self._settings.stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._settings.stop):
                return size
        return 0
