"""The text of `charrnn write`: what can be offered, added, replaced and taken back."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from charrnn.errors import UsageError
from charrnn.inference.constraints import Ends
from charrnn.inference.engine import TextModel
from charrnn.inference.generation import (
    GenerationState,
    SamplingParams,
    begin,
    generate,
    resume,
)
from charrnn.inference.sampling import FILTERS, Filter

SEAM = 64
"""Characters before an addition whose tokens could change by it: a word or a piece is shorter."""


@dataclass(frozen=True)
class Revision:
    """A text, the state from which its continuation starts, and the revision it was added to."""

    text: str
    state: GenerationState
    base: "Revision | None" = None


@dataclass(frozen=True)
class Chain:
    """What shapes the continuations besides the temperature.

    values, order: of the filters, as in SamplingParams. constraints: called for each continuation;
    it returns filters and what ends a text. whole: as in SamplingParams. follow: called with the
    text before each continuation, for a model that learns from it.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    order: tuple[str, ...] = tuple(FILTERS)
    constraints: Callable[[], tuple[Sequence[Filter], Ends | None]] = lambda: ((), None)
    whole: bool = False
    follow: Callable[[str], None] = lambda text: None


class Draft:
    """A text in progress: its revisions, one per change, and the continuation on offer."""

    def __init__(
        self,
        model: TextModel,
        prompt: str,
        temperature: float,
        length: int,
        seed: int,
        chain: Chain = Chain(),
    ) -> None:
        self.temperature, self.length, self._chain = temperature, length, chain
        self._model, self._seed = model, seed
        self._revisions = [Revision(prompt, begin(model.tokenizer, prompt))]
        self._undone: list[Revision] = []
        # Texts that exist elsewhere and need not be kept; the prompt is one.
        self._kept = {prompt}
        # Number of the sample to draw: each continuation has random numbers of its own, and equal
        # seeds and commands give equal texts.
        self._tries = 0
        # Whether the text would end behind the offer, which is the end of a document.
        self.ended = False
        self.again()

    @property
    def text(self) -> str:
        """The text so far."""
        return self._revisions[-1].text

    @property
    def unsaved(self) -> bool:
        """Whether the text would be lost if the session ended now."""
        return self.text not in self._kept

    @property
    def last_addition(self) -> str:
        """The end of the text that `edit` replaces; empty if there is only the prompt."""
        current = self._revisions[-1]
        return current.text[len(current.base.text) :] if current.base else ""

    def saved(self) -> None:
        """Remember that the text, as it is now, is in a file."""
        self._kept.add(self.text)

    def again(self) -> None:
        """Draw another continuation to offer; Ctrl-C offers what was drawn until then."""
        self._tries += 1
        chain = self._chain
        values = {**chain.values, "temperature": self.temperature}
        params = SamplingParams(
            self.length, seed=self._seed, values=values, order=chain.order, whole=chain.whole
        )
        self.offer, self._after, self.ended = "", None, False
        # A long continuation may take minutes, which are no reason to lose the session.
        with contextlib.suppress(KeyboardInterrupt):
            chain.follow(self.text)
            filters, ends = chain.constraints()
            for chunk in generate(
                self._model, [self._revisions[-1].state], params, [self._tries], filters, ends
            ):
                self.offer += chunk.text
                # The state behind the end of a document would begin another one.
                self.ended = chunk.finish == "end" or (chunk.finish == "stop" and ends is not None)
                self._after = None if self.ended else chunk.end
        # The last character lacks some of its bytes; they would come too late, after the text.
        if self.offer.endswith("\ufffd") and len(self.offer) > 1:
            self.offer, self._after = self.offer[:-1], None

    def accept(self) -> None:
        """Add the continuation to the text; where that is empty, draw another one."""
        if not self.offer:
            self.again()
        # Without the state of its end, it is read like text that was typed.
        elif self._after is None:
            self.add(self.offer)
        else:
            self._push(Revision(self.text + self.offer, self._after, self._revisions[-1]))

    def add(self, text: str) -> None:
        """Add the writer's own text, without the continuation."""
        self._push(self._after_adding(self._revisions[-1], text))

    def edit(self, text: str) -> None:
        """Replace the last addition."""
        current = self._revisions[-1]
        self._push(self._after_adding(current.base or current, text))

    def undo(self) -> None:
        """Take back the last change; the prompt stays. UsageError if there is none."""
        if len(self._revisions) == 1:
            raise UsageError("there is nothing to undo", "the text is as it began")
        self._undone.append(self._revisions.pop())
        self.again()

    def redo(self) -> None:
        """Bring back what was undone last. UsageError if there is nothing, or another change."""
        if not self._undone:
            raise UsageError("there is nothing to redo", "only what /undo took comes back")
        self._revisions.append(self._undone.pop())
        self.again()

    def _push(self, revision: Revision) -> None:
        self._revisions.append(revision)
        self._undone.clear()
        self.again()

    def _after_adding(self, base: Revision, text: str) -> Revision:
        """A revision and more text -> the revision of both."""
        tokenizer, whole = self._model.tokenizer, base.text + text
        # Where a word or piece spans the seam, the ids of the parts are not those of the whole.
        seam = base.text[-SEAM:]
        apart = [*tokenizer.encode(seam).tolist(), *tokenizer.encode(text).tolist()]
        if tokenizer.encode(seam + text).tolist() == apart:
            return Revision(whole, resume(tokenizer, base.state, text), base)
        return Revision(whole, begin(tokenizer, whole), base)
