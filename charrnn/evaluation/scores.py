"""How well a model predicts a text: log-probabilities by the engine, without torch."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track
from charrnn.data.reading import Reading, Tally, in_blocks
from charrnn.data.sources import opened, whole_lines
from charrnn.data.token_arrays import ends_of
from charrnn.errors import CorpusError
from charrnn.inference.engine import LOGITS_AT_ONCE, READ_LENGTH, Engine
from charrnn.inference.sampling import log_softmax
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.floor import Floor

DOCUMENT_TOKENS, MOST_ROWS = 2**16, 256
"""Tokens of documents that are sorted by length, and documents that are read side by side."""


@dataclass(frozen=True)
class Pricing:
    """What the network's nats are corrected by, so that what nothing trained decides no figure.

    floor: of rare ids; None in checkpoints of earlier versions. unknown_id: of the token for words
    that have no id; None where every text is encoded exactly. unknown_nats: the mean price of the
    characters of one of them.
    """

    floor: Floor | None = None
    unknown_id: int | None = None
    unknown_nats: float = 0.0

    def unknown(self, tokens: NDArray[np.unsignedinteger]) -> int:
        """How many of the tokens (N,) are the unknown one."""
        return 0 if self.unknown_id is None else int(np.count_nonzero(tokens == self.unknown_id))

    def score(self, nats: float, tokens: int, characters: int, unknown: int) -> "Score":
        """Nats of so many tokens, of which some are unknown -> their score, with their letters."""
        price = unknown * self.unknown_nats
        return Score(nats + price, tokens, characters, unknown, price)


EXACT = Pricing()
"""No correction."""


@dataclass(frozen=True)
class Score:
    """Total nats of a text under a model, over so many tokens and characters.

    unknown: tokens that represent a word without an id, whose characters cost unknown_nats: these
    are a part of nats, and not of the loss per token, which is of ids alone.

    >>> score = Score(nats=69.3, tokens=50, characters=100)
    >>> round(score.bits_per_char, 2), round(score.perplexity, 2)
    (1.0, 4.0)
    """

    nats: float
    tokens: int
    characters: int
    unknown: int = 0
    unknown_nats: float = 0.0

    @property
    def loss(self) -> float:
        """Nats per token."""
        return (self.nats - self.unknown_nats) / self.tokens

    @property
    def nats_per_char(self) -> float:
        """Nats per character of the text: comparable across tokenizers."""
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        """Bits per character of the text."""
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        """The exponential of the loss, per token."""
        # math.exp raises OverflowError from about 710 on.
        return math.exp(min(self.loss, 700.0))

    @property
    def value(self) -> float:
        """The metric of language models: nats per character."""
        return self.nats_per_char

    def to_json(self) -> dict[str, Any]:
        """The fields and figures of `evaluate --json`."""
        # Absent where there are none, as in earlier versions.
        unknown = {"unknown": self.unknown, "unknown_nats": self.unknown_nats}
        return {
            "nats": self.nats,
            "tokens": self.tokens,
            "characters": self.characters,
            "loss": self.loss,
            "nats_per_char": self.nats_per_char,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity,
            **(unknown if self.unknown else {}),
        }

    def summary(self) -> str:
        """The figures of a progress line."""
        figures = f"{self.nats_per_char:.4f} nats/char, {self.bits_per_char:.3f} bits/char"
        return figures + self.unknown_share()

    def unknown_share(self) -> str:
        """The end of a line of figures: the share of words without an id, empty if all have one."""
        # A figure of a model that does not know some words is not complete without it.
        return f", {self.unknown / self.tokens:.1%} <unk>" if self.unknown else ""


class AdaptedScore(Score):
    """The score of a text by a model that learned from it as it read: no figure of a model.

    Its fields in `--json` have names of their own, so that none is taken for another's.
    """

    def to_json(self) -> dict[str, Any]:
        """The figures, each as adapted_NAME."""
        names = ("nats", "loss", "nats_per_char", "bits_per_char", "perplexity")
        return {f"adapted_{name}": getattr(self, name) for name in names}

    def summary(self) -> str:
        """The figures of a line, and that they are adapted."""
        return f"{super().summary()}, adapted to the text as it was read"


def log_probabilities(
    engine: Engine,
    tokens: NDArray[np.unsignedinteger],
    start_id: int,
    floor: Floor | None = None,
) -> Iterator[NDArray[np.float64]]:
    """N tokens -> the natural log-probability of each given those before it, in blocks, in order.

    The first token is predicted from `start_id`; the state is carried to the end, or to that of its
    document where the model begins each anew.
    """
    if engine.config.reset_id >= 0:
        yield from _by_document(engine, tokens, floor)
        return
    state, last = engine.zero_state(1), start_id
    # In blocks, because the logits of all tokens (N, V) could take more memory than there is.
    length = engine.tokens_at_once(rows=1)
    for begin in range(0, len(tokens), length):
        targets = tokens[begin : begin + length].astype(np.int64)
        # Each input is the token before its target; the first is the last one of the block before.
        inputs = np.concatenate([[last], targets[:-1]])
        logits, state = engine.read(inputs[:, None], state)
        last = int(targets[-1])
        # Logits (T, 1, V) of a batch of one row -> the log-probability of each target (T,).
        found = log_softmax(logits[:, 0])[np.arange(len(targets)), targets]
        yield found if floor is None else -floor.nats(-found, inputs, targets)


def _by_document(
    engine: Engine, tokens: NDArray[np.unsignedinteger], floor: Floor | None
) -> Iterator[NDArray[np.float64]]:
    """As `log_probabilities`, many documents at a time, each from its beginning."""
    start_id = engine.config.reset_id
    cuts = [0, *ends_of(tokens, start_id).tolist()]
    # The last document may lack its end.
    documents = list(itertools.pairwise(cuts if cuts[-1] == len(tokens) else [*cuts, len(tokens)]))
    for group in _groups(documents, DOCUMENT_TOKENS):
        first = group[0][0]
        found = np.zeros(group[-1][1] - first)
        # By length, so that the rows of a batch need little padding.
        group.sort(key=lambda each: each[1] - each[0])
        for batch in _batches(group, engine.vocab_size):
            for (begin, end), own in zip(batch, _read_rows(engine, tokens, batch), strict=True):
                targets = tokens[begin:end].astype(np.int64)
                if floor is not None:
                    own = -floor.nats(-own, np.concatenate([[start_id], targets[:-1]]), targets)
                found[begin - first : end - first] = own
        yield found


Document = tuple[int, int]
"""Where a document begins and ends in a token array."""


def _groups(documents: list[Document], most: int) -> Iterator[list[Document]]:
    """Documents in order -> the same in groups of at most so many tokens, or of one."""
    group: list[Document] = []
    for document in documents:
        if group and document[1] - group[0][0] > most:
            yield group
            group = []
        group.append(document)
    if group:
        yield group


def _batches(documents: list[Document], vocab_size: int) -> Iterator[list[Document]]:
    """Documents by length -> batches whose logits fit in memory; a long one is alone."""
    batch: list[Document] = []
    for begin, end in documents:
        length = end - begin
        rows = min(MOST_ROWS, LOGITS_AT_ONCE // (length * vocab_size))
        if batch and (length > READ_LENGTH or len(batch) >= rows):
            yield batch
            batch = []
        batch.append((begin, end))
    if batch:
        yield batch


def _read_rows(
    engine: Engine, tokens: NDArray[np.unsignedinteger], batch: list[Document]
) -> list[NDArray[np.float64]]:
    """A batch of documents, one to a row -> the log-probabilities of the tokens of each."""
    start_id = engine.config.reset_id
    lengths = [end - begin for begin, end in batch]
    # What is read after the end of a shorter one is not scored; it is no other beginning.
    targets = np.full((max(lengths), len(batch)), int(start_id == 0), np.int64)
    for row, (begin, end) in enumerate(batch):
        targets[: end - begin, row] = tokens[begin:end]
    inputs = np.vstack([np.full((1, len(batch)), start_id), targets[:-1]])
    # A document's own end is the last of its targets, and the input of a position after it.
    inputs[1:][inputs[1:] == start_id] = int(start_id == 0)
    state, parts = engine.zero_state(len(batch)), []
    length = max(1, min(READ_LENGTH, LOGITS_AT_ONCE // (engine.vocab_size * len(batch))))
    for first in range(0, len(inputs), length):
        logits, state = engine.read(inputs[first : first + length], state)
        wanted = targets[first : first + length].ravel()
        parts.append(log_softmax(logits.reshape(len(wanted), -1))[np.arange(len(wanted)), wanted])
    found = np.concatenate(parts).reshape(targets.shape)
    return [found[:length, row] for row, length in enumerate(lengths)]


def score_tokens(
    engine: Engine,
    tokens: NDArray[np.unsignedinteger],
    characters: int,
    start_id: int,
    pricing: Pricing = EXACT,
) -> Score:
    """N tokens of so many characters -> their score, in the engine's precision."""
    blocks = log_probabilities(engine, tokens, start_id, pricing.floor)
    read = track(blocks, "evaluating", len(tokens), size=len)
    nats = -sum(float(block.sum()) for block in read)
    return pricing.score(nats, len(tokens), characters, pricing.unknown(tokens))


