"""Only words of a list are written, whatever tokens spell them: the constraint `--known-words`.

A token is left only if some tokens lead from it to the end of a word: there is no dead end.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.inference.masks import MOST_CACHED, MaskConstraint, Node
from charrnn.inference.text_tracker import token_digits, token_texts, uses_byte_fallback
from charrnn.inference.word_automaton import (
    CLOSED,
    CONTROL,
    FREE,
    JOINER,
    OTHER,
    SPACE,
    WordAutomaton,
    WordState,
    kind_of,
)
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Decoder
from charrnn.tokenizers.word import JOINERS, LETTERS, WITHOUT_SPACES, unicode_pattern

IDS = ""
"""The key of a node of the tree of tokens that holds the tokens which end there."""

BETWEEN = (SPACE, FREE, CONTROL, OTHER)
"""Kinds of characters that end a word."""

LISTED = (range(0x80, 0xD800), range(0xE000, 0x10000), range(0x1F000, 0x20000))
"""Code points that are looked through for symbols that take several tokens."""

Tree = dict[str, Any]
"""Character -> the tree of what follows it in tokens; IDS -> ids."""


class Place(NamedTuple):
    """Where a row is: a state, and the digits of a character that is incomplete."""

    state: WordState
    begun: str = ""


class KnownWordsConstraint(MaskConstraint[Place]):
    """Leaves only tokens that write known words and what is between them.

    A word of the prompt that is not complete belongs to the text; if no known word begins so, it
    can only end. UsageError if no token is left.
    """

    name = "known_words"

    def __init__(self, automaton: WordAutomaton, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.vocab_size)
        self.automaton, self._tokenizer = automaton, tokenizer
        self._pieces, self._digits = token_texts(tokenizer), token_digits(tokenizer)
        self._unsampled = set(tokenizer.unsampled)
        sampled = [token for token in range(self._size) if token not in self._unsampled]
        self._tree = _tree((token, self._pieces[token]) for token in sampled)
        # Tokens that are a part of a character, by their digits; all are one or two digits long.
        parts = [token for token in sampled if not self._pieces[token] and self._digits[token]]
        self._parts = {self._digits[token]: token for token in parts}
        self._alive: dict[Place, bool] = {}
        self._between: dict[WordState, NDArray[np.bool_]] = {}
        # As many tokens as the longest word can have, with what is before it.
        self._look = (8 if parts else 1) * (automaton.longest + 2)
        if not self._node(Place(WordState())).kept.any():
            raise UsageError(
                "--known-words leaves nothing to write with", "give more words, or leave it out"
            )

    def state_after(self, history: NDArray[np.integer]) -> WordState:
        """The ids so far -> the state of the automaton after them."""
        return self._place(history).state

    def _enter(self, history: NDArray[np.integer]) -> Node[Place]:
        return self._node(self._place(history))

    def _place(self, history: NDArray[np.integer]) -> Place:
        """The ids before a row's first token -> where it is."""
        # A word without an id, of which nothing is known, can only end.
        if len(history) and history[-1] == self._tokenizer.unknown_id:
            return Place(WordState(CLOSED))
        decoder = Decoder(self._tokenizer)
        text = "".join(decoder.push(int(i)) for i in history[-self._look :] if i >= 0)
        begun = "".join(self._digits[i] for i in decoder.incomplete)
        return self._settled(self.automaton.read(text), begun)

    def _settled(self, state: WordState, begun: str) -> Place:
        """A state that may have been reached by no way of this constraint -> where a row is."""
        # No tokens may lead from where a prompt ends to the end of a word that begins so.
        if not begun and not self._is_alive(state):
            state = state._replace(word=CLOSED)
        return Place(state, begun)

    def _moved(self, place: Place, token: int) -> Place:
        state, text, begun = place.state, self._pieces[token], ""
        if token == self._tokenizer.unknown_id:
            return Place(WordState(CLOSED))
        if not text:
            text, begun = complete(place.begun + self._digits[token])
        # Another constraint may bring back a token that this one ruled out.
        for character in text:
            state = self.automaton.forced(state, character)
        return self._settled(state, begun)

    def _kept(self, place: Place) -> NDArray[np.bool_]:
        kept = np.zeros(self._size, bool)
        kept[list(self._inside(place))] = True
        if not place.begun and self.automaton.can_end(place.state):
            kept |= self._ending(place.state)
        return kept

    def _refuse(self, place: Place) -> NoReturn:
        raise UsageError(
            f"--known-words leaves nothing to write after {place.state.word!r}",
            "leave out another constraint, or give more words",
        )

    def _is_alive(self, state: WordState) -> bool:
        """Whether the word that a text is in can be brought to its end."""
        if not state.word or self._all_alive:
            return True
        place = Place(state)
        found = self._alive.get(place)
        if found is None:
            # The first token will do: each is a step nearer to the end of a word.
            found = self._can_end(state) or next(self._inside(place), None) is not None
            self._alive[place] = found
        return found

    @functools.cached_property
    def _all_alive(self) -> bool:
        """Whether each character of a word is a token, so that no beginning of a word is an end."""
        if self.automaton.ban or not (self._between_words or self._begin_between):
            return False
        characters = set("".join(self.automaton.words))
        return all(IDS in self._tree.get(character, ()) for character in characters)

    def _can_end(self, state: WordState) -> bool:
        """Whether a word may end, and there is something to write behind it."""
        return self.automaton.can_end(state) and (
            bool(self._begin_between)
            or any(self.automaton.step(state, each) is not None for each in self._between_words)
        )

    @functools.cached_property
    def _between_words(self) -> list[str]:
        """What tokens begin with that is no word."""
        return [each for each in self._tree if each != IDS and kind_of(each) in BETWEEN]

    def _ending(self, state: WordState) -> NDArray[np.bool_]:
        """A state in which a word may end -> the tokens (V,) that begin with what is no word."""
        # The same after every word, unless a banned text may end there.
        after = state.after if not state.word else ""
        key = WordState("", after, state.recent)
        if key not in self._between:
            if len(self._between) * self._size > MOST_CACHED:
                self._between.clear()
            kept = np.zeros(self._size, bool)
            for character, node in self._tree.items():
                if kind_of(character) in BETWEEN:
                    kept[list(self._below(node, self.automaton.step(key, character)))] = True
            kept[[self._parts[each] for each in self._begin_between]] = True
            self._between[key] = kept
        return self._between[key]

    def _inside(self, place: Place) -> Iterator[int]:
        """The tokens that go on with a word or begin one, or go on with a character."""
        state, begun = place
        if begun:
            yield from (
                token for each, token in self._parts.items() if self._fits(state, begun + each)
            )
            return
        word = state.word
        letters = self.automaton.next_letters(word)
        for character in dict.fromkeys([*letters, *self._joiners]):
            after = self.automaton.step(state, character)
            if after is None:
                continue
            if character in self._tree:
                yield from self._below(self._tree[character], after)
            if self._parts and self._falls_back(character) and self._is_alive(after):
                digits = character.encode().hex()
                # Of the two lengths a tokenizer has one.
                yield from (self._parts[d] for d in (digits[:1], digits[:2]) if d in self._parts)

    def _below(self, node: Tree, state: WordState | None) -> Iterator[int]:
        """A node of the tree and the state there -> the tokens below it that may be written."""
        if state is None:
            return
        if IDS in node and self._is_alive(state):
            yield from node[IDS]
        for character, below in node.items():
            if character != IDS:
                yield from self._below(below, self.automaton.step(state, character))

    def _fits(self, state: WordState, digits: str) -> bool:
        """Whether these digits are, or begin, a character that may be written."""
        text, rest = complete(digits)
        if text and (rest or len(text) > 1):
            return False
        for each in (text,) if text else self._fallbacks.get(digits, ()):
            after = self.automaton.step(state, each)
            if after is not None and self._falls_back(each) and self._is_alive(after):
                return True
        return False

    @functools.cached_property
    def _joiners(self) -> list[str]:
        """Joiners that can be written."""
        own = {piece[0] for piece in self._pieces if piece} | set("".join(self.automaton.words))
        return sorted(each for each in own if kind_of(each) == JOINER)

    @functools.cached_property
    def _begin_between(self) -> list[str]:
        """The digits of tokens that begin a character between words."""
        return [
            each
            for each in self._parts
            if any(kind_of(found) in BETWEEN for found in self._fallbacks.get(each, ()))
        ]

    @functools.cached_property
    def _fallbacks(self) -> dict[str, list[str]]:
        """Digits -> characters that begin so and are listed: those of words, and some others.

        Of the others there is one for each beginning, because all can follow where one can.
        """
        found: dict[str, list[str]] = {}
        allowed = self.automaton.allowed
        for character in sorted(set("".join(self.automaton.words))):
            if self._falls_back(character):
                self._note(found, character)
        last = ""
        for character in _between_characters() if allowed is None else sorted(allowed):
            digits = character.encode().hex()[:-1]
            is_new = allowed is not None or digits != last
            if is_new and kind_of(character) in BETWEEN and self._falls_back(character):
                self._note(found, character)
                last = digits
        return found

    def _note(self, found: dict[str, list[str]], character: str) -> None:
        digits = character.encode().hex()
        for end in range(1, len(digits)):
            found.setdefault(digits[:end], []).append(character)

    def _falls_back(self, character: str) -> bool:
        """Whether a character has no token of its own, and those of its bytes are sampled."""
        if character not in self._known_fallbacks:
            ids = set(self._tokenizer.encode(character).tolist())
            own = uses_byte_fallback(character, self._tokenizer) and not ids & self._unsampled
            self._known_fallbacks[character] = own
        return self._known_fallbacks[character]

    @functools.cached_property
    def _known_fallbacks(self) -> dict[str, bool]:
        return {}


