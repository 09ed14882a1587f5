"""Texts <-> arrays, and labels <-> names: a tokenizer, parts of words, and naive Bayes.

A text is a row of tokens. A token is an id and, where tokens are words, the buckets of the parts of
the word (as in fastText, Bojanowski et al. 2017): what is learned of a part holds for words that
were never seen.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn import tokenizers
from charrnn.data.examples import Ids, padded
from charrnn.errors import UsageError
from charrnn.tasks.labels import linear, naive_bayes
from charrnn.tasks.labels.config import AUTO, MOST_LABELS, LabelsDataConfig
from charrnn.tasks.labels.linear import Linear
from charrnn.tasks.labels.naive_bayes import NaiveBayes, Scores
from charrnn.tasks.labels.reading import Example
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.base import damaged
from charrnn.tokenizers.word import WordTokenizer

SHORT = 32
"""Characters of a text, in the mean, up to which its tokens are characters."""

LONG_WORD = 16
"""Characters of a word, in the mean, from which on there are no spaces between words."""

LONGEST = 400
"""Tokens of a text that are read: of a longer one the first half of them, and the last half."""

MOST_READ = 60_000
"""Characters of a text, of its beginning and its end, that are made into tokens."""

MOST_PARTS, PART_SIZES = 24, (3, 4, 5)
"""Parts of a word, and their lengths in characters."""

MOST_WORDS = 30_000


@dataclass(frozen=True)
class LabelEncoder:
    """Texts <-> arrays. multiple: whether a text can have several labels.

    part_buckets: of the parts of words, 0 where tokens are no words. linear: None where there
    are too many labels for one. network_weight, bayes_weight, linear_weight: how much the
    logits of each count in the result; found on the validation part.
    """

    tokenizer: Tokenizer
    labels: tuple[str, ...]
    multiple: bool
    part_buckets: int
    bayes: NaiveBayes
    linear: Linear | None = None
    network_weight: float = 1.0
    bayes_weight: float = 0.0
    linear_weight: float = 0.0

    name = "labels"

    @property
    def vocab_size(self) -> int:
        """Ids of tokens, with that of what has none: the last one."""
        return self.tokenizer.vocab_size + 1

    def pieces(self, text: str) -> list[str] | list[int]:
        """A text -> its tokens: words, or ids of the tokenizer. An empty text has none."""
        if len(text) > MOST_READ:
            text = text[: MOST_READ // 2] + text[-MOST_READ // 2 :]
        words = " ".join(text.split())
        if isinstance(self.tokenizer, WordTokenizer):
            pieces: list[Any] = self.tokenizer.pieces(f" {words.lower()}") if words else []
        else:
            pieces = self.tokenizer.encode(words).tolist()
        if len(pieces) > LONGEST:
            pieces = pieces[: LONGEST // 2] + pieces[-LONGEST // 2 :]
        return pieces

    def token(self, piece: str | int) -> tuple[int, tuple[int, ...]]:
        """A token -> its id, and the buckets of its parts."""
        last = self.tokenizer.vocab_size
        if isinstance(piece, int):
            # Parts of characters, such as bytes, occur in what was never seen alone.
            odd = self.tokenizer.name != "byte" and piece in self.tokenizer.parts
            return (last if odd or piece == self.tokenizer.unknown_id else piece), ()
        (found,) = self.tokenizer.encode(piece).tolist() or [self.tokenizer.unknown_id]
        return (last if found == self.tokenizer.unknown_id else found), self.parts_of(piece)

    def parts_of(self, word: str) -> tuple[int, ...]:
        """A word -> the buckets of its parts."""
        count = self.part_buckets
        return tuple(zlib.crc32(p.encode("utf-8", "surrogatepass")) % count for p in parts(word))

    def grams(self, text: str) -> Ids:
        """A text -> the buckets of its n-grams."""
        return naive_bayes.buckets_of(text, self.bayes.kind, self.bayes.bits)

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of network, naive Bayes and linear model."""
        return self.network_weight, self.bayes_weight, self.linear_weight

    def linear_scores(self, rows: Sequence[Ids]) -> Scores:
        """Buckets of B texts -> logits of the linear model (B, L); zeros without one."""
        if self.linear is None:
            return np.zeros((len(rows), len(self.labels)), np.float32)
        return self.linear.scores(rows, self.bayes)

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "name": self.name,
            "tokenizer": self.tokenizer.to_json(),
            "labels": list(self.labels),
            "multiple": self.multiple,
            "part_buckets": self.part_buckets,
            "naive_bayes": self.bayes.to_json(),
            "weights": list(self.weights),
        } | ({} if self.linear is None else {"linear": self.linear.to_json()})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LabelEncoder":
        """The inverse of `to_json`. CheckpointError if it is damaged."""
        tokenizer, labels, multiple = (data.get(n) for n in ("tokenizer", "labels", "multiple"))
        if data.get("name") != cls.name or not isinstance(tokenizer, dict):
            raise damaged("it is not that of labels")
        if (
            not isinstance(labels, list)
            or not all(isinstance(label, str) and label for label in labels)
            or not 1 <= len(set(labels)) == len(labels) <= MOST_LABELS
        ):
            raise damaged("its labels are no different names")
        if not isinstance(multiple, bool):
            raise damaged("it does not say how many labels a text can have")
        read = tokenizers.from_json(tokenizer)
        buckets, weights = data.get("part_buckets"), data.get("weights")
        is_word = isinstance(read, WordTokenizer)
        if type(buckets) is not int or not 0 <= buckets <= 1 << 20 or is_word != (buckets > 0):
            raise damaged("the number of its parts of words is wrong")
        if (
            not isinstance(weights, list)
            or len(weights) not in (2, 3)
            or not all(map(_is_weight, weights))
        ):
            raise damaged("its weights are no numbers")
        bayes = NaiveBayes.from_json(data.get("naive_bayes"), len(labels), multiple)
        line = None
        if "linear" in data:
            line = Linear.from_json(data["linear"], bayes.different, len(labels))
        return cls(read, tuple(labels), multiple, buckets, bayes, line, *map(float, weights))

    def words(self) -> str:
        """The encoder in a few words."""
        many = f"{len(self.labels):,} labels" + (", several a text" if self.multiple else "")
        return f"{self.tokenizer.vocab_size:,} {self.tokenizer.name} tokens, {many}"


