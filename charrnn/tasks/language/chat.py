"""Chat: a conversation with a model of chats. The state is carried, so nothing is read twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from charrnn.data.chats.turns import (
    LINE_BREAK,
    UNNAMED,
    clean_name,
    clean_text,
    speakers_of,
    turn_line,
)
from charrnn.data.reading import CHAT
from charrnn.errors import UsageError
from charrnn.inference.constraints import Constraints
from charrnn.inference.engine import Stepper
from charrnn.inference.generation import (
    Chunk,
    GenerationState,
    SamplingParams,
    begin,
    generate,
    is_character_level,
    resume,
)
from charrnn.inference.sampling import Filter
from charrnn.tasks.language.turns import RelevantStepper, TurnConstraint
from charrnn.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.tasks.language.language_model import LanguageModel

RELEVANT_CHARACTERS, RELEVANT_TOKENS = 25, 6
"""Tokens of a reply's beginning that relevance weighs: of characters, and of longer pieces."""


@dataclass(frozen=True)
class Exchange:
    """What was said, and what was answered.

    before: the state before it was said. start: the state that a reply begins from. after: the
    state behind the reply. finish: why it ended, as of `Chunk`. tokens: how many were drawn for it.
    """

    me: str
    said: str
    name: str
    before: GenerationState
    start: GenerationState
    reply: str = ""
    finish: str = ""
    after: GenerationState | None = None
    tokens: int = 0

    def line(self, said: bool) -> str:
        """What was said, or else the reply, as a line of a conversation; "" if it is empty."""
        name, text = (self.me, self.said) if said else (self.name, clean_text(self.reply))
        return turn_line(name, text) if text else ""


@dataclass(frozen=True)
class _Stepped:
    """A tokenizer and what steps the model: a TextModel."""

    tokenizer: Tokenizer
    engine: Stepper


