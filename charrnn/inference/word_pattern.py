"""Known words as a regular expression, which `--regex` has to match as well.

Two constraints that each know a way on may know none together. Where there is a pattern, one
automaton for both rules that out.
"""

import re
from collections.abc import Iterable

from charrnn.inference.word_automaton import (
    CLOSED,
    JOINER,
    WordAutomaton,
    WordState,
    kind_of,
)
from charrnn.tokenizers.word import JOINERS, WITHOUT_SPACES, unicode_pattern

JOIN = f"[{JOINERS}]"

ANY = r"(?s:.)*"


def rest_of_text(automaton: WordAutomaton, state: WordState | None) -> list[str]:
    """A state -> patterns that all of the text from there on has to match.

    With None the text may begin inside of any word.
    """
    between = _between(automaton.allowed)
    outside = f"(?:{between}|{JOIN})*"
    # A joiner that a letter follows would be part of the word before it.
    parted = f"(?:{between}|{JOIN}(?:{between}|{JOIN})){outside}"
    word = _any_of(automaton.words)
    words = f"(?:{word}{parted})*(?:{word}{JOIN}?)?"
    more = f"(?:{parted}{words}|{JOIN}?)"
    after = f"(?:(?:{between}|{JOIN}){outside}{words})?"
    if state is None:
        text = rf"[\w\p{{M}}{JOINERS}]*(?:{between}{outside}{words})?"
    elif state.word == CLOSED:
        text = f"(?:{between}{outside}{words})?"
    elif state.word:
        text = _rest_of_word(automaton, state.word, more, after)
    elif state.after == "word":
        text = after
    else:
        text = f"{outside}{words}"
    return [text, *(f"~{ANY}{_literal(each)}{ANY}" for each in automaton.ban)]


def _rest_of_word(automaton: WordAutomaton, begun: str, more: str, after: str) -> str:
    """Inside a word: what is left of those that begin so, and what follows the word."""
    ends = [word[len(begun) :] for word in automaton.beginning(begun)]
    found = [f"{_any_of(filter(None, ends))}{more}"] if any(ends) else []
    if automaton.is_word(begun):
        found.append(more)
    elif kind_of(begun[-1]) == JOINER and automaton.is_word(begun[:-1]):
        # After its joiner the word has ended, unless a letter follows.
        found.append(after)
    return f"(?:{'|'.join(found)})"


def _any_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(_literal, texts))})"


def _literal(text: str) -> str:
    return re.escape(text).replace("\n", r"\n")


def _between(allowed: set[str] | None) -> str:
    """A character that is part of no word."""
    scripts = WITHOUT_SPACES[1:-1]
    if allowed is None:
        return rf"(?:[^\w\p{{M}}{JOINERS}\x{{200c}}\x{{200d}}\x{{ad}}\x{{2060}}]|[{scripts}])"
    letters = unicode_pattern(rf"(?![{scripts}])[\w\p{{M}}{JOINERS}\u200c\u200d\u00ad\u2060]")
    found = [each for each in sorted(allowed) if not letters.match(each)]
    return _any_of(found) if found else r"[^\w\W]"
