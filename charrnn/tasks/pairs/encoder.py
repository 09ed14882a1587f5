"""A pair of texts <-> ids: one tokenizer for both sides or two, and characters that are copied.

A side is its tokens and an end, which is the id of a newline. What a tokenizer has no id for is the
last id, COPY: a decoder that writes it gets the text of the source that its attention is at.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn import tokenizers
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.pairs.config import AUTO, PairsDataConfig
from charrnn.tasks.pairs.reading import Pair
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.base import damaged

SHORT = 32
"""Characters of a side, in the mean, up to which its tokens are characters."""

SYMBOLS, SYMBOL_LENGTH = 1_000, 2.5
"""Texts of so few different words, and so short ones, are symbols with spaces between them."""

SHARED = 0.5
"""Part of each side's characters that the other has too, from which on they share a vocabulary."""

LONGEST = 1_000
"""Tokens of a source that are read: a longer one is cut."""

Ids = NDArray[np.int64]


@dataclass
class Side:
    """The tokenizer of one side, and what has an id in it.

    copy_id: of what has none. spaced: whether a space is put before a text, so that its first word
    is no other token than the same word later.
    """

    tokenizer: Tokenizer
    _known: dict[str, bool] = field(default_factory=dict)

    @property
    def copy_id(self) -> int:
        """The last id, which is no token."""
        return self.tokenizer.vocab_size

    @property
    def end_id(self) -> int:
        """What ends a side, and precedes a target."""
        return self.tokenizer.start_id

    @property
    def spaced(self) -> bool:
        """Whether a space is put before each text."""
        return self.tokenizer.name == "word"

    def encode(self, text: str, copyable: str | None = None) -> tuple[Ids, list[str]]:
        """A text -> its ids without the end, and the text of each COPY among them.

        copyable: the characters that may become COPY, those of a source; None for any.
        """
        text = f" {text}" if self.spaced else text
        if self.tokenizer.unknown_id is not None:
            ids, words = self.tokenizer.spell_unknown(text)
            found = ids.astype(np.int64)
            # Its own unknown id becomes the one that can be copied.
            found[ids == self.tokenizer.unknown_id] = self.copy_id
            return found, [word.strip(" ") for word in words]
        # Nearly every text has no character of this kind.
        odd = {c for c in set(text) if not self._has_id(c)}
        odd = odd if copyable is None else odd & set(copyable)
        if not odd:
            return self.tokenizer.encode(text).astype(np.int64), []
        parts: list[Ids] = []
        copied: list[str] = []
        run = ""
        for character in text:
            if character not in odd:
                run += character
                continue
            parts += [self.tokenizer.encode(run).astype(np.int64), np.array([self.copy_id])]
            copied.append(character)
            run = ""
        return np.concatenate([*parts, self.tokenizer.encode(run).astype(np.int64)]), copied

    def _has_id(self, text: str) -> bool:
        """Whether a character, or a word, is encoded without its bytes."""
        if text not in self._known:
            ids = self.tokenizer.encode(text).tolist()
            parts = set(self.tokenizer.parts) if self.tokenizer.name != "byte" else set()
            self._known[text] = not parts.intersection(ids) and self.tokenizer.unknown_id not in ids
        return self._known[text]

    def decode(self, ids: Sequence[int], copied: Sequence[str] = ()) -> str:
        """Ids without the end -> their text; `copied` has a text for each COPY among them."""
        pieces: list[str] = []
        run: list[int] = []
        left = iter(copied)
        for i in ids:
            if i != self.copy_id:
                run.append(i)
                continue
            pieces += [self.tokenizer.decode(run), (" " if self.spaced else "") + next(left, "")]
            run = []
        text = "".join([*pieces, self.tokenizer.decode(run)])
        return text.removeprefix(" ") if self.spaced else text

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Ids -> the text of each, for a picture of the attention."""
        end, copy = self.end_id, self.copy_id
        return [
            "</s>" if i == end else "?" if i == copy else self.tokenizer.decode([i]) for i in ids
        ]


class PairEncoder:
    """Both sides of a pair <-> ids. shared: whether one vocabulary serves both.

    ratio: tokens of a target for each of its source, as the longest of the training part has them.
    """

    name = "pairs"

    def __init__(self, source: Tokenizer, target: Tokenizer | None, ratio: float = 2.0) -> None:
        self.source = Side(source)
        self.target = self.source if target is None else Side(target)
        self.shared = target is None
        self.ratio = ratio
        self.notes: tuple[str, ...] = ()

    @property
    def vocab_size(self) -> int:
        """Ids of a target, with COPY."""
        return self.target.tokenizer.vocab_size + 1

    @property
    def source_vocab_size(self) -> int:
        """Ids of a source, with COPY; 0 if they are those of a target."""
        return 0 if self.shared else self.source.tokenizer.vocab_size + 1

    def encode_source(self, text: str) -> tuple[Ids, list[str], bool]:
        """A source -> its ids with the end, the text of each COPY, and whether it was cut."""
        # Characters first: the tokens of a text of any length need not be known.
        ids, copied = self.source.encode(text[: 40 * LONGEST])
        cut = len(ids) > LONGEST or len(text) > 40 * LONGEST
        ids = ids[:LONGEST]
        copied = copied[: int(np.count_nonzero(ids == self.source.copy_id))]
        return np.append(ids, self.source.end_id), copied, cut

    def encode_target(self, text: str, source: str) -> Ids:
        """A target -> its ids with the end; only what its source has is COPY."""
        return np.append(self.target.encode(text, copyable=source)[0], self.target.end_id)

    def longest(self, tokens: int) -> int:
        """Tokens of a source -> most tokens of its target."""
        return math.ceil(self.ratio * tokens) + 10

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        target = None if self.shared else self.target.tokenizer.to_json()
        return {
            "name": self.name,
            "source": self.source.tokenizer.to_json(),
            "target": target,
            "ratio": self.ratio,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PairEncoder":
        """The inverse of `to_json`. CheckpointError if it is damaged."""
        source, target, ratio = data.get("source"), data.get("target"), data.get("ratio")
        if data.get("name") != cls.name or not isinstance(source, dict):
            raise damaged("it is not that of pairs")
        if not (target is None or isinstance(target, dict)):
            raise damaged("its target has no tokenizer")
        # True is an instance of int.
        if not isinstance(ratio, int | float) or ratio is True or not 0 < ratio <= 1000:
            raise damaged("its ratio of lengths is no number")
        read = tokenizers.from_json
        return cls(read(source), None if target is None else read(target), float(ratio))

    def words(self) -> str:
        """The encoder in a few words."""
        one = f"{self.source.tokenizer.vocab_size:,} {self._kind(self.source)}"
        if self.shared:
            return f"{one} tokens of both sides"
        return f"{one} -> {self.target.tokenizer.vocab_size:,} {self._kind(self.target)} tokens"

    @staticmethod
    def _kind(side: Side) -> str:
        spaced = getattr(side.tokenizer, "split", "") == "spaces"
        return "symbol" if spaced else side.tokenizer.name


def learn(config: PairsDataConfig, pairs: Sequence[Pair]) -> PairEncoder:
    """The training part -> an encoder. Tokenizers are chosen by the texts, if none is given."""
    sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    kinds = [kind_of(side) if config.tokenizer == AUTO else config.tokenizer for side in sides]
    if config.tokenizer == AUTO:
        kinds = _chosen(config, kinds)
    if kinds[0] == kinds[1] and (kinds[0] == "byte" or _share(kinds[0], *sides)):
        source = _train(config, kinds[0], [*sides[0], *sides[1]])
        encoder = PairEncoder(source, None)
    else:
        source, target = (_train(config, k, s) for k, s in zip(kinds, sides, strict=True))
        encoder = PairEncoder(source, target)
    notes = dict.fromkeys((*encoder.source.tokenizer.notes, *encoder.target.tokenizer.notes))
    # Their remedies are for a text; what has no id is copied here.
    encoder.notes = tuple(note for note in notes if "<unk>" not in note)
    return encoder


def _chosen(config: PairsDataConfig, kinds: list[str]) -> list[str]:
    """What suits each side -> what is taken. UsageError if an option would have no effect on it."""
    # Where only one side is short, both are read in subwords; a size asks for them too.
    if ("subword" in kinds or config.vocab_size) and "char" in kinds:
        kinds = ["subword" if kind == "char" else kind for kind in kinds]
    idle = {
        "min_count": config.min_count and "subword" in kinds,
        "split_words": config.split_words != "punctuation",
    }
    for name, has_no_effect in idle.items():
        if has_no_effect:
            raise UsageError(
                f"--{name.replace('_', '-')} has no effect on {' and '.join(dict.fromkeys(kinds))} "
                "tokens, which suit these texts",
                "leave it out, or choose --tokenizer word",
            )
    return kinds


def kind_of(texts: Sequence[str]) -> str:
    """The texts of a side -> the tokenizer that suits them; "symbols" for words of few letters.

    >>> kind_of(["a b c", "c a", "b a"]), kind_of(["abandon", "abbey"])
    ('symbols', 'char')
    >>> kind_of(["several people were standing outside the station in the rain"])
    'subword'
    """
    sample = texts[:: -(-len(texts) // 20_000) or 1]
    words = Counter(word for text in sample for word in text.split(" "))
    total, characters = sum(words.values()), sum(map(len, sample))
    letters = sum(len(word) * count for word, count in words.items())
    spaced = sum(" " in text or len(text) <= SYMBOL_LENGTH for text in sample)
    if (
        2 * spaced > len(sample)
        and total > 1.2 * len(sample)
        and len(words) <= min(SYMBOLS, max(4, total // 3))
        and letters <= SYMBOL_LENGTH * total
    ):
        return "symbols"
    return "char" if characters <= SHORT * len(sample) else "subword"


def _share(kind: str, one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two sides have most of their characters, or symbols, in common."""
    counts = [_counts(kind, side) for side in (one, other)]
    for each, against in (counts, counts[::-1]):
        common = sum(count for token, count in each.items() if token in against)
        if common < SHARED * sum(each.values()):
            return False
    return True


