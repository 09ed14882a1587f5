"""What makes a text a reply: it ends where a turn ends, it is nobody else's, it answers.

`TurnConstraint` is a filter of the chain. `RelevantStepper` comes before the chain: it steps the
reply a second time, without what was said, as one more row of the same batch.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.data.chats.turns import LINE_BREAK, NAME_LENGTH
from charrnn.inference.engine import State, Stepper
from charrnn.inference.sampling import log_softmax
from charrnn.inference.sampling.base import RULED_OUT, Context, Logits
from charrnn.inference.text_tracker import TextTracker, document_ends
from charrnn.tokenizers import Tokenizer

MOST_RELEVANCE = 0.95
"""The formula divides by 1 less it."""

PLAUSIBLE = 0.1
"""Of the most likely token's probability, below which relevance lifts no token (Li et al. 2023)."""


class TurnConstraint:
    """Leaves only tokens that write one turn: some text, then a newline and nothing after it.

    No line of the text begins with the name of a speaker and a colon. names: those of all speakers;
    None if they are too many to be known, where no line may begin with up to 60 characters and a
    colon. A row in which no token is left may end.
    """

    name = "turn"

    def __init__(self, tokenizer: Tokenizer, names: Collection[str] | None) -> None:
        self._tracker = TextTracker(tokenizer)
        pieces = self._tracker.pieces
        self._names = None if names is None else {_folded(name) for name in names}
        self._newline = tokenizer.newline_id
        self._ending = np.array([piece.endswith("\n") for piece in pieces])
        beyond = [i for i, piece in enumerate(pieces) if "\n" in piece[:-1]]
        self._never = [*beyond, *document_ends(tokenizer)]
        # Only these can complete a name; a part of a character could be of a colon.
        self._colons = [i for i, piece in enumerate(pieces) if ":" in piece]
        self._parts = [i for i, piece in enumerate(pieces) if not piece]

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = logits.copy()
        left[:, self._never] = RULED_OUT
        for place, text in enumerate(self._tracker.update(context)):
            if not text.strip():
                left[place, self._ending] = RULED_OUT
            left[place, self._naming(context.rows[place], text, left[place])] = RULED_OUT
            if not np.isfinite(left[place]).any():
                left[place, self._newline] = 0.0
        return left

    def _naming(self, row: int, text: str, logits: NDArray[np.float32]) -> list[int]:
        """The tokens that would complete a speaker's name at the beginning of a line."""
        line = text.rpartition(LINE_BREAK)[2]
        parts = self._parts if self._tracker.is_incomplete(row) else []
        found = []
        for token in (*self._colons, *parts):
            if np.isfinite(logits[token]):
                lines = (line + self._tracker.added_text(row, token)).split(LINE_BREAK)
                found += [token] * any(map(self._names_speaker, lines))
        return found

    def _names_speaker(self, line: str) -> bool:
        """Whether a line begins with a name and a colon."""
        name, colon, _ = line.partition(":")
        if not colon:
            return False
        if self._names is None:
            return len(name) <= NAME_LENGTH
        return _folded(name) in self._names


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


@dataclass
class RelevantStepper:
    """A stepper whose first logits are (log p(token | said) - r * log p(token)) / (1 - r).

    engine: what is stepped, both rows in one call. alone: (T,) ids that begin a reply to nothing.
    relevance: r, from 0 to below 1. tokens: of a reply, how many have these logits; those after
    them have the engine's own. A state is that of the conversation, then that of the reply alone.
    Source: the anti-language model of Li et al. 2015, which also weighs the first tokens only.
    """

    engine: Stepper
    alone: NDArray[np.integer]
    relevance: float
    tokens: int
    left: int = 0

    def zero_state(self, rows: int) -> State:
        """The engine's."""
        return self.engine.zero_state(rows)

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, 1) tokens of the conversation -> the first logits of a reply, and both states."""
        logits, said = self.engine.read_prompt(ids, state)
        other, unsaid = self.engine.read_prompt(self.alone[:, None], self.engine.zero_state(1))
        self.left = self.tokens
        return self._weighed(logits, other), [*said, *unsaid]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token (1,) -> logits (1, V) and both states after it."""
        half = len(state) // 2
        if self.left <= 0:
            logits, after = self.engine.step(ids, state[:half])
            return logits, [*after, *state[half:]]
        both = [np.concatenate(pair) for pair in zip(state[:half], state[half:], strict=True)]
        logits, after = self.engine.step(np.concatenate([ids, ids]), both)
        states = [part[:1] for part in after] + [part[1:] for part in after]
        return self._weighed(logits[:1], logits[1:]), states

    def _weighed(self, said: Logits, unsaid: Logits) -> Logits:
        self.left -= 1
        known = log_softmax(said)
        # Half of it of what was said, so that nothing gains more than it, however rare alone.
        alone = np.logaddexp(known, log_softmax(unsaid)) - np.log(2)
        plausible = known >= known.max(axis=1, keepdims=True) + np.log(PLAUSIBLE)
        # Over 1 - r: where both agree, the probabilities stay what they were.
        weighed = (known - self.relevance * alone) / (1 - self.relevance)
        # The others keep their places below, for constraints that leave none of these.
        lowest = np.where(plausible, weighed, np.inf).min(axis=1, keepdims=True)
        found: Logits = np.where(plausible, weighed, known + lowest - known.max() - 20.0).astype(
            np.float32
        )
        return found