def read_text(
    path: Path, tokenizer: Tokenizer, reading: Reading, tally: Tally | None = None
) -> tuple[NDArray[np.unsignedinteger], int, Pricing]:
    """A file -> its tokens, the characters they encode, their pricing. CorpusError if empty.

    It is read as the training text was. tally: where to count what a note should be of.
    """
    with opened(path, reading) as found:
        blocks = reading.read(found, tally or Tally())
        # Documents are encoded many at a time; other text in whole lines, as in training.
        blocks = in_blocks(blocks) if reading.documents else whole_lines(blocks)
        texts = list(blocks)
    parts = [tokenizer.spell_unknown(text) for text in texts]
    if not parts:
        raise CorpusError(f"{path} is empty", "give a file with text")
    tokens = np.concatenate([ids for ids, _ in parts])
    pricing = pricing_of(tokenizer, (word for _, words in parts for word in words))
    return tokens, sum(map(len, texts)), pricing


def encoded(text: str, tokenizer: Tokenizer) -> tuple[NDArray[np.unsignedinteger], int, Pricing]:
    """A text -> its tokens, the characters they encode, their pricing."""
    tokens, words = tokenizer.spell_unknown(text)
    return tokens, len(text), pricing_of(tokenizer, words)


def pricing_of(tokenizer: Tokenizer, words: Iterable[str]) -> Pricing:
    """A tokenizer and the words of a text that have no id -> the pricing of the text."""
    price = tokenizer.unknown_nats(words)
    # Without a price, in tokenizers of earlier versions, the figures are those of the ids.
    if not any(price):
        return Pricing(tokenizer.floor)
    return Pricing(tokenizer.floor, tokenizer.unknown_id, sum(price) / len(price))