def _is_weight(value: Any) -> bool:
    return type(value) is float and math.isfinite(value) and abs(value) <= 1e6


def parts(word: str) -> list[str]:
    """A word -> its parts, with signs for its beginning and end; at most MOST_PARTS.

    >>> parts(" cats")
    ['<ca', 'cat', 'ats', 'ts>', '<cat', 'cats', 'ats>', '<cats', 'cats>']
    """
    whole = f"<{word.strip()[:MOST_PARTS]}>"
    found = [
        whole[begin : begin + size] for size in PART_SIZES for begin in range(len(whole) - size + 1)
    ]
    return found[:MOST_PARTS]


class Forms:
    """The different tokens of some texts: each has a number, an id and parts."""

    def __init__(self, encoder: LabelEncoder) -> None:
        self._encoder = encoder
        self._index: dict[str | int, int] = {}
        self._ids: list[int] = [encoder.tokenizer.vocab_size]
        self._parts: list[tuple[int, ...]] = [()]

    def row(self, text: str) -> Ids:
        """A text -> the numbers of its tokens; one without any is the token that has no id: 0."""
        return np.array([*map(self._number, self._encoder.pieces(text))] or [0], np.int64)

    def _number(self, piece: str | int) -> int:
        if piece not in self._index:
            found, own = self._encoder.token(piece)
            self._index[piece] = len(self._ids)
            self._ids.append(found)
            self._parts.append(own)
        return self._index[piece]

    def arrays(self) -> tuple[Ids, Ids]:
        """The id of each form (F,), and its parts (F, P), padded with the number of buckets."""
        rows = [np.array(each, np.int64) for each in self._parts]
        return np.array(self._ids, np.int64), padded(rows, self._encoder.part_buckets)


def arranged(rows: Sequence[Ids], ids: Ids, parts_of: NDArray[np.integer]) -> tuple[Ids, Ids, Ids]:
    """Rows of forms, their ids and parts -> ids (B, T), parts (B, T, P), lengths (B,)."""
    index = padded(rows, 0)
    lengths = np.array([len(row) for row in rows], np.int64)
    return ids[index], parts_of[index].astype(np.int64), lengths


