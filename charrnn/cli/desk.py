"""The text of `charrnn write`: what stands, what is offered, and what can be taken back."""

from dataclasses import dataclass

from charrnn.generation import begin, generate, resume
from charrnn.texts import Settings, Start, Stepper
from charrnn.tokenizer import Tokenizer


@dataclass(frozen=True)
class Page:
    """A text, and where its continuation starts."""

    text: str
    start: Start


class Desk:
    """A text in the making; each page is the text after one more addition."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        engine: Stepper,
        prompt: str,
        temperature: float,
        length: int,
        seed: int,
    ) -> None:
        self.temperature, self.length = temperature, length
        self._tokenizer, self._engine, self._seed = tokenizer, engine, seed
        self._pages = [Page(prompt, begin(tokenizer, prompt))]
        self._tries = 0
        self.again()

    @property
    def text(self) -> str:
        """What stands so far."""
        return self._pages[-1].text

    def again(self) -> None:
        """Draw another continuation to offer."""
        self._tries += 1
        values = {"temperature": self.temperature}
        settings = Settings(self.length, seed=self._seed, values=values)
        pieces = list(
            generate(
                self._tokenizer, self._engine, [self._pages[-1].start], settings, [self._tries]
            )
        )
        self.offer = "".join(piece.text for piece in pieces)
        self._after = pieces[-1].end

    def accept(self) -> None:
        """Take the offer as a part of the text."""
        assert self._after is not None
        self._pages.append(Page(self.text + self.offer, self._after))
        self.again()

    def add(self, text: str) -> None:
        """Put in text of the writer's own, without the offer."""
        start = resume(self._tokenizer, self._pages[-1].start, text)
        self._pages.append(Page(self.text + text, start))
        self.again()

    def undo(self) -> None:
        """Take back the last addition; the first page stays."""
        if len(self._pages) > 1:
            self._pages.pop()
        self.again()

    def edit(self, text: str) -> None:
        """Put text in the place of the last addition."""
        if len(self._pages) > 1:
            self._pages.pop()
        self.add(text)
