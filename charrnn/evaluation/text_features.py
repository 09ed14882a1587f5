"""What can be named at each character of a text: inside quotes, the place in a line or a word ...

A feature gives each character a class, 0 where nothing special holds. It describes the text up to
and including the character, as a network that has just read it could know it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError

Classes = NDArray[np.uint8]
"""One class for each character (N,)."""


@dataclass(frozen=True)
class Feature:
    """A name, a class for each of N characters, and what the classes are called.

    >>> feature = Feature("digit", np.array([0, 1, 0, 1], np.uint8), ("other", "digit"))
    >>> feature.entropy
    1.0
    """

    name: str
    classes: Classes
    names: tuple[str, ...]

    @property
    def entropy(self) -> float:
        """Bits that it takes to say the class of a character."""
        shares = np.bincount(self.classes) / max(1, len(self.classes))
        return -sum(float(p) * math.log2(p) for p in shares if p) + 0.0


def text_features(
    text: str, own: Mapping[str, str] | None = None, labels: Sequence[str] = ()
) -> list[Feature]:
    """A text -> the features of its characters; own: regular expressions by name.

    labels: of documents that each begin with one and a tab.

    A feature of one's own holds where its expression matches or, if it has groups, where they do.
    UsageError for an expression that is none.
    """
    found = [Feature(name, *make(text)) for name, make in FEATURES.items()]
    if labels:
        found.append(Feature("label of the document", *_labels(text, labels)))
    for name, pattern in (own or {}).items():
        found.append(Feature(name, _matched(text, compiled(name, pattern)), ("outside", "inside")))
    return found


def compiled(name: str, pattern: str) -> re.Pattern[str]:
    """A regular expression of Python, in which ^ and $ are those of lines. UsageError if none."""
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(
            f"--feature {name} is not a regular expression: {error}",
            "write it as Python does: charrnn neurons --feature 'shouting=[A-Z]{2,}'",
        ) from None


def _matched(text: str, pattern: re.Pattern[str]) -> Classes:
    """1 where a pattern matches, or where its groups do if it has any."""
    found = np.zeros(len(text), np.uint8)
    groups = range(1, pattern.groups + 1) if pattern.groups else (0,)
    for match in pattern.finditer(text):
        for group in groups:
            begin, end = match.span(group)
            found[max(0, begin) : max(0, end)] = 1
    return found


Made = tuple[Classes, tuple[str, ...]]
"""Classes and their names."""

PAIRS = {"“": "”", "„": "“”", "«": "»", "»": "«", '"': '"'}
"""Opening quotation marks -> what closes them."""


def quotes(text: str) -> Made:
    """Inside double quotation marks, from the opening one on; a blank line ends them too."""
    found = np.zeros(len(text), np.uint8)
    closing, before = "", ""
    for place, c in enumerate(text):
        if closing:
            if c in closing or (c == "\n" == before):
                closing = ""
        elif c in PAIRS:
            closing = PAIRS[c]
        found[place] = bool(closing)
        before = c
    return found, ("outside", "inside")


SINGLE = re.compile(r"(?<![^\W_])['‘](?=[^\W_])(?:[^\n]|\n(?!\n)){1,400}?(?=['’](?![^\W_]))")
"""What begins like a single quotation, not like the apostrophe in a word, and ends like one."""


def single_quotes(text: str) -> Made:
    """Inside single quotation marks."""
    return _matched(text, SINGLE), ("outside", "inside")


def brackets(text: str) -> Made:
    """How deep inside brackets; a blank line closes all."""
    found = np.zeros(len(text), np.uint8)
    depth, before = 0, ""
    for place, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth = max(0, depth - 1)
        elif c == "\n" == before:
            depth = 0
        found[place] = min(depth, 3)
        before = c
    return found, ("outside", "depth 1", "depth 2", "depth 3 and more")


def _since(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where something begins (N,) -> the places since its last beginning, 0 at one."""
    places = np.arange(len(starts))
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def _flags(text: str, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Whether something holds for each character; asked once for each different one."""
    known = {c: holds(c) for c in set(text)}
    return np.fromiter((known[c] for c in text), bool, len(text))


def _after(flags: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
    """Flags, each one place later."""
    return np.concatenate([[first], flags[:-1]])[: len(flags)]


def _columns(text: str) -> NDArray[np.int64]:
    """The column of each character, from 0; a newline has that after its line."""
    return _since(_after(_flags(text, "\n".__eq__), True))


def column(text: str) -> Made:
    """The place in the line, in eight parts that are about equally frequent."""
    columns = _columns(text)
    if not len(columns):
        return columns.astype(np.uint8), ("",)
    edges = np.unique(np.quantile(columns, np.arange(1, 8) / 8).astype(int))
    limits = [0, *(int(edge) + 1 for edge in edges)]
    names = [f"columns {a} to {b - 1}" for a, b in pairwise(limits)]
    return (
        np.searchsorted(edges, columns, "left").astype(np.uint8),
        (*names, f"from column {limits[-1]}"),
    )


def word_place(text: str) -> Made:
    """The place in the word: no letter, the first, second ... one."""
    letters = _flags(text, str.isalpha)
    place = _since(~letters)
    # At the very beginning there is nothing before the first letter.
    place = place + (np.maximum.accumulate(~letters) == 0)
    edges = np.array([0, 1, 2, 3, 4, 6])
    names = ("no letter", "letter 1", "letter 2", "letter 3", "letter 4", "letters 5 to 6")
    return np.searchsorted(edges, place, "left").astype(np.uint8), (*names, "from letter 7")


def sentence_place(text: str) -> Made:
    """How many words of the sentence have begun."""
    letters = _flags(text, str.isalpha)
    begins = letters & ~_after(letters, False)
    ends = _flags(text, ".!?:;".__contains__)
    words = np.cumsum(begins)
    before = np.maximum.accumulate(np.where(ends, words, 0))
    names = ("no word", "words 1 to 2", "words 3 to 5", "words 6 to 10", "from word 11")
    classes = np.searchsorted([0, 2, 5, 10], words - before, "left")
    return np.asarray(classes, np.uint8), names


def letter_case(text: str) -> Made:
    """Lower case, upper case, or no letter."""
    upper = _flags(text, str.isupper)
    return _flags(text, str.islower) + np.uint8(2) * upper, ("no letter", "lower", "upper")


def digit(text: str) -> Made:
    """Digits."""
    return _flags(text, str.isdigit).astype(np.uint8), ("other", "digit")


def line_start(text: str) -> Made:
    """The first character after a newline."""
    return (_columns(text) == 0).astype(np.uint8), ("elsewhere", "first of its line")


def first_line(text: str) -> Made:
    """In a line that follows a blank one."""
    return _matched(text, re.compile(r"(?:\A|(?<=\n\n))[^\n]+")), ("elsewhere", "in it")


def indentation(text: str) -> Made:
    """How far the line is indented, once its blanks are read; tabs count for four."""
    found = np.zeros(len(text), np.uint8)
    for match in re.finditer(r"^([ \t]+)([^\n]*)", text, re.MULTILINE):
        width = len(match[1].expandtabs(4))
        found[match.start() : match.end()] = 1 + (width > 4) + (width > 8)
    return found, ("none", "1 to 4", "5 to 8", "9 and more")


NAME = re.compile(r"^([^\W\d_][^\n:]{0,39}):", re.MULTILINE)
"""A speaker's name at the beginning of a line."""

LEAST_LINES, LEAST_SHARE = 5, 0.03
"""Lines that must begin with a name, and their share of all, for a text to have speakers."""

MOST_NAMES = 7
"""Classes of speakers or keys; all others are one."""


def _speakers(text: str) -> list[re.Match[str]]:
    """The names that speak, where the text is one of speakers: most are named more than once."""
    if KEY.search(text):
        # The fields of a tune's head look like names.
        return []
    found = [match for match in NAME.finditer(text) if match[1].strip()]
    counts = Counter(match[1] for match in found)
    again = sum(number for number in counts.values() if number > 1)
    lines = text.count("\n") + 1
    enough = len(found) >= LEAST_LINES and len(found) >= LEAST_SHARE * lines
    return found if enough and len(counts) > 1 and 2 * again >= len(found) else []


def speaker_name(text: str) -> Made:
    """Inside the name of who speaks."""
    found = np.zeros(len(text), np.uint8)
    for match in _speakers(text):
        found[match.start() : match.end(1)] = 1
    return found, ("elsewhere", "name")


def speaker(text: str) -> Made:
    """Who speaks, from the colon on."""
    return _holding(text, [(match.end(1), match[1]) for match in _speakers(text)])


KEY = re.compile(r"^K:[ \t]*([^\n]*)", re.MULTILINE)
"""The field of a tune in ABC notation that names its key; the notes begin after it."""


def tune_key(text: str) -> Made:
    """The key of the tune in ABC notation, from its field to the next tune."""
    found = [(match.end(), match[1].strip()) for match in KEY.finditer(text)]
    if found:
        found += [(match.start(), "") for match in re.finditer(r"^X:", text, re.MULTILINE)]
    return _holding(text, sorted(found))


def tune_head(text: str) -> Made:
    """In a field of a tune's head in ABC notation."""
    fields = re.compile(r"^[A-Za-z]:[^\n]*", re.MULTILINE)
    found = _matched(text, fields) if KEY.search(text) else np.zeros(len(text), np.uint8)
    return found, ("notes", "head")


def bar_place(text: str) -> Made:
    """The place in the bar of a tune in ABC notation, in characters."""
    head, _ = tune_head(text)
    if not head.any():
        return head, ("none",)
    since = np.minimum(_since(_flags(text, "|\n".__contains__)), 12)
    classes = np.searchsorted([0, 2, 4, 6, 8], since, "left") + 1
    names = ("head", "bar line", "1 to 2", "3 to 4", "5 to 6", "7 to 8", "9 and more")
    return np.where(head, 0, classes).astype(np.uint8), names


def _labels(text: str, labels: Sequence[str]) -> Made:
    """The label of each document, from the tab after it on."""
    known = frozenset(labels)
    lines = re.finditer(r"^([^\t\n]+)\t", text, re.MULTILINE)
    return _holding(text, [(match.end(), match[1]) for match in lines if match[1] in known])


def _holding(text: str, places: list[tuple[int, str]]) -> Made:
    """Where each name begins to hold -> the classes: none, the commonest names, all others."""
    counts = Counter(name for _, name in places if name)
    names = [name for name, _ in counts.most_common(MOST_NAMES)]
    found = np.zeros(len(text), np.uint8)
    ends = [*(place for place, _ in places[1:]), len(text)]
    for (begin, name), end in zip(places, ends, strict=False):
        number = names.index(name) + 1 if name in names else len(names) + 1
        found[begin:end] = number if name else 0
    return found, ("none", *names, "another")


FEATURES: Mapping[str, Callable[[str], Made]] = {
    "inside quotes": quotes,
    "inside single quotes": single_quotes,
    "inside brackets": brackets,
    "place in the line": column,
    "place in the word": word_place,
    "place in the sentence": sentence_place,
    "letter case": letter_case,
    "digit": digit,
    "after a newline": line_start,
    "first line of a paragraph": first_line,
    "indentation": indentation,
    "speaker's name": speaker_name,
    "who speaks": speaker,
    "key of the tune": tune_key,
    "head of the tune": tune_head,
    "place in the bar": bar_place,
}
"""Name -> the function that finds it, in the order in which they are listed."""


def own_features(texts: Iterable[str]) -> dict[str, str]:
    """NAME=REGEX texts -> expressions by name. UsageError for one that is not such.

    >>> own_features(["shouting=[A-Z]{2,}"])
    {'shouting': '[A-Z]{2,}'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, pattern = text.partition("=")
        if not equals or not name.strip() or not pattern:
            raise UsageError(
                f"--feature {text!r} is not a name and a regular expression",
                "write it as NAME=REGEX",
            )
        if name in found or name in FEATURES:
            raise UsageError(f"there are two features {name!r}", "give one another name")
        compiled(name, pattern)
        found[name] = pattern
    return found
