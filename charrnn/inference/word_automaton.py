"""Where words begin and end, character by character: the automaton of `--known-words`.

A word is what the word tokenizer takes for one: letters, digits and marks, with an apostrophe or a
hyphen between them. Scripts that put no spaces between words have none: their characters are free.
"""

import functools
from bisect import bisect_left
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NamedTuple

from charrnn.tokenizers.documents import END
from charrnn.tokenizers.word import JOINERS, LETTERS, WITHOUT_SPACES, unicode_pattern

LETTER, MARK, INNER, JOINER, SPACE, FREE, CONTROL, OTHER = range(8)
"""Kinds of characters; a mark or a joiner of shapes begins no word after a symbol, and what is only
inside of words never does."""

CLOSED = "\0"
"""The word of a state inside an unknown word, which can only end."""


class WordState(NamedTuple):
    """Where a text is: the word so far, "" outside of one.

    after: "symbol" where a mark would belong to a symbol, "word" where a letter would go on with
    the word before a joiner, else "". recent: the last characters, as far as a banned text can
    begin in them.
    """

    word: str = ""
    after: str = ""
    recent: str = ""


@functools.cache
def _patterns() -> tuple[tuple[int, Any], ...]:
    sets = (
        (FREE, WITHOUT_SPACES),
        (MARK, r"[\p{M}\u200c\u200d]"),
        (LETTER, r"\w"),
        (INNER, f"[{LETTERS}]"),
        (JOINER, f"[{JOINERS}]"),
        (SPACE, r"\s"),
        # No mark belongs to one of these (Unicode 29, rule GB4).
        (CONTROL, r"[\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}]"),
    )
    return tuple((kind, unicode_pattern(each)) for kind, each in sets)


@functools.lru_cache(maxsize=1 << 16)
def kind_of(character: str) -> int:
    """A character -> its kind."""
    for kind, pattern in _patterns():
        if pattern.match(character):
            return kind
    return OTHER


def find_words(text: str) -> set[str]:
    """A text -> the words in it.

    >>> sorted(find_words("The cat's well-known -- 'tis 中文 so."))
    ['The', "cat's", 'so', 'tis', 'well-known']
    """
    # Anywhere that a word can begin: a symbol takes the marks after it (Unicode's grapheme
    # clusters), and characters of scripts without spaces are no part of a word.
    letters = rf"(?:(?!{WITHOUT_SPACES})[{LETTERS}])"
    pattern = rf"(?:(?!{WITHOUT_SPACES})[\w\p{{M}}]){letters}*(?:[{JOINERS}]{letters}+)*|\s|\X"
    return {
        found
        for found in set(unicode_pattern(pattern).findall(text))
        if kind_of(found[0]) in (LETTER, MARK)
    }


