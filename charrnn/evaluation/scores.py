"""How well a model predicts a text: log-probabilities by the engine, without torch."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.sources import find, whole_lines
from charrnn.errors import CorpusError
from charrnn.inference.engine import READ_LENGTH, Engine
from charrnn.inference.sampling import log_softmax
from charrnn.tokenizers import Tokenizer


@dataclass(frozen=True)
class Score:
    """Total nats of a text under a model, over so many tokens and characters.

    >>> score = Score(nats=69.3, tokens=50, characters=100)
    >>> round(score.bits_per_char, 2), round(score.perplexity, 2)
    (1.0, 4.0)
    """

    nats: float
    tokens: int
    characters: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

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
        return {
            "nats": self.nats,
            "tokens": self.tokens,
            "characters": self.characters,
            "loss": self.loss,
            "nats_per_char": self.nats_per_char,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity,
        }

    def summary(self) -> str:
        """The figures of a progress line."""
        return f"{self.nats_per_char:.4f} nats/char, {self.bits_per_char:.3f} bits/char"


def log_probabilities(
    engine: Engine, tokens: NDArray[np.unsignedinteger], start_id: int
) -> Iterator[NDArray[np.float64]]:
    """N tokens -> the natural log-probability of each given those before it, in blocks, in order.

    The first token is predicted from `start_id`; the state is carried to the end.
    """
    state, last = engine.zero_state(1), start_id
    # In blocks, because the logits of all tokens (N, V) could take more memory than there is.
    for begin in range(0, len(tokens), READ_LENGTH):
        targets = tokens[begin : begin + READ_LENGTH].astype(np.int64)
        # Each input is the token before its target; the first is the last one of the block before.
        inputs = np.concatenate([[last], targets[:-1]])
        logits, state = engine.read(inputs[:, None], state)
        last = int(targets[-1])
        # Logits (T, 1, V) of a batch of one row -> the log-probability of each target (T,).
        yield log_softmax(logits[:, 0])[np.arange(len(targets)), targets]


def score_tokens(
    engine: Engine, tokens: NDArray[np.unsignedinteger], characters: int, start_id: int
) -> Score:
    """N tokens of so many characters -> their score, in the engine's precision."""
    nats = -sum(float(block.sum()) for block in log_probabilities(engine, tokens, start_id))
    return Score(nats, len(tokens), characters)


def read_text(
    path: Path, tokenizer: Tokenizer, encoding: str
) -> tuple[NDArray[np.unsignedinteger], int]:
    """A file -> its tokens, and the characters they encode. CorpusError if it is empty."""
    # The path may be a pipe, whose contents are saved there while they are read.
    with tempfile.TemporaryDirectory() as spool:
        found = find([str(path)], Path(spool), tokenizer.name == "byte")
        texts = list(found.texts(encoding, tokenizer.name == "byte"))
    tokens = [tokenizer.encode(text) for text in whole_lines(texts)]
    if not tokens:
        raise CorpusError(f"{path} is empty", "give a file with text")
    return np.concatenate(tokens), sum(map(len, texts))
