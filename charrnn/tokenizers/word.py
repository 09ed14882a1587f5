"""One id for each word, punctuation mark or white space."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from charrnn.tokenizers.base import NEWLINE, Ids, Tokenizer, damaged, id_type, to_bytes

# Lone surrogates: a word with one of them cannot be written as UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")


class WordTokenizer(Tokenizer):
    r"""One id for each frequent word, punctuation mark or white space; the rest is `<unk>`.

    A word includes the space before it, so that tokens join back to the text. With `split`
    "spaces" a word is anything between spaces, for texts that are already tokenized.

    >>> tokenizer = WordTokenizer.train(["the cat sat\n"])
    >>> tokenizer.decode(tokenizer.encode("the cat slept"))
    'the cat <unk>'
    """

    name = "word"
    unknown = " <unk>"
    unknown_id = 0
    # Each pattern matches every character of a text, so tokens join back to the text: the last
    # alternative, a single white space, takes what the others leave.
    patterns: Mapping[str, str] = {
        "punctuation": r" ?\w+(?:['’\-]\w+)*| ?[^\w\s]|\s",
        # In Penn Treebank each line ends in a space and a newline, which are one token here.
        "spaces": r" ?[^\s]+| ?\n|\s",
    }

    def __init__(self, words: list[str], split: str) -> None:
        self.words = words
        self.split = split
        self._pattern = re.compile(self.patterns[split])
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
        **_: Any,
    ) -> "WordTokenizer":
        """Blocks of text -> the most frequent words, `vocab_size` ids in all; None keeps all."""
        pattern = re.compile(cls.patterns[split])
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(pattern.findall(text))
        # The newline has an id of its own, whatever its count; it may also be missing here.
        del counts[NEWLINE]
        # Words of equal count are in lexicographic order, not in that of their first occurrence,
        # so the vocabulary depends on the counts alone.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        # Two ids are not words of the ranking: the unknown word and the newline.
        return cls([NEWLINE, *(ranked if vocab_size is None else ranked[: vocab_size - 2])], split)

    def encode(self, text: str) -> Ids:
        """Text -> one id per word, mark or white space."""
        index, unknown = self._index, self.unknown_id
        ids = [index.get(word, unknown) for word in self._pattern.findall(text)]
        return np.array(ids, id_type(self.vocab_size))

    def byte_decoder(self) -> Callable[[int], bytes]:
        """Each id -> its word; the unknown one reads `<unk>`."""
        # All words are encoded once, so that decoding an id is one look-up.
        return [to_bytes(word) for word in (self.unknown, *self.words)].__getitem__

    def to_json(self) -> dict[str, Any]:
        """Name, how words are split, and the words in the order of their ids."""
        return {"name": self.name, "split": self.split, "words": self.words}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WordTokenizer":
        """The inverse of `to_json`."""
        words, split = data.get("words"), data.get("split")
        if not isinstance(split, str) or split not in cls.patterns:
            raise damaged(f"it splits words by {split!r}")
        if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            raise damaged("its words are not texts")
        # Two equal words would share one entry of the index, and one id could never be encoded.
        if NEWLINE not in words or len(set(words)) < len(words):
            raise damaged("its words are not distinct")
        if any(SURROGATE.search(word) for word in words):
            raise damaged("its words contain lone surrogates")
        return cls(words, split)