def _counts(kind: str, texts: Iterable[str]) -> Counter[str]:
    if kind == "symbols":
        return Counter(word for text in texts for word in text.split(" "))
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return counts


def _train(config: PairsDataConfig, kind: str, texts: Sequence[str]) -> Tokenizer:
    """Texts of one side or both -> a tokenizer."""
    options: dict[str, Any] = {"vocab_size": config.vocab_size, "min_count": config.min_count}
    options["split"] = "spaces" if kind == "symbols" else config.split_words
    space = " " if kind in ("word", "symbols") else ""
    blocks = ["".join(f"{space}{text}\n" for text in texts)]
    kind = "word" if kind == "symbols" else kind
    if kind == "subword" and config.vocab_size is None:
        try:
            size = subword_size(len(blocks[0]))
            return trained(TOKENIZERS[kind], blocks, options | {"vocab_size": size})
        except CorpusError:
            pass  # the texts have fewer; without a number it takes what they have
    return trained(TOKENIZERS[kind], blocks, options)


def trained(kind: Any, blocks: Sequence[str], options: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer class, texts and options -> a tokenizer."""
    tokenizer: Tokenizer = kind.train(iter(blocks), **options)
    return tokenizer


def subword_size(characters: int) -> int:
    """Characters of both sides -> subwords that suit them.

    >>> subword_size(3_600_000), subword_size(100_000)
    (6071, 1011)
    """
    return int(min(8_000, max(600, 3.2 * math.sqrt(characters))))
