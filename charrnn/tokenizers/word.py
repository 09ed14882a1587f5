"""One id for each word, punctuation mark or white space."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from charrnn.tokenizers.base import (
    NEWLINE,
    Ids,
    Tokenizer,
    count,
    damaged,
    id_type,
    rarest,
    to_bytes,
)
from charrnn.tokenizers.letters import LetterModel

# Lone surrogates: a word with one of them cannot be written as UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")

UNKNOWN_SHARE = 0.03
"""Largest part of the tokens that becomes `<unk>` where neither size nor minimum count is given.

That is enough to learn where a word without an id occurs (benchmarks/trials.md), and a text in
which nearly every word is different, such as a list of names, keeps its words.
"""

EXAMPLES = 2_000
"""Words without an id that are kept, for the price of the unknown ones."""

NEWEST = 2
"""The rules by which words are split today; 1 are those of checkpoints that do not say."""

JOINERS = "'’\u02bc\u05f3\u05f4\u00b7\u2011\\-"
"""Characters that join two parts of a word, inside a set of a pattern."""

LETTERS = r"\w\p{M}\u200c\u200d\u00ad\u2060"
"""Characters of which a word consists, inside a set of a pattern."""

PATTERNS: Mapping[int, Mapping[str, str]] = {
    # Each pattern matches every character of a text, so tokens join back to the text: the last
    # alternative, a single white space, takes what the others leave.
    1: {
        "punctuation": r" ?\w+(?:['’\-]\w+)*| ?[^\w\s]|\s",
        # In Penn Treebank each line ends in a space and a newline, which are one token here.
        "spaces": r" ?[^\s]+| ?\n|\s",
    },
    # With marks and joiners (ZWNJ, ZWJ, soft hyphen, word joiner), which are no word characters for
    # Python, as parts of words; and a symbol with what belongs to it, such as an emoji, in one.
    2: {
        "punctuation": rf" ?[\w\p{{M}}][{LETTERS}]*(?:[{JOINERS}][{LETTERS}]+)*| ?(?!\s)\X|\s",
        "spaces": r" ?[^\s]+| ?\n|\s",
    },
}
"""Rules -> how words are split -> the pattern of a token."""

WITHOUT_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
"""Characters of scripts that do not put spaces between words."""


def compiled(rules: int, split: str) -> Any:
    """Rules and split -> an object with `findall`."""
    pattern = PATTERNS[rules][split]
    if rules == 1 or split == "spaces":
        return re.compile(pattern)
    return unicode_pattern(pattern)


def unicode_pattern(pattern: str) -> Any:
    r"""A pattern with properties such as \p{M} -> an object with `match`, `findall` and `sub`."""
    # Imported here, because the other tokenizers do without it.
    import regex

    return regex.compile(pattern)


HOW_TO_ENCODE = """
TEXT TO IDS. The tokens are all matches of `pattern` from left to right, in the syntax of Python's
module `pattern_of`; they join to the text. Id 1 + i is the i-th of `words` in charrnn.tokenizer.
Any other token is unknown: id 0. Where `letters` is not null, the probability of an unknown token
is that of id 0 times P, the product over its characters c and its end of p(c | up to 3 characters
before it in the token). With n(context, c) counted in the tokens of `letters`, each with its end,
N the sum of n over c and D the number of different c after a context: p of a context is
(n + D * q) / (N + D), where q is p of the context without its first character; p of an unknown
context is q. Before the empty context q is 1/5 for the end and else 1 / (5 * size), where size is
the number of code points with as many bytes in UTF-8: 128, 1920, 63488 or 1048576.
"""
"""For a program that has nothing but an exported file."""


class WordTokenizer(Tokenizer):
    r"""One id for each frequent word, punctuation mark or white space; the rest is `<unk>`.

    A word includes the space before it, so that tokens join back to the text. With `split`
    "spaces" a word is anything between spaces, for texts that are already tokenized. `dropped`
    holds words of the training text that have no id, from which the price of an unknown word is
    learned; None, in checkpoints of earlier versions, leaves its characters without a price.

    >>> tokenizer = WordTokenizer.train(["the cat sat\n"])
    >>> tokenizer.decode(tokenizer.encode("the cat slept"))
    'the cat <unk>'
    """

    name = "word"
    how_to_encode = HOW_TO_ENCODE
    unknown = " <unk>"
    unknown_id: int = 0

    def __init__(
        self, words: list[str], split: str, rules: int = 1, dropped: list[str] | None = None
    ) -> None:
        self.words, self.split, self.rules, self.dropped = words, split, rules, dropped
        self._pattern = compiled(rules, split)
        self._index = {word: i for i, word in enumerate(words, 1)}
        self.vocab_size = 1 + len(words)
        self.newline_id = self._index[NEWLINE]
        self.unsampled = [self.unknown_id]

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        split: str = "punctuation",
        min_count: int | None = None,
        **_: Any,
    ) -> "WordTokenizer":
        """Blocks of text -> the most frequent words, `vocab_size` ids in all.

        Without a size, those with `min_count` occurrences; with neither, all but a part of those
        that occur once, as in `_left_out`.
        """
        pattern = compiled(NEWEST, split)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(pattern.findall(text))
        # The newline has an id of its own, whatever its count; it may also be missing here.
        newlines = counts.pop(NEWLINE, 0)
        # Words of equal count are in lexicographic order, not in that of their first occurrence,
        # so the vocabulary depends on the counts alone.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        out: set[str] = set()
        if min_count is None and vocab_size is None:
            out = _left_out(ranked, counts, newlines)
        # Two ids are not words of the ranking: the unknown word and the newline.
        most = len(ranked) if vocab_size is None else vocab_size - 2
        least = min_count or 1
        kept = [word for word in ranked[:most] if counts[word] >= least and word not in out]
        known = set(kept)
        rest = [word for word in ranked if word not in known]
        # Evenly spread over the alphabet and the counts, so that they represent all of them.
        stride = -(-len(rest) // EXAMPLES) or 1
        dropped = [word for word in rest[::stride] if not SURROGATE.search(word)]
        tokenizer = cls([NEWLINE, *kept], split, NEWEST, dropped)
        tokenizer.notes = tuple(_notes(counts, len(out)))
        return tokenizer

    def extended(self, texts: Iterable[str], min_count: int | None = None) -> "WordTokenizer":
        """Blocks of another text -> the same, with its words; split as this tokenizer splits.

        >>> WordTokenizer.train(["the cat"]).extended(["the dog"]).words[-1]
        ' dog'
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self._pattern.findall(text))
        newlines = counts.pop(NEWLINE, 0)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        out = _left_out(ranked, counts, newlines) if min_count is None else set()
        added: list[str] = []
        rest: list[str] = []
        for word in ranked:
            if word not in self._index and not SURROGATE.search(word):
                is_known = counts[word] >= (min_count or 1) and word not in out
                (added if is_known else rest).append(word)
        stride = -(-len(rest) // EXAMPLES) or 1
        # The words that this text leaves unknown say best what others of its kind look like.
        dropped = rest[::stride] or self.dropped or []
        new = type(self)([*self.words, *added], self.split, self.rules, dropped)
        notes = [f"{count(len(added), 'word')} added to those of the model"] if added else []
        if rest:
            notes.append(f"{count(len(rest), 'rare word')} read as <unk>")
        new.notes = tuple(notes)
        return new

    @property
    def never_sampled(self) -> tuple[int]:
        """The unknown word."""
        return (self.unknown_id,)

    @property
    def _examples(self) -> list[str]:
        # The least frequent of the known words are most like the unknown ones.
        return [*(self.dropped or ()), *islice(reversed(self.words), EXAMPLES)]

    @cached_property
    def _letters(self) -> LetterModel:
        return LetterModel(self._examples)

    def pieces(self, text: str) -> list[str]:
        """Text -> its words, marks and white space, which join to it; they may have no id."""
        found: list[str] = self._pattern.findall(text)
        return found

    def spell_unknown(self, text: str) -> tuple[Ids, list[str]]:
        """Text -> its ids, and each word that has none, in order."""
        index, unknown = self._index, self.unknown_id
        words = self._pattern.findall(text)
        ids = np.array([index.get(word, unknown) for word in words], id_type(self.vocab_size))
        return ids, [words[i] for i in np.flatnonzero(ids == unknown).tolist()]

    def unknown_nats(self, tokens: Iterable[str]) -> list[float]:
        """Unknown words -> the nats of the letters of each; 0 where they have no price."""
        return [0.0 if self.dropped is None else self._letters.nats(word) for word in tokens]

    def encode(self, text: str) -> Ids:
        """Text -> one id per word, mark or white space."""
        return self.spell_unknown(text)[0]

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> its word; the unknown one reads `<unk>`."""
        return self._encoded.__getitem__

    @cached_property
    def _encoded(self) -> list[bytes]:
        # All words are encoded once, so that decoding an id is one look-up.
        return [to_bytes(word) for word in (self.unknown, *self.words)]

    def encoding_json(self) -> dict[str, Any]:
        """The pattern of a token, and the tokens whose letters price unknown ones."""
        # As in `compiled`.
        plain = self.rules == 1 or self.split == "spaces"
        return {
            "pattern": PATTERNS[self.rules][self.split],
            "pattern_of": "re" if plain else "regex",
            "letters": None if self.dropped is None else self._examples,
        }

    def to_json(self) -> dict[str, Any]:
        """Name, how words are split, and the words in the order of their ids."""
        own: dict[str, Any] = {"name": self.name, "split": self.split, "words": self.words}
        if self.rules > 1:
            own["rules"] = self.rules
        if self.dropped is not None:
            own["dropped"] = self.dropped
        return own | self.floor_json()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WordTokenizer":
        """The inverse of `to_json`."""
        words, split = data.get("words"), data.get("split")
        rules, dropped = data.get("rules", 1), data.get("dropped")
        if type(rules) is not int or rules not in PATTERNS:
            raise damaged(f"it splits words by the rules {rules!r}")
        if not isinstance(split, str) or split not in PATTERNS[rules]:
            raise damaged(f"it splits words by {split!r}")
        if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            raise damaged("its words are not texts")
        # Two equal words would share one entry of the index, and one id could never be encoded.
        if NEWLINE not in words or len(set(words)) < len(words):
            raise damaged("its words are not distinct")
        if any(SURROGATE.search(word) for word in words):
            raise damaged("its words contain lone surrogates")
        if dropped is not None and not (
            isinstance(dropped, list) and all(isinstance(w, str) for w in dropped)
        ):
            raise damaged("its dropped words are not texts")
        return cls(words, split, rules, dropped)


def _left_out(ranked: list[str], counts: Mapping[str, int], newlines: int) -> set[str]:
    """Words by falling count, and their counts -> those that occur once and get no id.

    None where few occur once, as in `rarest`. A text of which they are more than `UNKNOWN_SHARE`
    keeps the others: they are evenly spread over the alphabet.

    >>> words = [f"{n:02}" for n in range(40)]
    >>> len(_left_out(words, dict.fromkeys(words, 1), 0)), _left_out(words[:9], {}, 0)
    (1, set())
    """
    occurrences = np.array([counts.get(word, 2) for word in ranked], np.int64)
    if rarest(occurrences) == 1:
        return set()
    once = [word for word, count in zip(ranked, occurrences.tolist(), strict=True) if count == 1]
    most = max(1, int(UNKNOWN_SHARE * (int(occurrences.sum()) + newlines)))
    chosen = np.linspace(0, len(once) - 1, min(most, len(once))).astype(int)
    return {once[i] for i in chosen.tolist()}


def _notes(counts: Counter[str], dropped: int) -> Iterator[str]:
    """What the user should know: words that have no id, and scripts that are not for words."""
    if dropped:
        yield (
            f"{dropped:,} of {len(counts):,} words occur once and are read as <unk>; "
            "--min-count 1 gives each word its own token, --min-count 2 none that occurs once"
        )
    import regex

    letters = regex.compile(WITHOUT_SPACES)
    # Of the different words, each weighted by its length.
    total = sum(map(len, counts))
    if sum(len(letters.findall(word)) for word in counts) > 0.3 * total > 0:
        yield (
            "this text is in a script without spaces between words, where a token is a whole "
            "phrase; --tokenizer char or subword is meant for it"
        )
