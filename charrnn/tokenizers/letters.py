"""LetterModel: the price of a word that has no id, by its characters.

An interpolated n-gram model of the characters of words with Witten-Bell smoothing (Witten & Bell
1991), learned from words of the training text. Before any context a character costs as much as its
length in UTF-8 suggests, so that every word of every script has a price.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

END = ""
"""What follows the last character of a word."""

UTF8_LENGTHS = (0x80, 0x800, 0x10000, 0x110000)
"""The code points that begin a longer UTF-8 encoding."""


class LetterModel:
    """P(characters of a word and its end), from a list of words.

    >>> model = LetterModel([" the", " them", " then"])
    >>> model.nats(" the") < model.nats(" eht") < model.nats(" \u4e00\u4e01\u4e02")
    True
    """

    def __init__(self, words: Iterable[str], order: int = 4) -> None:
        self._order = order
        self._counts: dict[str, dict[str, int]] = defaultdict(dict)
        for word in words:
            for at, letter in enumerate((*word, END)):
                for size in range(min(at, order - 1) + 1):
                    followers = self._counts[word[at - size : at]]
                    followers[letter] = followers.get(letter, 0) + 1
        self._totals = {context: sum(each.values()) for context, each in self._counts.items()}
        # The same unknown words come again and again.
        self.nats = cache(self._nats)

    def _nats(self, word: str) -> float:
        """A word -> the nats of its characters and its end."""
        return -sum(
            math.log(self._probability(word[max(0, at - self._order + 1) : at], letter))
            for at, letter in enumerate((*word, END))
        )

    def _probability(self, context: str, letter: str) -> float:
        """P(letter | context), interpolated from no context to the longest known one."""
        p = _unseen(letter)
        for size in range(len(context) + 1):
            before = context[len(context) - size :]
            followers = self._counts.get(before)
            # A longer context of an unknown one is unknown too.
            if not followers:
                break
            p = (followers.get(letter, 0) + len(followers) * p) / (
                self._totals[before] + len(followers)
            )
        return p


def _unseen(letter: str) -> float:
    """The probability of a character before anything is known: equal for the five kinds of event.

    The kinds are the four lengths in UTF-8 and the end of the word.
    """
    if letter == END:
        return 1 / 5
    begin = 0
    for end in UTF8_LENGTHS:
        if ord(letter) < end:
            break
        begin = end
    return 1 / (5 * (end - begin))