class WordAutomaton:
    """States of a text in which every word is one of a list.

    words: those that may be written; each also with its first letter in upper case. ban: texts
    that are never completed. allow: the characters that may be written, None for all.

    >>> automaton = WordAutomaton(["cat", "cats"])
    >>> state = automaton.read("a cat sat. Ca")
    >>> automaton.next_letters("cat")
    ['s']
    >>> [each for each in "trs " if automaton.step(state, each)]
    ['t']
    """

    def __init__(
        self, words: Iterable[str], ban: tuple[str, ...] = (), allow: str | None = None
    ) -> None:
        found = {word for word in words if word and kind_of(word[0]) in (LETTER, MARK)}
        # A sentence may begin with any of them. "ß" has no single upper case letter.
        found |= {w[0].upper() + w[1:] for w in found if len(w[0].upper()) == 1}
        if allow is not None:
            known = set(allow)
            found = {word for word in found if known.issuperset(word)}
        if ban:
            found = {word for word in found if not any(text in word for text in ban)}
        self.words = sorted(found)
        # The end of a document is no character.
        self.ban, self.allowed = ban, None if allow is None else {*allow, END}
        self._recent = max(map(len, ban), default=1) - 1

    @property
    def longest(self) -> int:
        """Characters of the longest word."""
        return max(map(len, self.words), default=0)

    def is_word(self, text: str) -> bool:
        """Whether a text is one of the words."""
        place = bisect_left(self.words, text)
        return place < len(self.words) and self.words[place] == text

    def begins(self, text: str) -> bool:
        """Whether one of the words begins so."""
        place = bisect_left(self.words, text)
        return place < len(self.words) and self.words[place].startswith(text)

    def beginning(self, text: str) -> list[str]:
        """The words that begin so."""
        place = bisect_left(self.words, text)
        return list(takewhile(lambda word: word.startswith(text), self.words[place:]))

    def next_letters(self, text: str) -> list[str]:
        """What can follow the beginning of a word inside it, in order."""
        found: list[str] = []
        place, size = bisect_left(self.words, text), len(text)
        while place < len(self.words) and self.words[place].startswith(text):
            if len(self.words[place]) == size:
                place += 1
                continue
            found.append(self.words[place][size])
            place = bisect_left(self.words, text + chr(ord(found[-1]) + 1), place)
        return found

    def can_end(self, state: WordState) -> bool:
        """Whether what is no part of a word may follow."""
        if not state.word or state.word == CLOSED or self.is_word(state.word):
            return True
        return kind_of(state.word[-1]) == JOINER and self.is_word(state.word[:-1])

    def step(self, state: WordState, character: str) -> WordState | None:
        """A state and a character -> the state after it; None where it may not be written."""
        if self.allowed is not None and character not in self.allowed:
            return None
        if self.ban and (state.recent + character).endswith(self.ban):
            return None
        recent = self._latest(state, character) if self.ban else ""
        return self._move(state, character, recent)

    def _latest(self, state: WordState, character: str) -> str:
        """The end of the text in which a banned text can begin."""
        recent = state.recent + character
        return recent[len(recent) - self._recent :] if len(recent) > self._recent else recent

    def _move(self, state: WordState, character: str, recent: str) -> WordState | None:
        """As `step`, without regard to banned texts."""
        kind = kind_of(character)
        if not state.word:
            return self._outside(state, character, kind, recent)
        if state.word == CLOSED:
            # A letter after a joiner would still belong to the unknown word.
            return None if kind in (LETTER, MARK, INNER, JOINER) else self._left(kind, recent)
        if kind in (LETTER, MARK, INNER):
            word = state.word + character
            return WordState(word, "", recent) if self.begins(word) else None
        joined = kind_of(state.word[-1]) == JOINER
        if kind == JOINER and not joined:
            if self.begins(state.word + character):
                return WordState(state.word + character, "", recent)
            return WordState("", "word", recent) if self.is_word(state.word) else None
        ended = state.word[:-1] if joined else state.word
        return self._left(kind, recent) if self.is_word(ended) else None

    def _outside(
        self, state: WordState, character: str, kind: int, recent: str
    ) -> WordState | None:
        """The state after a character that is outside of a word, or begins one."""
        if kind in (LETTER, MARK, INNER) and state.after == "word":
            return None
        if kind == LETTER or (kind == MARK and state.after != "symbol"):
            return WordState(character, "", recent) if self.begins(character) else None
        return self._left(CONTROL if kind == INNER else kind, recent)

    def _left(self, kind: int, recent: str) -> WordState:
        """The state after a character that is no letter."""
        return WordState("", "" if kind in (SPACE, CONTROL) else "symbol", recent)

    def read(self, text: str) -> WordState:
        """Any text -> the state after it, also where it has unknown words."""
        state = WordState()
        for character in text:
            state = self.forced(state, character)
        return state

    def forced(self, state: WordState, character: str) -> WordState:
        """The state after any character, also one that may not be written."""
        recent = self._latest(state, character) if self.ban else ""
        if found := self._move(state, character, recent):
            return found
        kind = kind_of(character)
        inside = bool(state.word) or state.after == "word"
        if kind in (LETTER, MARK, INNER) or (kind == JOINER and inside):
            return WordState(CLOSED, "", recent)
        return self._left(kind, recent)

    def unknown_end(self, text: str) -> str:
        """The unfinished word that a text ends in, if none of the words begins so; else ""."""
        if self.read(text).word != CLOSED:
            return ""
        begin = len(text)
        while begin and kind_of(text[begin - 1]) in (LETTER, MARK, INNER, JOINER):
            begin -= 1
        return text[begin:]