@functools.cache
def _between_characters() -> str:
    """Characters of several bytes that are part of no word, in order."""
    every = "".join(chr(point) for each in LISTED for point in each)
    words = unicode_pattern(rf"(?!{WITHOUT_SPACES})[{LETTERS}{JOINERS}]+")
    found: str = words.sub("", every)
    return found


def _tree(tokens: Iterable[tuple[int, str]]) -> Tree:
    """Ids with their texts -> the tree of them; those without a text are left out."""
    tree: Tree = {}
    for token, piece in tokens:
        if piece:
            node = tree
            for character in piece:
                node = node.setdefault(character, {})
            node.setdefault(IDS, []).append(token)
    return tree


def complete(digits: str) -> tuple[str, str]:
    """Hexadecimal digits of UTF-8 -> the characters that they complete, and the digits left over.

    >>> complete("c3a9e2"), complete("c")
    (('é', 'e2'), ('', 'c'))
    """
    raw = bytes.fromhex(digits[: len(digits) // 2 * 2])
    for end in range(len(raw), -1, -1):
        try:
            text, rest = raw[:end].decode(), digits[2 * end :]
        except UnicodeDecodeError:
            continue
        # No character is longer: what has begun is none.
        return ("\ufffd", "") if len(rest) >= 8 else (text, rest)
    return "", digits