@dataclass
class Chat:
    """A conversation: `reply` says something and returns the answer.

    name: who answers; me: who says what is given to `reply`; "" for those of the chat that was
    learned from. params: as for sampling; its length is that of a reply, which is cut there.
    relevance: how much less likely than by itself a reply should be; 0 has no effect. interrupted:
    asked after each token whether the reply ends here. UsageError if the model is of no chat, or
    nobody of these names speaks in it.
    """

    model: "LanguageModel"
    name: str = ""
    me: str = ""
    params: SamplingParams = field(default_factory=SamplingParams)
    constraints: Constraints = field(default_factory=Constraints)
    relevance: float = 0.0
    interrupted: Callable[[], bool] = lambda: False
    exchanges: list[Exchange] = field(default_factory=list)
    past: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        corpus = self.model.checkpoint.info.corpus
        if corpus.get("documents") != CHAT:
            raise UsageError(
                f"{self.model.path} is no model of a chat",
                "train one with charrnn train CHAT.txt --chat, or use charrnn sample",
            )
        recorded = corpus.get("chat")
        record = recorded if isinstance(recorded, dict) else {}
        self.speakers = speakers_of(record)
        # More people speak than the file can name.
        count = record.get("count")
        self._unknown = isinstance(count, int) and count > len(self.speakers)
        given, self.name = self.name, str(record.get("answers", ""))
        if self.name not in self.speakers:
            self.name = next(iter(self.speakers), UNNAMED)
        others = [name for name in self.speakers if name != self.name]
        asked, self.me = self.me, next(iter(others), UNNAMED)
        if given:
            self.answer_as(given)
        if asked:
            self.me = self._known(asked)
            if self.me == self.name:
                raise UsageError(
                    f"{self.me} cannot speak with {self.me}", "give two different names"
                )
        self._tries = 0
        self._engine: Stepper = self.model.engine
        tokenizer = self.model.tokenizer
        self._characters = is_character_level(tokenizer)
        self._state = begin(tokenizer, "")
        breaks = set(tokenizer.encode(LINE_BREAK).tolist())
        self._breaks = not breaks & set(tokenizer.unsampled)

    def set(self, name: str, value: float) -> None:
        """Change a parameter of a filter, such as the temperature, for the replies that follow."""
        self.params = replace(self.params, values={**self.params.values, name: value})

    def answer_as(self, name: str) -> None:
        """Let another speaker answer; if it was you, you are who answered before."""
        before, self.name = self.name, self._known(name)
        if self.name == self.me:
            self.me = before

    def _known(self, name: str) -> str:
        """A name as it is in the chat. UsageError if nobody is called so."""
        clean = clean_name(name)
        folded = {each.casefold(): each for each in reversed(self.speakers)}
        found = clean if clean in self.speakers else folded.get(clean.casefold())
        if found is None and not self._unknown:
            most = ", ".join(list(self.speakers)[:5])
            raise UsageError(
                f"nobody in the chat is called {clean}", f"those who say most are {most}"
            )
        return found or clean

    def reply(self, text: str) -> str:
        """What is said -> the answer. UsageError for a text without any character."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """As `reply`, in pieces as they are drawn; until it has ended, nothing was said."""
        exchange = self._begun(self._said(text), self._state)
        yield from self._drawn(exchange)

    def _said(self, text: str) -> str:
        """What is said, as the model reads it. UsageError for a text without any character."""
        said = self._turn(text)
        if not said:
            raise UsageError("there is nothing to answer to", "say something")
        return said

    def _turn(self, text: str) -> str:
        """A text as one turn; line breaks become blanks where the model does not know them."""
        said = clean_text(text)
        return said if self._breaks else said.replace(LINE_BREAK, " ")

    def recall(self, said: str, reply: str) -> None:
        """Take an exchange of an earlier conversation in as if it had just happened.

        Either may be empty, and is then no turn. The next reply reads both anew.
        """
        # Its reply has used a stream of random numbers, as one that was drawn here.
        self._tries += 1
        before, tokenizer = self._state, self.model.tokenizer
        past = Exchange(self.me, self._turn(said), self.name, before, before, self._turn(reply))
        start = resume(tokenizer, before, past.line(said=True) + self._opening)
        after = resume(tokenizer, before, past.line(said=True) + past.line(said=False))
        self.exchanges.append(replace(past, start=start, finish="stop", after=after))
        self._state = after

    def again(self) -> str:
        """Another answer to what was said last. UsageError if nothing was."""
        return "".join(self.stream_again())

    def stream_again(self) -> Iterator[str]:
        """As `again`, in pieces; until it has ended, the answer is the one before."""
        last = self._last("there is no reply to draw again")
        if last.name != self.name or last.me != self.me:
            last = self._begun(last.said, last.before)
        yield from self._drawn(last, instead=True)

    def undo(self) -> Exchange:
        """Take back what was said last and its answer -> what it was. UsageError if nothing was."""
        last = self._last("there is nothing to undo")
        self.exchanges.pop()
        self._state = last.before
        return last

    def reset(self) -> None:
        """Begin another conversation."""
        if self.exchanges:
            self.past.append(self._written())
        self.exchanges.clear()
        self._state = begin(self.model.tokenizer, "")

    def transcript(self) -> str:
        """All that was said, in the strict form, from which a model can learn."""
        return "\n".join([*self.past, self._written()] if self.exchanges else self.past)

    def _written(self) -> str:
        return "".join(each.line(said=True) + each.line(said=False) for each in self.exchanges)

    def _last(self, problem: str) -> Exchange:
        if not self.exchanges:
            raise UsageError(problem, "say something first")
        return self.exchanges[-1]

    @property
    def _opening(self) -> str:
        """How a reply begins. Tokens that are more than a character begin with their blank."""
        bound = self.constraints.pattern is not None or self.constraints.allow is not None
        return f"{self.name}: " if self._characters or bound else f"{self.name}:"

    def _begun(self, said: str, before: GenerationState) -> Exchange:
        """What is said -> an exchange whose reply can be drawn, now and again."""
        whole = resume(self.model.tokenizer, before, turn_line(self.me, said) + self._opening)
        # All but the last token, whose logits the reply begins with.
        read, state = whole.ids[:-1], whole.state
        state = self._engine.zero_state(1) if state is None else state
        _, state = self._engine.read_prompt(read[:, None], state)
        history = np.concatenate([whole.history, read])
        start = GenerationState(whole.ids[-1:], state, history)
        return Exchange(self.me, said, self.name, before, start)

    def _drawn(self, exchange: Exchange, instead: bool = False) -> Iterator[str]:
        """Draw a reply, then take it into the conversation."""
        self._tries += 1
        text, finish, end, tokens = "", "", exchange.start, 0
        for chunk in self._generated(exchange):
            piece = chunk.text if text else chunk.text.lstrip(" ")
            text, tokens = text + piece, chunk.tokens
            if chunk.finish:
                finish, end = chunk.finish, chunk.end or end
            if piece:
                yield piece
        after = self._after(end, finish)
        exchange = replace(exchange, reply=text, finish=finish, after=after, tokens=tokens)
        self.exchanges[len(self.exchanges) - instead :] = [exchange]
        self._state = after

    def _generated(self, exchange: Exchange) -> Iterator[Chunk]:
        filters, ends = self.filters()
        return generate(
            _Stepped(self.model.tokenizer, self._stepper()),
            [exchange.start],
            self.turn_params,
            [self._tries],
            filters,
            ends,
            interrupted=self.interrupted,
        )

    def opened(self, text: str) -> tuple[GenerationState, int]:
        """What is said -> where its reply begins, for another to draw, and its stream of numbers.

        Nothing was said by that. UsageError for a text without any character.
        """
        lines = turn_line(self.me, self._said(text)) + self._opening
        return resume(self.model.tokenizer, self._state, lines), self._tries + 1

    @property
    def turn_params(self) -> SamplingParams:
        """`params` as a reply is drawn with them: to the end of the turn."""
        return replace(self.params, stop=("\n", *self.params.stop), whole=True, lines=False)

    def filters(self) -> tuple[list[Filter], Callable[[int, int], bool] | None]:
        """The filters of one reply, and what ends it."""
        tokenizer, allowed = self.model.tokenizer, self.constraints.allow
        # The end of a turn is no part of its text.
        constraints = replace(self.constraints, allow=None if allowed is None else allowed + "\n")
        filters, ends = self.model.filters(constraints, end=tokenizer.newline_id)
        names = None if self._unknown else [*self.speakers, self.name, self.me]
        return [*filters, TurnConstraint(tokenizer, names)], ends

    def _stepper(self) -> Stepper:
        if not self.relevance:
            return self._engine
        alone = begin(self.model.tokenizer, self._opening).ids
        tokens = RELEVANT_CHARACTERS if self._characters else RELEVANT_TOKENS
        return RelevantStepper(self._engine, alone, self.relevance, tokens)

    def _after(self, end: GenerationState, finish: str) -> GenerationState:
        """The end of a reply -> the state from which the next turn is read."""
        newline = np.array([self.model.tokenizer.newline_id])
        # A reply that was cut ends here, as a turn does; the end of a document would be a reset.
        ids = {"stop": end.ids, "end": newline}.get(finish, np.concatenate([end.ids, newline]))
        state = end.state
        if self.relevance and state is not None:
            state = state[: len(state) // 2]
        return GenerationState(ids, state, end.history)
