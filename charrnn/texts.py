"""One sample in the making: how it is to be sampled, what is told of it, and when it ends.

Also what a model has to offer to be sampled from: Stepper.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn import sampling
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer.base import Decoder

State = list[NDArray[np.float32]]
"""A hidden state: one array (B, H) for each part of each layer."""


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
    """How to sample: `length` tokens at most, until a `stop` text, with these filters.

    With `lines` a newline ends the text, as each line of the corpus was a document of its own.
    With `logprobs` of 0 or more each piece tells its tokens' log-probabilities, before any filter,
    and those of so many alternatives.
    """

    length: int = 500
    lines: bool = False
    stop: tuple[str, ...] = ()
    seed: int = 0
    values: dict[str, float] = field(default_factory=dict)
    order: tuple[str, ...] = tuple(sampling.FILTERS)
    logprobs: int = -1


@dataclass(frozen=True)
class Start:
    """Where a text begins: a state, the ids (T,) to read next, those before them, draws used up.

    The end of one text is the start of its continuation.
    """

    ids: NDArray[np.integer]
    state: State | None = None
    history: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, np.int64))
    drawn: int = 0


@dataclass(frozen=True)
class Token:
    """A drawn token: its id, its log-probability, and the likeliest ids with theirs."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """Some more text of sample `index`, of `tokens` so far; the last piece says why it ended.

    finish: "length" when all tokens were drawn, "stop" at a stop text or when a constraint is
    fulfilled, "end" at a document's end. `end` is where a continuation would start.
    """

    index: int
    text: str
    tokens: int
    told: tuple[Token, ...] = ()
    finish: str | None = None
    end: Start | None = None


class Text:
    """One sample in the making: its characters so far, and why it ended."""

    def __init__(self, index: int, tokenizer: Tokenizer, settings: Settings) -> None:
        self.index = index
        self.tokens = 0
        self.finish: str | None = None
        self._settings = settings
        self._end = tokenizer.newline_id if settings.lines else None
        self._decoder = Decoder(tokenizer)
        self._told: list[Token] = []
        self._held = ""

    def take(self, token: int, told: Token | None, ended: bool = False) -> Piece | None:
        """Take a drawn token; the text that can be shown by now, if any.

        `ended`: the token fulfils a constraint and does not belong to the text.
        """
        self.tokens += 1
        if told:
            self._told.append(told)
        if ended or token == self._end:
            self.finish = "stop" if ended else "end"
        else:
            self._held += self._decoder.push(token)
        if self.finish is None and self.tokens == self._settings.length:
            self.finish = "length"
        if self.finish:
            self._held += self._decoder.finish()
        if self._settings.stop:
            self._stop()
        shown = len(self._held) if self.finish else len(self._held) - self._overlap()
        if not shown and not self.finish:
            return None
        text, self._held = self._held[:shown], self._held[shown:]
        known, self._told = tuple(self._told), []
        return Piece(self.index, text, self.tokens, known, self.finish)

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