def learn(config: LabelsDataConfig, examples: Sequence[Example]) -> tuple[LabelEncoder, list[str]]:
    """The training part -> an encoder, and notes."""
    texts = [example.text for example in examples]
    counts: dict[str, int] = {}
    for example in examples:
        for label in example.labels:
            counts[label] = counts.get(label, 0) + 1
    labels = tuple(sorted(counts))
    multiple = any(len(example.labels) != 1 for example in examples)
    kind = kind_of(texts) if config.tokenizer == AUTO else config.tokenizer
    tokenizer = _trained(config, kind, texts)
    gram_kind = "words" if kind in ("word", "subword") and _has_spaces(texts) else "characters"
    index = {label: number for number, label in enumerate(labels)}
    own = [[index[label] for label in example.labels] for example in examples]
    sample = texts[:: -(-len(texts) // 20_000) or 1]
    spread = naive_bayes.count_different(naive_bayes.grams(text, gram_kind) for text in sample)
    bits = naive_bayes.bits_for(spread * len(texts) // len(sample))
    rows = [naive_bayes.buckets_of(text, gram_kind, bits) for text in texts]
    bayes = naive_bayes.learn(rows, own, len(labels), gram_kind, bits, multiple)
    buckets = _part_buckets(tokenizer) if isinstance(tokenizer, WordTokenizer) else 0
    line = linear.learn(rows, own, bayes)
    encoder = LabelEncoder(tokenizer, labels, multiple, buckets, bayes, line)
    notes = [note for note in tokenizer.notes if "<unk>" not in note]
    rare = [label for label in labels if counts[label] < 2]
    if rare:
        shown = ", ".join(rare[:3]) + (", ..." if len(rare) > 3 else "")
        notes.append(f"labels that only one text of the training part has: {len(rare):,} ({shown})")
    return encoder, notes


def kind_of(texts: Sequence[str]) -> str:
    """Texts -> the tokenizer that suits them.

    >>> kind_of(["Abandonato", "Ferrari"]), kind_of(["what a fine film, with all that one wants"])
    ('char', 'word')
    """
    sample = texts[:: -(-len(texts) // 20_000) or 1]
    if sum(map(len, sample)) <= SHORT * len(sample):
        return "char"
    return "word" if _has_spaces(texts) else "char"


def _has_spaces(texts: Sequence[str]) -> bool:
    sample = texts[:: -(-len(texts) // 2_000) or 1]
    words = [word for text in sample for word in text[:2000].split()]
    return sum(map(len, words)) <= LONG_WORD * max(1, len(words))


def _trained(config: LabelsDataConfig, kind: str, texts: Iterable[str]) -> Tokenizer:
    plain = (" ".join(text.split()) for text in texts)
    blocks = ["".join(f" {t.lower()}\n" if kind == "word" else f"{t}\n" for t in plain)]
    options: dict[str, Any] = {"vocab_size": config.vocab_size, "min_count": config.min_count}
    if kind == "word":
        options["split"] = config.split_words
        if config.vocab_size is None and config.min_count is None:
            options = {"vocab_size": MOST_WORDS, "min_count": 2, "split": config.split_words}
    elif config.split_words != "punctuation" or (kind == "char" and config.vocab_size):
        name = "split-words" if config.split_words != "punctuation" else "vocab-size"
        raise UsageError(
            f"--{name} has no effect on {kind} tokens, which suit these texts",
            "leave it out, or choose --tokenizer word",
        )
    tokenizer: Tokenizer = TOKENIZERS[kind].train(iter(blocks), **options)
    return tokenizer


def _part_buckets(tokenizer: WordTokenizer) -> int:
    """A vocabulary -> buckets of parts: about as many as there are different ones."""
    found = {part for word in tokenizer.words for part in parts(word)}
    return max(256, min(1 << 14, 1 << (len(found) // 2).bit_length()))


def weighted(encoder: LabelEncoder, weights: tuple[float, float, float]) -> LabelEncoder:
    """An encoder with other weights of network, naive Bayes and linear model."""
    network, bayes, line = weights
    return replace(encoder, network_weight=network, bayes_weight=bayes, linear_weight=line)
